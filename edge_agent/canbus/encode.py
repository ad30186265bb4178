"""Values in, payload out: the decoder's other direction, for simulators and for actuation.

    {"Gear": "REVERSE", "Speed": 12.5} -> Encoder.encode -> 8 bytes

Rule 1: every value is checked before it is sent: its name, its declared range, the range of its bits.
Rule 2: what is not given is sent as the database's start value, else as raw 0.
Rule 3: of a multiplexed message only the active branch is written; values of other branches are ignored.
Rule 4: where signals share bits, given values outweigh start values; two that contradict are refused.

The usual case runs a generated function (encode_generated.py).  Whatever stops it - a text, a range, a name -
is done again here with care, and explained.
"""

import difflib
import struct
from collections.abc import Mapping
from typing import Literal

from edge_agent.canbus.encode_generated import EncodeFunction, encode_function
from edge_agent.canbus.encode_slots import Slot, message_slots
from edge_agent.canbus.model import Message
from fairway.errors import BadInput

# Which range a value must keep to: the database's, where it makes sense, or only what the bits can hold.
# Real traffic breaks declared ranges; what was decoded from it can be encoded again with "bits".
Ranges = Literal["declared", "bits"]

Value = float | int | str

# Functions made for branches of one message; a message with more is encoded with care, only slower.
BRANCHES_MAX = 1024


class Encoder:
    """Encodes one message.  It keeps no state between calls."""

    def __init__(
        self, message: Message, *, ranges: Ranges = "declared", unused_bits: Literal[0, 1] = 0
    ) -> None:
        self.message = message
        self._slots = message_slots(message, is_declared=ranges == "declared")
        self._by_name = {slot.name: slot for slot in self._slots}
        self._unused_bits = unused_bits
        self._selectors = any(slot.signal.multiplex is not None for slot in self._slots)
        self._functions: dict[tuple[int, ...], EncodeFunction | None] = {}
        self._only: EncodeFunction | None = None
        if not self._selectors:
            self._only = self._function(tuple(range(len(self._slots))))

    def encode(self, values: Mapping[str, Value]) -> bytes:
        """Return the payload that says `values`, physical or the texts of value tables, by signal name.

        Raises BadInput naming the signal, the value and what is allowed.
        """
        try:
            function = self._only or self._branch(values)
            if function is not None:
                return function(values)
        except (TypeError, ValueError, ArithmeticError, struct.error):
            pass  # said below, with care
        return self._with_care(values, is_raw=False)

    def encode_raw(self, values: Mapping[str, int]) -> bytes:
        """Return the payload with these raw values: integers as they stand in the frame, IEEE bits of floats.

        Raises BadInput naming the signal, the value and what its bits can hold.
        """
        return self._with_care(values, is_raw=True)

    def _branch(self, values: Mapping[str, Value]) -> EncodeFunction | None:
        """Return the function of the branch that the multiplexers among `values` select."""
        return self._function(tuple(slot.position for slot in self._active(values, is_raw=False)))

    def _function(self, active: tuple[int, ...]) -> EncodeFunction | None:
        if active not in self._functions:
            if len(self._functions) >= BRANCHES_MAX:
                return None
            slots = [self._slots[position] for position in active]
            self._functions[active] = encode_function(
                self.message.length, slots, frozenset(self._by_name), self._unused_bits
            )
        return self._functions[active]

    def _active(self, values: Mapping[str, Value], *, is_raw: bool) -> list[Slot]:
        """Return the slots of the branch that `values` select, in order.

        Raises BadInput for a multiplexer value that selects nothing.
        """
        if not self._selectors:
            return list(self._slots)
        active: set[int] = set()
        wanted: dict[
            int, bool
        ] = {}  # multiplexers that are active -> whether they selected something
        raws: dict[int, int] = {}
        news = [slot for slot in self._slots if slot.signal.multiplex is None]
        while news:
            active.update(slot.position for slot in news)
            found = []
            for slot in self._slots:
                parent = slot.parent
                if parent is None or slot.position in active or parent not in active:
                    continue
                if parent not in raws:
                    raws[parent] = self._selector_raw(parent, values, is_raw=is_raw)
                wanted.setdefault(parent, False)
                if slot.is_selected_by(raws[parent], self._slots[parent]):
                    wanted[parent] = True
                    found.append(slot)
            news = found
        for parent, is_met in wanted.items():
            if not is_met:
                self._refuse_selector(parent, raws[parent])
        return [slot for slot in self._slots if slot.position in active]

    def _selector_raw(self, position: int, values: Mapping[str, Value], *, is_raw: bool) -> int:
        slot = self._slots[position]
        given = values.get(slot.name)
        return slot.initial if given is None else self._raw(slot, given, is_raw=is_raw)

    def _refuse_selector(self, position: int, raw: int) -> None:
        children = [slot for slot in self._slots if slot.parent == position]
        ranges = sorted({pair for slot in children for pair in slot.ranges})
        known = ", ".join(
            str(low) if low == high else f"{low} to {high}" for low, high in ranges[:20]
        )
        raise BadInput(
            f"{self.message.name}: the multiplexer {self._slots[position].name} is {raw}, which selects "
            f"nothing; it can be {known}"
        )

    def _with_care(self, values: Mapping[str, Value], *, is_raw: bool) -> bytes:
        """Do what the generated function does, one signal at a time, and say what is wrong."""
        for name in values:
            if name not in self._by_name:
                self._refuse_name(name)
        given: list[tuple[Slot, int]] = []
        start: list[tuple[Slot, int]] = []
        for slot in self._active(values, is_raw=is_raw):
            value = values.get(slot.name)
            if value is not None:
                given.append((slot, self._raw(slot, value, is_raw=is_raw)))
            elif slot.fits:
                start.append((slot, slot.initial))
        return self._put_together(given, start)

    def _put_together(self, given: list[tuple[Slot, int]], start: list[tuple[Slot, int]]) -> bytes:
        whole = written = 0
        for slot, raw in given:
            if not slot.fits:
                raise BadInput(
                    f"{self.message.name}: {slot.name} does not fit in its {self.message.length} bytes"
                )
            bits, mask = slot.placed(raw), slot.placed(-1)
            if (whole ^ bits) & mask & written:
                raise BadInput(
                    f"{self.message.name}: {slot.name} = {raw} (raw) shares bits with another signal that says "
                    "otherwise; give one of them"
                )
            whole, written = whole | bits, written | mask
        for slot, raw in start:
            mask = slot.placed(-1) & ~written
            whole, written = whole | slot.placed(raw) & mask, written | mask
        if self._unused_bits:
            whole |= (1 << 8 * self.message.length) - 1 & ~written
        return whole.to_bytes(self.message.length, "big")

    def _raw(self, slot: Slot, value: Value, *, is_raw: bool) -> int:
        """Return the raw integer (the IEEE bits of a float) to send for `value`.  Raises BadInput."""
        if isinstance(value, str):
            return self._raw_of_text(slot, value)
        try:
            raw = slot.checked_raw(value) if is_raw else slot.checked(value)
        except (TypeError, ValueError, ArithmeticError, struct.error):
            raw = None
        if raw is not None:
            return raw
        shown = f"{slot.name} = {str(value)[:80]}"
        if is_raw:
            raise BadInput(
                f"{self.message.name}: raw {shown} is not a whole number from {slot.raw_low} to {slot.raw_high}"
            )
        low, high = slot.physical_range()
        unit = f" {slot.signal.unit}" if slot.signal.unit else ""
        raise BadInput(
            f"{self.message.name}: {shown} is outside of {low:.10g} to {high:.10g}{unit}"
        )

    def _raw_of_text(self, slot: Slot, text: str) -> int:
        for raw, known in slot.signal.choices:
            if known == text and slot.raw_low <= raw <= slot.raw_high:
                return raw
        texts = [known for _, known in slot.signal.choices]
        near = difflib.get_close_matches(text, texts, n=1, cutoff=0.0) if texts else []
        hint = f"; did you mean {near[0]!r}?" if near else "; it has no value table: give a number"
        raise BadInput(
            f"{self.message.name}: {slot.name} = {text!r} is not in its value table{hint}"
        )

    def _refuse_name(self, name: object) -> None:
        near = difflib.get_close_matches(str(name), list(self._by_name), n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadInput(f"{self.message.name} has no signal {str(name)[:80]!r}{hint}")
