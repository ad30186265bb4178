"""An event loop whose time passes only when all wait: hours in milliseconds, the same on every machine.

What would run in a thread runs at once, so that nothing outside the loop has a say.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fairway.clock import NS_PER_S

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    loop: "VirtualLoop"

    def select(self, timeout: float | None = None):
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for something that never comes"
            self.loop.passed_s += max(timeout, 0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self
        self.passed_s = 1000.0

    def time(self) -> float:
        return getattr(self, "passed_s", 0.0)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any):  # type: ignore[override]
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


class VirtualClock:
    """The clocks of the running virtual loop; the wall may be set."""

    def __init__(self) -> None:
        self.wall_offset_ns = 1_700_000_000 * NS_PER_S

    def now_ns(self) -> int:
        return self.wall_offset_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * NS_PER_S)

    def jump(self, duration_ns: int) -> None:
        self.wall_offset_ns += duration_ns


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
