"""Which inputs of a tree must be texts, which must not, and which only must be of one class with others.

    x == y && z > 3 && n + 'km' == m        z: a number      n, m: texts      x, y: either, both the same

Rule 1: numbers and booleans are one class, as they stand for each other; texts are the other.
Rule 2: a tree whose inputs would have to be both is never evaluated: every row of it is undefined.
"""

from fairway.expression.campaign_tree import (
    Binary,
    Call,
    Custom,
    Function,
    Input,
    Node,
    Operator,
    Read,
    Text,
    Variable,
    children,
)
from fairway.expression.campaign_types import TEXT_OPERATORS

NUMBERS = 0
TEXTS = 1


def classes_of(tree: Node) -> dict[Input, int] | None:
    """Return the class of each input: NUMBERS, TEXTS, or a number shared by those that go together.

    None says that there is no way to give each input a class.
    """
    groups = _Groups()
    groups.visit(tree)
    if groups.find(NUMBERS) == groups.find(TEXTS):
        return None
    return {read: groups.find(group) for read, group in groups.of_input.items()}


class _Groups:
    """Sets of classes found to be the same; a set is called by its least member."""

    def __init__(self) -> None:
        self.of_input: dict[Input, int] = {}
        self._same_as = [NUMBERS, TEXTS]

    def find(self, group: int) -> int:
        while self._same_as[group] != group:
            group = self._same_as[group]
        return group

    def visit(self, node: Node) -> int:
        """Return the class of a node, and note what it asks of the inputs below."""
        if isinstance(node, Read):
            return self._of_read(node.input)
        if isinstance(node, Text):
            return TEXTS
        if isinstance(node, Binary) and node.operator in TEXT_OPERATORS:
            left, right = self.visit(node.left), self.visit(node.right)
            self._join(left, right)
            return left if node.operator is Operator.PLUS else NUMBERS
        is_polygon = isinstance(node, Call) and node.function is Function.INSIDE_POLYGON
        for child in children(node)[: 2 if is_polygon else None]:
            self._join(self.visit(child), NUMBERS)
        return NUMBERS

    def _of_read(self, read: Input) -> int:
        if not isinstance(read, Variable | Custom):
            self.of_input[read] = NUMBERS
        elif read not in self.of_input:
            self._same_as.append(len(self._same_as))
            self.of_input[read] = len(self._same_as) - 1
        return self.of_input[read]

    def _join(self, one: int, other: int) -> None:
        least, greatest = sorted((self.find(one), self.find(other)))
        self._same_as[greatest] = least
