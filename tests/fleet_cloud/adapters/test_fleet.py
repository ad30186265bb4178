"""Following the fleet: what changed is passed on, whatever fails meanwhile."""

import asyncio

import pytest

from fairway.clock import ManualClock, SystemClock
from fairway.errors import Unavailable
from fleet_cloud.adapters import fleet as following
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.memory import MemoryCertificates, MemoryVehicles
from fleet_cloud.vehicles.certificates import Certificate
from fleet_cloud.vehicles.registry import Vehicle, VehicleState


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "POLL_S", 0.001)


async def test_a_change_is_passed_on_until_it_is_taken():
    registry = MemoryVehicles()
    fleet = Fleet(registry, MemoryCertificates(registry), SystemClock())
    told: list[list[str]] = []
    taken = asyncio.Event()

    async def changed() -> None:
        told.append(list(fleet.tenants))
        if len(told) < 3:
            raise Unavailable("the disk is full")
        taken.set()

    task = asyncio.create_task(fleet.follow(changed))
    registry.add(Vehicle("VIN1", "default", VehicleState.ACTIVE, 1, None))
    await asyncio.wait_for(taken.wait(), 5)
    await asyncio.sleep(0.02)
    task.cancel()

    assert told == [["VIN1"]] * 3


def test_a_wall_clock_that_is_set_ahead_cuts_nobody_off_and_time_that_passes_does():
    registry = MemoryVehicles()
    certificates = MemoryCertificates(registry)
    clock = ManualClock(now_ns=1_000)
    fleet = Fleet(registry, certificates, clock)
    registry.add(Vehicle("VIN1", "default", VehicleState.ACTIVE, 1, None))
    certificates.record(Certificate("aa" * 32, "0" * 32, "VIN1", "1", 1, expires_time_ns=2_000))
    fleet.refresh()

    clock.jump(10**18)
    assert not fleet.refresh()
    assert list(fleet.members) == ["VIN1"]

    clock.advance(1_000)
    assert fleet.refresh()
    assert not fleet.members
