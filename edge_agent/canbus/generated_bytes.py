"""How generated Python gets at the bytes of a payload: one struct.unpack a run, then as little as possible.

    ops of a run -> Layout: what to unpack, into which variables, and the expression of every op's bits

Rule 1: bytes that multi-byte signals share are one variable, an integer in their byte order.
Rule 2: a byte that only holds signals of its own is looked up: 256 answers are worked out beforehand.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.canbus import plan_table
from edge_agent.canbus.plan_table import BIG, NINE_BYTES, WIDE, Table

ANY_FLOAT = plan_table.FLOAT_16 | plan_table.FLOAT_32 | plan_table.FLOAT_64

_FLOATS = {
    plan_table.FLOAT_16: ("<H", "<e"),
    plan_table.FLOAT_32: ("<I", "<f"),
    plan_table.FLOAT_64: ("<Q", "<d"),
}


class Op(NamedTuple):
    """A row of OP as plain Python numbers."""

    scale: float
    offset: float
    mask: int
    sign: int
    signal: int
    byte: int
    need: int
    shift: int
    kind: int
    bits: int

    @property
    def sign_bit(self) -> int:
        """The sign bit of the raw value, or 0."""
        return 1 << self.bits - 1 if self.sign else 0


def ops_of(table: Table, first: int, count: int) -> list[Op]:
    """Return `count` ops of the table from number `first` on."""
    return [Op(*row[:10]) for row in table.ops[first : first + count].tolist()]


def low_bit(op: Op, size: int) -> int:
    """Return where an op's lowest bit stands in a payload of `size` bytes read as one whole number."""
    if not op.kind & BIG:
        return 8 * op.byte + op.shift
    end = op.need if op.kind & (NINE_BYTES | WIDE) else op.byte + 8
    return 8 * (size - end) + op.shift


def bits_in(op: Op, data: bytes) -> int:
    """Return an op's unsigned bits in a payload that holds them."""
    number = int.from_bytes(data, "big" if op.kind & BIG else "little")
    return number >> low_bit(op, len(data)) & (1 << op.bits) - 1


def value_of(op: Op, bits: int) -> float:
    """Return the physical value of an op's unsigned bits."""
    if op.kind & ANY_FLOAT:
        pack, unpack = _FLOATS[op.kind & ANY_FLOAT]
        number: float = struct.unpack(unpack, struct.pack(pack, bits))[0]
    else:
        number = nearest(signed(op, bits))
    return float(number * op.scale + op.offset)


def signed(op: Op, bits: int) -> int:
    """Return the whole number that an op's unsigned bits stand for."""
    return (bits ^ op.sign_bit) - op.sign_bit


def nearest(number: int) -> float:
    """Return the float nearest to a whole number, infinite where there is none."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


@dataclass(slots=True)
class Component:
    """Neighbouring bytes that are read together."""

    first: int
    last: int
    ops: list[int] = field(default_factory=list)
    orders: set[bool] = field(default_factory=set)  # of its multi-byte ops: True is big-endian

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.last - self.first + 1


@dataclass(slots=True)
class Layout:
    """What a run unpacks: `format` into `variables`, then `lines`; after that `bits` are the ops' expressions.

    The bits of `ready` ops are their raw values already, signs and all.
    An op that stands in `bytes` instead has a byte of which only single-byte ops are read: variable -> ops.
    """

    format: str
    variables: list[str]
    lines: list[str]
    bits: dict[int, str]
    ready: set[int]
    bytes: dict[str, list[int]]


def reach(op: Op, size: int) -> tuple[int, int, int]:
    """Return the first and last byte of an op, and which of them holds its lowest bit."""
    low = low_bit(op, size)
    high = low + op.bits - 1
    if op.kind & BIG:
        return size - 1 - high // 8, size - 1 - low // 8, size - 1 - low // 8
    return low // 8, high // 8, low // 8


def components(ops: Sequence[Op], size: int) -> list[Component]:
    """Return which bytes to read together, in ascending order."""
    found: list[Component] = []
    spans = sorted((*reach(op, size)[:2], index) for index, op in enumerate(ops))
    for first, last, index in spans:
        if found and first <= found[-1].last:
            found[-1].last = max(found[-1].last, last)
        else:
            found.append(Component(first, last))
        found[-1].ops.append(index)
        if last > first:
            found[-1].orders.add(bool(ops[index].kind & BIG))
    return found


def layout(ops: Sequence[Op], size: int) -> Layout:
    """Return how a run reads `ops` from a payload of `size` bytes."""
    parts = components(ops, size)
    is_big = sum(part.orders == {True} for part in parts) * 2 >= len([p for p in parts if p.orders])
    made = Layout(">" if is_big else "<", [], [], {}, set(), {})
    at = 0
    for part in parts:
        made.format += "x" * (part.first - at)
        at = part.last + 1
        if part.size == 1:
            made.format += "B"
            made.variables.append(f"c{part.first}")
            made.bytes[f"c{part.first}"] = part.ops
            continue
        if part.orders == {is_big} and _fills(part, ops):
            made.format += _CODES[part.size].lower()
            made.variables.append(f"c{part.first}")
            made.bits[part.ops[0]] = f"c{part.first}"
            made.ready.add(part.ops[0])
            continue
        _read(made, part, is_big=is_big)
        for index in part.ops:
            made.bits[index] = _bits(ops[index], part, size)
    made.format += "x" * (size - at)
    return made


def _fills(part: Component, ops: Sequence[Op]) -> bool:
    """Return whether a component is one signed integer that struct can unpack."""
    op = ops[part.ops[0]]
    return len(part.ops) == 1 and op.sign != 0 and op.bits == 8 * part.size and part.size in _CODES


def _read(made: Layout, part: Component, *, is_big: bool) -> None:
    """Add to a layout what makes the variables of a component."""
    name = f"c{part.first}"
    if part.orders == {is_big} and part.size in _CODES:
        made.format += _CODES[part.size]
        made.variables.append(name)
        return
    if part.orders == {is_big} and part.size == 3:
        made.format += "HB" if is_big else "BH"
        made.variables += [f"{name}h", f"{name}l"] if is_big else [f"{name}l", f"{name}h"]
        made.lines.append(f"{name}={name}h<<8|{name}l")
        return
    made.format += f"{part.size}s"
    made.variables.append(f"{name}s")
    for order in sorted(part.orders):
        suffix = "" if len(part.orders) == 1 else "bl"[not order]
        made.lines.append(f"{name}{suffix}=I({name}s,{'big' if order else 'little'!r})")


_CODES = {2: "H", 4: "I", 8: "Q"}


def _bits(op: Op, part: Component, size: int) -> str:
    """Return the expression of an op's unsigned bits, read from its component."""
    first, last, low_byte = reach(op, size)
    is_big = bool(op.kind & BIG) if last > first else max(part.orders)
    name = f"c{part.first}" + ("" if len(part.orders) == 1 else "bl"[not is_big])
    from_end = part.last - low_byte if is_big else low_byte - part.first
    low = 8 * from_end + low_bit(op, size) % 8
    text = f"{name}>>{low}" if low else name
    if low + op.bits < 8 * part.size:
        text += f"&{(1 << op.bits) - 1:#x}"
    return text if text == name else f"({text})"
