"""Asks ECUs over the agent's buses, beside everything else that the agent does with their frames.

    ask --request, flow control--> RequestBuses > bus > ECU
        <------ inbox of the ECU <-- take <-- every block of frames that the agent receives <-- bus

Rule 1: the agent's frames are looked at, never taken away: `take` returns at once.
Rule 2: an ECU has one request at a time; a request to several waits for all of them, in the order of the
        settings, so that no two wait for each other.
Rule 3: what an ECU says unasked is not for us.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence

from edge_agent.adapters.outbound_bus import RequestBuses
from edge_agent.canbus.frames import BIT_RATE_SWITCH, EXTENDED, FD, Frame, FrameBlock
from edge_agent.canbus.isotp import Terms
from edge_agent.canbus.isotp_frames import FD_LENGTHS, padded, single
from edge_agent.config_diagnostics import Ecu as Settings
from edge_agent.diagnostics import obd
from edge_agent.diagnostics.dialogue import Dialogue, Patience
from edge_agent.diagnostics.ecu import Ecu
from fairway.clock import NS_PER_MS, NS_PER_S, Clock
from fairway.errors import BadInput, Unavailable

# Frames of one ECU that wait to be read: a message of 4,095 bytes seven times over.  An ECU that sends more
# while the agent has other work loses some, and its message is refused as out of order.
INBOX_MAX_FRAMES = 4096


class _Line:
    """The way to one ECU."""

    def __init__(self, settings: Settings, bus: int) -> None:
        kind = EXTENDED if settings.is_extended else 0
        self.bus = bus
        self.request_id = settings.request_id | kind
        self.response_id = settings.response_id | kind
        self.all_id = settings.asked_by_all_id | (
            EXTENDED if settings.is_extended or settings.asked_by_all_id > 0x7FF else 0
        )
        self.flags = FD | BIT_RATE_SWITCH if settings.fd else 0
        self.terms = Terms(frame_bytes=FD_LENGTHS[-1]) if settings.fd else Terms()
        self.patience = Patience(settings.p2_ms * NS_PER_MS, settings.p2_star_ms * NS_PER_MS)
        self.where = f"the ECU {settings.name} (0x{settings.request_id:X} on {settings.bus})"
        self.turn = asyncio.Lock()
        self.inbox = deque[bytes]()
        self.arrived = asyncio.Event()

    def frames(self, payloads: Sequence[bytes], can_id: int | None = None) -> list[Frame]:
        """Return frames to this ECU, or with the id of several."""
        to = self.request_id if can_id is None else can_id
        return [Frame(to, payload, bus=self.bus, flags=self.flags) for payload in payloads]


class EcuBuses:
    """The ECUs of the settings, over buses that the agent has open."""

    def __init__(self, ecus: Sequence[Settings], buses: Sequence[str], clock: Clock) -> None:
        """`buses` are the names of the agent's buses, by number."""
        self._clock = clock
        self._lines = {
            Ecu(
                one.name,
                one.target_address,
                obd.is_response_id(one.response_id, is_extended=one.is_extended),
            ): _Line(one, buses.index(one.bus))
            for one in ecus
        }
        lines = self._lines.values()
        allowed = {
            (line.bus, can_id) for line in lines for can_id in (line.request_id, line.all_id)
        }
        self._buses = RequestBuses(allowed, clock, dict(enumerate(buses)))
        self._hears: dict[tuple[int, int], _Line] = {}  # by bus and id, those that are being asked
        self._hears_ids = frozenset[int]()

    @property
    def known(self) -> Sequence[Ecu]:
        return tuple(self._lines)

    def connect(self, bus: int, source: object) -> None:
        """Ask the ECUs of bus number `bus` by way of `source` from now on.  Raises BadInput."""
        self._buses.connect(bus, source)

    def take(self, frames: FrameBlock) -> None:
        """Look for answers among frames that the agent has received."""
        if not self._hears:
            return
        can_ids = frames.can_id.tolist()
        if self._hears_ids.isdisjoint(
            can_ids
        ):  # in a tenth of the time that NumPy takes for a block
            return
        for row, can_id in enumerate(can_ids):
            line = self._hears.get((int(frames.bus[row]), can_id))
            if line is None or len(line.inbox) >= INBOX_MAX_FRAMES:
                continue
            begin, end = int(frames.offset[row]), int(frames.offset[row + 1])
            line.inbox.append(frames.payload[begin:end].tobytes())
            line.arrived.set()

    async def ask(self, ecu: Ecu, request: bytes) -> bytes:
        line = self._line(ecu)
        async with self._turns([line]):
            dialogue = Dialogue(
                request, line.terms, line.patience, now_ns=self._clock.monotonic_ns()
            )
            return await self._answer(line, dialogue)

    async def ask_all(
        self, ecus: Sequence[Ecu], request: bytes
    ) -> Mapping[Ecu, bytes | Unavailable]:
        wanted = {self._line(ecu) for ecu in ecus}
        meant = {ecu: line for ecu, line in self._lines.items() if line in wanted}
        async with self._turns(list(meant.values())):
            silent = await self._request_all(list(meant.values()), request)
            now_ns = self._clock.monotonic_ns()
            answers = await asyncio.gather(
                *(self._said(line, request, silent.get(line), now_ns) for line in meant.values())
            )
        return dict(zip(meant, answers, strict=True))

    async def _request_all(
        self, lines: Sequence[_Line], request: bytes
    ) -> dict[_Line, Unavailable]:
        """Send a request to all ECUs of each bus; return those whose bus did not take it."""
        failed: dict[_Line, Unavailable] = {}
        for line in {(line.bus, line.all_id, line.flags): line for line in lines}.values():
            frame = padded(single(request, line.terms.frame_bytes))
            try:
                await self._buses.send(line.frames([frame], line.all_id))
            except Unavailable as error:
                failed |= {one: error for one in lines if one.bus == line.bus}
        return failed

    async def _said(
        self, line: _Line, request: bytes, failed: Unavailable | None, now_ns: int
    ) -> bytes | Unavailable:
        if failed is not None:
            return Unavailable(f"{line.where}: {failed}")
        dialogue = Dialogue(request, line.terms, line.patience, now_ns=now_ns, is_functional=True)
        try:
            return await self._answer(line, dialogue)
        except Unavailable as error:
            return error
        except BadInput as error:  # its bus carries no such frames
            return Unavailable(f"{line.where}: {error}")

    async def _answer(self, line: _Line, dialogue: Dialogue) -> bytes:
        """Carry a dialogue on until its answer.  Raises Unavailable."""
        try:
            while True:
                answer = await self._step(line, dialogue)
                if answer is not None:
                    return answer
        except Unavailable as error:
            raise Unavailable(f"{line.where}: {error}") from error

    async def _step(self, line: _Line, dialogue: Dialogue) -> bytes | None:
        """Hand over what has arrived, send what is due, and wait for the next of either."""
        line.arrived.clear()
        now_ns = self._clock.monotonic_ns()
        while line.inbox and dialogue.answer is None:
            dialogue.take(line.inbox.popleft(), now_ns=now_ns)
        out = line.frames(dialogue.due(now_ns=now_ns))
        if out:
            await self._buses.send(out)
        if dialogue.answer is not None:
            return dialogue.answer
        wait_s = max(0, dialogue.due_ns - self._clock.monotonic_ns()) / NS_PER_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await line.arrived.wait()
        return None

    def _line(self, ecu: Ecu) -> _Line:
        line = self._lines.get(ecu)
        if line is None:
            raise BadInput(f"no [[ecu]] is called {ecu.name}")
        return line

    @contextlib.asynccontextmanager
    async def _turns(self, lines: Sequence[_Line]) -> AsyncIterator[None]:
        """Have several ECUs to oneself, and hear what they say."""
        mine = {(line.bus, line.response_id): line for line in lines}
        async with contextlib.AsyncExitStack() as turns:
            for line in lines:
                await turns.enter_async_context(line.turn)
            try:
                self._hear(self._hears | mine)
                yield
            finally:
                self._hear({key: one for key, one in self._hears.items() if key not in mine})
                for line in lines:
                    line.inbox.clear()

    def _hear(self, lines: dict[tuple[int, int], _Line]) -> None:
        self._hears = lines
        self._hears_ids = frozenset(can_id for _, can_id in lines)
