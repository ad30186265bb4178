"""A tree as text again: the one way to write it, which parses to an equal tree.

    Binary(MULTIPLY, Binary(PLUS, a, b), Number(2.0))  ->  ($variable.`a` + $variable.`b`) * 2

Rule 1: brackets stand where the tree needs them, and around whatever `!` turns round.
Rule 2: a number is written with as few digits as bring it back, a duration in the largest unit that divides it.
"""

import math

from fairway.errors import BadInput
from fairway.expression.campaign_tokens import NAME, NAME_MAX_CHARACTERS
from fairway.expression.campaign_tree import (
    Binary,
    Boolean,
    Call,
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
    Unary,
    UnaryOperator,
    Variable,
    Window,
)

# The tightest binds first: larger numbers bind tighter.
BINDING: dict[str, int] = {
    Operator.OR: 0,
    Operator.AND: 1,
    **dict.fromkeys(
        (
            Operator.GREATER_EQUAL,
            Operator.LESS_EQUAL,
            Operator.GREATER,
            Operator.LESS,
            Operator.EQUAL,
            Operator.NOT_EQUAL,
        ),
        3,
    ),
    **dict.fromkeys((Operator.PLUS, Operator.MINUS), 4),
    **dict.fromkeys((Operator.MULTIPLY, Operator.DIVIDE), 5),
}
UNARY_BINDING = {UnaryOperator.NOT: 2, UnaryOperator.NEGATE: 6}
_TIGHTEST = 7

# Written in brackets by their own name; the others are custom functions of FleetWise.
PLACES = frozenset({Function.INSIDE_CIRCLE, Function.INSIDE_POLYGON})

UNITS_NS = {"h": 3_600_000_000_000, "min": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000}

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text(tree: Node) -> str:
    """Return the canonical text of a tree.  Raises BadInput for what cannot be written, such as NaN."""
    if isinstance(tree, Binary):
        binding = BINDING[tree.operator]
        left = _bracketed(tree.left, binding)
        return f"{left} {tree.operator} {_bracketed(tree.right, binding + 1)}"
    if isinstance(tree, Unary):
        return _unary(tree)
    if isinstance(tree, Read):
        return _input(tree.input)
    if isinstance(tree, Call):
        arguments = [text(argument) for argument in tree.arguments]
        if tree.function in PLACES:
            return f"{tree.function}({', '.join(arguments)})"
        return _custom(tree.function, arguments)
    return _constant(tree)


def _binding(node: Node) -> int:
    if isinstance(node, Binary):
        return BINDING[node.operator]
    return UNARY_BINDING[node.operator] if isinstance(node, Unary) else _TIGHTEST


def _bracketed(node: Node, weakest: int) -> str:
    return text(node) if _binding(node) >= weakest else f"({text(node)})"


def _unary(node: Unary) -> str:
    operand = node.operand
    # Without brackets it would be a literal, or read as if `!` took less than it does.
    is_positive = isinstance(operand, Number) and math.copysign(1.0, operand.value) > 0
    if isinstance(operand, Binary) or is_positive:
        return f"{node.operator}({text(operand)})"
    return f"{node.operator}{_bracketed(operand, UNARY_BINDING[node.operator])}"


def _input(read: Input) -> str:
    if isinstance(read, Variable):
        return _variable(read.name)
    if isinstance(read, IsNull):
        return f"isNull({_variable(read.name)})"
    if isinstance(read, Window):
        prefix = "prev_" if read.previous else ""
        return f"{prefix}last_window_{read.function}({_variable(read.name)})"
    if isinstance(read, Rate):
        return f"rate({_variable(read.name)})"
    if isinstance(read, Held):
        return f"held({text(read.condition.tree)}, {duration_text(read.duration_ns)})"
    assert isinstance(read, Custom)
    return _custom(read.name, [text(argument.tree) for argument in read.arguments])


def _custom(name: str, arguments: list[str]) -> str:
    return f"custom_function({', '.join([_quoted(name), *arguments])})"


def _variable(name: str) -> str:
    if NAME.fullmatch(name) is None or len(name) > NAME_MAX_CHARACTERS:
        raise BadInput(f"{name!r:.80} cannot be written as the name of a signal")
    return f"$variable.`{name}`"


def _constant(node: Number | Boolean | Text) -> str:
    if isinstance(node, Text):
        return _quoted(node.value)
    if isinstance(node, Boolean):
        return "true" if node.value else "false"
    if not math.isfinite(node.value):
        raise BadInput(f"{node.value} cannot be written as a number of a campaign")
    return repr(node.value).removesuffix(".0")


def duration_text(duration_ns: int) -> str:
    """Return a duration as it is written in held(): 1500 ms, 2 s, 5 min, 1 h."""
    for unit, unit_ns in UNITS_NS.items():
        if duration_ns % unit_ns == 0:
            return f"{duration_ns // unit_ns} {unit}"
    whole, rest = divmod(duration_ns, UNITS_NS["ms"])
    return f"{whole}.{rest:06}".rstrip("0") + " ms"


def _quoted(content: str) -> str:
    return "'" + "".join(_ESCAPES.get(sign) or _plain(sign) for sign in content) + "'"


def _plain(sign: str) -> str:
    if "\ud800" <= sign <= "\udfff":
        raise BadInput(f"{sign!r} is no character that can be written")
    if sign.isprintable():
        return sign
    code = ord(sign)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
