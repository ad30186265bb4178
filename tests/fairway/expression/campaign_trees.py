"""Random trees of the campaign language and rows for their inputs, made of the bytes that hypothesis draws.

Rule 1: bytes that have run out are zeros, and a zero is the simplest choice: so trees end, and failures shrink.
Rule 2: a tree is well typed unless clashes are asked for; then any part may be of another type than it should.
"""

import math
import sys
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from fairway.expression.campaign import (
    Binary,
    Boolean,
    Call,
    Column,
    Custom,
    Function,
    Held,
    Input,
    IsNull,
    Node,
    Number,
    Operator,
    Rate,
    Read,
    Text,
    Type,
    Unary,
    UnaryOperator,
    Value,
    Variable,
    Window,
    WindowFunction,
    expression_of,
)

FINITE = (
    0.0,
    1.0,
    -1.0,
    2.0,
    0.5,
    -0.0,
    1.0005,
    0.9995,
    3.0,
    -2.5,
    1e-3,
    90.0,
    200.0,
    1e308,
    -1e308,
    5e-324,
)
FLOATS = (
    *FINITE,
    math.inf,
    -math.inf,
    math.nan,
    sys.float_info.min,
    0.1 + 0.2,
    1e16,
    -7.0,
    48.1,
    11.5,
)
TEXTS = ("", "P", "R", "0", "it's", 'a "b"\n', "\\é\u2028\U0001f697")
# No position of these values is on an edge, where either answer is right.
POLYGONS = (
    "0.13 -0.7, -0.4 10.1, 60.2 11.3",
    "50.3 169.9, 50.1 -170.1, -5.2 179.3",
    "-80 -99.7, -81 99.1, 70 99, 70 -99, 1.3 0.7",
)
NUMBERS = (
    Variable("n1"),
    Variable("n2"),
    Window("n1", WindowFunction.AVG, previous=True),
    Rate("n2"),
)
BOOLS = (Variable("b1"), Variable("b2"), IsNull("n1"))
STRINGS = (Variable("t1"), Variable("t2"))
ARITHMETIC = (Operator.PLUS, Operator.MINUS, Operator.MULTIPLY, Operator.DIVIDE)
ORDERINGS = (Operator.LESS, Operator.GREATER, Operator.LESS_EQUAL, Operator.GREATER_EQUAL)
EQUALITIES = (Operator.EQUAL, Operator.NOT_EQUAL)
ONE, TWO = (Function.ABS, Function.CEIL, Function.FLOOR, Function.SIN), (Function.POW, Function.LOG)
DEPTH_MAX = 6
CONDITION = expression_of(Read(BOOLS[0]))
ARGUMENTS = tuple(expression_of(Read(one)) for one in (*NUMBERS, *STRINGS))


@dataclass
class Choices:
    """Bytes as decisions."""

    content: bytes
    clashes: bool = False
    at: int = 0
    types: tuple[Type, ...] = field(default=(Type.NUMBER, Type.BOOL, Type.TEXT))

    def next(self) -> int:
        self.at += 1
        return self.content[self.at - 1] if self.at <= len(self.content) else 0

    def of(self, several):
        return several[self.next() % len(several)]


def tree_of(choices: Choices, wanted: Type = Type.BOOL, depth: int = 1) -> Node:
    """Return a tree of the type wanted, or of another one where clashes are asked for."""
    if choices.clashes and choices.next() % 16 == 15:
        wanted = choices.of(choices.types)
    if depth >= DEPTH_MAX or choices.at >= len(choices.content):
        return _leaf(choices, wanted)
    make = {Type.NUMBER: _number, Type.BOOL: _bool, Type.TEXT: _text}[wanted]
    return make(choices, depth + 1)


def _leaf(choices: Choices, wanted: Type) -> Node:
    if wanted is Type.NUMBER:
        return choices.of((Number(choices.of(FINITE)), *[Read(one) for one in NUMBERS]))
    if wanted is Type.TEXT:
        return choices.of((Text(choices.of(TEXTS)), *[Read(one) for one in STRINGS]))
    return choices.of((Boolean(choices.next() % 2 == 1), *[Read(one) for one in BOOLS]))


def _either(choices: Choices, depth: int) -> Node:
    return tree_of(choices, choices.of((Type.NUMBER, Type.NUMBER, Type.BOOL)), depth)


def _number(choices: Choices, depth: int) -> Node:
    what = choices.next() % 8
    if what < 4:
        operands = _either(choices, depth), _either(choices, depth)
        return Binary(ARITHMETIC[what], *operands)
    if what == 4:
        return Unary(UnaryOperator.NEGATE, _either(choices, depth))
    if what == 5:
        return Call(choices.of(ONE), (_either(choices, depth),))
    if what == 6:
        return Call(choices.of(TWO), (_either(choices, depth), _either(choices, depth)))
    several = tuple(_either(choices, depth) for _ in range(2 + choices.next() % 3))
    return Call(choices.of((Function.MIN, Function.MAX)), several)


def _bool(choices: Choices, depth: int) -> Node:
    what = choices.next() % 8
    if what < 2:
        return Binary(choices.of(ORDERINGS), _either(choices, depth), _either(choices, depth))
    if what == 2:
        return Binary(choices.of(EQUALITIES), _either(choices, depth), _either(choices, depth))
    if what == 3:
        texts = tree_of(choices, Type.TEXT, depth), tree_of(choices, Type.TEXT, depth)
        return Binary(choices.of(EQUALITIES), *texts)
    if what < 6:
        operator = (Operator.AND, Operator.OR)[what % 2]
        return Binary(operator, _either(choices, depth), tree_of(choices, Type.BOOL, depth))
    if what == 6:
        return Unary(UnaryOperator.NOT, _either(choices, depth))
    return _other_bool(choices, depth)


def _other_bool(choices: Choices, depth: int) -> Node:
    what = choices.next() % 3
    if what == 0:
        return Read(Held(CONDITION, choices.of((1_500_000, 2_000_000_000, 3_600_000_000_000))))
    place = _either(choices, depth), _either(choices, depth)
    if what == 1:
        return Call(Function.INSIDE_POLYGON, (*place, Text(choices.of(POLYGONS))))
    circle = tuple(
        map(Number, choices.of(((48.1, 11.5, 5e5), (0.0, -180.0, 1e6), (90.0, 0.0, 1.0))))
    )
    return Call(Function.INSIDE_CIRCLE, (*place, *circle))


def _text(choices: Choices, depth: int) -> Node:
    if choices.next() % 2:
        return Binary(
            Operator.PLUS, tree_of(choices, Type.TEXT, depth), tree_of(choices, Type.TEXT, depth)
        )
    # Of any type, when its value comes.
    return Read(Custom("f", (choices.of(ARGUMENTS),)))


def column_of(choices: Choices, read: Input, count: int) -> Column:
    """Return rows for an input, some without a value; what may be of any type is."""
    its_type = _type_of(choices, read)
    defined = np.array([choices.next() % 32 != 31 for _ in range(count)], np.bool_)
    if its_type is Type.TEXT:
        rows = [choices.of(TEXTS) if is_there else None for is_there in defined]
        return Column(np.array(rows, object), defined, its_type)
    rows = [choices.of(FLOATS if its_type is Type.NUMBER else (0.0, 1.0)) for _ in range(count)]
    return Column(np.array(rows, np.float64), defined, its_type)


def _type_of(choices: Choices, read: Input) -> Type:
    if isinstance(read, IsNull | Held):
        return Type.BOOL
    if isinstance(read, Window | Rate):
        return Type.NUMBER
    told = {"n": Type.NUMBER, "b": Type.BOOL, "t": Type.TEXT}
    if isinstance(read, Variable) and not (choices.clashes and choices.next() % 8 == 7):
        return told[read.name[0]]
    return choices.of((*[Type.TEXT] * 5, Type.NUMBER, Type.BOOL, Type.UNKNOWN))


def values_of(column: Column) -> list[Value | None]:
    """Return the rows as the scalar evaluator takes them."""
    if column.type is Type.UNKNOWN:
        return [None] * len(column.values)
    convert = {Type.NUMBER: float, Type.BOOL: bool, Type.TEXT: str}[column.type]
    return [
        convert(value) if is_there else None
        for value, is_there in zip(column.values.tolist(), column.defined.tolist(), strict=True)
    ]


well_typed = st.builds(
    lambda content: tree_of(Choices(content), Type.BOOL if len(content) % 2 else Type.NUMBER),
    st.binary(max_size=80),
)
