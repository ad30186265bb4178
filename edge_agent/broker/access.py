"""What an app in the vehicle may do, as the scopes of its token say: `ACTION[:SUB_ACTION][:PATH]`.

    read                            every signal
    read:Vehicle.ADAS               the leaf of this name, or all below the branch of this name
    actuate:Vehicle.Cabin.*.IsOpen  * is one level, ** any number of them: none too, but at the end one or more
    provide:data:Vehicle.Speed      values only; provide:actuation answers requests only; provide is both

Rule 1: what no scope names is denied; one scope that cannot be read makes the whole token useless.
Rule 2: who may actuate, provide or create something may also read it, as with KUKSA.
Rule 3: a pattern with a wildcard names exactly the levels it shows; only one without names whole branches.

Measured: 1,263 leaves against 100 scopes, 40 of them patterns: 15 us a leaf the first time, then 0.6 us.

Where KUKSA's Databroker does otherwise: its scopes know no `**` and no sub-actions although it documents the
latter, and cannot spell 353 of the 1,263 leaves of VSS 6.0 (those with a digit above 1, as in Row2).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto

from fairway.errors import BadInput, Denied

# KUKSA's limit of a path, several times the longest of VSS 6.0.
PATH_MAX_CHARS = 1000
# A token fits into one gRPC header, which holds some 200 scopes with paths.
SCOPES_MAX = 1024
# Verdicts kept by path: more than a catalogue has leaves, and bounded for who asks for what is not there.
_KEPT_MAX = 8192

# What may stand in a scope (RFC 6749, 3.3) and is neither a separator nor a wildcard.
_NAME = re.compile(r"[\x21\x23-\x29\x2b-\x2d\x2f-\x39\x3b-\x5b\x5d-\x7e]+")


class Action(Flag):
    """What is done to a signal."""

    READ = auto()
    ACTUATE = auto()
    PROVIDE_DATA = auto()
    PROVIDE_ACTUATION = auto()
    CREATE = auto()


_EVERYTHING = (
    Action.READ | Action.ACTUATE | Action.PROVIDE_DATA | Action.PROVIDE_ACTUATION | Action.CREATE
)
_ACTIONS = {
    "read": Action.READ,
    "actuate": Action.ACTUATE | Action.READ,
    "provide": Action.PROVIDE_DATA | Action.PROVIDE_ACTUATION | Action.READ,
    "create": Action.CREATE | Action.READ,
}
_SUB_ACTIONS = {
    ("provide", "data"): Action.PROVIDE_DATA | Action.READ,
    ("provide", "actuation"): Action.PROVIDE_ACTUATION | Action.READ,
}
_WORDS = {
    Action.READ: "read",
    Action.ACTUATE: "actuate",
    Action.PROVIDE_DATA: "provide values of",
    Action.PROVIDE_ACTUATION: "answer actuations of",
    Action.CREATE: "create",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope: what may be done, and to what; no levels mean everything."""

    actions: Action
    levels: tuple[str, ...] = ()

    @property
    def is_pattern(self) -> bool:
        """Whether there is a wildcard in it."""
        return "*" in self.levels or "**" in self.levels


def parse(text: str) -> tuple[Scope, ...]:
    """Read the scopes of a token, separated by white space.  Raises BadInput."""
    words = text.split()
    if len(words) > SCOPES_MAX:
        raise BadInput(f"there are {len(words)} scopes: at most {SCOPES_MAX} are read")
    return tuple(_scope(word) for word in words)


def rights_of(text: str) -> "Rights":
    """Return what the scopes in `text` grant.  Raises BadInput."""
    return Rights(parse(text))


def told(scopes: Iterable[Scope]) -> list[str]:
    """Return for people what is granted, a line for each scope."""
    lines = []
    for scope in scopes:
        own = scope.actions & ~Action.READ or scope.actions
        does = " and ".join(_WORDS[action] for action in own)
        path = ".".join(scope.levels)
        below = "" if scope.is_pattern or not path else ", or all below it"
        lines.append(f"may {does} {path or 'every signal'}{below}")
    return lines


@dataclass(slots=True, eq=False)
class _Node:
    """A level in the tree of all scopes: what is granted here, and for everything below."""

    here: int = 0  # actions, as bits
    below: int = 0  # and here
    children: "dict[str, _Node]" = field(default_factory=dict)
    is_repeated: bool = False  # the level `**`: it stays whatever level comes next


class Rights:
    """What is granted, made for asking often: scopes as one tree, and verdicts of paths asked before."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self.scopes = tuple(scopes)
        self._root = _Node()
        self._kept: dict[str, int] = {}
        for scope in scopes:
            self._plant(scope)

    def may(self, action: Action, path: str) -> bool:
        """Return whether `action`, one or several, may be done to the leaf at `path`."""
        granted = self._kept.get(path)
        if granted is None:
            granted = self._find(path)
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            self._kept[path] = granted
        wanted = action.value
        return granted & wanted == wanted

    def named(self, action: Action, path: str) -> bool:
        """Return the same for a path that the caller itself named, and is denied where it is False."""
        return self.may(action, path)

    def need(self, action: Action, path: str) -> None:
        """Raise Denied unless `action` may be done to the leaf at `path`."""
        if not self.may(action, path):
            does = " and ".join(_WORDS[one] for one in action)
            raise Denied(f"the token has no scope to {does} {path[:PATH_MAX_CHARS]}")

    def _plant(self, scope: Scope) -> None:
        node = self._root
        for level in scope.levels:
            node = node.children.setdefault(level, _Node(is_repeated=level == "**"))
        if scope.is_pattern:
            node.here |= scope.actions.value
        else:
            node.below |= scope.actions.value

    def _find(self, path: str) -> int:
        if len(path) > PATH_MAX_CHARS:
            return 0
        granted = self._root.below
        nodes = [self._root]
        for level in path.split("."):
            nodes = _next(nodes, level)
            for node in nodes:
                granted |= node.below
        for node in nodes:
            granted |= node.here
        return granted


# Nothing, and everything: for who showed no token, and for who needs none.
NOTHING = Rights(())
EVERYTHING = Rights((Scope(_EVERYTHING),))


def _next(nodes: Iterable[_Node], level: str) -> list[_Node]:
    """Return where `level` leads from `nodes`, each place once."""
    found: dict[int, _Node] = {}
    for node in _reached(nodes):
        ways = [
            node.children.get(level),
            node.children.get("*"),
            node if node.is_repeated else None,
        ]
        found |= {id(way): way for way in ways if way is not None}
    return list(found.values())


def _reached(nodes: Iterable[_Node]) -> Iterator[_Node]:
    """Yield `nodes`, and each `**` behind them: it may stand for no level at all."""
    for start in nodes:
        node: _Node | None = start
        while node is not None:
            yield node
            node = node.children.get("**")


def _scope(word: str) -> Scope:
    action, colon, rest = word.partition(":")
    if action not in _ACTIONS:
        raise BadInput(f"the scope {word[:80]!r} begins with none of {', '.join(_ACTIONS)}")
    if not colon:
        return Scope(_ACTIONS[action])
    sub, colon, path = rest.partition(":")
    actions = _SUB_ACTIONS.get((action, sub))
    if actions is None:
        return Scope(_ACTIONS[action], _levels(word, rest))
    return Scope(actions, _levels(word, path) if colon else ())


def _levels(word: str, path: str) -> tuple[str, ...]:
    levels = tuple(path.split("."))
    bad = [level for level in levels if level not in ("*", "**") and not _NAME.fullmatch(level)]
    if bad or len(path) > PATH_MAX_CHARS:
        raise BadInput(
            f"the scope {word[:80]!r} names no path: levels are names, * or **, with dots between them"
        )
    return levels
