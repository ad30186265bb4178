"""Anything may happen to a vehicle with services, in any order: afterwards what is good runs.

Versions are ordered, agents and vehicles die at any call of a port, clocks are set, instances crash, disks and
runtimes fail for a while, the cloud comes and goes.
"""

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.adapters.services import Services
from edge_agent.services.records import Record, record_from_bytes, record_name
from edge_agent.services.runtime import Exit
from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Change, How, Service
from tests.edge_agent.adapters.services_rig import Fuse, Script, Vehicle, service, status
from tests.virtual_time import VirtualLoop

# What each version does; the first two are good.
GOOD = ["1", "2"]
BAD = {
    "slow": Script(),  # it never says that it is ready
    "crash": Script(ends_after_s=0.1, exit=Exit(1)),
    "loop": Script(ends_after_s=3.0, exit=Exit(1)),  # it is ready, then crashes, on and on
    "refused": Script(refuses=BadInput("it has no command")),
}
versions = st.sampled_from(GOOD) | st.sampled_from([*BAD])
hows = st.sampled_from(How)


class Vehicles(RuleBasedStateMachine):
    """One vehicle."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.vehicle = Vehicle({f"one {name}": script for name, script in BAD.items()})
        self.vehicle.prober.answers["one slow"] = "not yet"
        self.services: Services | None = None
        self.running: asyncio.Task[None] | None = None
        self.wanted: Service | None = None
        self.has_good = False  # a good version was in force once, and well for a while

    def run(self, main: Any) -> Any:
        return self.runner.run(main)

    @initialize()
    def begin(self) -> None:
        self.start_agent()

    def start_agent(self) -> None:
        async def main() -> None:
            self.services = self.vehicle.services()
            self.running = asyncio.create_task(self.services.run())
            await asyncio.sleep(0.01)

        self.run(main())

    @rule(version=versions, how=hows, retry=st.booleans())
    def apply(self, version: str, how: How, retry: bool) -> None:  # noqa: FBT001
        async def main() -> None:
            assert self.services
            wanted = service(version=version, change=Change(how))
            await self.services.apply([wanted], retry=retry)
            self.wanted = wanted
            await asyncio.sleep(0.01)

        self.run(main())

    @rule(seconds=st.sampled_from([0.05, 0.5, 8.0, 60.0]))
    def wait(self, seconds: float) -> None:
        async def main() -> None:
            # In small steps, so that the invariants see what was in between.
            for _ in range(10):
                await asyncio.sleep(seconds / 10)
                self.only_one_runs_unless_both_may()

        self.run(main())

    @rule(seconds=st.sampled_from([-86_400, -5, 5, 86_400]))
    def set_clock(self, seconds: int) -> None:
        self.vehicle.clock.jump(seconds * NS_PER_S)

    @rule(code=st.sampled_from([0, 1]))
    def crash(self, code: int) -> None:
        async def main() -> None:
            for id_ in self.vehicle.runtime.running:
                self.vehicle.runtime.end(id_, Exit(code))
            await asyncio.sleep(0.01)

        self.run(main())

    @rule(is_there=st.booleans())
    def cloud(self, is_there: bool) -> None:  # noqa: FBT001
        self.vehicle.is_connected = is_there

    @rule(calls=st.integers(0, 30), seconds=st.sampled_from([0.5, 8.0]), has_power=st.booleans())
    def die(self, calls: int, seconds: float, has_power: bool) -> None:  # noqa: FBT001
        """The agent is killed after so many calls of ports; without power everything is."""

        async def main() -> None:
            assert self.services is not None
            assert self.running is not None
            self.vehicle.fuse = Fuse(calls)
            await asyncio.wait([self.running], timeout=seconds)
            self.running.cancel()
            await asyncio.wait([self.running])
            self.running.cancelled() or self.running.exception()
            self.vehicle.fuse = Fuse()
            if not has_power:
                self.vehicle.runtime.power_cut()
                self.vehicle.doors.opened.clear()

        self.run(main())
        self.start_agent()

    @rule(name=st.sampled_from(["start", "stop"]))
    def fail_for_a_while(self, name: str) -> None:
        """The runtime takes no orders for three seconds."""

        async def main() -> None:
            runtime = self.vehicle.runtime
            before = dict(runtime.scripts)
            trouble: dict[str, Any] = {
                "refuses" if name == "start" else "stops": Unavailable("not now")
            }
            for version in [*GOOD, *BAD]:
                script = before.get(f"one {version}", Script())
                runtime.scripts[f"one {version}"] = replace(script, **trouble)
            await asyncio.sleep(3)
            runtime.scripts = before

        self.run(main())

    @precondition(lambda self: self.wanted is not None)
    @rule(is_on=st.booleans())
    def switch(self, is_on: bool) -> None:  # noqa: FBT001
        async def main() -> None:
            assert self.services
            await (self.services.start("one") if is_on else self.services.stop("one"))
            await asyncio.sleep(0.01)

        self.run(main())

    @invariant()
    def only_one_runs_unless_both_may(self) -> None:
        running = [
            self.vehicle.runtime.instance(id_).service for id_ in self.vehicle.runtime.running
        ]
        if len(running) > 1:
            assert len(running) == 2
            assert any(one.change.how is How.BESIDE for one in running), running

    @invariant()
    def a_version_that_was_good_once_is_not_forgotten(self) -> None:
        content = self.vehicle.kept.read(record_name("one"))
        record = record_from_bytes(content) if content else Record()
        assert not self.has_good or record.good is not None
        is_good = record.good is not None and record.good.version in GOOD
        self.has_good = self.has_good or (is_good and record.is_seasoned)

    def teardown(self) -> None:
        try:
            if self.services is not None and self.wanted is not None:
                self.run(self._settle(self.services, self.wanted))
        finally:
            if self.running is not None:
                self.running.cancel()
                self.run(asyncio.wait([self.running]))
            self.runner.close()
        assert self.running is None or self.running.cancelled(), self.running.exception()

    async def _settle(self, services: Services, wanted: Service) -> None:
        """Whatever happened, after a quarter of an hour of peace what is good runs, if there was any."""
        await services.start("one")
        await asyncio.sleep(900)
        why, running = services.why("one"), self.vehicle.versions()
        bad = {one["instance"] for one in why["bad"]}
        if wanted.version in GOOD and why["wanted"]["instance"] not in bad:
            assert running == [f"one {wanted.version}"], why
            assert status(services).is_ready
        elif self.has_good and not any(one["version"] in GOOD for one in why["bad"]):
            assert running in ([f"one {version}"] for version in GOOD), why
        assert why["change"] is None or not self.has_good, why


Vehicles.TestCase.settings = settings(max_examples=80, stateful_step_count=15, deadline=None)
TestVehicles = Vehicles.TestCase
