"""An expression as a typed tree: what every parser here makes and every evaluator reads.

    floor(x + 0.5) > 3      Binary(">", Call("floor", Binary("+", Name("x"), Number(0.5))), Number(3.0))

Rule 1: a tree is made by a parser only, so it is well formed: known functions, right number of arguments.
Rule 2: values are numbers; truth is 1 and 0, and everything but 0 counts as true.
Rule 3: `at` is the position of the node's first character in its text, counted from 1, for people; equal
        trees are equal whatever stands where.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    value: float
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A value from outside."""

    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`-` or `not` before an operand."""

    operator: str
    operand: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two operands."""

    operator: str
    left: "Node"
    right: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the language and its arguments."""

    function: str
    arguments: tuple["Node", ...]
    at: int = field(default=0, compare=False)


Node: TypeAlias = Number | Name | Unary | Binary | Call


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below `node`, from left to right."""
    if isinstance(node, Unary):
        return (node.operand,)
    if isinstance(node, Binary):
        return (node.left, node.right)
    return node.arguments if isinstance(node, Call) else ()


def walk(node: Node) -> Iterator[tuple[Node, int]]:
    """Yield `node` and everything below it with its depth (1 for `node`), from left to right."""
    waiting = [(node, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in reversed(children(node)))
