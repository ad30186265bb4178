"""ISO 15765-2 frames: what the first bytes of a CAN frame say about the message it is a part of.

    0L data         single frame, L bytes            00 LL data      the same on CAN FD, above 8 bytes
    1L LL data      first frame of LLL bytes         10 00 LLLLLLLL  the same above 4,095 bytes
    2N data         consecutive frame number N       3S BB TT        flow control: status, block size, STmin

Rule 1: a frame is read as clause 9.6 has it; what it says to ignore is BadInput, with the reason.
Rule 2: the frames made here are as long as what they say; `padded` fills them up, for the bus.
"""

from dataclasses import dataclass
from enum import IntEnum

from fairway.clock import NS_PER_MS
from fairway.errors import BadInput

CLASSIC_MAX_BYTES = 8
# ISO 11898-1: the lengths of a CAN FD frame beyond 8.
FD_LENGTHS = (12, 16, 20, 24, 32, 48, 64)
# What 12 bits can say; longer messages escape to 32 bits.
SHORT_MAX_BYTES = 0xFFF
LONG_MAX_BYTES = 0xFFFF_FFFF
# The fill with the fewest stuff bits: 10.4.2.1 recommends it.
PADDING = 0xCC
# What an unknown STmin means, and the longest there is: 9.6.5.5.
ST_MIN_MAX_MS = 127

_SINGLE, _FIRST, _CONSECUTIVE, _FLOW = range(4)


class FlowStatus(IntEnum):
    """What a receiver answers to a first frame or a full block (9.6.5.2)."""

    CONTINUE = 0
    WAIT = 1
    OVERFLOW = 2


@dataclass(frozen=True, slots=True)
class Single:
    """A whole message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class First:
    """The beginning of a message of `length` bytes; `frame_bytes` long frames carry the rest."""

    length: int
    data: bytes
    frame_bytes: int


@dataclass(frozen=True, slots=True)
class Consecutive:
    """A later piece; `data` may end with padding."""

    number: int  # modulo 16
    data: bytes


@dataclass(frozen=True, slots=True)
class Flow:
    """Says how the sender may go on."""

    status: FlowStatus
    block_size: int = 0  # consecutive frames until the next flow control; 0: no more of them
    st_min_ns: int = 0  # at least so long between two consecutive frames


Part = Single | First | Consecutive | Flow


def part_of(data: bytes) -> Part:
    """Return what a frame's bytes say.  Raises BadInput for what is to be ignored."""
    kind = data[0] >> 4 if data else -1
    if kind == _SINGLE:
        return _single(data)
    if kind == _FIRST:
        return _first(data)
    if kind == _CONSECUTIVE and len(data) > 1:
        return Consecutive(data[0] & 0xF, data[1:])
    if kind == _FLOW and len(data) >= 3:
        if data[0] & 0xF > FlowStatus.OVERFLOW:
            raise BadInput(f"flow control with the reserved status {data[0] & 0xF}")
        return Flow(FlowStatus(data[0] & 0xF), data[1], st_min_ns_of(data[2]))
    raise BadInput(f"{data[:8].hex(' ') or 'an empty frame'} is no frame of ISO 15765-2")


def _single(data: bytes) -> Single:
    length, begin = data[0] & 0xF, 1
    if len(data) > CLASSIC_MAX_BYTES:
        if length:
            raise BadInput(f"a single frame of {len(data)} bytes with a short length")
        length, begin = data[1], 2
        if length < CLASSIC_MAX_BYTES:
            raise BadInput(f"a single frame of {len(data)} bytes for a message of {length}")
    if not 0 < length <= len(data) - begin:
        raise BadInput(f"a single frame of {len(data)} bytes cannot hold a message of {length}")
    return Single(data[begin : begin + length])


def _first(data: bytes) -> First:
    if len(data) < CLASSIC_MAX_BYTES or len(data) not in (CLASSIC_MAX_BYTES, *FD_LENGTHS):
        raise BadInput(f"a first frame of {len(data)} bytes")
    length, begin = int.from_bytes(data[:2], "big") & SHORT_MAX_BYTES, 2
    if length == 0:
        length, begin = int.from_bytes(data[2:6], "big"), 6
        if length <= SHORT_MAX_BYTES:
            raise BadInput(f"a first frame with an escape for a message of {length} bytes")
    if length <= single_max_bytes(len(data)):
        raise BadInput(f"a first frame for a message of {length} bytes: it fits a single frame")
    return First(length, data[begin:], len(data))


def single_max_bytes(frame_bytes: int) -> int:
    """Return how long a message in a single frame may be."""
    return frame_bytes - (1 if frame_bytes <= CLASSIC_MAX_BYTES else 2)


def single(message: bytes, frame_bytes: int = CLASSIC_MAX_BYTES) -> bytes:
    """Return the frame of a short message.  Raises BadInput when it is empty or does not fit."""
    if not 0 < len(message) <= single_max_bytes(frame_bytes):
        raise BadInput(f"a message of {len(message)} bytes does not fit a single frame")
    head = [len(message)] if len(message) < CLASSIC_MAX_BYTES else [0, len(message)]
    return bytes(head) + message


def first(message: bytes, frame_bytes: int = CLASSIC_MAX_BYTES) -> bytes:
    """Return the frame that begins a long message."""
    length = len(message)
    if length <= SHORT_MAX_BYTES:
        head = (_FIRST << 12 | length).to_bytes(2, "big")
    else:
        head = (_FIRST << 12).to_bytes(2, "big") + length.to_bytes(4, "big")
    return head + message[: frame_bytes - len(head)]


def consecutive(number: int, data: bytes) -> bytes:
    """Return a later frame of a message."""
    return bytes([_CONSECUTIVE << 4 | number & 0xF]) + data


def flow(said: Flow) -> bytes:
    """Return a flow control frame."""
    st_min = st_min_of(said.st_min_ns)
    return bytes([_FLOW << 4 | said.status, said.block_size, st_min])


def padded(data: bytes, padding: int | None = PADDING) -> bytes:
    """Return `data` filled up to 8 bytes, or to a length that CAN FD has; None: only where it must be."""
    lengths = (CLASSIC_MAX_BYTES, *FD_LENGTHS)
    if padding is None and len(data) <= CLASSIC_MAX_BYTES:
        return data
    length = next(length for length in lengths if length >= len(data))
    return data.ljust(length, bytes([PADDING if padding is None else padding]))


def st_min_ns_of(code: int) -> int:
    """Return the separation that STmin says; reserved codes mean the longest (9.6.5.5)."""
    if 0xF1 <= code <= 0xF9:
        return (code - 0xF0) * NS_PER_MS // 10
    return min(code, ST_MIN_MAX_MS) * NS_PER_MS


def st_min_of(separation_ns: int) -> int:
    """Return the STmin that says at least `separation_ns`, at most 127 ms."""
    if 0 < separation_ns <= 9 * NS_PER_MS // 10:
        return 0xF0 - (-separation_ns * 10 // NS_PER_MS)
    return min(-(-separation_ns // NS_PER_MS), ST_MIN_MAX_MS)
