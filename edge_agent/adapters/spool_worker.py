"""A spool beside the event loop: its disk work is done in one thread of its own, in the order asked for."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

from edge_agent.telemetry.spool import Spool, SpooledBatch

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class SpoolWorker:
    """The spool's calls as coroutines; `spool` itself may be asked for its state at any time."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._settled = asyncio.Event()

    async def append(self, batches: Sequence[SpooledBatch]) -> bool:
        """See Spool.append."""
        return await self._in_thread(self.spool.append, batches)

    async def read(self, after: int, *, max_batches: int, max_bytes: int) -> list[SpooledBatch]:
        """See Spool.read."""
        found = await self._in_thread(
            lambda: self.spool.read(after, max_batches=max_batches, max_bytes=max_bytes)
        )
        self._settled.set()  # what was found damaged is given up
        return found

    async def settle(self, sequences: Collection[int]) -> None:
        """See Spool.settle.  It is done even when the caller is cancelled: receipts come only once."""
        settling = asyncio.get_running_loop().run_in_executor(
            self._thread, self.spool.settle, sequences
        )
        settling.add_done_callback(lambda _: self._settled.set())
        await asyncio.shield(settling)

    async def dictionary(self, dictionary_id: bytes) -> bytes | None:
        """See Spool.dictionary."""
        return await self._in_thread(self.spool.dictionary, dictionary_id)

    async def until_settled(self) -> None:
        """Wait for the next batches to be settled."""
        self._settled.clear()
        await self._settled.wait()

    async def close(self) -> None:
        """Finish what was asked for and let go of the files."""
        await self._in_thread(self.spool.close)
        self._thread.shutdown()

    async def _in_thread(
        self, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments
    ) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
