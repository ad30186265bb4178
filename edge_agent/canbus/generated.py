"""Generated Python: each message's part of the table becomes two functions, made when first needed.

    choose(whole, start, length) -> runs      those a frame with multiplexers goes through, packed
    values(data) -> dict                      signal name -> physical value

Rule 1: runs and values are those of _kernel.c, in the same order, bit for bit.
Rule 2: `values` is made for one payload size, `choose` for all that hold every signal; others are the caller's.
Rule 3: what comes from a database enters the text as numbers and as escaped string literals, as nothing else.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Generic, TypeVar

import numpy as np

from edge_agent.canbus.generated_bytes import (
    ANY_FLOAT,
    Layout,
    Op,
    layout,
    ops_of,
    value_of,
)
from edge_agent.canbus.plan_table import TOP_BIT, WIDE, Table

ChooseFunction = Callable[[bytes, int, int], bytes]
# What a writer finds in a run, one by one.
Found = TypeVar("Found")
_Pairs = tuple[tuple[str, str], ...]

ValuesFunction = Callable[[bytes], dict[str, float]]

# Up to this width a signal's physical values stand in a table: one look-up instead of up to four operations.
TABULATED_BITS = 12

# All tables of a decoder together: a value costs some 32 bytes, so this is 4 MB.
TABULATED_MAX_VALUES = 131_072

# From this many arms on, choosing by halves is quicker than one after the other.
HALVED_ARMS = 4

# Up to this many findings are said again at every end they lead to; more would let a text outgrow its table.
HELD_MAX = 16

# Up to this many bytes indexing is quicker than struct.
INDEXED_BYTES = 2


@dataclass(slots=True)
class Namespace:
    """What the functions of one table share: constants, tables, and the names of signals."""

    names: tuple[str, ...]
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


def packed(runs: Sequence[int]) -> bytes:
    """Return numbers of runs as `choose` returns them."""
    return np.array(runs, np.intp).tobytes()


def choose_function(
    table: Table, run: int, space: Namespace, other: ChooseFunction, *, size: int, unknown: int
) -> ChooseFunction:
    """Return the function that says through which runs a frame goes that begins with `run`.

    Payloads of less than `size` bytes it leaves to `other`; where a multiplexer's value brings nothing, it adds
    the run `unknown`, once a frame.
    """
    writer = _ChooseWriter(table, size, space)
    writer.unknown = unknown
    lines = ["def choose(w,s,l):", f" if l<{size}: return O(w,s,l)", *writer.run(run, " ", ())]
    if writer.is_keeping:
        lines.append(f" return n+{packed((unknown,))!r} if f else n")
    made: ChooseFunction = space.function("choose", lines, O=other)
    return made


def values_function(table: Table, run: int, size: int, space: Namespace) -> ValuesFunction:
    """Return the function that gives the values of a payload of `size` bytes by name.

    It raises struct.error or IndexError for a payload of another size, unless it can be read all the same.
    """
    writer = _ValuesWriter(table, size, space)
    lines = ["def values(w):", *writer.run(run, " ", ())]
    if writer.is_keeping:
        lines.append(" return o")
    made: ValuesFunction = space.function("values", lines)
    return made


class _Writer(ABC, Generic[Found]):
    """Walks runs and writes one line after the other; its children say what is found in a run.

    What is found on the way down is returned at its end: a dict made in one go is made soonest.  Where ways
    meet again, behind one of several multiplexers, or where much is found, it is kept in a variable.
    """

    start = ""  # where the payload begins in `w`

    def __init__(self, table: Table, size: int, space: Namespace) -> None:
        self.table = table
        self.size = size
        self.space = space
        self.is_keeping = False

    def run(self, number: int, indent: str, before: tuple[Found, ...] | None) -> list[str]:
        """Return the lines of a run; `before` was found by those above it, None where that is kept."""
        table = self.table
        first_op, count, first_switch, switches = table.runs[number].tolist()
        ops = ops_of(table, first_op, count)
        rows = table.switches[first_switch : first_switch + switches].tolist()
        needed = self.needed(count, [op - first_op for op, _, _ in rows])
        read = layout([ops[at] for at in needed], self.size)
        lines = self._unpack(read) + read.lines
        selectors = []
        for index, (op, first_arm, arms) in enumerate(rows):
            selector = f"m{len(indent)}_{index}"
            selectors.append((selector, table.arms[first_arm : first_arm + arms].tolist()))
            at = op - first_op
            lines.append(f"{selector}={_compared(ops[at], read, needed.index(at))}")
        more, found = self.find(number, ops, read)
        lines += more
        if before is None:
            lines += self.add(found)
        elif switches == 1 and len(before) + len(found) <= HELD_MAX:
            more, found = self.hold(found, len(before))
            lines += more
            before += found
        else:
            lines += self.keep(before + found) if switches else self.end(before + found)
            self.is_keeping |= switches > 0
            before = None
        lines = [indent + line for line in lines]
        for selector, rows in selectors:
            lines += self._arms(rows, selector, indent, before)
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

    def _arms(
        self,
        arms: list[tuple[int, int, int, int]],
        selector: str,
        indent: str,
        before: tuple[Found, ...] | None,
    ) -> list[str]:
        if len(arms) >= HALVED_ARMS:
            half = len(arms) // 2
            return [
                f"{indent}if {selector}<{arms[half][0]}:",
                *self._arms(arms[:half], selector, indent + " ", before),
                f"{indent}else:",
                *self._arms(arms[half:], selector, indent + " ", before),
            ]
        lines = []
        word = "if"
        for low, high, run, _ in arms:
            test = f"{selector}=={low}" if low == high else f"{low}<={selector}<={high}"
            lines.append(f"{indent}{word} {test}:")
            lines += self.run(run, indent + " ", before) or [f"{indent} pass"]
            word = "elif"
        lines.append(f"{indent}else:" if arms else f"{indent}if 1:")
        return lines + [f"{indent} {line}" for line in self.miss(before)]

    @abstractmethod
    def needed(self, ops: int, selectors: list[int]) -> Sequence[int]:
        """Return which of the ops of a run have to be read."""
        ...

    @abstractmethod
    def find(self, run: int, ops: list[Op], read: Layout) -> tuple[list[str], tuple[Found, ...]]:
        """Return what is found in a run, and lines that must come first."""
        ...

    @abstractmethod
    def hold(self, found: tuple[Found, ...], at: int) -> tuple[list[str], tuple[Found, ...]]:
        """Return what was found so that it outlives the variables of its run, and lines that see to it."""
        ...

    @abstractmethod
    def keep(self, found: tuple[Found, ...]) -> list[str]:
        """Return the lines that put what was found so far into a variable."""
        ...

    @abstractmethod
    def add(self, found: tuple[Found, ...]) -> list[str]:
        """Return the lines that add to what is kept."""
        ...

    @abstractmethod
    def end(self, found: tuple[Found, ...]) -> list[str]:
        """Return the lines that return what was found."""
        ...

    @abstractmethod
    def miss(self, found: tuple[Found, ...] | None) -> list[str]:
        """Return the lines for a multiplexer value that brings nothing."""
        ...


def _signed(text: str, sign: int) -> str:
    return f"(({text}^{sign:#x})-{sign:#x})"


def _compared(op: Op, read: Layout, index: int) -> str:
    """Return the expression of a selector as arms are written: signed, or biased when 64 bits wide."""
    text = read.bits.get(index)
    if index in read.ready:
        return read.bits[index]
    if text is None:
        byte = next(name for name, members in read.bytes.items() if index in members)
        text = byte if op.bits == 8 else f"({byte}>>{op.shift % 8}&{(1 << op.bits) - 1:#x})"
    if op.bits == 64 and not op.sign:
        return f"{text}-{TOP_BIT:#x}"
    return _signed(text, op.sign) if op.sign else text


class _ChooseWriter(_Writer[int]):
    """Finds runs."""

    start = "s"
    unknown = 0

    def needed(self, ops: int, selectors: list[int]) -> Sequence[int]:  # noqa: ARG002
        return sorted(set(selectors))

    def find(self, run: int, ops: list[Op], read: Layout) -> tuple[list[str], tuple[int, ...]]:  # noqa: ARG002
        return [], (run,) if ops else ()

    def hold(self, found: tuple[int, ...], at: int) -> tuple[list[str], tuple[int, ...]]:  # noqa: ARG002
        return [], found

    def keep(self, found: tuple[int, ...]) -> list[str]:
        return [f"n={packed(found)!r}", "f=0"]

    def add(self, found: tuple[int, ...]) -> list[str]:
        return [f"n+={packed(found)!r}"] if found else []

    def end(self, found: tuple[int, ...]) -> list[str]:
        return [f"return {packed(found)!r}"]

    def miss(self, found: tuple[int, ...] | None) -> list[str]:
        return ["f=1"] if found is None else self.end((*found, self.unknown))


class _ValuesWriter(_Writer[tuple[str, str]]):
    """Finds pairs of a signal's name and the expression of its value."""

    def needed(self, ops: int, selectors: list[int]) -> Sequence[int]:  # noqa: ARG002
        return range(ops)

    def find(self, run: int, ops: list[Op], read: Layout) -> tuple[list[str], _Pairs]:  # noqa: ARG002
        lines, texts = self._texts(ops, read)
        names = [self.space.names[op.signal] for op in ops]
        return lines, tuple(zip(names, texts, strict=True))

    def hold(self, found: _Pairs, at: int) -> tuple[list[str], _Pairs]:
        held = tuple((name, f"v{at + index}") for index, (name, _) in enumerate(found))
        return [f"{value}={text}" for (_, value), (_, text) in zip(held, found, strict=True)], held

    def keep(self, found: _Pairs) -> list[str]:
        return [f"o={_dict_of(found)}"]

    def add(self, found: _Pairs) -> list[str]:
        return [f"o[{name!a}]={text}" for name, text in found]

    def end(self, found: _Pairs) -> list[str]:
        return [f"return {_dict_of(found)}"]

    def miss(self, found: _Pairs | None) -> list[str]:
        return ["pass"] if found is None else self.end(found)

    def _texts(self, ops: list[Op], read: Layout) -> tuple[list[str], list[str]]:
        """Return lines that look bytes up, and the expression of each op's physical value."""
        lines = []
        texts = {}
        for index, text in read.bits.items():
            op = ops[index]._replace(sign=0) if index in read.ready else ops[index]
            texts[index] = self._value(op, text)
        for byte, members in read.bytes.items():
            looked_up = f"{self._answers([ops[index] for index in members])}[{byte}]"
            if len(members) == 1:
                texts[members[0]] = looked_up
                continue
            names = [f"{byte}_{index}" for index in members]
            lines.append(f"{','.join(names)}={looked_up}")
            texts.update(zip(members, names, strict=True))
        return lines, [texts[index] for index in range(len(ops))]

    def _answers(self, ops: Sequence[Op]) -> str:
        """Return the name of the table of what all `ops` read from one byte."""
        key = repr([(op.shift % 8, op.bits, op.sign, op.scale, op.offset) for op in ops])
        return self.space.constant(key, lambda: _answers(ops))

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


def _dict_of(pairs: _Pairs) -> str:
    return "{" + ",".join(f"{name!a}:{text}" for name, text in pairs) + "}"


def _answers(ops: Sequence[Op]) -> tuple[Any, ...]:
    """Return what `ops`, which read one byte, say for each of its 256 values."""
    answers = []
    for byte in range(256):
        found = [value_of(op, byte >> op.shift % 8 & (1 << op.bits) - 1) for op in ops]
        answers.append(tuple(found) if len(found) > 1 else found[0])
    return tuple(answers)
