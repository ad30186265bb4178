"""The telemetry store: the embedded engine, one ClickHouse server, or several that share the vehicles."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from fairway.identity import DEFAULT_REGION
from fleet_cloud.adapters.clickhouse_engine import Engine
from fleet_cloud.adapters.clickhouse_http import HttpEngine, server
from fleet_cloud.adapters.telemetry_store_clickhouse import ClickHouseStore
from fleet_cloud.adapters.telemetry_store_sharded import ShardedStore
from fleet_cloud.ingest.ports import TelemetryStore
from fleet_cloud.vehicles.drives import DriveReader
from fleet_cloud.vehicles.telemetry import TelemetryReader, TelemetryStatistics

EMBEDDED = "chdb:"

# Below this the disk counts as full: merges, the registry and the operator's own shell still need some.
FREE_MIN_BYTES = 256 * 1024 * 1024


class Store(TelemetryStore, TelemetryReader, DriveReader, TelemetryStatistics, Protocol):
    """Everything a telemetry store does."""

    def close(self) -> None:
        """Let go of the engines; questions that are being asked are answered first."""
        ...


def open_store(
    urls: Sequence[str],
    data_dir: Path,
    *,
    region: str = DEFAULT_REGION,
    free_min_bytes: int = FREE_MIN_BYTES,
) -> Store:
    """Open the store of `region`: `chdb:` (or none) in `data_dir`, else the ClickHouse servers that share it.

    Tables made here take no more samples when less than `free_min_bytes` of the disk are free.

    Raises BadInput, Conflict, Unavailable.
    """
    if not urls or tuple(urls) == (EMBEDDED,):
        # 500 MB of engine, which a process with servers of its own never loads.
        from fleet_cloud.adapters.clickhouse_chdb import ChdbEngine  # noqa: PLC0415

        return _opened(ChdbEngine(data_dir / "telemetry"), region, (0, 1), free_min_bytes)
    with ExitStack() as opened:
        stores = []
        for shard, at in enumerate([server(url) for url in urls]):
            stores.append(_opened(HttpEngine(at), region, (shard, len(urls)), free_min_bytes))
            opened.callback(stores[-1].close)
        opened.pop_all()
    return stores[0] if len(stores) == 1 else ShardedStore(stores)


def _opened(
    engine: Engine, region: str, share: tuple[int, int], free_min_bytes: int
) -> ClickHouseStore:
    try:
        return ClickHouseStore(engine, region=region, share=share, free_min_bytes=free_min_bytes)
    except BaseException:
        engine.close()
        raise
