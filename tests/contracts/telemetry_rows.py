"""Batches of a few samples for the contract of telemetry stores, and what a store says of them."""

import itertools

import numpy as np

from fairway.identity import DEFAULT_TENANT
from fairway.ids import BatchName
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fleet_cloud.adapters.telemetry_store import Store
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.vehicles.telemetry import TIME_MAX_NS, SignalSpan

S = 1_000_000_000
NOW = 1_700_000_000 * S
STREAM = "00000000000000aa"


SPEED, GEAR, BELT = (
    Signal("Vehicle.Speed", unit="km/h"),
    Signal("Gear", Kind.TEXT),
    Signal("Belt", Kind.BOOL),
)
TABLE = SignalTable((SPEED, GEAR, BELT))

_numbers = itertools.count()


def new_vehicle() -> str:
    return f"VIN{next(_numbers):05d}"


def block(*rows: tuple[int, int, float], texts: tuple[str, ...] = (), table: SignalTable = TABLE):
    signal, time_ns, value = zip(*rows, strict=True) if rows else ((), (), ())
    return SampleBlock(
        table,
        np.array(signal, np.int32),
        np.array(time_ns, np.int64),
        np.array(value, np.float64),
        texts,
    )


def batch(
    vehicle: str,
    samples: SampleBlock,
    *,
    sequence: int = 1,
    stream: str = STREAM,
    tenant: str = "default",
) -> AcceptedBatch:
    return AcceptedBatch(tenant, BatchName(vehicle, stream, sequence), samples, NOW)


def speeds(
    store: Store,
    vehicle: str,
    *,
    limit: int = 100,
    from_ns: int = 0,
    to_ns: int = TIME_MAX_NS,
    streams: tuple[str, ...] | None = None,
) -> list[tuple[int, object]]:
    series = store.series(
        SignalSpan("default", vehicle, SPEED.name, from_ns, to_ns, streams), limit=limit
    )
    return list(zip(series.time_ns.tolist(), series.values(), strict=True))


def everything(store: Store, vehicle: str, span: list[int], limit: int) -> list[object]:
    """Return all that a store tells of a vehicle and a span."""
    told: list[object] = [
        store.latest("default", vehicle),
        store.count("default", vehicle),
        store.stored(DEFAULT_TENANT, vehicle, STREAM, range(5)),
    ]
    for signal in TABLE:
        wanted = SignalSpan("default", vehicle, signal.name, span[0], span[1])
        series = store.series(wanted, limit=limit)
        buckets = store.buckets(wanted, bucket_ns=1_000_000, limit=limit)
        told += [series.unit, series.time_ns.tolist(), series.values(), series.next_ns]
        told += [buckets.unit, buckets.start_ns.tolist(), buckets.next_ns]
        told += [
            column.tolist()
            for column in (
                buckets.minimum,
                buckets.maximum,
                buckets.mean,
                buckets.last,
                buckets.count,
            )
        ]
    return told
