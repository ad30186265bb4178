"""What can be seen of a running demo: the programs' metrics, and how old a sample is when it is a row."""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fairway.clock import NS_PER_MS, Clock
from fairway.errors import Unavailable
from simulators.demo import http

# Every vehicle has it, ten times a second while it moves.
TOLD_SIGNAL = "Vehicle.Speed"

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})? ([0-9.eE+-]+|NaN)")


@dataclass(slots=True)
class Latencies:
    """How old samples were when they came out of the live feed, which tells only what is stored."""

    ms: list[float] = field(default_factory=list)

    async def listen(self, api: str, key: str, clock: Clock) -> None:
        """Collect until cancelled."""
        with suppress(Unavailable):
            async for line in http.lines(f"{api}/v1/live?signal={TOLD_SIGNAL}", key):
                if not line.startswith("data: {"):
                    continue
                now_ns = clock.now_ns()
                told = json.loads(line.removeprefix("data: ")).get("samples", ())
                self.ms += [(now_ns - sample["time_ns"]) / NS_PER_MS for sample in told]


def sums(exposition: str) -> dict[str, float]:
    """Return the metrics of a Prometheus exposition, each summed over its labels."""
    total: dict[str, float] = {}
    for line in exposition.splitlines():
        if found := _LINE.fullmatch(line.strip()):
            total[found[1]] = total.get(found[1], 0.0) + float(found[2])
    return total


async def metrics(urls: Sequence[str]) -> dict[str, float]:
    """Return the metrics of several programs, summed; one that does not answer counts for nothing."""
    found = await asyncio.gather(*(http.text(url) for url in urls), return_exceptions=True)
    total: dict[str, float] = {}
    for answer in found:
        if isinstance(answer, str):
            for name, value in sums(answer).items():
                total[name] = total.get(name, 0.0) + value
    return total
