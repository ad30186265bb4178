"""Queries of `sdv.databroker.v1`: which values are told, and when; a small part of SQL.

    SELECT Vehicle.Speed AS speed, Vehicle.Cabin.Door.Row1.Left.IsOpen
    WHERE Vehicle.Speed BETWEEN 1 AND 30 AND NOT (LAG(Vehicle.Speed) >= Vehicle.Speed OR Mode = 'OFF')

Rule 1: a query is checked whole when it comes: names, and that what is compared can be.
Rule 2: a signal without a value makes a comparison unknown (as SQL's NULL does); only what is true is told.
Rule 3: the parser does one thing per token and nests so deep at most: no query runs away.
Rule 4: a number that is compared with a float of 32 bits is one: 0.1 is what such a signal says for it.
Rule 5: LAG(x) is the value that x had before its last change was looked at.
"""

import operator
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from edge_agent.broker.access import PATH_MAX_CHARS
from edge_agent.broker.values import Value
from fairway.errors import BadInput

# Some hundred paths, each several times.
QUERY_MAX_CHARS = 65_536
FIELDS_MAX = 1000
_DEPTH_MAX = 32
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?(?![\w.]))
      | (?P<text>'(?:[^']|'')*'|"(?:[^"])*")
      | (?P<name>[A-Za-z_][\w-]*(?:\.[\w-]+)*)
      | (?P<sign><>|<=|>=|!=|==|[<>=(),])
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,  # type: ignore[dict-item]
    "<=": operator.le,  # type: ignore[dict-item]
    ">": operator.gt,  # type: ignore[dict-item]
    ">=": operator.ge,  # type: ignore[dict-item]
}
_ORDERS = ("<", "<=", ">", ">=")
_WORDS = frozenset(("SELECT", "WHERE", "AS", "AND", "OR", "NOT", "BETWEEN", "TRUE", "FALSE", "LAG"))

Values: TypeAlias = Mapping[str, Value | None]


class Kinds(Protocol):
    """What is known of the signals that a query may name."""

    def kind(self, path: str) -> str:
        """Return float (of 32 bits), number, truth, text or array.  Raises BadInput for a name that is none."""
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the query."""

    value: bool | float | str


@dataclass(frozen=True, slots=True)
class Signal:
    """The value of a signal, or the one before."""

    path: str
    is_before: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """Two operands."""

    sign: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Combine:
    """Several conditions of which all, or one, must hold."""

    is_all: bool
    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    inner: "Expression"


Expression: TypeAlias = Literal | Signal | Compare | Combine | Not


@dataclass(frozen=True, slots=True)
class Query:
    """What is told: names of fields with their signals, and when."""

    fields: tuple[tuple[str, Signal], ...]
    condition: Expression | None
    paths: tuple[str, ...]  # of all signals in it, each once

    def holds(self, now: Values, before: Values) -> bool:
        """Whether the condition is true."""
        return self.condition is None or _value(self.condition, now, before) is True


def query_of(text: str, kinds: Kinds) -> Query:
    """Read a query.  Raises BadInput with the place, and what `kinds` raises for names."""
    if len(text) > QUERY_MAX_CHARS:
        raise BadInput(f"the query has {len(text)} characters: at most {QUERY_MAX_CHARS} are read")
    return _Parser(text, kinds).query()


class _Parser:
    """Reads one query."""

    def __init__(self, text: str, kinds: Kinds) -> None:
        self._tokens = _tokens(text)
        self._kinds = kinds
        self._at = self._depth = 0
        self._paths: dict[str, None] = {}

    def query(self) -> Query:
        self._expect("SELECT")
        fields = [self._field()]
        while self._takes(","):
            fields.append(self._field())
            if len(fields) > FIELDS_MAX:
                raise BadInput(f"the query selects more than {FIELDS_MAX} values")
        condition = None
        if self._takes("WHERE"):
            condition = self._either()
            self._needs("truth", condition)
        if self._at < len(self._tokens):
            raise self._wrong("the end")
        if len(dict(fields)) < len(fields):
            raise BadInput("the query gives two values the same name: use AS")
        return Query(tuple(fields), condition, tuple(self._paths))

    def _field(self) -> tuple[str, Signal]:
        found = self._operand()
        if not isinstance(found, Signal):
            raise self._wrong("a signal")
        if self._takes("AS"):
            kind, name = self._next()
            if kind not in ("name", "text"):
                raise self._wrong("a name")
            return name.strip("'\"") if kind == "text" else name, found
        return f"LAG({found.path})" if found.is_before else found.path, found

    def _either(self) -> Expression:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise BadInput(f"the query nests deeper than {_DEPTH_MAX} levels")
        found = self._joined("OR", self._both)
        self._depth -= 1
        return found

    def _both(self) -> Expression:
        return self._joined("AND", self._contrary)

    def _joined(self, word: str, part: Callable[[], Expression]) -> Expression:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        for each in parts:
            self._needs("truth", each)
        return Combine(is_all=word == "AND", parts=tuple(parts))

    def _contrary(self) -> Expression:
        negations = 0
        while self._takes("NOT"):
            negations += 1
        found = self._comparison()
        if negations:
            self._needs("truth", found)
        return Not(found) if negations % 2 else found

    def _comparison(self) -> Expression:
        left = self._operand()
        is_negated = self._takes("NOT")
        if self._takes("BETWEEN"):
            low = self._compared(">=", left, self._operand())
            self._expect("AND")
            between = Combine(is_all=True, parts=(low, self._compared("<=", left, self._operand())))
            return Not(between) if is_negated else between
        if is_negated:
            raise self._wrong("BETWEEN")
        for sign in _COMPARISONS:
            if self._takes(sign):
                return self._compared(sign, left, self._operand())
        return left

    def _compared(self, sign: str, left: Expression, right: Expression) -> Compare:
        if "float" in (self._kind(left), self._kind(right)):
            left, right = _narrowed(left), _narrowed(right)
        kinds = {self._kind(one).replace("float", "number") for one in (left, right)}
        if len(kinds) > 1 or kinds == {"array"} or (sign in _ORDERS and kinds != {"number"}):
            raise BadInput(f"the query compares {' with '.join(sorted(kinds))} by {sign}")
        return Compare(sign, left, right)

    def _operand(self) -> Expression:
        kind, text = self._next()
        if kind == "number":
            return Literal(float(text))
        if kind == "text":
            quote = text[0]
            return Literal(text[1:-1].replace(quote * 2, quote))
        if text == "(":
            found = self._either()
            self._expect(")")
            return found
        word = text.upper()
        if word in ("TRUE", "FALSE"):
            return Literal(word == "TRUE")
        if word == "LAG" and self._takes("("):
            inner = self._operand()
            self._expect(")")
            if not isinstance(inner, Signal):
                raise self._wrong("a signal")
            return Signal(inner.path, is_before=True)
        if kind != "name" or word in _WORDS or len(text) > PATH_MAX_CHARS:
            raise self._wrong("a signal or a value")
        self._kinds.kind(text)
        self._paths[text] = None
        return Signal(text)

    def _kind(self, found: Expression) -> str:
        if isinstance(found, Signal):
            return self._kinds.kind(found.path)
        if isinstance(found, Literal) and not isinstance(found.value, bool):
            return "text" if isinstance(found.value, str) else "number"
        return "truth"

    def _needs(self, kind: str, found: Expression) -> None:
        if self._kind(found) != kind:
            raise BadInput("the query has a condition that is neither true nor false")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise BadInput("the query ends too early")
        self._at += 1
        kind, text, _ = self._tokens[self._at - 1]
        return kind, text

    def _takes(self, word: str) -> bool:
        if self._at >= len(self._tokens):
            return False
        kind, text, _ = self._tokens[self._at]
        is_it = kind in ("name", "sign") and text.upper() == word
        self._at += is_it
        return is_it

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise self._wrong(word, is_before=True)

    def _wrong(self, wanted: str, *, is_before: bool = False) -> BadInput:
        at = min(self._at if is_before or wanted == "the end" else self._at - 1, len(self._tokens))
        there = f"{self._tokens[at][1]!r:.40}" if at < len(self._tokens) else "its end"
        place = self._tokens[at][2] if at < len(self._tokens) else -1
        where = f" at character {place + 1}" if place >= 0 else ""
        return BadInput(f"the query has {there}{where} where {wanted} is expected")


def _narrowed(found: Expression) -> Expression:
    """Return a number as a float of 32 bits has it; anything else as it is."""
    if not isinstance(found, Literal) or not isinstance(found.value, float):
        return found
    try:
        return Literal(struct.unpack("f", struct.pack("f", found.value))[0])
    except OverflowError:
        return found  # no such signal ever reaches it


def _tokens(text: str) -> list[tuple[str, str, int]]:
    tokens, at, end = [], 0, len(text.rstrip().removesuffix(";").rstrip())
    while at < end:
        found = _TOKEN.match(text, at, end)
        if found is None or found.lastgroup is None:
            rest = text[at:end].lstrip()
            raise BadInput(
                f"the query cannot be read at character {end - len(rest) + 1}: {rest[:20]!r}"
            )
        kind = found.lastgroup
        tokens.append((kind, found.group(kind), found.start(kind)))
        at = found.end()
    return tokens


def _value(found: Expression, now: Values, before: Values) -> object:
    """Return what an expression is; None: unknown."""
    if isinstance(found, Literal):
        return found.value
    if isinstance(found, Signal):
        return (before if found.is_before else now).get(found.path)
    if isinstance(found, Not):
        inner = _value(found.inner, now, before)
        return None if inner is None else not inner
    if isinstance(found, Combine):
        parts = [_value(part, now, before) for part in found.parts]
        decides = not found.is_all
        if any(part is decides for part in parts):
            return decides
        return None if None in parts else found.is_all
    left, right = _value(found.left, now, before), _value(found.right, now, before)
    return None if left is None or right is None else _COMPARISONS[found.sign](left, right)
