"""Where each signal of a message goes, and what may be put there.

Rule 1: a slot knows nothing of the others; encode.py and encode_generated.py put them together.
Rule 2: a declared range counts when it is one (minimum below maximum) and the bits can hold some of it.
        What a value table names is allowed beside it.
"""

import math
import struct
from dataclasses import dataclass

from edge_agent.canbus import plan_table
from edge_agent.canbus.model import ByteOrder, Message, Number, Signal
from edge_agent.canbus.plan import unique_name

# struct codes of IEEE floats by bits: as a number, and as the integer of the same bits.
FLOAT_CODES = {16: ("<e", "<H"), 32: ("<f", "<I"), 64: ("<d", "<Q")}


@dataclass(frozen=True, slots=True)
class Slot:
    """One signal's place in the payload."""

    position: int  # in the message
    name: str  # unique in the message, as the decoder spells it
    signal: Signal
    size: int  # bytes of the message
    fits: bool
    low: int  # allowed raw values of an integer
    high: int
    named: frozenset[int]  # allowed raw values beside them: those the value table names
    raw_low: int  # raw values the bits can hold
    raw_high: int
    initial: int  # raw value (IEEE bits of a float) when nothing is given
    minimum: float  # allowed physical values of a float
    maximum: float

    @property
    def parent(self) -> int | None:
        """The position of the multiplexer that brings the signal, or None."""
        return self.signal.multiplex.parent if self.signal.multiplex is not None else None

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The multiplexer values that bring the signal."""
        return self.signal.multiplex.ranges if self.signal.multiplex is not None else ()

    @property
    def is_big(self) -> bool:
        """Whether it is big-endian."""
        return self.signal.byte_order is ByteOrder.BIG

    @property
    def shift(self) -> int:
        """Where its lowest bit stands in the payload as one whole number of its own byte order."""
        if not self.is_big:
            return self.signal.start
        _, need, low_bits = plan_table.extent(self.signal)
        return 8 * (self.size - need) + low_bits

    def is_selected_by(self, raw: int, parent: "Slot") -> bool:
        """Return whether the raw value of `parent` brings the signal; a range may mean its bits, unsigned."""
        bits = raw & (1 << parent.signal.length) - 1
        return any(low <= raw <= high or low <= bits <= high for low, high in self.ranges)

    def checked(self, value: float) -> int | None:
        """Return the raw value to send for a physical one, or None when it is not allowed.

        What is no number at all raises as arithmetic does.
        """
        if self.signal.number is Number.FLOAT:
            return self.float_bits(value) if self.holds(value) else None
        raw = self.whole(value)
        return raw if self.low <= raw <= self.high or raw in self.named else None

    def checked_raw(self, value: float) -> int | None:
        """Return a raw value as it is, or None when the bits cannot hold it."""
        return (
            int(value) if self.raw_low <= value <= self.raw_high and value == int(value) else None
        )

    def whole(self, value: float) -> int:
        """Return the raw whole number nearest to a physical value."""
        scale, offset = exact(self.signal.scale), exact(self.signal.offset)
        return round((value - offset) / scale) if scale != 1 else round(value - offset)

    def float_bits(self, value: float) -> int:
        """Return the IEEE bits of a physical value."""
        code, bits = FLOAT_CODES[self.signal.length]
        number = (value - self.signal.offset) / self.signal.scale
        found: int = struct.unpack(bits, struct.pack(code, number))[0]
        return found

    def holds(self, value: float) -> bool:
        """Return whether a physical value is allowed in a float signal."""
        return self.minimum <= value <= self.maximum or (
            self.minimum == -math.inf and self.maximum == math.inf
        )

    def physical_range(self) -> tuple[float, float]:
        """Return the smallest and the largest physical value allowed."""
        if self.signal.number is Number.FLOAT:
            return self.minimum, self.maximum
        ends = [raw * self.signal.scale + self.signal.offset for raw in (self.low, self.high)]
        return min(ends), max(ends)

    def placed(self, raw: int) -> int:
        """Return the payload, as a big-endian whole number, with only these raw bits in it."""
        bits = (raw & (1 << self.signal.length) - 1) << self.shift
        if self.is_big:
            return bits
        return int.from_bytes(bits.to_bytes(self.size, "little"), "big")

    def taken(self, whole: int) -> int:
        """Return the unsigned raw bits from a payload given as a big-endian whole number."""
        if not self.is_big:
            whole = int.from_bytes(whole.to_bytes(self.size, "big"), "little")
        return whole >> self.shift & (1 << self.signal.length) - 1


def exact(number: float) -> float:
    """Return a whole number as int, so that arithmetic with large integers stays exact."""
    return int(number) if float(number).is_integer() else number


def message_slots(message: Message, *, is_declared: bool) -> list[Slot]:
    """Return the slots of a message; `is_declared` says whether declared ranges count."""
    names: set[str] = set()
    return [
        _slot(message, position, unique_name(signal.name, names), is_declared=is_declared)
        for position, signal in enumerate(message.signals)
    ]


def _slot(message: Message, position: int, name: str, *, is_declared: bool) -> Slot:
    signal = message.signals[position]
    bits = max(signal.length, 0)
    is_signed = signal.number is Number.SIGNED and bits > 0
    # The decoder hands out 64 unsigned bits as a signed number: take that back, too.
    raw_low = -(1 << bits - 1) if is_signed or bits == 64 else 0
    raw_high = (1 << bits - is_signed) - 1
    fits = plan_table.flaw(signal) is None and plan_table.extent(signal)[1] <= message.length
    low, high = (raw_low if is_signed else 0), raw_high
    minimum, maximum = -math.inf, math.inf
    declared = _declared(signal) if is_declared else None
    if declared is not None and signal.number is Number.FLOAT:
        minimum, maximum = declared
    elif declared is not None:
        ends = sorted(round((end - signal.offset) / signal.scale) for end in declared)
        if max(low, ends[0]) <= min(high, ends[1]):
            low, high = max(low, ends[0]), min(high, ends[1])
    return Slot(
        position,
        name,
        signal,
        message.length,
        fits,
        low,
        high,
        _named(signal, low, high, raw_low=raw_low, raw_high=raw_high),
        raw_low,
        raw_high,
        _initial(signal, raw_low, raw_high),
        minimum,
        maximum,
    )


def _named(signal: Signal, low: int, high: int, *, raw_low: int, raw_high: int) -> frozenset[int]:
    """Return what the value table names outside of the range: "not available", most often."""
    names = (raw for raw, _ in signal.choices)
    return frozenset(raw for raw in names if raw_low <= raw <= raw_high and not low <= raw <= high)


def _declared(signal: Signal) -> tuple[float, float] | None:
    """Return the declared physical range, if there is a sensible one."""
    low, high = signal.minimum, signal.maximum
    if low is None or high is None or not low < high or signal.scale == 0.0:
        return None
    ends = [(end - signal.offset) / signal.scale for end in (low, high)]
    return (low, high) if all(map(math.isfinite, ends)) else None


def _initial(signal: Signal, raw_low: int, raw_high: int) -> int:
    """Return the raw value to send when nothing is given."""
    value = signal.initial
    if value is None or not math.isfinite(value):
        return 0
    if signal.number is Number.FLOAT:
        if signal.length not in FLOAT_CODES:
            return 0
        code, bits = FLOAT_CODES[signal.length]
        try:
            found: int = struct.unpack(bits, struct.pack(code, value))[0]
        except OverflowError:
            return 0
        return found
    return round(value) if raw_low <= value <= raw_high else 0
