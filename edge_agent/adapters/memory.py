"""The agent's ports without a disk and without a network: for tests, trials and machines that have neither.

A MemorySpool forgets with the process; a MemoryUplink hands messages to a function that plays the cloud; a
MemoryOutlet and a MemoryBus keep what they are given; MemoryEcus hand requests to functions that play ECUs.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from edge_agent.broker.providers import Target
from edge_agent.canbus.frames import Frame, FrameBlock
from edge_agent.canbus.isotp_frames import single
from edge_agent.diagnostics.ecu import Ecu
from edge_agent.telemetry.spool import Cursor, SpooledBatch, SpoolState, WhenFull
from fairway.errors import BadInput, Denied, Unavailable
from fairway.ids import stream_id


class MemorySpool:
    """A spool in a dictionary."""

    def __init__(
        self,
        *,
        stream: str = "0000000000000001",
        max_bytes: int = 1 << 30,
        when_full: WhenFull = "drop_oldest",
    ) -> None:
        self._stream = stream_id(stream)
        self._max_bytes, self._when_full = max_bytes, when_full
        self._batches: dict[int, SpooledBatch] = {}
        self._dictionaries: dict[bytes, bytes] = {}
        self._next, self._size_bytes, self._cursor = 1, 0, Cursor()
        self._dropped_batches = self._dropped_samples = 0

    @property
    def stream(self) -> str:
        return self._stream

    @property
    def cursor(self) -> Cursor:
        return self._cursor

    @property
    def state(self) -> SpoolState:
        return SpoolState(
            next_sequence=self._next,
            waiting=len(self._batches),
            size_bytes=self._size_bytes,
            dropped_batches=self._dropped_batches,
            dropped_samples=self._dropped_samples,
            damaged_batches=0,
        )

    def append(self, batches: Sequence[SpooledBatch]) -> bool:
        need = sum(len(batch.request) for batch in batches)
        while self._batches and self._size_bytes + need > self._max_bytes:
            if self._when_full == "drop_newest":
                return False
            oldest = self._batches[min(self._batches)]
            self.settle([oldest.sequence])
            self._dropped_batches += 1
            self._dropped_samples += oldest.samples
        for batch in batches:
            assert batch.sequence == self._next
            self._batches[batch.sequence] = batch
            self._next += 1
            self._cursor = batch.cursor
        self._size_bytes += need
        return True

    def read(self, after: int, *, max_batches: int, max_bytes: int) -> list[SpooledBatch]:
        found: list[SpooledBatch] = []
        for sequence in sorted(sequence for sequence in self._batches if sequence > after):
            if len(found) >= max_batches or (found and max_bytes <= 0):
                break
            found.append(self._batches[sequence])
            max_bytes -= len(found[-1].request)
        return found

    def settle(self, sequences: Collection[int]) -> None:
        for sequence in sequences:
            batch = self._batches.pop(sequence, None)
            self._size_bytes -= len(batch.request) if batch else 0

    def give_up(self, batches: Sequence[SpooledBatch]) -> None:
        for batch in batches:
            if batch.sequence in self._batches:
                self._dropped_batches += 1
                self._dropped_samples += batch.samples
        self.settle([batch.sequence for batch in batches])

    def shrink(self, need_bytes: int) -> None:
        least = max(0, self._size_bytes - need_bytes)
        while self._batches and self._size_bytes > least:
            self.give_up([self._batches[min(self._batches)]])

    def rest(self) -> None:
        """Nothing to let go of."""

    def keep_dictionary(self, dictionary_id: bytes, request: bytes) -> None:
        self._dictionaries[dictionary_id] = request

    def dictionary(self, dictionary_id: bytes) -> bytes | None:
        return self._dictionaries.get(dictionary_id)

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryUplink:
    """An uplink to two functions: each takes one message to the cloud and returns the cloud's answers.

    `cloud` plays telemetry; `control` the door of campaigns, which an older cloud does not have.
    """

    def __init__(
        self,
        cloud: Callable[[bytes], Sequence[bytes]],
        control: Callable[[bytes], Sequence[bytes]] | None = None,
    ) -> None:
        self._cloud, self._control = cloud, control
        self._answers: asyncio.Queue[bytes | None] | None = None
        self._orders: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.is_reachable = True

    async def connect(self) -> None:
        if not self.is_reachable:
            raise Unavailable("the cloud in memory is switched off")
        self._answers, self._orders = asyncio.Queue(), asyncio.Queue()

    async def send(self, request: bytes) -> None:
        answers = self._connection()
        for response in self._cloud(request):
            answers.put_nowait(response)

    async def receive(self) -> bytes:
        return await self._next(self._connection())

    async def send_control(self, request: bytes) -> None:
        self._connection()
        for response in self._door()(request):
            self._orders.put_nowait(response)

    async def receive_control(self) -> bytes:
        self._connection()
        self._door()
        return await self._next(self._orders)

    async def close(self) -> None:
        self.cut()

    def cut(self) -> None:
        """Lose the connection, as a tunnel does."""
        if self._answers is not None:
            self._answers.put_nowait(None)
            self._orders.put_nowait(None)
            self._answers = None

    def order(self, message: bytes) -> None:
        """Have the cloud say something unasked."""
        self._connection()
        self._orders.put_nowait(message)

    def _door(self) -> Callable[[bytes], Sequence[bytes]]:
        if self._control is None:
            raise BadInput("the cloud in memory has no such door")
        return self._control

    def _connection(self) -> "asyncio.Queue[bytes | None]":
        if self._answers is None:
            raise Unavailable("there is no connection to the cloud in memory")
        return self._answers

    async def _next(self, heard: "asyncio.Queue[bytes | None]") -> bytes:
        response = await heard.get()
        if response is None:
            heard.put_nowait(None)
            raise Unavailable("the connection to the cloud in memory was cut")
        return response


class MemoryOutlet:
    """Keeps target values until they are taken."""

    def __init__(self, room: int = 100) -> None:
        """`room` is how many offers it takes before somebody takes them away."""
        self._room = room
        self._offers: list[Sequence[Target]] = []

    @property
    def has_room(self) -> bool:
        return len(self._offers) < self._room

    def admit(self, targets: Sequence[Target]) -> None:
        """Everything is admitted."""

    def offer(self, targets: Sequence[Target]) -> None:
        self._offers.append(targets)

    def take(self) -> list[Sequence[Target]]:
        """Return what was offered, and forget it."""
        taken, self._offers = self._offers, []
        return taken


class MemoryBus:
    """A bus to write to that keeps what was sent."""

    def __init__(self) -> None:
        self.is_there = True
        self.sent: list[Frame] = []

    async def send(self, frames: FrameBlock) -> None:
        if not self.is_there:
            raise Unavailable("the bus in memory is switched off")
        self.sent += frames.frames()


class Answers(Protocol):
    """An ECU as a function."""

    def __call__(self, request: bytes, /, *, is_functional: bool) -> bytes | None:
        """Return the last word on a request to this ECU, or to all; None for silence."""
        ...


class MemoryEcus:
    """ECUs that are functions."""

    def __init__(self, ecus: Mapping[Ecu, Answers]) -> None:
        self._ecus = ecus

    @property
    def known(self) -> Sequence[Ecu]:
        return tuple(self._ecus)

    async def ask(self, ecu: Ecu, request: bytes) -> bytes:
        if not request:
            raise BadInput("an empty request asks for nothing")
        said = self._said(ecu, request, is_functional=False)
        if isinstance(said, Unavailable):
            raise said
        return said

    async def ask_all(
        self, ecus: Sequence[Ecu], request: bytes
    ) -> Mapping[Ecu, bytes | Unavailable]:
        single(request)
        said = {ecu: self._said(ecu, request, is_functional=True) for ecu in ecus}
        return {ecu: said[ecu] for ecu in self._ecus if ecu in said}

    def _said(self, ecu: Ecu, request: bytes, *, is_functional: bool) -> bytes | Unavailable:
        if ecu not in self._ecus:
            raise BadInput(f"no ECU in memory is called {ecu.name}")
        answer = self._ecus[ecu](request, is_functional=is_functional)
        return Unavailable(f"the ECU {ecu.name} in memory is silent") if answer is None else answer


class MemoryFileSizes:
    """Files that campaigns may ask for, by path; None for one that may be asked for and is not there."""

    def __init__(self, sizes_bytes: Mapping[str, int | None]) -> None:
        self._sizes_bytes = sizes_bytes

    def size_bytes(self, path: str) -> int:
        if path not in self._sizes_bytes:
            raise Denied(f"campaigns may not ask for the size of {path!r}")
        size_bytes = self._sizes_bytes[path]
        if size_bytes is None:
            raise Unavailable(f"there is no file {path}")
        return size_bytes
