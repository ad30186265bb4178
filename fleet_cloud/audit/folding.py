"""Denials come in floods, which must not drown the log: of the same act, one entry a minute, with a count.

Rule 1: the first of a kind is written at once; those within WINDOW_NS after it are counted.
Rule 2: the next one written says in `folded` how many were not.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace

from fairway.clock import NS_PER_S
from fleet_cloud.audit.acts import Act

WINDOW_NS = 60 * NS_PER_S

# Kinds remembered at once; a stranger who makes up names without end makes room by forgetting the oldest.
KINDS_MAX = 10_000


@dataclass(slots=True)
class _Kind:
    since_ns: int
    folded: int = 0


class Folding:
    """Which acts are written, and which are only counted.  One thread at a time."""

    def __init__(self, window_ns: int = WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._kinds: OrderedDict[Hashable, _Kind] = OrderedDict()

    def fold(self, act: Act, now_ns: int) -> Act | None:
        """Return what to write of `act` at `now_ns` (of a clock that nobody sets), or None."""
        key = (act.tenant, act.actor, act.action, act.object, act.outcome)
        kind = self._kinds.get(key)
        if kind is not None and now_ns - kind.since_ns < self._window_ns:
            kind.folded += 1
            return None
        folded = kind.folded if kind else 0
        self._kinds[key] = _Kind(now_ns)
        self._kinds.move_to_end(key)
        if len(self._kinds) > KINDS_MAX:
            self._kinds.popitem(last=False)
        return replace(act, details={**act.details, "folded": str(folded)}) if folded else act
