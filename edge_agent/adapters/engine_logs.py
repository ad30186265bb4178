"""What containers print, taken from the engine: frames of two streams, pumped into the agent's own log.

    GET /containers/<id>/logs?follow=1&timestamps=1  >  frames  >  lines  >  Outputs.open()

Rule 1: a line is handed on without the engine's time stamp; that is kept, for the next agent begins behind it.
Rule 2: a line that was handed on is not handed on again, but for those of the last moment before a power cut.
Rule 3: who does not read its log in time is waited for; the engine keeps the rest meanwhile, up to its limit.
"""

import asyncio
import contextlib
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.adapters.engine_http import EngineClient
from fairway.errors import Unavailable

_FRAME = struct.Struct("!BxxxI")
_STDERR = 2
# Engines cut lines into frames of 16 KiB and a little; what is larger is no frame.
_FRAME_MAX_BYTES = 1024 * 1024
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)")
_FULL_PAUSE_S = 0.05


class Frames:
    """Frames of an attached stream, as they come: (is it standard error, bytes)."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[bool, bytes]]:
        """Yield the frames that are complete.  Raises Unavailable for what are none."""
        self._buffer += piece
        while len(self._buffer) >= _FRAME.size:
            kind, size = _FRAME.unpack_from(self._buffer)
            if kind > _STDERR or size > _FRAME_MAX_BYTES:
                raise Unavailable("the container engine's stream has no frames")
            end = _FRAME.size + size
            if len(self._buffer) < end:
                return
            yield kind == _STDERR, bytes(self._buffer[_FRAME.size : end])
            del self._buffer[:end]


def stamped(line: bytes) -> tuple[str, bytes]:
    """Return the engine's time stamp of a line in a form that sorts, "" where it has none, and the line."""
    stamp, space, rest = line.partition(b" ")
    found = _STAMP.fullmatch(stamp) if space else None
    if found is None:
        return "", line
    return f"{found[1].decode()}.{(found[2] or b'').decode():0<9}", rest


@dataclass(slots=True)
class Reached:
    """How far the log of a container has been taken: so many lines with that stamp, and all before."""

    stamp: str = ""
    lines: int = 0
    _passed: int = 0  # of the lines with that stamp, seen again

    def is_new(self, stamp: str) -> bool:
        """Whether a line has not been taken yet; it then counts as taken."""
        if not stamp or stamp > self.stamp:
            self.stamp, self.lines, self._passed = stamp or self.stamp, 1, 1
            return True
        if stamp < self.stamp:
            return False
        self._passed += 1
        if self._passed <= self.lines:
            return False
        self.lines = self._passed
        return True


class Pump:
    """Carries what one container prints into descriptors that it then closes."""

    def __init__(
        self, client: EngineClient, container: str, outputs: tuple[int, int], place: Path
    ) -> None:
        """Take the container, where its lines go, and the file that says how far the last agent came."""
        self._client, self._container, self._outputs, self._place = (
            client,
            container,
            outputs,
            place,
        )
        for descriptor in outputs:
            os.set_blocking(descriptor, False)
        self._reached = _read(place, container)
        self._task = asyncio.ensure_future(self._run())

    async def finished(self, within_s: float) -> None:
        """Wait until all is carried, or give up after a while."""
        await asyncio.wait({self._task}, timeout=within_s)

    async def close(self) -> None:
        """Carry no more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            await self._carry()
        except Unavailable:
            return  # the container is gone, or the engine; whoever looks at that tells it
        finally:
            for descriptor in self._outputs:
                os.close(descriptor)
            self._keep()

    async def _carry(self) -> None:
        query = {"follow": "1", "stdout": "1", "stderr": "1", "timestamps": "1"}
        frames = Frames()
        path = f"/containers/{self._container}/logs"
        async with self._client.stream("GET", path, None, **query) as pieces:
            async for piece in pieces:
                for is_error, data in frames.feed(piece):
                    stamp, line = stamped(data)
                    if self._reached.is_new(stamp):
                        await self._put(self._outputs[is_error], line)
                self._keep()

    async def _put(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                await asyncio.sleep(_FULL_PAUSE_S)
            except OSError:  # nobody reads any more
                return

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            said = f"{self._container} {self._reached.stamp} {self._reached.lines}"
            self._place.write_text(said, "ascii")


def _read(place: Path, container: str) -> Reached:
    """Return how far another agent took the log of this container."""
    with contextlib.suppress(OSError, ValueError):
        known, stamp, lines = place.read_text("ascii").split(" ")
        if known == container:
            return Reached(stamp, int(lines))
    return Reached()
