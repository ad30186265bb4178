"""What the supervisor may count on of the doors of services, real ones and those in memory."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.services_memory import MemoryDoors
from edge_agent.services.instance import Instance
from fairway.errors import BadInput
from fairway.services.model import Offer, Runner, Service, Use
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, TRIP_LOG

BATTERY_2 = replace(BATTERY, version="4.0")


class InMemory:
    """Doors in memory, behind the words of the rig."""

    def __init__(self) -> None:
        self.doors = MemoryDoors()

    def instance(self, service: Service, number: str = "a") -> Instance:
        id_ = f"{service.name}.{number * 12}"
        return Instance(id_, service, None, 1, Path("/nowhere") / id_)

    async def opened(self, service: Service, number: str = "a") -> Instance:
        instance = self.instance(service, number)
        await self.doors.open(instance)
        return instance

    async def in_force(self, *instances: Instance) -> None:
        await self.doors.serve({one.service.name: one for one in instances})


class Real(rigs.Rig):
    """Real doors; each service serves what it offers."""

    sockets: list[Any]

    async def opened(self, service: Service, number: str = "a") -> Instance:
        instance = await super().opened(service, number)
        for offer in service.offers:
            path = instance.sockets / offer.socket
            self.sockets.append(rigs.bound(path))
            os.chown(path, instance.uid, -1)
        return instance


@pytest.fixture(params=["real", "memory"])
async def rig(request):
    if request.param == "memory":
        yield InMemory()
        return
    async with rigs.served(Real) as made:
        made.sockets = []
        yield made
        for socket in made.sockets:
            socket.close()


def open_uses(rig, instance: Instance) -> dict[str, str]:
    """Return what an instance may call, and whose it is."""
    return {
        sight.name: sight.offered.instance
        for sight in rig.doors.sights_of(instance.id)
        if sight.is_open and sight.offered is not None
    }


async def test_an_opened_door_is_told_by_the_environment(rig):
    instance = rig.instance(BATTERY)
    program = rig.instance(replace(TRIP_LOG, runner=Runner.PROCESS))

    inside = dict(await rig.doors.open(instance))
    outside = dict(await rig.doors.open(program))

    assert inside["FAIRWAY_SOCKETS"] == "/run/ecu"
    assert inside["FAIRWAY_AGENT"] == "unix:/run/ecu/agent.sock"
    assert outside["FAIRWAY_SOCKETS"] == str(program.sockets)
    assert outside["FAIRWAY_TOKEN_FILE"] == f"{program.sockets}/token"


async def test_open_and_close_may_be_said_again(rig):
    instance = rig.instance(BATTERY)

    assert await rig.doors.open(instance) == await rig.doors.open(instance)
    await rig.doors.close(instance.id)
    await rig.doors.close(instance.id)
    await rig.doors.close("nobody.000000000000")
    assert await rig.doors.open(instance)


async def test_a_start_may_be_told_of_whoever_runs_and_of_whom_nobody_knows(rig):
    instance = await rig.opened(BATTERY)

    await rig.doors.started(instance.id)
    await rig.doors.started("nobody.000000000000")

    assert await rig.doors.open(instance)


async def test_who_is_in_force_can_be_called_by_whom_both_manifests_name(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    before = open_uses(rig, log)

    await rig.in_force(battery, log)

    assert before == {}
    assert open_uses(rig, log) == {"battery.health": battery.id}


async def test_one_that_is_not_in_force_yet_may_call_already(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)

    await rig.in_force(battery)

    assert open_uses(rig, log) == {"battery.health": battery.id}


async def test_calls_go_to_the_version_that_comes_into_force(rig):
    old, new = await rig.opened(BATTERY), await rig.opened(BATTERY_2, "b")
    log = await rig.opened(TRIP_LOG)
    await rig.in_force(old)
    beside = open_uses(rig, log)

    await rig.in_force(new)

    assert beside == {"battery.health": old.id}
    assert open_uses(rig, log) == {"battery.health": new.id}


async def test_who_is_closed_or_not_ready_any_more_cannot_be_called(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    await rig.in_force(battery)
    await rig.in_force()
    unready = open_uses(rig, log)
    await rig.in_force(battery)
    await rig.doors.close(battery.id)

    assert unready == {}
    assert open_uses(rig, log) == {}


async def test_in_force_may_be_what_has_no_door(rig):
    await rig.in_force(rig.instance(BATTERY), await rig.opened(TRIP_LOG))


@pytest.mark.parametrize(
    "service",
    [
        Service("battery", "1", offers=(Offer("a/b", "1.0.0", "x.sock"),)),
        Service("battery", "1", offers=(Offer("a", "1.0.0", "token"),)),
        Service("battery", "1", offers=(Offer("a", "newest", "x.sock"),)),
        Service("battery", "1", uses=(Use("../a"),)),
        Service("battery", "1", uses=(Use("a", "newest"),)),
    ],
)
async def test_names_and_versions_that_can_never_be_served_are_bad_input(rig, service):
    with pytest.raises(BadInput):
        await rig.doors.open(rig.instance(service))
