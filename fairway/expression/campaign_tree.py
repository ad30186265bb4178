"""An expression of the campaign language as a typed tree over inputs.

    $variable.`Speed` > 50 && !isNull($variable.`Gear`)

    Binary(AND,
           Binary(GREATER, Read(Variable("Speed")), Number(50.0)),
           Unary(NOT, Read(IsNull("Gear"))))             inputs: Variable("Speed"), IsNull("Gear")

Rule 1: the tree is a pure function of its inputs' values.  Whoever evaluates it computes windows, rates, held
        conditions, isNull and custom functions, and hands their values in, in the order of `inputs`.
Rule 2: what stands inside a held condition or the arguments of a custom function is an expression of its own,
        with inputs of its own; only `signals` and `walk` look through.
Rule 3: `first` and `last` are the positions of a node's characters in the text, counted from 1, for people;
        equal trees are equal whatever stands where.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TypeAlias

Value: TypeAlias = float | bool | str


class Type(Enum):
    """What an expression gives; UNKNOWN is settled by the values that come."""

    NUMBER = "number"
    BOOL = "boolean"
    TEXT = "text"
    UNKNOWN = "unknown"


class UnaryOperator(StrEnum):
    """What stands before one operand."""

    NOT = "!"
    NEGATE = "-"


class Operator(StrEnum):
    """What stands between two operands."""

    MULTIPLY = "*"
    DIVIDE = "/"
    PLUS = "+"
    MINUS = "-"
    GREATER_EQUAL = ">="
    LESS_EQUAL = "<="
    GREATER = ">"
    LESS = "<"
    EQUAL = "=="
    NOT_EQUAL = "!="
    AND = "&&"
    OR = "||"


class Function(StrEnum):
    """The functions that evaluators know; the mathematical ones are written custom_function('abs', ...)."""

    ABS = "abs"
    MIN = "min"
    MAX = "max"
    POW = "pow"
    LOG = "log"
    CEIL = "ceil"
    FLOOR = "floor"
    SIN = "sin"
    INSIDE_CIRCLE = "inside_circle"
    INSIDE_POLYGON = "inside_polygon"


class WindowFunction(StrEnum):
    """What is made of the samples of a window."""

    MIN = "min"
    MAX = "max"
    AVG = "avg"


@dataclass(frozen=True, slots=True)
class Variable:
    """The newest value of a signal."""

    name: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether there is no new sample of a signal since this campaign last collected it."""

    name: str


@dataclass(frozen=True, slots=True)
class Window:
    """The least, greatest or mean value of a signal in the last whole window, or in the one before it."""

    name: str
    function: WindowFunction
    previous: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """The change per second between the newest two samples of a signal."""

    name: str


@dataclass(frozen=True, slots=True)
class Held:
    """Whether a condition has been true without a break for so long."""

    condition: "Expression"
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Custom:
    """The result of a custom function that evaluators do not know."""

    name: str
    arguments: tuple["Expression", ...]


Input: TypeAlias = Variable | IsNull | Window | Rate | Held | Custom


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written; finite."""

    value: float
    first: int = field(default=0, compare=False)
    last: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""

    value: bool
    first: int = field(default=0, compare=False)
    last: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes, as it reads without them."""

    value: str
    first: int = field(default=0, compare=False)
    last: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Read:
    """The value of an input."""

    input: Input
    first: int = field(default=0, compare=False)
    last: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """An operator before an operand."""

    operator: UnaryOperator
    operand: "Node"
    first: int = field(default=0, compare=False)
    last: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two operands."""

    operator: Operator
    left: "Node"
    right: "Node"
    first: int = field(default=0, compare=False)
    last: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function that evaluators know, and its arguments."""

    function: Function
    arguments: tuple["Node", ...]
    first: int = field(default=0, compare=False)
    last: int = field(default=0, compare=False)


Node: TypeAlias = Number | Boolean | Text | Read | Unary | Binary | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was understood.  It is its tree: the rest follows, or is for people."""

    text: str = field(compare=False)
    tree: Node
    inputs: tuple[Input, ...] = field(compare=False)  # in the order in which evaluators take them
    type: Type = field(compare=False)
    first: int = field(default=1, compare=False)  # where `text` begins in the text it is a part of

    @property
    def signals(self) -> tuple[str, ...]:
        """Every signal that is named anywhere, each once, in the order of the text."""
        names = [
            node.input.name
            for node, _ in walk(self.tree)
            if isinstance(node, Read) and isinstance(node.input, Variable | IsNull | Window | Rate)
        ]
        return tuple(dict.fromkeys(names))


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below `node`, from left to right; an input has none."""
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Unary):
        return (node.operand,)
    return node.arguments if isinstance(node, Call) else ()


def walk(node: Node) -> Iterator[tuple[Node, int]]:
    """Yield `node` and everything below with its depth (1 for `node`), from left to right.

    It goes into held conditions and arguments of custom functions too.
    """
    waiting = [(node, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        if isinstance(node, Binary):  # most of every tree, next to what is below
            waiting.append((node.right, depth + 1))
            waiting.append((node.left, depth + 1))
        elif not isinstance(node, Number | Boolean | Text):
            waiting.extend((child, depth + 1) for child in reversed(_all_children(node)))


def inputs_of(tree: Node) -> tuple[Input, ...]:
    """Return the inputs of a tree, each once, from left to right."""
    found: dict[Input, None] = {}
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Binary):
            waiting.append(node.right)
            waiting.append(node.left)
        elif isinstance(node, Read):
            found[node.input] = None
        else:
            waiting.extend(reversed(children(node)))
    return tuple(found)


def _all_children(node: Node) -> tuple[Node, ...]:
    if not isinstance(node, Read):
        return children(node)
    if isinstance(node.input, Held):
        return (node.input.condition.tree,)
    if isinstance(node.input, Custom):
        return tuple(argument.tree for argument in node.input.arguments)
    return ()
