"""When a signal that nobody sends unasked is asked for.

    timed         activation > ask > period > ask ...
    conditional   evaluated true > ask        RISING_EDGE: when it was not true before

Rule 1: one signal is asked for at most once a second; what a condition says in between is not looked at.
Rule 2: a condition counts as true before its first evaluation, as in FleetWise's agent.
"""

from dataclasses import dataclass

from fairway.campaign.inputs import Watch
from fairway.campaign.model import SignalToFetch, TimedFetch, TriggerMode
from fairway.campaign.plan import MS

# FleetWise's agent: minFetchTriggerIntervalMs.
FETCH_MIN_INTERVAL_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Ask for a signal: its values come in as samples."""

    campaign: str  # sync id
    signal: str
    actions: tuple[str, ...]


@dataclass(slots=True)
class Fetch:
    """One signal to fetch, and when it was asked for."""

    what: SignalToFetch
    watch: Watch | None  # None: timed
    due_ns: int | None
    last_ns: int | None = None
    was_true: bool = True

    def timer(self, now_ns: int) -> None:
        """Take that `due_ns` has come: it is asked for."""
        assert isinstance(self.what.when, TimedFetch)
        self.due_ns = now_ns + max(self.what.when.period_ms * MS, FETCH_MIN_INTERVAL_NS)

    def evaluated(self, now_ns: int, *, is_true: bool) -> bool:
        """Take the result of an evaluation; return whether to ask."""
        assert not isinstance(self.what.when, TimedFetch)
        if self.last_ns is not None and now_ns < self.last_ns + FETCH_MIN_INTERVAL_NS:
            return False
        is_edge = self.what.when.trigger_mode is TriggerMode.ALWAYS or not self.was_true
        self.was_true = is_true
        if is_true and is_edge:
            self.last_ns = now_ns
            return True
        return False
