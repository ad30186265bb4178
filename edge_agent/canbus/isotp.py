"""ISO 15765-2: messages of up to 4 GB over CAN frames, in both directions between two ids.

    message > Sending   > first frame ...... consecutive frames, as many and as fast as allowed
                              '> flow control >'
    message < Receiving < first frame ...... consecutive frames in order, none missing

Rule 1: no I/O and no clock: `now_ns` is any clock that never goes back, `due_ns` says when to call again.
Rule 2: a partner that is late or out of order ends the message; the sentence of the error says which timer
        or number it was.  The next message begins anew.
Rule 3: what a receiver has no room for is refused in its first frame, before a byte of it is kept.
"""

from dataclasses import dataclass
from enum import Enum, auto

from edge_agent.canbus import isotp_frames as frames
from edge_agent.canbus.isotp_frames import Consecutive, First, Flow, FlowStatus, Single
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput, Unavailable

# ISO 15765-2, table 16: how long to wait for a flow control, and for the next consecutive frame.
N_BS_NS = 1000 * NS_PER_MS
N_CR_NS = 1000 * NS_PER_MS
# A receiver may ask for so many pauses in a row (N_WFTmax): some ten seconds, as long as a slow flash erases.
WAITS_MAX = 10
# The most that most of the trade's ECUs can say without the escape, and far above any list of trouble codes.
MESSAGE_MAX_BYTES = frames.SHORT_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Terms:
    """How we send, and what we ask of the partner."""

    frame_bytes: int = frames.CLASSIC_MAX_BYTES  # of the frames we send: 8, or up to 64 on CAN FD
    message_max_bytes: int = MESSAGE_MAX_BYTES  # of a message we take
    block_size: int = 0  # consecutive frames until we send another flow control; 0: all of them
    st_min_ns: int = 0  # the pause we ask for between two of them
    padding: int | None = frames.PADDING  # None: frames are as short as they can be

    def __post_init__(self) -> None:
        if self.frame_bytes not in (frames.CLASSIC_MAX_BYTES, *frames.FD_LENGTHS):
            raise BadInput(
                f"no frame has {self.frame_bytes} bytes: choose 8, or up to 64 on CAN FD"
            )
        if not 0 <= self.block_size <= 0xFF:
            raise BadInput(f"a block size of {self.block_size}: choose from 0 to 255")


class SendState(Enum):
    """Where a message is on its way out."""

    STARTING = auto()
    WAITING = auto()  # for flow control
    RUNNING = auto()
    DONE = auto()


class Sending:
    """One message on its way out."""

    def __init__(self, message: bytes, terms: Terms, *, now_ns: int) -> None:
        """Raises BadInput for a message that is empty, or longer than any can be."""
        if not 0 < len(message) <= frames.LONG_MAX_BYTES:
            raise BadInput(f"a message of {len(message)} bytes cannot be sent over ISO-TP")
        self.state = SendState.STARTING
        self._message, self._terms = message, terms
        self._at = 0  # bytes sent
        self._number = 0  # of the last frame
        self._left = 0  # frames in this block; -1: no end
        self._st_min_ns = 0
        self._waits = 0
        self.due_ns: int | None = now_ns

    def due(self, now_ns: int) -> list[bytes]:
        """Return the frames that go out now.  Raises Unavailable when the receiver is late."""
        if self.due_ns is None or now_ns < self.due_ns:
            return []
        if self.state is SendState.STARTING:
            return [self._start(now_ns)]
        if self.state is SendState.WAITING:
            self._end()
            raise Unavailable(f"no flow control within {N_BS_NS // NS_PER_MS} ms (N_Bs)")
        return self._run(now_ns)

    def take(self, flow: Flow, now_ns: int) -> None:
        """Obey a flow control; one that nobody waited for is ignored.  Raises Unavailable."""
        if self.state is not SendState.WAITING:
            return
        if flow.status is FlowStatus.OVERFLOW:
            self._end()
            raise Unavailable(f"the receiver has no room for {len(self._message)} bytes")
        if flow.status is FlowStatus.WAIT:
            self._waits += 1
            if self._waits > WAITS_MAX:
                self._end()
                raise Unavailable(f"the receiver asked for more than {WAITS_MAX} pauses (N_WFTmax)")
            self.due_ns = now_ns + N_BS_NS
            return
        self._waits = 0
        self._left = flow.block_size or -1
        self._st_min_ns = flow.st_min_ns
        self.state, self.due_ns = SendState.RUNNING, now_ns

    def _start(self, now_ns: int) -> bytes:
        size = self._terms.frame_bytes
        if len(self._message) <= frames.single_max_bytes(size):
            self._end()
            return frames.single(self._message, size)
        frame = frames.first(self._message, size)
        self._at = size - (2 if len(self._message) <= frames.SHORT_MAX_BYTES else 6)
        self.state, self.due_ns = SendState.WAITING, now_ns + N_BS_NS
        return frame

    def _run(self, now_ns: int) -> list[bytes]:
        sent: list[bytes] = []
        size = self._terms.frame_bytes - 1
        while self.state is SendState.RUNNING:
            self._number += 1
            sent.append(frames.consecutive(self._number, self._message[self._at : self._at + size]))
            self._at += size
            self._left -= 1
            if self._at >= len(self._message):
                self._end()
            elif self._left == 0:
                self.state, self.due_ns = SendState.WAITING, now_ns + N_BS_NS
            elif self._st_min_ns:
                self.due_ns = now_ns + self._st_min_ns
                break
        return sent

    def _end(self) -> None:
        self.state, self.due_ns = SendState.DONE, None


@dataclass(slots=True)
class _Arriving:
    """A message of which some has arrived."""

    length: int
    data: bytearray
    frame_bytes: int
    due_ns: int  # for the next frame
    number: int = 1  # of the next frame
    block: int = 0  # frames since the last flow control


class Receiving:
    """Messages on their way in, one after another."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._arriving: _Arriving | None = None

    @property
    def due_ns(self) -> int | None:
        """When the next frame of a message that has begun has to be there."""
        return None if self._arriving is None else self._arriving.due_ns

    def take(
        self, part: Single | First | Consecutive, now_ns: int
    ) -> tuple[bytes | None, Flow | None]:
        """Return a message that is complete, and a flow control to send.

        Raises Unavailable for a frame out of order, or too short.
        """
        if isinstance(part, Consecutive):
            return self._go_on(part, now_ns)
        # A new message ends one that was not complete: 9.8.3.
        self._arriving = None
        if isinstance(part, Single):
            return part.data, None
        if part.length > self._terms.message_max_bytes:
            return None, Flow(FlowStatus.OVERFLOW)
        self._arriving = _Arriving(
            part.length, bytearray(part.data), part.frame_bytes, now_ns + N_CR_NS
        )
        return None, self._flow()

    def check(self, now_ns: int) -> None:
        """Raise Unavailable when the next frame is late."""
        if self._arriving is not None and now_ns >= self._arriving.due_ns:
            at, length = len(self._arriving.data), self._arriving.length
            self._arriving = None
            raise Unavailable(
                f"no more frames within {N_CR_NS // NS_PER_MS} ms (N_Cr) after {at} of {length} bytes"
            )

    def _go_on(self, part: Consecutive, now_ns: int) -> tuple[bytes | None, Flow | None]:
        arriving = self._arriving
        if arriving is None:
            return None, None  # not for us, or the rest of what was given up
        expected = arriving.number & 0xF
        if part.number != expected:
            self._arriving = None
            raise Unavailable(f"consecutive frame {part.number} came where {expected} was due")
        missing = arriving.length - len(arriving.data)
        if len(part.data) < min(missing, arriving.frame_bytes - 1):
            self._arriving = None
            raise Unavailable(
                f"consecutive frame {part.number} has {len(part.data)} bytes: too few"
            )
        arriving.data += part.data[:missing]
        arriving.number += 1
        arriving.block += 1
        arriving.due_ns = now_ns + N_CR_NS
        if len(arriving.data) == arriving.length:
            self._arriving = None
            return bytes(arriving.data), None
        if arriving.block == self._terms.block_size:
            arriving.block = 0
            return None, self._flow()
        return None, None

    def _flow(self) -> Flow:
        return Flow(FlowStatus.CONTINUE, self._terms.block_size, self._terms.st_min_ns)


class Channel:
    """Both directions between two ids, for a client as for an ECU: one message out at a time."""

    def __init__(self, terms: Terms | None = None) -> None:
        self._terms = terms or Terms()
        self._receiving = Receiving(self._terms)
        self._sending: Sending | None = None
        self._replies: list[bytes] = []

    @property
    def is_sending(self) -> bool:
        """Whether a message is on its way out."""
        return self._sending is not None and self._sending.due_ns is not None

    @property
    def is_receiving(self) -> bool:
        """Whether a message has begun to come in."""
        return self._receiving.due_ns is not None

    @property
    def due_ns(self) -> int | None:
        """When `due` has to be called at the latest; None: not before something arrives."""
        if self._replies:
            return 0
        sending_ns = None if self._sending is None else self._sending.due_ns
        known = [due_ns for due_ns in (sending_ns, self._receiving.due_ns) if due_ns is not None]
        return min(known, default=None)

    def start(self, message: bytes, *, now_ns: int) -> None:
        """Send `message`, in place of one that was not finished.  Raises BadInput."""
        self._sending = Sending(message, self._terms, now_ns=now_ns)

    def take(self, data: bytes, *, now_ns: int) -> bytes | None:
        """Take a frame of the partner and return the message that it completed.

        Raises Unavailable when the partner breaks a message off or mixes it up; `due` may then have an answer.
        """
        try:
            part = frames.part_of(data)
        except BadInput:
            return None  # as the standard wants it
        if isinstance(part, Flow):
            if self._sending is not None:
                self._sending.take(part, now_ns)
            return None
        message, flow = self._receiving.take(part, now_ns)
        if flow is not None:
            self._replies.append(frames.flow(flow))
            if flow.status is FlowStatus.OVERFLOW:
                most = self._terms.message_max_bytes
                raise Unavailable(f"the message is longer than the {most} bytes there is room for")
        return message

    def due(self, *, now_ns: int) -> list[bytes]:
        """Return the frames to send now.  Raises Unavailable when the partner is late."""
        self._receiving.check(now_ns)
        out, self._replies = self._replies, []
        if self._sending is not None:
            out += self._sending.due(now_ns)
        return [frames.padded(frame, self._terms.padding) for frame in out]
