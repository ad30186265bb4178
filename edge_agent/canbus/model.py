"""What a bus database says, as frozen dataclasses: Database -> Message -> Signal.

Rule 1: a signal's identity is its position in its message, not its name: some databases use a name twice.
Rule 2: bit positions are those of a DBC file.  `start` is the least significant bit of a little-endian
        (Intel) signal and the most significant bit of a big-endian (Motorola) one; bit b is bit b % 8 of
        byte b // 8, counted from the least significant.
Rule 3: nothing here judges.  What is odd in a file is a `Problem` beside the database, with its line.
"""

from dataclasses import dataclass
from enum import Enum

# J1939-21 transports 1,785 bytes, ISO-TP 4,095: a longer message is a slip of the pen.
MESSAGE_MAX_BYTES = 4_095

Choices = tuple[tuple[int, str], ...]  # a value table: raw value -> text


class ByteOrder(Enum):
    """How the bits of a signal follow one another."""

    LITTLE = "little"
    BIG = "big"


class Number(Enum):
    """How the raw bits are read."""

    UNSIGNED = "unsigned"
    SIGNED = "signed"
    FLOAT = "float"  # IEEE 754 of 16, 32 or 64 bits


@dataclass(frozen=True, slots=True)
class Multiplex:
    """When a signal is in the frame: the raw value of signal number `parent` lies in one of `ranges`."""

    parent: int  # position of the multiplexer signal in the same message
    ranges: tuple[tuple[int, int], ...]  # both ends belong to it


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: physical = raw * scale + offset."""

    name: str
    start: int
    length: int  # bits
    byte_order: ByteOrder = ByteOrder.LITTLE
    number: Number = Number.UNSIGNED
    scale: float = 1.0
    offset: float = 0.0
    minimum: float | None = None  # physical, as declared; None where nothing was
    maximum: float | None = None
    unit: str = ""
    is_multiplexer: bool = False
    multiplex: Multiplex | None = None
    choices: Choices = ()
    initial: float | None = None  # raw value at start (GenSigStartValue), where declared
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One frame layout."""

    name: str
    frame_id: int  # 11 or 29 bits, without flags
    is_extended: bool
    length: int  # bytes, 0 to 64 (more for PDUs that transport protocols carry)
    signals: tuple[Signal, ...]
    is_fd: bool = False
    is_j1939: bool = False  # matched by PGN, not by its whole id
    cycle_time_ms: int | None = None
    senders: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd in a file, and what was done about it."""

    line: int  # 0 where the format has no lines
    severity: str  # "error": something could not be taken over; "warning": it was, but look
    text: str


@dataclass(frozen=True, slots=True)
class Database:
    """All messages of one file."""

    name: str  # the file's stem
    messages: tuple[Message, ...]
    is_j1939: bool = False  # SAE J1939: some messages are matched by PGN (see Message.is_j1939)
    problems: tuple[Problem, ...] = ()
