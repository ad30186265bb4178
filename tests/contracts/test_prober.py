"""What everything that asks services how they are promises."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_agent.adapters.prober import ServiceProber
from edge_agent.adapters.services_memory import MemoryProber
from edge_agent.services.instance import Instance
from edge_agent.services.ports import Prober
from edge_agent.services.runtime import Executed, Usage
from fairway.errors import Unavailable
from fairway.services.model import Command, Grpc, Http, Probe, Publishes, Service
from tests.edge_agent.adapters.probed import health_server, http_server

INSTANCE = "battery.0123456789ab"
PROBES: dict[str, Probe] = {
    "command": Command(("check",)),
    "http": Http("/health", socket="http.sock"),
    "grpc": Grpc("battery", socket="grpc.sock"),
    "publishes": Publishes(("Vehicle.Speed",), 5.0),
}


class InsideOfOne:
    """The inside of an instance that has one command: it ends with 0 when it is well."""

    def __init__(self) -> None:
        self.is_well = self.runs = True

    async def execute(self, id_: str, argv: tuple[str, ...], *, timeout_s: float) -> Executed:
        if not self.runs:
            raise Unavailable(f"{id_} does not run")
        return Executed(0 if self.is_well else 1, "")

    async def usage(self, id_: str) -> Usage:
        raise Unavailable("nobody counts")


@dataclass
class World:
    """A service that is well or ill, and who asks it."""

    prober: Prober
    instance: Instance
    inside: InsideOfOne = field(default_factory=InsideOfOne)
    age_s: float | None = 1.0
    status: int = 200

    def become_ill(self, probe: Probe) -> None:
        self.inside.is_well, self.age_s, self.status = False, 60.0, 503
        if isinstance(self.prober, MemoryProber):
            self.prober.answers["battery"] = "it is ill"

    def be_gone(self, probe: Probe) -> None:
        self.inside.runs, self.age_s = False, None
        for socket in self.instance.sockets.iterdir():
            socket.unlink()
        if isinstance(self.prober, MemoryProber):
            self.prober.answers["battery"] = "it does not run"


@pytest.fixture(params=["service", "memory"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    instance = Instance(INSTANCE, Service("battery", "1.0.0"), None, 1, tmp_path)
    made = World(MemoryProber(), instance)
    if request.param == "service":
        made.prober = ServiceProber(made.inside, no_process, lambda id_, path: made.age_s)
    async with (
        http_server(tmp_path / "http.sock", lambda: made.status),
        health_server(tmp_path / "grpc.sock", "battery", lambda: made.status == 200),
    ):
        yield made


async def no_process(id_: str) -> int:
    return 0


@pytest.mark.parametrize("kind", PROBES)
async def test_a_probe_that_is_passed_says_nothing(world: World, kind: str):
    assert await world.prober.probe(world.instance, PROBES[kind], timeout_s=30) == ""


@pytest.mark.parametrize("kind", PROBES)
async def test_a_probe_that_is_failed_says_why_in_one_sentence(world: World, kind: str):
    world.become_ill(PROBES[kind])

    said = await world.prober.probe(world.instance, PROBES[kind], timeout_s=30)
    assert said
    assert "\n" not in said


@pytest.mark.parametrize("kind", PROBES)
async def test_what_does_not_run_fails_its_probes_and_raises_nothing(world: World, kind: str):
    world.be_gone(PROBES[kind])

    assert await world.prober.probe(world.instance, PROBES[kind], timeout_s=30)


@pytest.mark.parametrize("kind", PROBES)
async def test_a_probe_can_be_given_up(world: World, kind: str):
    asked = asyncio.ensure_future(world.prober.probe(world.instance, PROBES[kind], timeout_s=30))
    await asyncio.sleep(0)
    asked.cancel()

    (answer,) = await asyncio.gather(asked, return_exceptions=True)
    assert answer == "" or isinstance(answer, asyncio.CancelledError)
