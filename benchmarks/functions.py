"""Custom functions of campaigns: FleetWise's histogram, called through its process behind all walls.

single      one row a round trip; the peer is a process without walls that only says back what it is told
batched     256 rows a round trip; the peer is the same function called in this process, without any protection
start       from the first call to the first answer, walls and imports included
memory      resident memory of the process of one campaign
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.report import Row
from edge_agent.adapters.function_group import FunctionGroup, Rules
from edge_agent.functions.limits import BATCH_MAX_ROWS, Limits
from fairway.clock import NS_PER_S, SystemClock

SECONDS = 2.0
ROUNDS = 3

HISTOGRAM = """
import json

bins = [0] * 100
count = 0

def invoke(value):
    global count
    if value is None:
        return False
    bins[min(max(int((value + 1000) * 99 / 2000), 0), 99)] += 1
    count += 1
    if count < 1000:
        return False
    said = json.dumps(bins)
    bins[:] = [0] * 100
    count = 0
    return True, {"Vehicle.Histogram": said}
"""
ECHO = "import os\nwhile data := os.read(0, 65536): os.write(1, data)\n"

# As much as a core has, and no waiting for others at the deadline: the rate is measured, not the limits.
LIMITS = Limits(call_timeout_ns=NS_PER_S, cpu_max_ns_per_s=10 * NS_PER_S, nice=0)


def run() -> list[Row]:
    """Measure ours and the peers."""
    group = FunctionGroup(
        "bench", {"histogram": HISTOGRAM}, Rules(LIMITS, waits_for_start=True), SystemClock()
    )
    started = time.perf_counter()
    group.call(1, "histogram", [(1.0,)])
    start_ms = (time.perf_counter() - started) * 1000
    module: Any = ModuleType("histogram")
    exec(HISTOGRAM, module.__dict__)
    echo = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    rows = [(float(n % 2000 - 1000),) for n in range(BATCH_MAX_ROWS)]
    try:
        single, said_back, batched, direct = _best(
            lambda: len(group.call(1, "histogram", rows[:1]).values),
            lambda: _said_back(echo),
            lambda: len(group.call(2, "histogram", rows).values),
            lambda: len([module.invoke(*row) for row in rows]),
        )
        resident_mb = _resident_bytes(group.pid or 0) / 1e6
    finally:
        group.close()
        echo.kill()
        echo.communicate()
    return [
        Row(
            "custom function, one call a round trip",
            f"{single:,.0f} calls/s",
            f"a process that says back what it is told {said_back:,.0f} /s",
            single / said_back,
            ">= 0.1",
        ),
        Row(
            f"the same, {BATCH_MAX_ROWS} rows a round trip",
            f"{batched:,.0f} calls/s",
            f"called in the same process {direct:,.0f} calls/s",
            batched / direct,
            ">= 0.25",
        ),
        Row(
            "from the first call to its answer", f"{start_ms:.0f} ms", "-", start_ms, "<= 300", "ms"
        ),
        Row(
            "memory of one campaign's process",
            f"{resident_mb:.1f} MB",
            "-",
            resident_mb,
            "<= 20",
            "MB",
        ),
    ]


def _best(*calls: Callable[[], int]) -> list[float]:
    # Turn by turn, so that a busy moment of the machine is everybody's.
    return [
        max(rates)
        for rates in zip(*([_rate(one) for one in calls] for _ in range(ROUNDS)), strict=True)
    ]


def _rate(call: Callable[[], int]) -> float:
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS / ROUNDS:
        count += call()
    return count / (time.perf_counter() - started)


def _said_back(echo: "subprocess.Popen[bytes]") -> int:
    assert echo.stdin is not None
    assert echo.stdout is not None
    os.write(echo.stdin.fileno(), b"x" * 60)  # as long as a request
    os.read(echo.stdout.fileno(), 4096)
    return 1


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
