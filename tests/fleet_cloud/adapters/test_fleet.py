"""Following the fleet: what changed is passed on, whatever fails meanwhile."""

import asyncio

import pytest

from fairway.clock import SystemClock
from fairway.errors import Unavailable
from fleet_cloud.adapters import fleet as following
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.memory import MemoryCertificates, MemoryVehicles
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
