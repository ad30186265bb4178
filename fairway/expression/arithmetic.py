"""The arithmetic of `transform: math` in mapping files: text -> tree.

    floor((x * 40) - 100)          x is the physical value of the signal

The language is that of the Python package py-expression-eval, which the KUKSA CAN provider uses, so that
its mapping files mean here what they mean there, down to how operators bind (tightest first, all from
left to right; mind that `/` and `%` bind tighter than `*`):

    ^ **      / %      *  and the sign -      + -      < <= > >= == !=      not      and      or xor

Rule 1: nothing is executed: a text becomes a tree or a BadInput that names the position.
Rule 2: what does not give a number (texts, lists, random numbers, `in`) is refused.
"""

import math
import re
from collections.abc import Collection

from fairway.errors import BadInput
from fairway.expression.tree import Binary, Call, Name, Node, Number, Unary, walk

# A formula is written by hand on one line.
EXPRESSION_MAX_CHARACTERS = 2048
# Far deeper than people nest, far from Python's own recursion limit (a level costs four calls).
EXPRESSION_MAX_DEPTH = 64
# A long sum leans left: one level for each operator, and evaluators walk it recursively.
TREE_MAX_DEPTH = 256

# Function -> fewest and most arguments.
FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("sin", "cos", "tan", "asin", "acos", "atan"), (1, 1)),
    **dict.fromkeys(("sind", "cosd", "tand", "asind", "acosd", "atand"), (1, 1)),
    **dict.fromkeys(("sqrt", "exp", "abs", "ceil", "floor", "round", "fac"), (1, 1)),
    "log": (1, 2),  # natural, or to the base given
    **dict.fromkeys(("pow", "atan2", "pyt"), (2, 2)),
    "if": (3, 3),
    **dict.fromkeys(("min", "max"), (2, 16)),
}
CONSTANTS = {"E": math.e, "PI": math.pi}

_BINDING: dict[str, int] = {
    **dict.fromkeys(("^", "**"), 8),
    **dict.fromkeys(("/", "%"), 6),
    "*": 5,
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), 3),
    "and": 1,
    **dict.fromkeys(("or", "xor"), 0),
}
_SIGN_BINDING = 5
_NOT_BINDING = 2

_TOKEN = re.compile(
    r"\s*(?:/\*.*?\*/\s*)*"
    r"(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/%^<>(),\u2219\u2022])"
    r"|(?P<end>\Z))",
    re.DOTALL,
)


def parse(text: str, variables: Collection[str]) -> Node:
    """Return the tree of `text`, whose names are all among `variables`.  Raises BadInput."""
    if len(text) > EXPRESSION_MAX_CHARACTERS:
        raise BadInput(f"the expression has more than {EXPRESSION_MAX_CHARACTERS} characters")
    node = _Parser(text).whole()
    for part, depth in walk(node):
        if depth > TREE_MAX_DEPTH:
            raise BadInput(f"character {part.at}: more than {TREE_MAX_DEPTH} operators in a row")
        if isinstance(part, Name) and part.text not in variables:
            known = ", ".join(sorted(variables))
            raise BadInput(f"character {part.at}: {part.text} is not known here; known: {known}")
    return node


class _Parser:
    """Precedence climbing over a token list; each method leaves `_next` after what it read."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._binary(0)
        kind, text, at = self._tokens[self._next]
        if kind != "end":
            raise BadInput(f"character {at}: {text} is not expected here")
        return node

    def _binary(self, weakest: int) -> Node:
        self._depth += 1
        if self._depth > EXPRESSION_MAX_DEPTH:
            at = self._tokens[self._next][2]
            raise BadInput(f"character {at}: nested deeper than {EXPRESSION_MAX_DEPTH} levels")
        left = self._operand(weakest)
        while (binding := _BINDING.get(self._tokens[self._next][1], -1)) >= weakest:
            operator, at = self._tokens[self._next][1:]
            self._next += 1
            left = Binary(operator, left, self._binary(binding + 1), at)
        self._depth -= 1
        return left

    def _operand(self, weakest: int) -> Node:
        kind, text, at = self._tokens[self._next]
        self._next += 1
        if kind == "number":
            return Number(float(text), at)
        if text == "+":
            return self._binary(max(weakest, _SIGN_BINDING + 1))
        if text == "-":
            return Unary("-", self._binary(max(weakest, _SIGN_BINDING + 1)), at)
        if text == "not":
            return Unary("not", self._binary(max(weakest, _NOT_BINDING + 1)), at)
        if text == "(":
            node = self._binary(0)
            self._expect(")", at)
            return node
        if kind == "word" and text not in _BINDING:
            return self._word(text, at)
        what = "the expression ends" if kind == "end" else f"{text} stands"
        raise BadInput(f"character {at}: {what} where a value is expected")

    def _word(self, text: str, at: int) -> Node:
        if self._tokens[self._next][1] != "(":
            return Number(CONSTANTS[text], at) if text in CONSTANTS else Name(text, at)
        if text not in FUNCTIONS:
            known = ", ".join(sorted(FUNCTIONS))
            raise BadInput(f"character {at}: {text} is not a function here; known: {known}")
        opened_at = self._tokens[self._next][2]
        self._next += 1
        arguments = [self._binary(0)]
        while self._tokens[self._next][1] == ",":
            self._next += 1
            arguments.append(self._binary(0))
        self._expect(")", opened_at)
        fewest, most = FUNCTIONS[text]
        if not fewest <= len(arguments) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise BadInput(f"character {at}: {text} takes {wanted} values, not {len(arguments)}")
        return Call(text, tuple(arguments), at)

    def _expect(self, sign: str, opened_at: int) -> None:
        kind, text, at = self._tokens[self._next]
        if text != sign:
            found = "the end" if kind == "end" else text
            raise BadInput(
                f"character {at}: {found} where the bracket of character {opened_at} should close"
            )
        self._next += 1


def _tokens(text: str) -> list[tuple[str, str, int]]:
    tokens = []
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            while text[position].isspace():
                position += 1
            raise BadInput(f"character {position + 1}: {text[position]!r} is not arithmetic")
        kind = match.lastgroup
        assert kind is not None
        sign = match.group(kind)
        tokens.append((kind, "*" if sign in ("\u2219", "\u2022") else sign, match.start(kind) + 1))
        if kind == "end":
            return tokens
        position = match.end()
