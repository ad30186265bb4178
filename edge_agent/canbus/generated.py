"""Generated Python: each message's part of the table becomes two functions, made when first needed.

    rows(whole, start, length, raws) -> numbers   appends raw values; signal numbers are packed int32
    values(data) -> dict                          signal name -> physical value

Rule 1: the rows are those of _kernel.c, in the same order, bit for bit.
Rule 2: a function is made for one payload size; other sizes are the caller's to send elsewhere.
Rule 3: what comes from a database enters the text as numbers and as escaped string literals, as nothing else.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from edge_agent.canbus.generated_bytes import (
    ANY_FLOAT,
    Layout,
    Op,
    layout,
    ops_of,
    signed,
    value_of,
)
from edge_agent.canbus.plan_table import TOP_BIT, WIDE, Table

RowsFunction = Callable[[bytes, int, int, list[int]], bytes]
ValuesFunction = Callable[[bytes], dict[str, float]]

# Up to this width a signal's physical values stand in a table: one look-up instead of up to four operations.
TABULATED_BITS = 12

# All tables of a decoder together: a value costs some 32 bytes, so this is 4 MB.
TABULATED_MAX_VALUES = 131_072

# From this many arms on, choosing by halves is quicker than one after the other.
HALVED_ARMS = 4

# Up to this many bytes indexing is quicker than struct.
INDEXED_BYTES = 2


@dataclass(slots=True)
class Namespace:
    """What the functions of one table share: constants, tables, and the names of signals."""

    names: tuple[str, ...]
    unknown_multiplexer: Callable[[], None]  # called once for each frame that has one
    values: dict[str, Any] = field(
        default_factory=lambda: {
            "I": int.from_bytes,
            "V": value_of,
            "inf": float("inf"),
            "nan": float("nan"),
        }
    )
    _constants: dict[object, str] = field(default_factory=dict)
    _tabulated: int = 0

    def table_of(self, op: Op) -> str | None:
        """Return the name of the table of an integer's values, by its unsigned bits, if it may have one."""
        key = (op.bits, op.sign, repr((op.scale, op.offset)))
        if key not in self._constants:
            if op.bits > TABULATED_BITS or self._tabulated + (1 << op.bits) > TABULATED_MAX_VALUES:
                return None
            self._tabulated += 1 << op.bits
        return self.constant(key, lambda: tuple(value_of(op, bits) for bits in range(1 << op.bits)))

    def constant(self, key: object, make: Callable[[], object]) -> str:
        """Return the name of the constant known as `key`, made when it is first asked for."""
        name = self._constants.get(key)
        if name is None:
            name = self._constants[key] = f"K{len(self._constants)}"
            self.values[name] = make()
        return name

    def function(self, name: str, lines: list[str], **more: object) -> Any:
        """Return the function `name` that `lines` define."""
        code = compile("\n".join(lines), f"<{name}>", "exec")
        body = next(part for part in code.co_consts if isinstance(part, CodeType))
        scope = {word: self.values[word] for word in body.co_names if word in self.values} | more
        exec(code, scope)
        return scope[name]


def rows_function(
    table: Table, run: int, size: int, space: Namespace, other: RowsFunction
) -> RowsFunction:
    """Return the function that appends the rows of a payload of `size` bytes."""
    writer = _RowsWriter(table, size, space)
    lines = ["def rows(w,s,l,r):", f" if l!={size}: return O(w,s,l,r)"]
    if int(table.runs["switches"][run]):
        lines += [" f=0", " n=b''", *writer.run(run, " "), " if f: U()", " return n"]
    else:
        lines += writer.run(run, " ") or [" return b''"]
    made: RowsFunction = space.function("rows", lines, O=other, U=space.unknown_multiplexer)
    return made


def values_function(table: Table, run: int, size: int, space: Namespace) -> ValuesFunction:
    """Return the function that gives the values of a payload of `size` bytes by name.

    It raises struct.error or IndexError for a payload of another size, unless it can be read all the same.
    """
    writer = _ValuesWriter(table, size, space)
    lines = ["def values(w):", *writer.run(run, " ")]
    if writer.is_branching:
        lines.append(" return o")
    made: ValuesFunction = space.function("values", lines)
    return made


class _Writer:
    """Walks runs and writes one line after the other; its children say what is done with the ops of a run."""

    start = ""  # where the payload begins in `w`
    at_unknown = "pass"

    def __init__(self, table: Table, size: int, space: Namespace) -> None:
        self.table = table
        self.size = size
        self.space = space
        self.begun = False
        self.is_branching = False

    def run(self, number: int, indent: str) -> list[str]:
        """Return the lines of a run."""
        table = self.table
        first_op, count, first_switch, switches = table.runs[number].tolist()
        self.is_branching |= switches > 0
        ops = ops_of(table, first_op, count)
        read = layout(ops, self.size)
        lines = self._unpack(read) + read.lines
        selectors = []
        for index, (op, first_arm, arms) in enumerate(
            table.switches[first_switch : first_switch + switches].tolist()
        ):
            selector = f"m{len(indent)}_{index}"
            selectors.append((selector, table.arms[first_arm : first_arm + arms].tolist()))
            lines.append(f"{selector}={_compared(ops[op - first_op], read, op - first_op)}")
        lines += self.take(ops, read)
        self.begun = True
        lines = [indent + line for line in lines]
        for selector, rows in selectors:
            lines += self._arms(rows, selector, indent)
        return lines

    def _unpack(self, read: Layout) -> list[str]:
        if not read.variables:
            return []
        plus = f"{self.start}+" if self.start else ""
        if len(read.variables) <= INDEXED_BYTES and not read.format.strip("<>xB"):
            return [f"{name}=w[{plus}{name[1:]}]" for name in read.variables]
        method, given = ("unpack_from", f"w,{self.start}") if self.start else ("unpack", "w")
        unpack = self.space.constant(
            (read.format, method), lambda: getattr(struct.Struct(read.format), method)
        )
        return [f"{','.join(read.variables)},={unpack}({given})"]

    def _arms(self, arms: list[tuple[int, int, int, int]], selector: str, indent: str) -> list[str]:
        if len(arms) >= HALVED_ARMS:
            half = len(arms) // 2
            return [
                f"{indent}if {selector}<{arms[half][0]}:",
                *self._arms(arms[:half], selector, indent + " "),
                f"{indent}else:",
                *self._arms(arms[half:], selector, indent + " "),
            ]
        lines = []
        word = "if"
        for low, high, run, _ in arms:
            test = f"{selector}=={low}" if low == high else f"{low}<={selector}<={high}"
            lines.append(f"{indent}{word} {test}:")
            lines += self.run(run, indent + " ") or [f"{indent} pass"]
            word = "elif"
        lines.append(f"{indent}else:" if arms else f"{indent}if 1:")
        lines.append(f"{indent} {self.at_unknown}")
        return lines

    def take(self, ops: list[Op], read: Layout) -> list[str]:
        """Return the lines that do something with the ops of one run."""
        raise AssertionError(ops, read)

    def split(self, ops: list[Op], read: Layout, *, physical: bool) -> tuple[list[str], list[str]]:
        """Return lines that look bytes up, and the expression of each op: its raw or physical value."""
        lines = []
        texts = {}
        for index, text in read.bits.items():
            op = ops[index]._replace(sign=0) if index in read.ready else ops[index]
            if physical:
                texts[index] = self._value(op, text)
            else:
                texts[index] = text if index in read.ready else _raw(op, text)
        for byte, members in read.bytes.items():
            found = [ops[index] for index in members]
            looked_up = self._looked_up(found, byte, physical=physical)
            if len(members) == 1:
                texts[members[0]] = looked_up
                continue
            names = [f"{byte}_{index}" for index in members]
            lines.append(f"{','.join(names)}={looked_up}")
            texts.update(zip(members, names, strict=True))
        return lines, [texts[index] for index in range(len(ops))]

    def _looked_up(self, ops: list[Op], byte: str, *, physical: bool) -> str:
        """Return the expression that gives what all `ops` read from one byte."""
        shapes = [(op.shift % 8, op.bits, op.sign) for op in ops]
        if shapes == [(0, 8, 0)] and not physical:
            return byte
        scales = [(op.scale, op.offset) for op in ops] if physical else []
        table = self.space.constant(
            (repr(shapes), repr(scales)), lambda: _answers(ops, physical=physical)
        )
        return f"{table}[{byte}]"

    def _value(self, op: Op, text: str) -> str:
        """Return the expression of an op's physical value, given that of its unsigned bits."""
        if op.kind & (ANY_FLOAT | WIDE):
            return f"V({self.space.constant(('op', op.signal), lambda: op)},{text})"
        table = self.space.table_of(op)
        if table is not None:
            return f"{table}[{text}]"
        text = _signed(text, op.sign) if op.sign else text
        if op.scale != 1.0:
            text = f"{text}*{op.scale!r}"
        if op.offset != 0.0:
            return f"{text}+{op.offset!r}"
        if op.scale == 1.0:
            return f"{text}*1.0"
        return text if op.scale > 0.0 else f"{text}+0.0"  # the kernel's 0.0, not -0.0


def _answers(ops: Sequence[Op], *, physical: bool) -> tuple[Any, ...]:
    """Return what `ops`, which read one byte, say for each of its 256 values."""
    answers = []
    for byte in range(256):
        bits = [byte >> op.shift % 8 & (1 << op.bits) - 1 for op in ops]
        found = [
            value_of(op, at) if physical else signed(op, at)
            for op, at in zip(ops, bits, strict=True)
        ]
        answers.append(tuple(found) if len(found) > 1 else found[0])
    return tuple(answers)


def _signed(text: str, sign: int) -> str:
    return f"(({text}^{sign:#x})-{sign:#x})"


def _raw(op: Op, text: str) -> str:
    """Return the expression of the raw value as a signed 64-bit number."""
    if op.kind & WIDE:
        return _signed(f"({text}&{(1 << 64) - 1:#x})", TOP_BIT)
    if op.bits == 64:
        return _signed(text, TOP_BIT)
    return _signed(text, op.sign) if op.sign else text


def _compared(op: Op, read: Layout, index: int) -> str:
    """Return the expression of a selector as arms are written: signed, or biased when 64 bits wide."""
    text = read.bits.get(index)
    if index in read.ready:
        return read.bits[index]
    if text is None:
        byte = next(name for name, members in read.bytes.items() if index in members)
        text = f"({byte}>>{op.shift % 8}&{(1 << op.bits) - 1:#x})"
    if op.bits == 64 and not op.sign:
        return f"{text}-{TOP_BIT:#x}"
    return _signed(text, op.sign) if op.sign else text


class _RowsWriter(_Writer):
    start = "s"
    at_unknown = "f=1"

    def take(self, ops: list[Op], read: Layout) -> list[str]:
        if not ops:
            return []
        lines, texts = self.split(ops, read, physical=False)
        numbers = struct.pack(f"={len(ops)}i", *(op.signal for op in ops))
        keep = "n+=" if self.is_branching else "return "
        return [*lines, f"r+=({','.join(texts)},)", f"{keep}{numbers!r}"]


class _ValuesWriter(_Writer):
    def take(self, ops: list[Op], read: Layout) -> list[str]:
        lines, texts = self.split(ops, read, physical=True)
        names = [self.space.names[op.signal] for op in ops]
        if self.begun:
            return lines + [f"o[{name!a}]={text}" for name, text in zip(names, texts, strict=True)]
        pairs = zip(names, texts, strict=True)
        keep = "o=" if self.is_branching else "return "
        return [*lines, keep + "{" + ",".join(f"{name!a}:{text}" for name, text in pairs) + "}"]
