"""What one instant costs at which 80 campaigns trigger together, in this process and on a clock of its own.

    frames of 5 ms --look--> decode > map > conditions > collect > batches     processor time of the thread
    '----------------------- again and again, for some seconds of drive ------'

Nothing runs beside it, no disk is written, and other programs on the machine show little: processor time is the
thread's own.  A look is an instant when all campaigns collected in it.
"""

import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks._four_buses import BUSES, RING_MS, Load
from edge_agent.adapters.blocks import sliced
from edge_agent.adapters.campaigns_open import Around, CampaignParts
from edge_agent.adapters.pipelines import open_pipeline
from edge_agent.adapters.sampling import LOOK_INTERVAL_NS, Pipeline
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.canbus.frames import FrameBlock
from edge_agent.config import Bus, Config, Spool, Telemetry, Vehicle
from edge_agent.config_campaigns import Campaigns
from fairway.clock import NS_PER_MS, ManualClock


@dataclass(frozen=True, slots=True)
class Instants:
    """Processor time, in milliseconds."""

    quiet_ms: float  # of a look in which nothing triggers, the middle one
    middle_ms: float  # of an instant
    worst_ms: float
    count: int
    late: int  # events that a clock of its own makes late: none
    samples: int


def measured(
    load: Load, database: Path, documents: list[dict[str, object]], seconds: int
) -> Instants:
    """Drive `seconds` of the load through a pipeline with these campaigns."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory(prefix="fairway-bench-") as name:
        files = _written(Path(name), documents)
        config = Config(
            vehicle=Vehicle("BENCH1"),
            bus=tuple(Bus(f"can{n}", (database,), f"unix:bus#{n}") for n in range(BUSES)),
            telemetry=Telemetry(collect="all"),
            spool=Spool(dir=Path(name) / "spool"),
            campaigns=Campaigns(files=files),
        )
        with _opened(config, clock) as (pipeline, parts):
            return _driven(load, clock, pipeline, parts, seconds)


def _written(folder: Path, documents: list[dict[str, object]]) -> tuple[Path, ...]:
    files = []
    for document in documents:
        files.append(folder / f"{document['name']}.json")
        files[-1].write_text(json.dumps(document))
    return tuple(files)


@contextmanager
def _opened(config: Config, clock: ManualClock) -> Iterator[tuple[Pipeline, CampaignParts]]:
    pipeline, _, _, _ = open_pipeline(config, {})
    spool = SpoolWorker(SpoolFiles(config.spool.dir, max_bytes=1 << 20, when_full="drop_oldest"))
    parts = CampaignParts(config, Around(spool, pipeline.mapping.table, clock))
    pipeline.mapped = parts.take
    yield pipeline, parts


def _driven(
    load: Load, clock: ManualClock, pipeline: Pipeline, parts: CampaignParts, seconds: int
) -> Instants:
    quiet, instants, campaigns = [], [], parts.campaigns
    batches, whole = campaigns.batches, len(campaigns.plan.campaigns)
    for look in _looks(load, clock, seconds):
        before, began_s = batches.events, time.thread_time()
        pipeline.samples(look)
        campaigns.tick()
        took_ms = (time.thread_time() - began_s) * 1000
        if batches.events == before:
            quiet.append(took_ms)
        elif batches.events - before == whole:
            instants.append(took_ms)
        parts.partitions.lose_waiting()
    assert instants, "no look had all campaigns"
    return Instants(
        float(np.median(quiet)),
        float(np.median(instants)),
        max(instants),
        len(instants),
        batches.lateness.late_events,
        batches.samples,
    )


def _looks(load: Load, clock: ManualClock, seconds: int) -> Iterator[FrameBlock]:
    """Yield what a look every 5 ms would see, as the clock says it."""
    ring, step_ms = load.ring, LOOK_INTERVAL_NS // NS_PER_MS
    edges = np.arange(0, RING_MS + 1, step_ms) * NS_PER_MS
    at = np.searchsorted(ring.time_ns, edges).tolist()
    for turn in range(seconds * 1000 // step_ms):
        here = turn % (len(at) - 1)
        frames = sliced(ring, at[here], at[here + 1])
        start_ns = clock.now_ns()
        clock.advance(LOOK_INTERVAL_NS)
        stamps = frames.time_ns - here * step_ms * NS_PER_MS + start_ns
        yield dataclasses.replace(frames, time_ns=stamps)
