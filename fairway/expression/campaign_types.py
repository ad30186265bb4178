"""What types the parts of an expression have, and which of them do not go together.

    operator               takes                              gives
    * / - and unary -      numbers and booleans               a number
    +                      numbers and booleans               a number
    +                      two texts                          a text
    < <= > >=              numbers and booleans               a boolean
    == !=                  numbers and booleans, or two texts a boolean
    && || !                numbers and booleans               a boolean

Rule 1: numbers and booleans stand for each other, as in FleetWise: true is 1, and all but 0 is true (NaN too).
Rule 2: what is certain to clash is a BadInput; what is UNKNOWN may clash when values come: undefined then.
"""

from collections.abc import Callable
from typing import TypeAlias

from fairway.errors import BadInput
from fairway.expression.campaign_tree import (
    Binary,
    Boolean,
    Call,
    Custom,
    Expression,
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
    Variable,
    Window,
    walk,
)
from fairway.signals import Kind

KindOf: TypeAlias = Callable[[str], Kind | None]

_TYPES = {Kind.NUMBER: Type.NUMBER, Kind.BOOL: Type.BOOL, Kind.TEXT: Type.TEXT, None: Type.UNKNOWN}
_ARITHMETIC = frozenset({Operator.MULTIPLY, Operator.DIVIDE, Operator.PLUS, Operator.MINUS})
# The operators that take two texts as well.
TEXT_OPERATORS = frozenset({Operator.PLUS, Operator.EQUAL, Operator.NOT_EQUAL})


def type_of(node: Node, kind_of: KindOf) -> Type:
    """Return what `node` gives.  Raises BadInput, with a position, for what never can be evaluated."""
    if isinstance(node, Binary):
        return _type_of_binary(node, kind_of)
    if isinstance(node, Number):
        return Type.NUMBER
    if isinstance(node, Read):
        return _type_of_input(node, kind_of)
    if isinstance(node, Unary):
        _no_text(node.operand, type_of(node.operand, kind_of), node.operator)
        return Type.BOOL if node.operator is UnaryOperator.NOT else Type.NUMBER
    if isinstance(node, Call):
        return _type_of_call(node, kind_of)
    return Type.BOOL if isinstance(node, Boolean) else Type.TEXT


def check_types(expression: Expression, kind_of: KindOf) -> None:
    """Raise the BadInput that parsing the text with `kind_of` would: for other kinds of the same signals."""
    for node, _ in walk(expression.tree):
        if isinstance(node, Read) and isinstance(node.input, Held):
            check_types(node.input.condition, kind_of)
        elif isinstance(node, Read) and isinstance(node.input, Custom):
            for argument in node.input.arguments:
                check_types(argument, kind_of)
    type_of(expression.tree, kind_of)


def variable_type(name: str, kind_of: KindOf) -> Type:
    """Return the type of a signal's values."""
    return _TYPES[kind_of(name)]


def _type_of_binary(node: Binary, kind_of: KindOf) -> Type:
    left, right = type_of(node.left, kind_of), type_of(node.right, kind_of)
    if node.operator in TEXT_OPERATORS and Type.TEXT in (left, right):
        other, its_type = (node.right, right) if left is Type.TEXT else (node.left, left)
        if its_type in (Type.NUMBER, Type.BOOL):
            raise BadInput(
                f"character {other.first}: a {its_type.value} stands here, a text on the other side"
                f" of {node.operator}; only two texts or two numbers go together"
            )
        return Type.TEXT if node.operator is Operator.PLUS else Type.BOOL
    if node.operator not in TEXT_OPERATORS:
        _no_text(node.left, left, node.operator)
        _no_text(node.right, right, node.operator)
    if node.operator is Operator.PLUS and left is right is Type.UNKNOWN:
        return Type.UNKNOWN
    return Type.NUMBER if node.operator in _ARITHMETIC else Type.BOOL


def _type_of_call(node: Call, kind_of: KindOf) -> Type:
    is_polygon = node.function is Function.INSIDE_POLYGON
    for argument in node.arguments[:2] if is_polygon else node.arguments:
        _no_text(argument, type_of(argument, kind_of), node.function)
    is_place = is_polygon or node.function is Function.INSIDE_CIRCLE
    return Type.BOOL if is_place else Type.NUMBER


def _type_of_input(node: Read, kind_of: KindOf) -> Type:
    found: Input = node.input
    if isinstance(found, Variable):
        return variable_type(found.name, kind_of)
    if isinstance(found, Window | Rate):
        if variable_type(found.name, kind_of) is Type.TEXT:
            raise BadInput(
                f"character {node.first}: {found.name} is a text; windows and rates are of numbers"
            )
        return Type.NUMBER
    if isinstance(found, Held) and type_of(found.condition.tree, kind_of) is Type.TEXT:
        raise BadInput(
            f"character {node.first}: held takes a condition, but what it holds is a text"
        )
    return Type.BOOL if isinstance(found, IsNull | Held) else Type.UNKNOWN


def _no_text(node: Node, its_type: Type, taker: str) -> None:
    if its_type is Type.TEXT:
        what = f"the text {node.value!r:.40}" if isinstance(node, Text) else "a text"
        raise BadInput(
            f"character {node.first}: {what} stands where {taker} takes numbers and booleans"
        )
