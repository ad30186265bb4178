"""Campaigns under the load of FleetWise's deep-expression test: 80 of them, 127 nodes over two inputs each.

    load (this process) --Unix-socket bus--> edge-agent run --gRPC over TLS--> a cloud (this process)
                                             '- 80 campaigns on every sample -'

The inputs change every 10 ms, the four buses carry the full load of the benchmark `agent`, and every campaign
triggers once a second and sends both inputs: 16,000 samples a second leave in events.

A sample is missing when one campaign has it and another one of the same inputs does not, within the time that
both were collecting.
"""

import asyncio
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks._four_buses import BUSES, Load, four_buses
from benchmarks.agent import (
    DATABASE,
    MEASURED_S,
    WARM_UP_S,
    _agent,
    _configure,
    _playing,
)
from benchmarks.report import Row
from edge_agent.canbus import database
from fairway.campaign.document import campaign_of, sync_id
from simulators.bus import Bus
from simulators.unix_front import UnixFront
from tests.certificates import Authority
from tests.grpc_cloud import GrpcCloud

CAMPAIGNS = 80
LEAVES = 64  # and 63 operators
CYCLE_MS = 10
MORE = """
[campaigns]
files = {files}
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run showed."""

    cpu: float  # of one core
    events: int
    late: int
    silent: int  # campaigns of which no event came
    samples: int
    missing: int
    rss_mb: float
    lost_frames: int


def run() -> list[Row]:
    """Run the agent once with the campaigns."""
    result = asyncio.run(_measured(four_buses(DATABASE)))
    name = f"{CAMPAIGNS} campaigns of {2 * LEAVES - 1} nodes, four buses"
    return [
        Row(
            f"{name}: processor",
            f"{result.cpu:.1f} % of one core, {result.rss_mb:.0f} MB at its peak",
            "FleetWise's agent under its test: no number is published",
            result.cpu,
            "<= 60",
            "%",
        ),
        Row(
            f"{name}: late by more than 10 ms",
            f"{result.late:,} of {result.events:,} events",
            "-",
            result.late,
            "<= 0",
            "events",
        ),
        Row(
            f"{name}: missing",
            f"{result.silent} campaigns silent, {result.missing:,} of {result.samples:,} samples missing, "
            f"{result.lost_frames:,} frames lost",
            "FleetWise's test passes with 60 of 80 and under 10 % missing",
            result.silent + result.missing + result.lost_frames,
            "<= 0",
            "missing",
        ),
    ]


def documents() -> list[dict[str, object]]:
    """Return the campaigns: each over two signals of one message that comes every CYCLE_MS."""
    fast = [
        (message.name, [signal.name for signal in message.signals][:2])
        for message in database.load(DATABASE).messages
        if message.cycle_time_ms == CYCLE_MS and len(message.signals) > 1
    ]
    found: list[dict[str, object]] = []
    for number in range(CAMPAIGNS):
        message, signals = fast[number // BUSES % len(fast)]
        first, second = (f"can{number % BUSES}.{message}.{signal}" for signal in signals)
        found.append(
            {
                "name": f"deep{number}",
                "collectionScheme": {
                    "conditionBasedCollectionScheme": {
                        "expression": tree(first, second),
                        "minimumTriggerIntervalMs": 1000,
                    }
                },
                "signalsToCollect": [{"name": first}, {"name": second}],
            }
        )
    return found


def tree(first: str, second: str) -> str:
    """Return a condition of 127 nodes that is always true, and has to be computed to know it."""
    # Most leaves are numbers: FleetWise's documents have 2,048 characters.
    eight = [f"$variable.`{first}`", "1", "2", "3", f"$variable.`{second}`", "4", "5", "6"]
    half = _sum(eight * (LEAVES // 16))
    return f"{half} >= {half}"


def _sum(terms: list[str]) -> str:
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return f"({_sum(terms[:middle])} + {_sum(terms[middle:])})"


async def _measured(load: Load) -> Result:
    with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
        folder = Path(name)
        bus = Bus([f"can{number}" for number in range(BUSES)])
        front = UnixFront(bus, folder / "bus")
        cloud = GrpcCloud(Authority(folder / "pki"), has_control=True)
        await front.open()
        await cloud.start()
        try:
            _configure(folder, cloud)
            _order(folder)
            async with _agent(folder) as agent, _playing(load, bus, front):
                await agent.listens()
                await agent.samples()
                await asyncio.sleep(WARM_UP_S)
                late = await agent.metric("fairway_edge_campaign_late_events_total")
                events = await agent.metric("fairway_edge_campaign_events_total")
                from_s, used_s = time.monotonic(), agent.cpu_s()
                await asyncio.sleep(MEASURED_S)
                cpu = (agent.cpu_s() - used_s) / (time.monotonic() - from_s) * 100
                late = await agent.metric("fairway_edge_campaign_late_events_total") - late
                events = await agent.metric("fairway_edge_campaign_events_total") - events
                load.stopping.set()
                await asyncio.sleep(0.5)
                dropped = await agent.metric("fairway_edge_dropped_frames_total") + bus.dropped
                peak_mb = agent.peak_mb()
                await asyncio.sleep(1.5)
            silent, samples, missing = _compared(cloud)
            return Result(cpu, events, late, silent, samples, missing, peak_mb, dropped)
        finally:
            await front.close()
            await cloud.stop()


def _order(folder: Path) -> None:
    files = []
    for document in documents():
        files.append(f"{document['name']}.json")
        (folder / files[-1]).write_text(json.dumps(document))
    with (folder / "agent.toml").open("a") as settings:
        settings.write(MORE.format(files=json.dumps(files)))


def _compared(cloud: GrpcCloud) -> tuple[int, int, int]:
    """Return how many campaigns were silent, how many samples came, and how many some campaigns lack."""
    times: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    samples = 0
    for sealed in cloud.sealed:
        if sealed.campaign is None:
            continue
        block = cloud.batches[sealed.name.stream, sealed.name.sequence]
        samples += len(block)
        names = [block.table[number].name for number in block.signal.tolist()]
        times[sealed.campaign.sync_id].update(zip(names, block.time_ns.tolist(), strict=True))
    by_inputs: defaultdict[frozenset[str], list[set[tuple[str, int]]]] = defaultdict(list)
    for mine in times.values():
        by_inputs[frozenset(name for name, _ in mine)].append(mine)
    missing = sum(_lacking(alike) for alike in by_inputs.values())
    ordered = {sync_id(campaign_of(document)) for document in documents()}
    return len(ordered - times.keys()), samples, missing


def _lacking(alike: list[set[tuple[str, int]]]) -> int:
    begin = max(min(time_ns for _, time_ns in mine) for mine in alike)
    end = min(max(time_ns for _, time_ns in mine) for mine in alike)
    inside = [{one for one in mine if begin <= one[1] <= end} for mine in alike]
    every = set[tuple[str, int]]().union(*inside)
    return sum(len(every - mine) for mine in inside)
