"""What services asked for and were denied: counted for people, and told to the audit without filling it.

    WatchedRights > Denials.note > denials(service)      for `edge-agent services why`
                                '-> due(now)             for the audit: the first at once, then once a minute

Rule 1: what one service asks in vain is bounded: beyond DISTINCT_MAX things it is counted as the rest.
Rule 2: a denial that repeats is one entry a minute with a count; none is left out of the sum.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.broker.access import Action, Rights, Scope
from fairway.clock import NS_PER_S
from fairway.errors import Denied

# A service of a wrong manifest asks for some signals in vain; one that asks for hundreds searches.
DISTINCT_MAX = 64
REPEAT_INTERVAL_NS = 60 * NS_PER_S
WHAT_MAX_CHARS = 200
# Services that ever ran in this vehicle while the agent does.
SERVICES_MAX = 512
THE_REST = "(everything else)"

WORDS = {
    Action.READ: "read",
    Action.ACTUATE: "write",
    Action.PROVIDE_DATA: "provide",
    Action.PROVIDE_ACTUATION: "answer",
    Action.CREATE: "create",
}


@dataclass(frozen=True, slots=True)
class Denial:
    """One thing that a service was denied, as often as it was."""

    service: str
    action: str  # read, write, provide ..., or call
    what: str  # a VSS path, or an offer
    count: int
    first_ns: int  # wall clock
    last_ns: int
    why: str = ""


@dataclass(slots=True)
class _Noted:
    """A denial, and how much of it the audit knows."""

    denial: Denial
    told: int = 0
    told_ns: int = 0  # monotonic


class Denials:
    """All that was denied since the agent's start."""

    def __init__(self) -> None:
        self._by_service: dict[str, dict[tuple[str, str], _Noted]] = {}

    def note(self, service: str, action: str, what: str, why: str, *, now_ns: int) -> None:
        """Note that a service was denied something; `now_ns` is the wall's time."""
        if service not in self._by_service and len(self._by_service) >= SERVICES_MAX:
            del self._by_service[next(iter(self._by_service))]
        its = self._by_service.setdefault(service, {})
        key = (action, what[:WHAT_MAX_CHARS])
        if key not in its and len(its) >= DISTINCT_MAX:
            key, why = (action, THE_REST), f"{DISTINCT_MAX} other things were denied before"
        found = its.get(key)
        if found is None:
            its[key] = _Noted(Denial(service, *key, 1, now_ns, now_ns, why))
        else:
            found.denial = replace(
                found.denial, count=found.denial.count + 1, last_ns=now_ns, why=why
            )

    def of(self, service: str) -> tuple[Denial, ...]:
        """Return what a service was denied, the newest first."""
        its = (noted.denial for noted in self._by_service.get(service, {}).values())
        return tuple(sorted(its, key=lambda one: -one.last_ns))

    def due(self, *, now_ns: int, is_last: bool = False) -> list[Denial]:
        """Return what the audit is to be told, with the count since the last time; `now_ns` is monotonic."""
        due = []
        for its in self._by_service.values():
            for noted in its.values():
                new = noted.denial.count - noted.told
                is_time = not noted.told or is_last or now_ns - noted.told_ns >= REPEAT_INTERVAL_NS
                if new and is_time:
                    due.append(replace(noted.denial, count=new))
                    noted.told, noted.told_ns = noted.denial.count, now_ns
        return due


def by_action(denials: Iterable[Denial]) -> dict[str, int]:
    """Return how often each kind of thing was denied."""
    counts: dict[str, int] = {}
    for one in denials:
        counts[one.action] = counts.get(one.action, 0) + one.count
    return counts


class WatchedRights(Rights):
    """The rights of a service: what they deny is noted, where it was named and not merely looked for."""

    def __init__(
        self, service: str, scopes: Sequence[Scope], note: Callable[[str, str, str], None]
    ) -> None:
        super().__init__(scopes)
        self._service, self._note = service, note

    def named(self, action: Action, path: str) -> bool:
        is_allowed = self.may(action, path)
        if not is_allowed:
            does, sentence = self._denied(action, path)
            self._note(does, path, sentence)
        return is_allowed

    def need(self, action: Action, path: str) -> None:
        if not self.named(action, path):
            raise Denied(self._denied(action, path)[1])

    def _denied(self, action: Action, path: str) -> tuple[str, str]:
        does = " and ".join(WORDS[one] for one in action)
        said = path[:WHAT_MAX_CHARS]
        return does, f"the manifest of {self._service} does not say that it may {does} {said}"
