"""How long a process has itself seen a claim stand: what leases are measured by.

Rule 1: the clocks of two processes are never compared.  A claim's time is a mark, by which it is told from the
next claim on the same batch; how old it is, each process finds out by watching it on its own steady clock.
"""

from collections import OrderedDict
from collections.abc import Hashable

# Claims in one's way are those of a process that died: a few groups of some thousand batches, 20 MB at most.
# What is forgotten beyond is watched from the beginning again.
WATCHED_MAX = 100_000


class Watch:
    """Remembers since when each claim in the way has been standing."""

    def __init__(self) -> None:
        self._since: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def stood_ns(self, key: Hashable, claim: object, now_ns: int) -> int:
        """Return for how long `claim` on the batch `key` has been seen by `now_ns`; 0 at first sight."""
        seen, since_ns = self._since.get(key, (None, 0))
        if seen != claim or now_ns < since_ns:
            since_ns = now_ns
        self._since[key] = (claim, since_ns)
        self._since.move_to_end(key)
        if len(self._since) > WATCHED_MAX:
            self._since.popitem(last=False)
        return now_ns - since_ns

    def forget(self, key: Hashable) -> None:
        """Note that no claim on `key` is in the way any more."""
        self._since.pop(key, None)
