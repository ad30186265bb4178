"""Generated Python: each message's part of the table becomes two functions, made when first needed.

    rows(data, raws, numbers) -> faults     appends raw values, and signal numbers as packed int32
    values(data) -> dict                    signal name -> physical value

Rule 1: `data` has exactly the length the functions were made for; python_table.py sees to it.
Rule 2: the rows are those of _kernel.c, in the same order, bit for bit.
Rule 3: what comes from a database enters the text as numbers and as escaped string literals, as nothing else.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge_agent.canbus import plan_table
from edge_agent.canbus.plan_table import BIG, NINE_BYTES, TOP_BIT, WIDE, Table

# faults
SHORT_FRAME = 1
UNKNOWN_MULTIPLEXER = 2

RowsFunction = Callable[[bytes, list[int], list[bytes]], int]
ValuesFunction = Callable[[bytes], dict[str, float]]

# Up to this width a signal's physical values stand in a table: one look-up instead of a multiplication.
TABULATED_BITS = 8

# From this many arms on, choosing by halves is quicker than one after the other.
HALVED_ARMS = 4

_FLOATS = {
    plan_table.FLOAT_16: ("H", "e"),
    plan_table.FLOAT_32: ("I", "f"),
    plan_table.FLOAT_64: ("Q", "d"),
}
ANY_FLOAT = plan_table.FLOAT_16 | plan_table.FLOAT_32 | plan_table.FLOAT_64


@dataclass(frozen=True, slots=True)
class Op:
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


def raw_bits(op: Op, size: int) -> tuple[str, str]:
    """Return the expression of an op's unsigned bits in a payload of `size` bytes, and what it reads from."""
    low = low_bit(op, size)
    mask = (1 << op.bits) - 1
    from_end = low // 8
    if low % 8 + op.bits <= 8:
        index = size - 1 - from_end if op.kind & BIG else from_end
        source, low, width = f"d[{index}]", low % 8, 8
    else:
        source, width = ("b" if op.kind & BIG else "l"), 8 * size
    text = f"{source}>>{low}" if low else source
    if low + op.bits < width:
        text = f"{text}&{mask:#x}"
    return f"({text})", source[0]


def _signed(text: str, sign: int) -> str:
    return f"(({text}^{sign:#x})-{sign:#x})"


def raw_int64(op: Op, text: str) -> str:
    """Return the expression of the raw value as a signed 64-bit number."""
    if op.kind & WIDE:
        return _signed(f"({text}&{(1 << 64) - 1:#x})", TOP_BIT)
    if op.bits == 64:
        return _signed(text, TOP_BIT)
    return _signed(text, op.sign) if op.sign else text


def value_of(op: Op, bits: int) -> float:
    """Return the physical value of an op's unsigned bits."""
    if op.kind & ANY_FLOAT:
        pack, unpack = _FLOATS[op.kind & ANY_FLOAT]
        number = struct.unpack("<" + unpack, struct.pack("<" + pack, bits))[0]
    else:
        number = nearest((bits ^ op.sign_bit) - op.sign_bit)
    return float(number * op.scale + op.offset)


def nearest(number: int) -> float:
    """Return the float nearest to a whole number, infinite where there is none."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


@dataclass(slots=True)
class Namespace:
    """What the functions of one table share: constants, and the names of signals."""

    names: tuple[str, ...]
    values: dict[str, Any] = field(
        default_factory=lambda: {
            "I": int.from_bytes,
            "V": value_of,
            "inf": float("inf"),
            "nan": float("nan"),
        }
    )
    _tables: dict[tuple[int, int, float, float], str] = field(default_factory=dict)

    def value(self, op: Op, text: str) -> str:
        """Return the expression of an op's physical value, given that of its unsigned bits."""
        if op.kind & (ANY_FLOAT | WIDE):
            name = f"O{op.signal}"
            self.values[name] = op
            return f"V({name},{text})"
        if op.bits <= TABULATED_BITS:
            return f"{self._tabulated(op)}[{text}]"
        text = _signed(text, op.sign) if op.sign else text
        if op.scale != 1.0:
            text = f"{text}*{op.scale!r}"
        if op.offset != 0.0:
            return f"{text}+{op.offset!r}"
        if op.scale == 1.0:
            return f"{text}*1.0"
        return text if op.scale > 0.0 else f"{text}+0.0"  # the kernel's 0.0, not -0.0

    def _tabulated(self, op: Op) -> str:
        key = (op.bits, op.sign, op.scale, op.offset)
        name = self._tables.get(key)
        if name is None:
            name = self._tables[key] = f"T{len(self._tables)}"
            self.values[name] = tuple(value_of(op, bits) for bits in range(1 << op.bits))
        return name

    def function(self, name: str, lines: list[str]) -> Any:
        """Return the function `name` that `lines` define."""
        scope = dict(self.values)
        exec(compile("\n".join(lines), f"<{name}>", "exec"), scope)
        return scope[name]


def rows_function(table: Table, run: int, size: int, space: Namespace) -> RowsFunction:
    """Return the function that appends the rows of a payload of `size` bytes."""
    writer = _RowsWriter(table, size, space)
    body = writer.run(run, " ", frozenset())
    made: RowsFunction = space.function("rows", ["def rows(d,r,n):", " f=0", *body, " return f"])
    return made


def values_function(table: Table, run: int, size: int, space: Namespace) -> ValuesFunction:
    """Return the function that gives the values of a payload of `size` bytes by name."""
    writer = _ValuesWriter(table, size, space)
    body = writer.run(run, " ", frozenset())
    made: ValuesFunction = space.function("values", ["def values(d):", *body, " return o"])
    return made


class _Writer:
    """Walks runs and writes one line after the other; its children say what is done with the ops of a run."""

    at_unknown = "pass"

    def __init__(self, table: Table, size: int, space: Namespace) -> None:
        self.table = table
        self.size = size
        self.space = space

    def run(self, number: int, indent: str, loaded: frozenset[str]) -> list[str]:
        """Return the lines of a run; `loaded` are the whole-payload integers that exist already."""
        first_op, count, first_switch, switches = self.table.runs[number].tolist()
        ops = ops_of(self.table, first_op, count)
        bits = [raw_bits(op, self.size) for op in ops]
        selectors = [
            (
                self.table.switches[i].tolist(),
                ops_of(self.table, self.table.switches[i]["op"], 1)[0],
            )
            for i in range(first_switch, first_switch + switches)
        ]
        sources = {source for _, source in bits} - {"d"}
        sources |= {raw_bits(op, self.size)[1] for _, op in selectors} - {"d"}
        lines = [f"{indent}{name}={_LOADED[name]}" for name in sorted(sources - loaded)]
        lines += [f"{indent}{line}" for line in self.read(ops, [text for text, _ in bits])]
        for (_, first_arm, arms), op in selectors:
            selector = f"m{len(indent)}"
            lines.append(f"{indent}{selector}={_compared(op, raw_bits(op, self.size)[0])}")
            rows = self.table.arms[first_arm : first_arm + arms].tolist()
            lines += self._arms(rows, selector, indent, loaded | sources)
        return lines

    def _arms(
        self,
        arms: list[tuple[int, int, int, int]],
        selector: str,
        indent: str,
        loaded: frozenset[str],
    ) -> list[str]:
        if len(arms) >= HALVED_ARMS:
            half = len(arms) // 2
            return [
                f"{indent}if {selector}<{arms[half][0]}:",
                *self._arms(arms[:half], selector, indent + " ", loaded),
                f"{indent}else:",
                *self._arms(arms[half:], selector, indent + " ", loaded),
            ]
        lines = []
        word = "if"
        for low, high, run, _ in arms:
            test = f"{selector}=={low}" if low == high else f"{low}<={selector}<={high}"
            lines.append(f"{indent}{word} {test}:")
            lines += self.run(run, indent + " ", loaded) or [f"{indent} pass"]
            word = "elif"
        lines.append(f"{indent}else:" if arms else f"{indent}if 1:")
        lines.append(f"{indent} {self.at_unknown}")
        return lines

    def read(self, ops: list[Op], bits: list[str]) -> list[str]:
        """Return the lines that take the ops of one run, given the expressions of their bits."""
        raise AssertionError(ops, bits)


_LOADED = {"l": "I(d,'little')", "b": "I(d,'big')"}


def _compared(op: Op, text: str) -> str:
    """Return the expression of a selector as arms are written: signed, or biased when 64 bits wide."""
    if op.bits == 64 and not op.sign:
        return f"{text}-{TOP_BIT:#x}"
    return _signed(text, op.sign) if op.sign else text


class _RowsWriter(_Writer):
    at_unknown = f"f|={UNKNOWN_MULTIPLEXER}"

    def read(self, ops: list[Op], bits: list[str]) -> list[str]:
        if not ops:
            return []
        raws = ",".join(raw_int64(op, text) for op, text in zip(ops, bits, strict=True))
        numbers = struct.pack(f"={len(ops)}i", *(op.signal for op in ops))
        return [f"r+=({raws},)", f"n.append({numbers!r})"]


class _ValuesWriter(_Writer):
    def __init__(self, table: Table, size: int, space: Namespace) -> None:
        super().__init__(table, size, space)
        self.begun = False

    def read(self, ops: list[Op], bits: list[str]) -> list[str]:
        texts = [self.space.value(op, text) for op, text in zip(ops, bits, strict=True)]
        names = [self.space.names[op.signal] for op in ops]
        if not self.begun:
            self.begun = True
            pairs = zip(names, texts, strict=True)
            return ["o={" + ",".join(f"{name!a}:{text}" for name, text in pairs) + "}"]
        return [f"o[{name!a}]={text}" for name, text in zip(names, texts, strict=True)]
