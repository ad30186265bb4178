"""The campaign language: text -> expression.

    held($variable.`Speed` > 50, 2 s) && !isNull($variable.`Gear`)

It is AWS IoT FleetWise's language with extensions; docs/reference/campaign-language.md tells all of it.
Operators bind, tightest first, each from left to right:

    -x    * /    + -    >= <= > < == !=    !    &&    ||

Rule 1: nothing is executed: a text becomes an expression, or a BadInput that names the character.
Rule 2: every tree that leaves is within the limits below, so that evaluators may walk it recursively.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

from fairway.errors import BadInput
from fairway.expression.campaign_functions import check_call
from fairway.expression.campaign_text import BINDING, PLACES, UNARY_BINDING, UNITS_NS
from fairway.expression.campaign_text import text as canonical
from fairway.expression.campaign_tokens import Token, tokens
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
    Unary,
    UnaryOperator,
    Variable,
    Window,
    WindowFunction,
    inputs_of,
    walk,
)
from fairway.expression.campaign_types import KindOf, type_of

# What FleetWise takes: by its API, and by the agent of FleetWise, which refuses deeper trees.
FLEETWISE_MAX_CHARACTERS = 2048
FLEETWISE_MAX_DEPTH = 10
# Room for extensions on the same order of size; a person can still read it.
EXPRESSION_MAX_CHARACTERS = 4096
# Long sums lean left, one level for each operator; far from Python's own limit on recursion and brackets.
EXPRESSION_MAX_DEPTH = 32
# Four times the trees of FleetWise's own load test.
EXPRESSION_MAX_NODES = 512
# An engine keeps buffers for each of them; conditions of people name fewer than ten.
EXPRESSION_MAX_SIGNALS = 64
# A day: what has to be remembered longer than that is not a condition any more.
HELD_MAX_NS = 24 * UNITS_NS["h"]
# Conditions are evaluated once a millisecond at most, as in FleetWise.
HELD_MIN_NS = UNITS_NS["ms"]
# Brackets that say nothing make no tree deeper, but a parser recurses for them.
NESTING_MAX = 2 * EXPRESSION_MAX_DEPTH

# Durations are short decimals: what is exact must not take long to write out, as 1e-999999999 would.
_DURATION = re.compile(r"[0-9]{1,14}(?:\.[0-9]{0,9})?")

_WINDOWS = {
    f"{'prev_' if previous else ''}last_window_{function}": (function, previous)
    for function in WindowFunction
    for previous in (False, True)
}
_BY_SIGNAL: dict[str, Callable[[str], Input]] = {"isNull": IsNull, "rate": Rate}
_KNOWN = ", ".join(["custom_function", "held", *_BY_SIGNAL, *_WINDOWS, *sorted(PLACES)])
_MATHEMATICAL = frozenset(Function) - PLACES
Argument = TypeVar("Argument")


def _unknown_kind(_name: str) -> None:
    return None


def parse(
    text: str,
    kind_of: KindOf = _unknown_kind,
    *,
    max_characters: int = EXPRESSION_MAX_CHARACTERS,
    max_depth: int = EXPRESSION_MAX_DEPTH,
) -> Expression:
    """Return the expression that `text` says.  Raises BadInput with the character of what is wrong."""
    if max_depth > EXPRESSION_MAX_DEPTH:
        raise BadInput(f"max_depth is {max_depth}; at most {EXPRESSION_MAX_DEPTH} is possible")
    if len(text) > max_characters:
        raise BadInput(
            f"the expression has {len(text)} characters; at most {max_characters} are allowed"
        )
    return _Parser(text, kind_of, max_depth).whole()


def expression_of(
    tree: Node, kind_of: KindOf = _unknown_kind, *, max_depth: int = EXPRESSION_MAX_DEPTH
) -> Expression:
    """Return the expression of a tree made elsewhere, in its canonical text.  Raises BadInput."""
    for _, depth in walk(tree):
        if depth > max_depth:
            raise BadInput(f"the expression is nested deeper than {max_depth} levels")
    text = canonical(tree)
    return parse(text, kind_of, max_characters=len(text), max_depth=max_depth)


class _Parser:
    """Precedence climbing over a token list; each method leaves `_next` after what it read."""

    def __init__(self, text: str, kind_of: KindOf, max_depth: int) -> None:
        self._text = text
        self._kind_of = kind_of
        self._max_depth = max_depth
        self._tokens = tokens(text)
        self._next = 0
        self._nesting = 0

    def whole(self) -> Expression:
        expression = self._expression()
        token = self._tokens[self._next]
        if token.kind != "end":
            raise BadInput(
                f"character {token.first}: {self._written(token)} is not expected here;"
                " an operator or the end is"
            )
        return expression

    def _expression(self) -> Expression:
        first = self._tokens[self._next].first
        self._nesting += 1
        tree = self._binary(0)
        self._nesting -= 1
        last = self._tokens[self._next - 1].last
        self._check_size(tree)
        its_type = type_of(tree, self._kind_of)
        found = Expression(
            self._text[first - 1 : last], tree, inputs_of(tree), its_type, first=first
        )
        if len(found.signals) > EXPRESSION_MAX_SIGNALS:
            raise BadInput(
                f"character {first}: the expression names {len(found.signals)} signals;"
                f" at most {EXPRESSION_MAX_SIGNALS} are allowed"
            )
        return found

    def _check_size(self, tree: Node) -> None:
        for count, (node, depth) in enumerate(walk(tree), 1):
            # FleetWise's tree has the signal of isNull as a node of its own.
            if depth + _is_null(node) > self._max_depth:
                raise BadInput(
                    f"character {node.first}: nested deeper than {self._max_depth} levels"
                )
            if count > EXPRESSION_MAX_NODES:
                raise BadInput(
                    f"character {node.first}: more than {EXPRESSION_MAX_NODES} values and operators"
                )

    def _binary(self, weakest: int) -> Node:
        first = self._tokens[self._next].first
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise BadInput(f"character {first}: brackets nested deeper than {NESTING_MAX} levels")
        left = self._operand(weakest)
        while (binding := self._binding()) >= weakest:
            operator = Operator(self._tokens[self._next].text)
            self._next += 1
            right = self._binary(binding + 1)
            left = Binary(operator, left, right, first, self._tokens[self._next - 1].last)
        self._nesting -= 1
        return left

    def _binding(self) -> int:
        token = self._tokens[self._next]
        return BINDING.get(token.text, -1) if token.kind == "sign" else -1

    def _operand(self, weakest: int) -> Node:
        token = self._take()
        if token.kind == "number":
            return Number(self._number(token), token.first, token.last)
        if token.kind == "variable":
            return Read(Variable(token.text), token.first, token.last)
        if token.kind == "text":
            return Text(token.text, token.first, token.last)
        if token.kind == "word":
            return self._word(token)
        if token.text == "(":
            node = self._binary(0)
            self._expect(")", token)
            return node
        if token.text in ("!", "-", "+"):
            return self._sign(token, weakest)
        raise BadInput(self._instead("a value", token))

    def _sign(self, sign: Token, weakest: int) -> Node:
        following = self._tokens[self._next]
        if sign.text != "!" and following.kind == "number":
            self._next += 1
            value = self._number(following)
            return Number(-value if sign.text == "-" else value, sign.first, following.last)
        if sign.text == "+":
            raise BadInput(self._instead("a number after the sign +", following))
        operator = UnaryOperator(sign.text)
        binding = UNARY_BINDING[operator]
        if weakest > binding:
            raise BadInput(
                f"character {sign.first}: ! binds weaker than what stands before it; write (!...)"
            )
        operand = self._binary(binding)
        return Unary(operator, operand, sign.first, self._tokens[self._next - 1].last)

    def _number(self, token: Token) -> float:
        value = float(token.text)
        if value == float("inf"):
            raise BadInput(f"character {token.first}: {token.text:.40} is too large for a number")
        return value

    def _word(self, word: Token) -> Node:
        if word.text in ("true", "false"):
            return Boolean(word.text == "true", word.first, word.last)
        is_known = word.text in _WINDOWS or word.text in _BY_SIGNAL or word.text in PLACES
        if not is_known and word.text not in ("custom_function", "held"):
            raise BadInput(
                f"character {word.first}: {word.text:.80} is not known here; signals are written"
                f" $variable.`Name`, functions are {_KNOWN}"
            )
        bracket = self._expect("(")
        found = self._called(word)
        close = self._expect(")", bracket)
        if isinstance(found, Call):
            call = replace(found, first=word.first, last=close.last)
            check_call(call)
            return call
        return Read(found, word.first, close.last)

    def _called(self, word: Token) -> Input | Call:
        if word.text == "custom_function":
            return self._custom()
        if word.text == "held":
            return self._held()
        if word.text in PLACES:
            return Call(Function(word.text), (self._binary(0), *self._more(self._nested)))
        signal = self._take()
        if signal.kind != "variable":
            raise BadInput(self._instead("a signal, $variable.`Name`,", signal))
        if word.text in _WINDOWS:
            function, is_previous = _WINDOWS[word.text]
            return Window(signal.text, function, is_previous)
        return _BY_SIGNAL[word.text](signal.text)

    def _custom(self) -> Input | Call:
        name = self._take()
        if name.kind != "text":
            raise BadInput(self._instead("the name of the function, in quotes,", name))
        if name.text in _MATHEMATICAL:
            return Call(Function(name.text), tuple(self._more(self._nested)))
        return Custom(name.text, tuple(self._more(self._expression)))

    def _held(self) -> Held:
        condition = self._expression()
        for node, _ in walk(condition.tree):
            if isinstance(node, Read) and isinstance(node.input, Held):
                raise BadInput(f"character {node.first}: there is no held inside held")
        self._expect(",")
        number, unit = self._take(), self._take()
        is_number = number.kind == "number" and _DURATION.fullmatch(number.text)
        if not is_number or unit.kind != "word" or unit.text not in UNITS_NS:
            raise BadInput(
                f"character {number.first}: a duration is expected here, such as 500 ms, 2 s, 5 min or 1 h"
            )
        duration_ns = round(Fraction(number.text) * UNITS_NS[unit.text])
        if not HELD_MIN_NS <= duration_ns <= HELD_MAX_NS:
            raise BadInput(f"character {number.first}: a condition is held for 1 ms to 24 h")
        return Held(condition, duration_ns)

    def _nested(self) -> Node:
        return self._binary(0)

    def _more(self, read: Callable[[], Argument]) -> Iterator[Argument]:
        while self._tokens[self._next].text == "," and self._tokens[self._next].kind == "sign":
            self._next += 1
            yield read()

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _expect(self, sign: str, opened: Token | None = None) -> Token:
        token = self._tokens[self._next]
        if token.kind != "sign" or token.text != sign:
            why = f", to close the bracket of character {opened.first}," if opened else ""
            raise BadInput(self._instead(f"{sign}{why}", token))
        self._next += 1
        return token

    def _instead(self, expected: str, found: Token) -> str:
        return (
            f"character {found.first}: {self._written(found)} stands where {expected} is expected"
        )

    def _written(self, token: Token) -> str:
        written = self._text[token.first - 1 : token.last]
        return "the end" if token.kind == "end" else f"{written:.40}"


def _is_null(node: Node) -> bool:
    return isinstance(node, Read) and isinstance(node.input, IsNull)
