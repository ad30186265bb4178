"""A hundred services at rest: what their supervisor takes of a core, and of memory for each.

The runtime is the one in memory, so that what is measured is the supervisor: plan, checks, timers, records.
Each service is asked for its liveness and its readiness every 5 s, which is the default.
"""

import asyncio
import gc
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import Row
from edge_agent.adapters.kept_files import KeptFiles
from edge_agent.adapters.runtime_memory import MemoryRuntime
from edge_agent.adapters.service_folders import Places
from edge_agent.adapters.services import Services
from edge_agent.adapters.services_around import Around, Terms
from edge_agent.adapters.services_memory import (
    MemoryDoors,
    MemoryImages,
    MemoryLogs,
    MemoryProber,
)
from fairway.clock import SystemClock
from fairway.services.model import Check, Command, Health, Runner, Service
from fairway.services.needs import Room

COUNT = 100
REST_S = 20.0
IMAGE = "sha256:" + "0" * 64
CHECK = Check(Command(("ready",)))
ROOM = Room(memory_max_bytes=1 << 40, cpu_max=1000.0, pids_max=100_000)


def run() -> list[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        share, kib, ready_s, began_ms = asyncio.run(_measured(Path(folder)))
    return [
        Row(
            f"{COUNT} services at rest, asked twice each in 5 s",
            f"{share:.2f} % of a core",
            "-",
            share,
            "<= 3",
            "%",
        ),
        Row("supervisor's memory for each", f"{kib:.1f} KiB", "-", kib, "<= 307", "KiB"),
        Row(f"{COUNT} services declared to ready", f"{ready_s:.1f} s", "-", ready_s, "<= 60", "s"),
        Row(
            "one service declared (durable) to its start",
            f"{began_ms:.0f} ms",
            "-",
            began_ms,
            "<= 515",
            "ms",
        ),
    ]


def _services(folder: Path, runtime: MemoryRuntime) -> Services:
    around = Around(
        machines={Runner.CONTAINER: runtime},
        images=MemoryImages(has_all=True),
        doors=MemoryDoors(),
        prober=MemoryProber(),
        logs=MemoryLogs(),
        kept=KeptFiles(folder),
        clock=SystemClock(),
        chance=random.Random(1).random,
    )
    return Services(Terms(Places(folder, folder / "run"), ROOM), around)


async def _measured(folder: Path) -> tuple[float, float, float, float]:
    runtime = MemoryRuntime()
    gc.collect()
    tracemalloc.start()
    services = _services(folder / "many", runtime)
    running = asyncio.create_task(services.run())
    await asyncio.sleep(0.1)
    before = tracemalloc.get_traced_memory()[0]
    many = [
        Service(f"s{number}", "1", IMAGE, health=Health(liveness=CHECK, readiness=CHECK))
        for number in range(COUNT)
    ]
    began_s = time.perf_counter()
    await services.apply(many)
    await _until(services, lambda: all(one.is_ready for one in services.statuses()))
    ready_s = time.perf_counter() - began_s
    gc.collect()
    kib = (tracemalloc.get_traced_memory()[0] - before) / COUNT / 1024
    tracemalloc.stop()
    await asyncio.sleep(5.0)
    began_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.sleep(REST_S)
    share = 100 * (time.process_time() - cpu_s) / (time.perf_counter() - began_s)
    running.cancel()
    await asyncio.wait([running])
    return share, kib, ready_s, await _began_ms(folder, many[0])


async def _until(services: Services, holds: Callable[[], bool]) -> None:
    """Wait until something holds of what changes with states."""
    changed = asyncio.Event()
    services.changed = changed.set
    while not holds():
        await changed.wait()
        changed.clear()


async def _began_ms(folder: Path, service: Service) -> float:
    """Return the median of how long one service takes from apply() to its start."""
    return sorted([await _once_ms(folder / str(number), service) for number in range(5)])[2]


async def _once_ms(folder: Path, service: Service) -> float:
    runtime = MemoryRuntime()
    services = _services(folder, runtime)
    running = asyncio.create_task(services.run())
    await asyncio.sleep(0.1)
    began_s = time.perf_counter()
    await services.apply([service])
    await _until(services, lambda: bool(runtime.started))
    took_s = time.perf_counter() - began_s
    running.cancel()
    await asyncio.wait([running])
    return took_s * 1000
