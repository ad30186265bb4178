"""What an AWS IoT FleetWise decoder manifest says: a number for every signal, and how each is read.

    DecoderManifest --> CAN signals, answers to J1979 requests, signals by a word (custom), structured signals

Rule 1: a number is 1 to 2**31 - 1 and belongs to one signal: 0 and the highest bit are FleetWise's own.
Rule 2: `start_bit` is the least significant bit of a signal in either byte order.  A DBC file has the most
        significant one for big endian: `start_in_dbc` and `start_in_fleetwise` turn one into the other.
Rule 3: structured signals are kept as they came: nothing here reads them.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from fairway.errors import BadInput
from fairway.signals import Kind

SIGNAL_ID_MAX = (1 << 31) - 1
# 64 bytes of CAN FD.
_FRAME_BITS = 512


class Primitive(IntEnum):
    """What a value is; the numbers are those of the wire."""

    UNSPECIFIED = 0
    BOOL = 1
    UINT8 = 2
    UINT16 = 3
    UINT32 = 4
    UINT64 = 5
    INT8 = 6
    INT16 = 7
    INT32 = 8
    INT64 = 9
    FLOAT32 = 10
    FLOAT64 = 11
    STRING = 12

    @property
    def kind(self) -> Kind:
        """What our samples of it are."""
        return {Primitive.BOOL: Kind.BOOL, Primitive.STRING: Kind.TEXT}.get(self, Kind.NUMBER)


@dataclass(frozen=True, slots=True)
class CanSignal:
    """A signal in a CAN frame: physical = raw * factor + offset."""

    id: int
    interface: str
    frame_id: int  # 11 or 29 bits: nothing tells which
    start_bit: int
    length_bits: int
    is_big_endian: bool = False
    is_signed: bool = False
    is_float: bool = False
    factor: float = 1.0
    offset: float = 0.0
    primitive: Primitive = Primitive.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class ObdSignal:
    """A signal in the answer to a J1979 request, from `start_byte` of its data on."""

    id: int
    interface: str
    service: int
    pid: int
    response_bytes: int
    start_byte: int
    length_bytes: int
    right_shift_bits: int = 0
    mask_bits: int = 8
    factor: float = 1.0
    offset: float = 0.0
    is_signed: bool = False
    is_float: bool = False
    primitive: Primitive = Primitive.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class CustomSignal:
    """A signal that a part of the agent reads, by a word of its own."""

    id: int
    interface: str
    decoder: str
    primitive: Primitive = Primitive.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class ComplexPrimitive:
    """A number inside of a structured signal."""

    primitive: Primitive
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class ComplexStruct:
    """Members, by their types."""

    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ComplexArray:
    """Many of a type; size 0: as many as there are, negative: at most so many."""

    size: int
    type_id: int


@dataclass(frozen=True, slots=True)
class ComplexText:
    """A text inside of a structured signal."""

    is_utf_16: bool
    size: int


Variant: TypeAlias = ComplexPrimitive | ComplexStruct | ComplexArray | ComplexText


@dataclass(frozen=True, slots=True)
class ComplexType:
    """A type of a structured signal."""

    id: int
    variant: Variant | None  # None: of a later version


@dataclass(frozen=True, slots=True)
class ComplexSignal:
    """A structured signal of a middleware."""

    id: int
    interface: str
    message: str
    root_type: int


PlainSignal: TypeAlias = CanSignal | ObdSignal | CustomSignal


@dataclass(frozen=True, slots=True)
class DecoderManifest:
    """Every signal of a vehicle."""

    sync_id: str
    can: tuple[CanSignal, ...] = ()
    obd: tuple[ObdSignal, ...] = ()
    custom: tuple[CustomSignal, ...] = ()
    complex_types: tuple[ComplexType, ...] = ()
    complex_signals: tuple[ComplexSignal, ...] = ()

    def __post_init__(self) -> None:
        seen: set[int] = set()
        for signal in (*self.plain, *self.complex_signals):
            if not 1 <= signal.id <= SIGNAL_ID_MAX:
                raise BadInput(
                    f"the decoder manifest {self.sync_id!r:.100} numbers a signal {signal.id}; 1 to"
                    f" {SIGNAL_ID_MAX} are possible"
                )
            if signal.id in seen:
                raise BadInput(
                    f"the decoder manifest {self.sync_id!r:.100} has signal {signal.id} twice"
                )
            seen.add(signal.id)

    @property
    def plain(self) -> tuple[PlainSignal, ...]:
        """All signals but the structured ones."""
        return (*self.can, *self.obd, *self.custom)


def start_in_dbc(signal: CanSignal) -> int:
    """Return where `signal` starts as a DBC file says it.  Raises BadInput when no frame holds it."""
    _check_bits(signal.start_bit, signal.length_bits)
    if not signal.is_big_endian:
        return signal.start_bit
    first = _sent_at(signal.start_bit) - signal.length_bits + 1
    if first < 0:
        raise BadInput(
            f"signal {signal.id}: {signal.length_bits} bits do not end at bit {signal.start_bit} of a frame"
        )
    return _sent_at(first)


def start_in_fleetwise(start: int, length_bits: int, *, is_big_endian: bool) -> int:
    """Return where a signal starts for FleetWise, which a DBC file has start at `start`.  Raises BadInput."""
    _check_bits(start, length_bits)
    if not is_big_endian:
        return start
    last = _sent_at(start) + length_bits - 1
    if last >= _FRAME_BITS:
        raise BadInput(f"{length_bits} bits from bit {start} do not fit a frame")
    return _sent_at(last)


def _sent_at(bit: int) -> int:
    """Return the place of a bit of a DBC in the order of the bus, or the bit at that place."""
    return bit // 8 * 8 + 7 - bit % 8


def _check_bits(start: int, length_bits: int) -> None:
    if not 0 <= start < _FRAME_BITS or not 1 <= length_bits <= 64:
        raise BadInput(
            f"{length_bits} bits at bit {start}: a signal has 1 to 64 bits, a frame {_FRAME_BITS}"
        )
