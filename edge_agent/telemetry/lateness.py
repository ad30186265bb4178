"""How late events come after their trigger, counted in classes as a histogram of Prometheus.

    at most   1 ms   2 ms   5 ms   10 ms  ...  1 s   longer
    events     720     41      3       0  ...    0        0

Rule 1: an event that comes before its stamp, because somebody set the clock, came at once.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from fairway.clock import NS_PER_MS

# Fine where a look at the buses ends (5 ms) and where an event begins to be late (10 ms).
BOUNDS_MS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000)
BOUNDS_NS = tuple(bound * NS_PER_MS for bound in BOUNDS_MS)
# A bus is looked at every 5 ms: what takes twice as long was held up.
LATE_NS = 10 * NS_PER_MS


def _nothing() -> list[int]:
    return [0] * (len(BOUNDS_NS) + 1)


@dataclass(slots=True)
class Lateness:
    """What was counted so far."""

    counts: list[int] = field(
        default_factory=_nothing
    )  # of each class; the last is what took longer
    sum_ns: int = 0

    def add(self, late_ns: int) -> None:
        """Count an event that came `late_ns` after its trigger."""
        late_ns = max(late_ns, 0)
        self.counts[bisect_left(BOUNDS_NS, late_ns)] += 1
        self.sum_ns += late_ns

    @property
    def late_events(self) -> int:
        """How many came more than LATE_NS after their trigger."""
        return sum(self.counts[BOUNDS_NS.index(LATE_NS) + 1 :])


def share_ms(counts: Sequence[int], share: float) -> float:
    """Return within how many ms `share` of the events came, as far as classes tell: the end of one.

    `counts` is of each class, as in Lateness; beyond the last class it is infinity.
    """
    wanted, seen = share * sum(counts), 0
    for bound_ms, count in zip((*BOUNDS_MS, float("inf")), counts, strict=True):
        seen += count
        if seen >= wanted and count:
            return bound_ms
    return 0.0
