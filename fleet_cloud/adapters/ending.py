"""When and why a program ends: a signal asked for it, or a part of it failed."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from fairway import log as logs

log = logs.get("fleet_cloud")


class Ending:
    """The end of a running program, waited for by its main task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._error: BaseException | None = None

    def request(self) -> None:
        """End in good order; called in the event loop."""
        self._event.set()

    def fail(self, error: BaseException) -> None:
        """End because a part of the program has; called from any thread."""
        log.error("part_failed", error=repr(error))
        self._error = error
        self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Return when the program is to end."""
        await self._event.wait()

    def check(self) -> None:
        """Raise what ended the program, if it was not a request."""
        if self._error is not None:
            raise self._error


@contextmanager
def ending() -> Iterator[Ending]:
    """Give an Ending that SIGTERM and SIGINT bring about."""
    end = Ending()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for one in signals:
        loop.add_signal_handler(one, end.request)
    try:
        yield end
    finally:
        for one in signals:
            loop.remove_signal_handler(one)
