"""Containers of services, beside the container program alone: needs root, runc and busybox.

start      from an instance to its running container; the peer is `run --detach` of the same bundle, in turn
memory     resident memory of the agent's process for each container that it runs
idle       processor time of the agent's process for those containers, which it does not poll
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Row
from edge_agent.adapters import cgroups
from edge_agent.adapters.overlay import mount_root, unmount
from edge_agent.adapters.runtime_oci import OciRuntime
from edge_agent.adapters.service_logs import LogBook
from edge_agent.services.instance import ImageSettings, Instance, Root
from edge_agent.services.oci_config import Vehicle, config, skeleton
from fairway.clock import SystemClock
from fairway.services.model import Service

ROUNDS = 25
CONTAINERS = 30
IDLE_S = 3.0
PROGRAM = "runc"


def run() -> list[Row]:
    """Measure ours and the peer; nothing where containers cannot run."""
    if os.geteuid() != 0 or not shutil.which(PROGRAM) or not shutil.which("busybox"):
        return []
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_rows(Path(folder)))


async def _rows(folder: Path) -> list[Row]:
    layer = folder / "layer"
    (layer / "bin").mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), layer / "bin" / "busybox")
    root = Root("sha256:bench", (layer,), ImageSettings(("/bin/busybox", "sleep", "1000")))
    logs = LogBook(folder / "logs", SystemClock())
    runtime = await OciRuntime.open(folder / "oci", logs, program=PROGRAM, group="/fairway-bench")
    bare = Bare(folder / "bare", root)
    try:
        ours_ms, bare_ms = await _starts(folder, runtime, root, bare)
        memory_mib, idle = await _many(folder, runtime, root)
    finally:
        for id_ in await runtime.instances():
            await runtime.stop(id_, grace_s=0)
        await runtime.close()
        await cgroups.remove(cgroups.look(), "/fairway-bench")
    many = f"{CONTAINERS} of them"
    return [
        Row(
            "container start, overhead over the container program",
            f"{statistics.median(ours_ms):.1f} ms, at best {min(ours_ms):.1f}",
            f"{PROGRAM} run {statistics.median(bare_ms):.1f} ms, at best {min(bare_ms):.1f}",
            statistics.median(ours - bare for ours, bare in zip(ours_ms, bare_ms, strict=True)),
            "<= 20",
            "ms",
        ),
        Row(
            "agent's memory for each container",
            many,
            "-",
            memory_mib,
            "<= 0.3",
            "MiB",
        ),
        Row(
            "agent's time for idle containers",
            many,
            "-",
            idle * 100,
            "<= 3",
            "% of a core",
        ),
    ]


@dataclass
class Bare:
    """The container program alone, with the bundle that ours has made."""

    folder: Path
    root: Root

    async def start(self, instance: Instance) -> float:
        """Return how long it took, in milliseconds; mounted, as ours mounts, before."""
        vehicle = Vehicle(group="/fairway-bench/bare", files_hard_max=1024)
        made = config(instance, vehicle, root=str(self.folder / "root"))
        folders, _ = skeleton(instance, vehicle)
        for name in folders:
            (self.folder / "skeleton" / name).mkdir(parents=True, exist_ok=True)
        layers = (*self.root.layers, self.folder / "skeleton")
        await mount_root(Root(self.root.digest, layers, self.root.settings), self.folder / "root")
        (self.folder / "config.json").write_text(json.dumps(made))
        started = time.perf_counter()
        self._runc("run", "--detach", "--bundle", str(self.folder), instance.id)
        took_ms = (time.perf_counter() - started) * 1000
        self._runc("delete", "--force", instance.id)
        await unmount(self.folder / "root")
        return took_ms

    def _runc(self, *words: str) -> None:
        command = [PROGRAM, "--root", str(self.folder / "state"), *words]
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


async def _starts(
    folder: Path, runtime: OciRuntime, root: Root, bare: Bare
) -> tuple[list[float], list[float]]:
    ours_ms, bare_ms = [], []
    instance = _instance(folder, 0, root)
    for _ in range(ROUNDS):
        started = time.perf_counter()
        await runtime.start(instance)
        ours_ms.append((time.perf_counter() - started) * 1000)
        await runtime.stop(instance.id, grace_s=0)
        bare_ms.append(await bare.start(instance))
    return ours_ms, bare_ms


async def _many(folder: Path, runtime: OciRuntime, root: Root) -> tuple[float, float]:
    """Return MiB for each container, and the share of a core that all take."""
    before = _resident_bytes()
    for number in range(CONTAINERS):
        await runtime.start(_instance(folder, number, root))
    memory_mib = (_resident_bytes() - before) / CONTAINERS / (1 << 20)
    started_s, time_s = time.process_time(), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    return memory_mib, (time.process_time() - started_s) / (time.perf_counter() - time_s)


def _instance(folder: Path, number: int, root: Root) -> Instance:
    name = f"bench-{number}"
    sockets = folder / "sockets" / name
    sockets.mkdir(parents=True, exist_ok=True)
    service = Service(name, "1.0.0", image="sha256:" + "0" * 64)
    return Instance(f"{name}.{number:012x}", service, root, 741_000 + number, sockets)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
