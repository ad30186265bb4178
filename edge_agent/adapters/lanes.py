"""The lanes of an agent that runs no campaigns, and the purse of one without budgets."""

from collections.abc import Collection, Sequence

from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.lanes import Lane
from edge_agent.telemetry.spool import SpooledBatch


class OneLane:
    """The standing collection's spool as a lane."""

    def __init__(self, spool: SpoolWorker, *, rank: int = 0) -> None:
        self._spool, self._rank = spool, rank

    def lanes(self) -> Sequence[Lane]:
        spool = self._spool.spool
        return (Lane(spool.stream, self._rank, spool.state.next_sequence),)

    async def read(
        self, stream: str, after: int, *, max_batches: int, max_bytes: int
    ) -> list[SpooledBatch]:
        if stream != self._spool.spool.stream:
            return []
        return await self._spool.read(after, max_batches=max_batches, max_bytes=max_bytes)

    async def settle(self, stream: str, sequences: Collection[int]) -> None:
        if stream == self._spool.spool.stream:
            await self._spool.settle(sequences)


class OpenPurse:
    """Pays for everything."""

    def pay(self, _stream: str, _size_bytes: int) -> bool:
        return True

    async def reserve(self, _stream: str, _size_bytes: int) -> bool:
        return True
