"""The generated encoder: one function for one branch of one message.

Rule 1: it takes numbers only and answers only when everything is in order; anything else it leaves by raising,
        and encode.py finds out what it was.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_agent.canbus.encode_slots import FLOAT_CODES, Slot, exact
from edge_agent.canbus.generated import Namespace
from edge_agent.canbus.model import Number

EncodeFunction = Callable[[Mapping[str, Any]], bytes]


def encode_function(
    size: int, slots: Sequence[Slot], names: frozenset[str], unused_bits: int
) -> EncodeFunction | None:
    """Return the function that encodes `slots`; None where signals share bits, which needs care."""
    taken = 0
    for slot in slots:
        if not slot.fits:
            return None
        mask = slot.placed(-1)
        if taken & mask:
            return None
        taken |= mask
    space = Namespace(())
    space.values.update(N=names.issuperset, E=ValueError)
    lines = ["def encode(v):", " if not N(v): raise E", " g=v.get"]
    big: list[str] = []
    little: list[str] = []
    for number, slot in enumerate(slots):
        lines += _lines(number, slot, space)
        bits = (
            f"r{number}&{(1 << slot.signal.length) - 1:#x}"
            if _may_be_negative(slot)
            else f"r{number}"
        )
        (big if slot.is_big else little).append(
            f"({bits})<<{slot.shift}" if slot.shift else f"({bits})"
        )
    if unused_bits:
        big.append(f"{(1 << 8 * size) - 1 & ~taken:#x}")
    lines.append(f" return {_joined(size, big, little)}")
    made: EncodeFunction = space.function("encode", lines)
    return made


def _may_be_negative(slot: Slot) -> bool:
    return slot.signal.number is Number.SIGNED


def _joined(size: int, big: list[str], little: list[str]) -> str:
    """Return the expression of the payload; little-endian signals are turned round as a whole."""
    one, other = "|".join(big) or "0", "|".join(little) or "0"
    if not little:
        return f"({one}).to_bytes({size},'big')"
    if not big:
        return f"({other}).to_bytes({size},'little')"
    return f"({one}|I(({other}).to_bytes({size},'little'),'big')).to_bytes({size},'big')"


def _lines(number: int, slot: Slot, space: Namespace) -> list[str]:
    """Return the lines that put a signal's raw bits into a variable."""
    signal = slot.signal
    raw = f"r{number}"
    scale, offset = exact(signal.scale), exact(signal.offset)
    text = "x" if offset == 0 else f"x-({offset!r})"
    text = f"({text})/{scale!r}" if scale != 1 else text
    lines = [f" x=g({slot.name!a})", f" if x is None: {raw}={slot.initial}", " else:"]
    if signal.number is not Number.FLOAT:
        test = f"not {slot.low}<={raw}<={slot.high}"
        if slot.named:
            space.values[f"C{number}"] = slot.named
            test += f" and {raw} not in C{number}"
        return [*lines, f"  {raw}=round({text})", f"  if {test}: raise E"]
    code, bits = FLOAT_CODES[signal.length]
    pack = space.constant(("pack", code), lambda: struct.Struct(code).pack)
    unpack = space.constant(("unpack", bits), lambda: struct.Struct(bits).unpack)
    space.values[f"H{number}"] = slot.holds
    return [
        *lines,
        f"  if not H{number}(x): raise E",
        f"  {raw},={unpack}({pack}({text}))",
    ]
