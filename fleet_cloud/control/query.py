"""Which vehicles are meant, by what they are: a small language over their attributes.

    model == "ID.4" and year >= 2024 and (region == "eu" or not is_rental)
    region in ("eu", "uk")

Operators bind in the order  == != < <= > >= in,  not,  and,  or.  A name alone is true when the attribute is
true.  `id` is the vehicle's own id.

Rule 1: errors point at the character.
Rule 2: an attribute that a vehicle lacks, or that is of another kind than what it is compared with, makes that
        comparison false, `!=` too: nobody is meant because nothing is known of them.
"""

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from fairway.errors import BadInput

Value: TypeAlias = str | float | bool
Attributes: TypeAlias = Mapping[str, Value]
Test: TypeAlias = Callable[[Attributes], bool]

# A person writes and reads it.
QUERY_MAX_CHARACTERS = 1024
DEPTH_MAX = 32

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?\d+(?:\.\d+)?(?![\w.]))|(?P<text>"(?:[^"\\]|\\["\\])*")|(?P<name>[A-Za-z_][\w.-]*)"""
    r"|(?P<sign>==|!=|<=|>=|<|>|\(|\)|,))"
)
_COMPARE: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})


class _Token(NamedTuple):
    kind: str  # number, text, name, sign, end
    text: str
    at: int  # of the first character, from 1


def parse(text: str) -> Test:
    """Return the test that `text` says.  Raises BadInput that names the character."""
    if len(text) > QUERY_MAX_CHARACTERS:
        raise BadInput(
            f"the query has {len(text)} characters; at most {QUERY_MAX_CHARACTERS} are taken"
        )
    parser = _Parser(_tokens(text))
    test = parser.either()
    parser.expect_end()
    return test


def names(text: str) -> frozenset[str]:
    """Return the names of the attributes that a query asks for.  Raises BadInput."""
    parse(text)
    return frozenset(
        token.text for token in _tokens(text) if token.kind == "name" and token.text not in _WORDS
    )


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise BadInput(f"query, character {at + 1}: {text[at]!r} does not belong here")
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind], match.start(kind) + 1))
        at = match.end()
    return [*found, _Token("end", "the end", len(text) + 1)]


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def either(self) -> Test:
        """Read `a or b`."""
        tests = [self._both()]
        while self._takes("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda of: any(test(of) for test in tests)

    def expect_end(self) -> None:
        """Raise BadInput when something is left."""
        if self._token.kind != "end":
            raise self._unfit("`and`, `or` or the end")

    def _both(self) -> Test:
        tests = [self._single()]
        while self._takes("and"):
            tests.append(self._single())
        return tests[0] if len(tests) == 1 else lambda of: all(test(of) for test in tests)

    def _single(self) -> Test:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise BadInput(
                f"query, character {self._token.at}: more than {DEPTH_MAX} brackets and nots in each other"
            )
        try:
            if self._takes("not"):
                inner = self._single()
                return lambda of: not inner(of)
            if self._takes("("):
                inner = self.either()
                if not self._takes(")"):
                    raise self._unfit("`)`")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Test:
        token = self._token
        if token.kind != "name" or token.text in _WORDS:
            raise self._unfit("the name of an attribute, `not` or `(`")
        self._next += 1
        name, sign = token.text, self._token.text
        if self._takes("in"):
            choices = self._choices()
            return lambda of: any(_fits(operator.eq, of.get(name), one) for one in choices)
        if sign not in _COMPARE:
            return lambda of: of.get(name) is True
        self._next += 1
        compare, wanted = _COMPARE[sign], self._value()
        return lambda of: _fits(compare, of.get(name), wanted)

    def _choices(self) -> list[Value]:
        if not self._takes("("):
            raise self._unfit("`(`")
        choices = [self._value()]
        while self._takes(","):
            choices.append(self._value())
        if not self._takes(")"):
            raise self._unfit("`,` or `)`")
        return choices

    def _value(self) -> Value:
        token = self._token
        if token.kind == "number":
            value: Value = float(token.text)
        elif token.kind == "text":
            value = re.sub(r"\\(.)", r"\1", token.text[1:-1])
        elif token.text in ("true", "false"):
            value = token.text == "true"
        else:
            raise self._unfit('a number, a text in "...", true or false')
        self._next += 1
        return value

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _takes(self, text: str) -> bool:
        if self._token.text == text and self._token.kind in ("name", "sign"):
            self._next += 1
            return True
        return False

    def _unfit(self, wanted: str) -> BadInput:
        token = self._token
        found = token.text if token.kind == "end" else json.dumps(token.text[:40])
        return BadInput(f"query, character {token.at}: {wanted} is expected, not {found}")


def _fits(compare: Callable[[Value, Value], bool], known: Value | None, wanted: Value) -> bool:
    if known is None or _kind(known) is not _kind(wanted):
        return False
    return compare(known, wanted)


def _kind(value: Value) -> type:
    if isinstance(value, bool):
        return bool
    return str if isinstance(value, str) else float
