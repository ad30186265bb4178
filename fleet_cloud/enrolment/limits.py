"""How often somebody may be refused before nobody listens for a while: pure, the time is an argument.

Rule 1: only refusals count: a factory enrols as fast as it builds.
Rule 2: who is counted is a claim (or vehicle) from one address: one bad station stops itself and nobody else.
"""

from collections import OrderedDict, deque

from fairway.clock import NS_PER_S

REFUSED_MAX = 20
WINDOW_NS = 60 * NS_PER_S
# Addresses are cheap for who has many; memory here is not.
COUNTED_MAX = 10_000


class Refusals:
    """Counts refusals of the last WINDOW_NS."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def add(self, who: str, now_ns: int) -> None:
        """Count one; the one that was quiet for longest is forgotten when there are too many."""
        times = self._times.setdefault(who, deque(maxlen=REFUSED_MAX))
        times.append(now_ns)
        self._times.move_to_end(who)
        if len(self._times) > COUNTED_MAX:
            self._times.popitem(last=False)

    def wait_s(self, who: str, now_ns: int) -> int:
        """Return for how long nobody listens; 0: not at all."""
        times = self._times.get(who)
        if times is None or len(times) < REFUSED_MAX:
            return 0
        return max(0, -((now_ns - WINDOW_NS - times[0]) // NS_PER_S))
