"""The real agent with a hundred services, each a container of busybox: needs root, runc and busybox.

    core 0: edge-agent run with [services] and 100 containers        this process asks at its desk

at rest      processor and memory of the agent, with and without its services
running      from the declaration of one more service, whose image lies in the vehicle, to Running
back         a new version that never becomes healthy: from its declaration to the old one's return

Rule 1: what the agent is asked is what `edge-agent services` asks, at the same socket.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from edge_agent.adapters import cgroups
from edge_agent.adapters.overlay import mounted, unmount
from edge_agent.adapters.service_desk import SOCKET_NAME, ask
from fairway.errors import Unavailable
from fairway.services.manifest import service_document
from fairway.services.model import Change as ChangeSettings
from fairway.services.model import Check, Command, Health, How, Resources, Service
from tests.images import Made, file, folder, layer, layout

SERVICES = int(os.environ.get("FAIRWAY_BENCH_SERVICES", "100"))
REST_S = 15.0
ROUNDS = 7
WITHIN_S = 2.0
WAIT_S = 60.0
AGENT = "import sys; from edge_agent.cli import main; sys.exit(main(sys.argv[1:]))"
SETTINGS = """
[vehicle]
id = "BENCH-1"
[telemetry]
collect = "none"
[[bus]]
name = "can0"
source = "unix:{folder}/bus#0"
databases = ["{dbc}"]
[spool]
dir = "{folder}/spool"
[onboard]
trust_socket = true
[log]
json = true
[services]
dir = "{folder}/services"
run_dir = "{folder}/run"
runtime = "runc"
cgroup_parent = "{group}"
memory_max_mb = 16384
cpu_max = 400
pids_max = 65536
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What was seen."""

    started_s: float  # all services, from their declaration
    idle: float  # share of a core
    memory_mib: float  # of the agent, for each service
    running_ms: list[float]
    back_s: float  # beyond the time that the new version had


def run() -> list[Row]:
    """Run the agent once; nothing where containers cannot run."""
    if os.geteuid() != 0 or not shutil.which("runc") or not shutil.which("busybox"):
        return []
    with tempfile.TemporaryDirectory(prefix="fw") as made:
        result = _measured(Path(made))
    middle_ms = statistics.median(result.running_ms)
    many = f"{SERVICES} services at rest"
    return [
        Row(
            f"{many}: processor",
            f"{result.idle * 100:.2f} % of a core; they took {result.started_s:.1f} s to start",
            "-",
            result.idle * 100,
            "<= 3",
            "%",
        ),
        Row(f"{many}: agent's memory for each", "-", "-", result.memory_mib, "<= 0.3", "MiB"),
        Row(
            "declared to running, image in the vehicle",
            f"{middle_ms:.0f} ms, at most {max(result.running_ms):.0f} of {ROUNDS}",
            "Ankaios' published 515 ms",
            middle_ms,
            "<= 515",
            "ms",
        ),
        Row(
            "a version that fails its health: old one back",
            f"{result.back_s:.2f} s after its {WITHIN_S:g} s were over",
            "-",
            result.back_s,
            "<= 1",
            "s",
        ),
    ]


def _measured(at: Path) -> Result:
    image = _image(at)
    dbc = Path(__file__).parents[1] / "dbc" / "fairway_ev.dbc"
    group = f"fairway-bench-{os.getpid()}"
    settings = SETTINGS.format(folder=at, dbc=dbc, group=group)
    with _silent_bus(at / "bus"), _agent(at, settings, group) as pid:
        desk = at / "spool" / SOCKET_NAME
        _until(lambda: ask(desk, "list") is not None)
        ask(desk, "load", path=str(at / "image"), digest=None)
        # The first service brings what is needed once: modules, doors, tokens.
        _start(desk, [_service("first", image)])
        time.sleep(2)
        before = _resident_bytes(pid)
        begun = time.perf_counter()
        _start(desk, [_service(f"rest-{number}", image) for number in range(SERVICES)])
        started_s = time.perf_counter() - begun
        time.sleep(3)
        memory_mib = (_resident_bytes(pid) - before) / SERVICES / (1 << 20)
        cpu_s, begun = _cpu_s(pid), time.perf_counter()
        time.sleep(REST_S)
        idle = (_cpu_s(pid) - cpu_s) / (time.perf_counter() - begun)
        running_ms = [_start(desk, [_service(f"one-{n}", image)]) for n in range(ROUNDS)]
        back_s = _back(desk, image)
        for one in ask(desk, "list"):
            ask(desk, "remove", name=one["name"])
        _until(lambda: not ask(desk, "list"))
    return Result(started_s, idle, memory_mib, running_ms, back_s)


def _image(at: Path) -> str:
    """Write an image of busybox as a layout, and return its digest."""
    program = Path(shutil.which("busybox") or "").read_bytes()
    made = Made([layer(folder("bin"), file("bin/busybox", program, mode=0o755))])
    layout(at / "image", made)
    return made.digest


def _service(name: str, image: str) -> Service:
    return Service(
        name,
        "1.0.0",
        image=image,
        command=("/bin/busybox", "sleep", "100000"),
        resources=Resources(memory_max_bytes=16 << 20, cpu_max=0.5, pids_max=8),
    )


def _start(desk: Path, services: list[Service]) -> float:
    """Declare services, and return after how many milliseconds all were running."""
    begun = time.perf_counter()
    ask(desk, "apply", services=[service_document(one) for one in services])
    names = {one.name for one in services}
    _until(lambda: names <= {one["name"] for one in ask(desk, "list") if one["state"] == "Running"})
    return (time.perf_counter() - begun) * 1000


def _back(desk: Path, image: str) -> float:
    """Return how long after the new version's time the old one was alone, and ready, again."""
    good = replace(_service("change", image), change=ChangeSettings(How.AFTER))
    _start(desk, [good])
    in_force = '"service_in_force", "service": "change"'
    _until(lambda: in_force in (desk.parents[1] / "agent.log").read_text())
    never = Check(Command(("/bin/busybox", "false")), interval_s=0.5, timeout_s=1.0, failures=1000)
    bad = replace(good, version="2.0.0", health=Health(readiness=never, within_s=WITHIN_S))
    begun = time.perf_counter()
    ask(desk, "apply", services=[service_document(bad)])
    _until(lambda: any(one["bad"] for one in ask(desk, "list") if one["name"] == "change"))
    _until(lambda: _is_back(desk))
    return max(0.0, time.perf_counter() - begun - WITHIN_S)


def _is_back(desk: Path) -> bool:
    (one,) = (one for one in ask(desk, "list") if one["name"] == "change")
    return bool(one["state"] == "Running" and one["version"] == "1.0.0" and one["is_ready"])


def _until(done: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Unavailable):
            if done():
                return
        time.sleep(0.005)
    raise TimeoutError(f"not so within {WAIT_S:g} s")


@contextlib.contextmanager
def _silent_bus(path: Path) -> Iterator[None]:
    """A bus that says nothing: an agent that has none would end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        yield


@contextlib.contextmanager
def _agent(at: Path, settings: str, group: str) -> Iterator[int]:
    config = at / "agent.toml"
    config.write_text(settings)
    with (at / "agent.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", AGENT, "run", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield child.pid
    except BaseException:
        print((at / "agent.log").read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        child.terminate()
        child.wait()
        _cleared(at, group)


def _cleared(at: Path, group: str) -> None:
    """Leave nothing, whatever went wrong."""

    async def clear() -> None:
        await cgroups.remove(cgroups.look(), f"/{group}")
        for point in mounted():
            if point.is_relative_to(at):
                await unmount(point)

    asyncio.run(clear())


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
