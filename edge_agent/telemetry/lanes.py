"""Where batches wait for the one uplink: the standing collection's spool, and each partition of a campaign.

    standing spool ----.
    campaign/partition --> by rank > window > uplink
    campaign/partition --'

Rule 1: the lower rank goes first, always: while a lane that is open has something waiting and is paid for, none
        behind it is read.  That a lower lane may wait for ever so is the choice of whoever gave the ranks.
Rule 2: within a lane the oldest goes first.
Rule 3: a lane that is closed keeps what it has; what of it is on the way is settled as ever.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.telemetry.spool import SpooledBatch


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane, as it is now."""

    stream: str
    rank: int
    next_sequence: int  # of what may be read
    is_open: bool = True


class Lanes(Protocol):
    """All lanes of a vehicle.  Contract: tests/contracts/test_lanes.py."""

    def lanes(self) -> Sequence[Lane]:
        """Return every lane there is, the lowest rank first."""
        ...

    async def read(
        self, stream: str, after: int, *, max_batches: int, max_bytes: int
    ) -> list[SpooledBatch]:
        """Return batches of a lane in order, as Spool.read does; none of a lane that is no more.

        Raises Unavailable.
        """
        ...

    async def settle(self, stream: str, sequences: Collection[int]) -> None:
        """Forget batches of a lane, for good."""
        ...


class Purse(Protocol):
    """What may be sent.  Contract: tests/contracts/test_purse.py."""

    def pay(self, stream: str, size_bytes: int, /) -> bool:
        """Take so many bytes from what was reserved for a lane; False: ask `reserve`, and then again.

        A stream "" is of no lane: only what the whole vehicle may send counts.
        """
        ...

    async def reserve(self, stream: str, size_bytes: int, /) -> bool:
        """Return True once so many bytes more may be paid, whatever happens to the power meanwhile.

        False: the budget does not have them now.
        """
        ...


async def paid(purse: Purse, size_bytes: int) -> bool:
    """Pay for what is of no lane; False: the vehicle may not send so much now."""
    if purse.pay("", size_bytes):
        return True
    return await purse.reserve("", size_bytes) and purse.pay("", size_bytes)
