"""Why an expression is not true: the value of each part of it, and the smallest parts that are to blame.

    speed > 50 && !(gear == 1 || door)      speed is 60, gear is 1, door is false
                    ~~~~~~~~~               this part is the culprit: it had to be false

Rule 1: a part's value is what the scalar evaluator says of it: each is one operator, evaluated by it.
Rule 2: of && every false side is a culprit, of || all sides, behind ! what is true instead of false; where the
        whole is undefined, it is the smallest undefined parts.
Rule 3: an input is one part; what is inside a held condition is explained by its own expression.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fairway.expression.campaign_scalar import (
    EQUALITY_TOLERANCE,
    Evaluator,
    check_tolerance,
    plain,
    scalar,
)
from fairway.expression.campaign_tree import (
    Binary,
    Boolean,
    Call,
    Expression,
    Function,
    Input,
    Node,
    Number,
    Operator,
    Read,
    Text,
    Type,
    Unary,
    UnaryOperator,
    Value,
    Variable,
    children,
    inputs_of,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression: where it stands in the whole text, counted from 1, and what it is."""

    text: str
    first: int
    last: int
    value: Value | None  # None: undefined
    is_culprit: bool
    depth: int  # 1 for the whole


def explain(
    expression: Expression,
    values: Sequence[Value | None],
    *,
    tolerance: float = EQUALITY_TOLERANCE,
) -> tuple[Part, ...]:
    """Return all parts of `expression` for the values of its inputs: the whole, then from left to right."""
    check_tolerance(tolerance)
    given = dict(zip(expression.inputs, map(plain, values), strict=True))
    whole = _looked_at(expression.tree, given, tolerance, depth=1)
    _blame(whole, is_wanted=True)
    return tuple(_part(expression, found) for found in _in_order(whole))


def is_true(value: Value | None) -> bool:
    """Return whether a condition of this value triggers: as in FleetWise, a text never does, and NaN does."""
    return value is not None and not isinstance(value, str) and bool(value)


@dataclass(slots=True)
class _Found:
    node: Node
    value: Value | None
    below: tuple["_Found", ...]
    depth: int
    is_culprit: bool = False


def _looked_at(
    node: Node, given: Mapping[Input, Value | None], tolerance: float, *, depth: int
) -> _Found:
    below = tuple(_looked_at(child, given, tolerance, depth=depth + 1) for child in children(node))
    return _Found(node, _value(node, below, given, tolerance), below, depth)


def _value(
    node: Node, below: tuple[_Found, ...], given: Mapping[Input, Value | None], tolerance: float
) -> Value | None:
    if isinstance(node, Read):
        return given[node.input]
    if isinstance(node, Number | Boolean | Text):
        return node.value
    values = [found.value for found in below]
    if isinstance(node, Unary):
        shape: Node = Unary(node.operator, _place(0))
    elif isinstance(node, Binary):
        shape = Binary(node.operator, _place(0), _place(1))
    elif node.function is Function.INSIDE_POLYGON:
        shape = Call(node.function, (_place(0), _place(1), node.arguments[2]))
        values.pop()
    else:
        shape = Call(node.function, tuple(map(_place, range(len(below)))))
    return _evaluator(shape, tolerance)(values)


def _place(number: int) -> Node:
    return Read(Variable(str(number)))


@lru_cache(maxsize=256)
def _evaluator(shape: Node, tolerance: float) -> Evaluator:
    """Return the evaluator of one operator over its operands: there are few, and every part asks for one."""
    return scalar(Expression("", shape, inputs_of(shape), Type.UNKNOWN), tolerance=tolerance)


def _blame(found: _Found, *, is_wanted: bool) -> None:
    if found.value is not None and is_true(found.value) == is_wanted:
        return
    node = found.node
    undefined = [part for part in found.below if part.value is None]
    if undefined:
        for part in undefined:
            _blame(part, is_wanted=is_wanted)
    elif found.value is None:
        found.is_culprit = True
    elif isinstance(node, Binary) and node.operator in (Operator.AND, Operator.OR):
        for part in found.below:
            _blame(part, is_wanted=is_wanted)
    elif isinstance(node, Unary) and node.operator is UnaryOperator.NOT:
        _blame(found.below[0], is_wanted=not is_wanted)
    else:
        found.is_culprit = True


def _in_order(found: _Found) -> Iterator[_Found]:
    yield found
    for part in found.below:
        yield from _in_order(part)


def _part(expression: Expression, found: _Found) -> Part:
    first, last = found.node.first, found.node.last
    begin = first - expression.first
    text = expression.text[begin : begin + last - first + 1]
    return Part(text, first, last, found.value, found.is_culprit, found.depth)
