"""Bytes a sample and samples a second of our batches, beside FleetWise's VehicleData with Snappy and JSON.

The samples are those of the RAV4 minute (98,800 frames, two buses), the same for all, in the same run:

    all        every decoded value
    collected  what the default collection keeps of them: on change, at most every 100 ms

FleetWise's message carries times in milliseconds, ours and JSON's carry them as they are.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cramjam
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from benchmarks.report import Row
from edge_agent.adapters.log_formats import open_log
from edge_agent.canbus import database
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from edge_agent.telemetry.collection import Collection
from fairway.catalog.load import catalog_of
from fairway.ids import BatchName
from fairway.samples import SampleBlock, SignalTable, joined
from fairway.telemetry import Batch, SealedBatch
from fairway.wire import telemetry as wire
from tests.shared_data import shared

LOG = "edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz"
DATABASES = {
    "can0": "can/dbc/opendbc/toyota_new_mc_pt_generated.dbc",
    "can1": "can/dbc/opendbc/toyota_adas.dbc",
}
VEHICLE = "JTMRFREV8HJ000001"
SMALL = 1_000
REPEATS = 5
Encode = Callable[[SampleBlock], bytes]
# Smaller than FleetWise in one batch and in batches of 1,000; smaller than JSON in both.
GOALS = (8, 5, 30, 30)


def run() -> list[Row]:
    """Measure sizes of both collections, and rates at 1,000-sample batches."""
    everything = samples(interval_ms=0, on_change=False)
    collected = samples(interval_ms=100, on_change=True)
    rows = [
        *_sizes("RAV4, all samples", everything),
        # On-change frames hold two samples where all hold five: times and masks weigh more, on both sides.
        *_sizes("RAV4, on change, 100 ms", collected),
        *_sizes("the same, times cut to ms as FleetWise's", _in_ms(collected))[:2],
    ]
    return rows + _rates(everything)


def samples(*, interval_ms: int, on_change: bool) -> SampleBlock:
    """Return what an agent collects of the log."""
    plan = compile_plan(
        [BusDatabases(name, (database.load(shared(path)),)) for name, path in DATABASES.items()]
    )
    mapping = compile_mapping(plan, catalog_of([]), unmapped=True)
    decoder, collection = make_decoder(plan), Collection(mapping.table, interval_ms, on_change)
    channels = {name: number for number, name in enumerate(DATABASES)}
    return joined(
        [
            collection.collect(mapping.apply(decoder.decode(frames), frames))
            for frames in open_log(shared(LOG), channels)
        ]
    )


def _in_ms(block: SampleBlock) -> SampleBlock:
    time_ns = block.time_ns // 1_000_000 * 1_000_000
    return SampleBlock(block.table, block.signal, time_ns, block.value, block.texts)


def cut(block: SampleBlock, size: int) -> list[SampleBlock]:
    """Return `block` in batches of `size` samples."""
    return [
        block.take(np.arange(start, min(start + size, len(block))))
        for start in range(0, len(block), size)
    ]


def ours(block: SampleBlock) -> bytes:
    """Return a whole TelemetryRequest."""
    name = BatchName(VEHICLE, "0123456789abcdef", 1_000)
    return wire.batch_to_bytes(Batch(name, bytes(8), block, 1_533_226_488_228_954_000))


def ours_read(data: bytes, table: SignalTable) -> SampleBlock:
    """Return its samples."""
    sealed = wire.request_from_bytes(data, vehicle=VEHICLE)
    assert isinstance(sealed, SealedBatch)
    return wire.opened(sealed, table)


def grouped_json(block: SampleBlock) -> bytes:
    """Return one object for each time: its signals by name."""
    names = [signal.name for signal in block.table]
    groups: list[dict[str, Any]] = []
    last = None
    for number, time_ns, value in zip(
        block.signal.tolist(), block.time_ns.tolist(), block.value.tolist(), strict=True
    ):
        if time_ns != last:
            last = time_ns
            groups.append({"time_us": time_ns // 1000, "signals": {}})
        groups[-1]["signals"][names[number]] = value
    return json.dumps(groups, separators=(",", ":")).encode()


def _vehicle_data() -> Any:
    """Build FleetWise's VehicleData from its field numbers; nothing of it is copied here."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="peer.proto", package="peer", syntax="proto3")
    captured = file.message_type.add(name="CapturedSignal")
    captured.oneof_decl.add(name="value")
    for name, number, kind, one in [
        ("relative_time_ms", 1, field.TYPE_SINT64, False),
        ("signal_id", 2, field.TYPE_UINT32, False),
        ("double_value", 3, field.TYPE_DOUBLE, True),
    ]:
        added = captured.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
        if one:
            added.oneof_index = 0
    whole = file.message_type.add(name="VehicleData")
    for name, number, kind in [
        ("campaign_sync_id", 1, field.TYPE_STRING),
        ("decoder_sync_id", 2, field.TYPE_STRING),
        ("collection_event_id", 3, field.TYPE_UINT32),
        ("collection_event_time_ms_epoch", 4, field.TYPE_UINT64),
    ]:
        whole.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    whole.field.add(
        name="captured_signals",
        number=5,
        type=field.TYPE_MESSAGE,
        type_name=".peer.CapturedSignal",
        label=field.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.VehicleData"))


VehicleData = _vehicle_data()


def fleetwise(block: SampleBlock) -> bytes:
    """Return VehicleData, as a raw Snappy block."""
    start_ms = int(block.time_ns[0]) // 1_000_000
    message = VehicleData(
        campaign_sync_id="arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/drive",
        decoder_sync_id="arn:aws:iotfleetwise:eu-central-1:123456789012:decoder-manifest/rav4",
        collection_event_id=1,
        collection_event_time_ms_epoch=start_ms,
    )
    add = message.captured_signals.add
    for number, time_ms, value in zip(
        (block.signal + 1).tolist(),
        (block.time_ns // 1_000_000 - start_ms).tolist(),
        block.value.tolist(),
        strict=True,
    ):
        add(relative_time_ms=time_ms, signal_id=number, double_value=value)
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))


def fleetwise_read(data: bytes) -> tuple[list[int], list[int], list[float]]:
    """Return signals, times and values as lists."""
    message = VehicleData.FromString(bytes(cramjam.snappy.decompress_raw(data)))
    rows = message.captured_signals
    return (
        [row.signal_id for row in rows],
        [row.relative_time_ms for row in rows],
        [row.double_value for row in rows],
    )


def _sizes(what: str, block: SampleBlock) -> list[Row]:
    def per_sample(encode: Encode, size: int) -> float:
        return sum(len(encode(batch)) for batch in cut(block, size)) / len(block)

    rows = []
    goal = iter(GOALS)
    for peer, encode in [("FleetWise + Snappy", fleetwise), ("JSON by time", grouped_json)]:
        for label, size in [("one batch", len(block)), ("1,000-sample batches", SMALL)]:
            mine, other = per_sample(ours, size), per_sample(encode, size)
            rows.append(
                Row(
                    f"bytes a sample, {what}, {label}",
                    f"{mine:.2f} B",
                    f"{peer} {other:.2f} B",
                    other / mine,
                    f">= {next(goal):g}",
                )
            )
    return rows


def _rates(block: SampleBlock) -> list[Row]:
    batches = cut(block, SMALL)[:100]
    mine, peer = [ours(batch) for batch in batches], [fleetwise(batch) for batch in batches]
    read = partial(ours_read, table=block.table)
    rows = []
    for what, left, right, goal in [
        ("encode", _rate(ours, batches), _rate(fleetwise, batches), 2),
        ("decode", _rate(read, mine), _rate(fleetwise_read, peer), 3),
    ]:
        rows.append(
            Row(
                f"{what} 1,000-sample batches",
                f"{left / 1e6:.1f} M samples/s",
                f"FleetWise + Snappy in Python {right / 1e6:.1f} M samples/s",
                left / right,
                f">= {goal}",
            )
        )
    return rows


def _rate(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Return samples a second, the best of a few rounds: the machine has other work too."""
    best = min(_seconds(work, items) for _ in range(REPEATS))
    return len(items) * SMALL / best


def _seconds(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    start = time.perf_counter()
    for item in items:
        work(item)
    return time.perf_counter() - start
