"""The telemetry store over several ClickHouse servers, each with its share of the vehicles.

    vehicle --hash--> shard 0 .. n-1     everything about a vehicle is asked of its shard alone
    fleet   ---------> every shard       and the answers are added up

Who sends rows where is decided here and not by a `Distributed` table.  Such a table cuts an insert that holds
several vehicles into one block a shard and sends them one after the other: when a shard fails in between, the
insert fails although some of it is stored, and without `insert_distributed_sync` it reports success before
any of it is.  Here a batch belongs to one vehicle, so it goes whole to one server, in one insert, and what is
in doubt after a failure is exactly what `stored` can be asked about.  `Distributed` tables over `samples` may
be made on the servers for whoever reads by SQL; nothing here needs them.

Rule 1: the shard of a vehicle is the one that wins a draw by hash (rendezvous hashing): the same in every
process, and a further shard would take over its share only.
Rule 2: each server notes which shard it is; a list in another order, or of another length, is a Conflict.
Rule 3: when a server is gone its vehicles are Unavailable and the others are not.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TypeVar

from fairway.errors import FairwayError
from fairway.samples import SampleBlock
from fleet_cloud.adapters import clickhouse_rows
from fleet_cloud.adapters.telemetry_store_clickhouse import ClickHouseStore
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.vehicles.drives import DriveSpan
from fleet_cloud.vehicles.telemetry import Buckets, LatestValue, Series, SignalSpan, Statistics

Answer = TypeVar("Answer")


def shard_of(vehicle: str, shards: int) -> int:
    """Return which of `shards` servers holds `vehicle`."""
    return max(
        range(shards),
        key=lambda shard: blake2b(f"{shard}/{vehicle}".encode(), digest_size=8).digest(),
    )


class ShardedStore:
    """The samples of a fleet, spread over servers by vehicle."""

    def __init__(self, stores: Sequence[ClickHouseStore]) -> None:
        self._stores = tuple(stores)
        self._threads = ThreadPoolExecutor(len(stores), thread_name_prefix="telemetry-shard")

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        clickhouse_rows.check(batches)
        shares: dict[int, list[AcceptedBatch]] = {}
        for batch in batches:
            shares.setdefault(self._shard(batch.name.vehicle), []).append(batch)
        inserts = [
            self._threads.submit(self._stores[shard].append, share)
            for shard, share in shares.items()
        ]
        # All are waited for: nothing may be stored after this has said that it failed.
        failures = [failure for insert in inserts if (failure := insert.exception()) is not None]
        if failures:
            raise min(failures, key=lambda failure: isinstance(failure, FairwayError))

    def stored(self, tenant: str, vehicle: str, stream: str, sequences: Sequence[int]) -> set[int]:
        return self._home(vehicle).stored(tenant, vehicle, stream, sequences)

    def latest(self, tenant: str, vehicle: str) -> list[LatestValue]:
        return self._home(vehicle).latest(tenant, vehicle)

    def series(self, span: SignalSpan, *, limit: int) -> Series:
        return self._home(span.vehicle).series(span, limit=limit)

    def buckets(self, span: SignalSpan, *, bucket_ns: int, limit: int) -> Buckets:
        return self._home(span.vehicle).buckets(span, bucket_ns=bucket_ns, limit=limit)

    def rows(self, span: DriveSpan, *, limit: int) -> SampleBlock:
        return self._home(span.vehicle).rows(span, limit=limit)

    def count(self, tenant: str, vehicle: str) -> int:
        return self._home(vehicle).count(tenant, vehicle)

    def statistics(self) -> Statistics:
        every = self._everywhere(ClickHouseStore.statistics)
        return Statistics(
            rows=sum(one.rows for one in every),
            disk_bytes=sum(one.disk_bytes for one in every),
            parts=sum(one.parts for one in every),
        )

    def close(self) -> None:
        """Let go of every server."""
        self._threads.shutdown()
        for store in self._stores:
            store.close()

    def _everywhere(self, ask: Callable[[ClickHouseStore], Answer]) -> list[Answer]:
        return list(self._threads.map(ask, self._stores))

    def _home(self, vehicle: str) -> ClickHouseStore:
        return self._stores[self._shard(vehicle)]

    def _shard(self, vehicle: str) -> int:
        return shard_of(vehicle, len(self._stores))
