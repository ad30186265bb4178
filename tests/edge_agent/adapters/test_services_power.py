"""The power may fail at any moment of a change: afterwards the old version runs or the new one, never none.

A moment is before and after each call of a port: records, images, doors, starts and stops.
"""

import asyncio

import pytest

from edge_agent.adapters.services import Services
from fairway.services.model import Change, How
from tests.edge_agent.adapters.services_rig import Vehicle, service, status, until
from tests.virtual_time import run

# More calls than any change makes; each test says that it came to the end.
MOMENTS_MAX = 200


async def _changed(vehicle: Vehicle, at: int, how: How, *, is_good: bool) -> bool:
    """Change from 1 to 2 and cut the power at a moment; return whether there was that moment."""
    one, two = service(change=Change(how)), service(version="2", change=Change(how))
    async with vehicle.agent() as services:
        await services.apply([one])
        await until(services, lambda: status(services).is_ready)
    vehicle.prober.answers["one 2"] = "" if is_good else "it is not"

    async def main(services: Services) -> None:
        await services.apply([two])
        end = "2" if is_good else "1"
        await until(services, lambda: _settled(services, end))

    return await vehicle.until_cut(at, vehicle.services(), main)


def _settled(services: Services, version: str) -> bool:
    one = status(services)
    return one.is_ready and one.version == version and services.why("one")["change"] is None


@pytest.mark.parametrize("quality", ["good", "bad"])
@pytest.mark.parametrize("how", list(How))
def test_a_power_cut_at_any_moment_ends_in_the_old_or_the_new_version(how: How, quality: str):
    is_good = quality == "good"

    async def cut(at: int) -> tuple[bool, str]:
        vehicle = Vehicle()
        has_cut = await _changed(vehicle, at, how, is_good=is_good)
        async with vehicle.agent() as services:
            await until(services, lambda: status(services).is_ready and vehicle.versions())
            first = status(services).version
            assert first in ("1", "2")
            # And it comes to the end that was ordered, if the order was durable.
            await until(services, lambda: services.why("one")["change"] is None)
            wanted = services.why("one")["wanted"]["version"]
            await until(services, lambda: _settled(services, wanted if is_good else "1"))
            assert vehicle.versions() == [f"one {wanted if is_good else '1'}"]
        return has_cut, wanted

    seen, has_cut = [], True
    for at in range(MOMENTS_MAX):
        has_cut, wanted = run(cut(at))
        seen.append(wanted)
        if not has_cut:
            break
    assert not has_cut
    assert len(seen) > 15
    assert set(seen) == {"1", "2"}


def test_the_old_version_is_not_stopped_before_the_image_of_the_new_one_is_there():
    async def main():
        vehicle = Vehicle()
        one, two = service(), service(version="2")
        vehicle.images.has_all = False
        vehicle.images.put(one.image)
        async with vehicle.agent() as services:
            await services.apply([one])
            await until(services, lambda: status(services).is_ready)
            await services.apply([two])
            await asyncio.sleep(3600)

            assert vehicle.versions() == ["one 1"]
            assert "is not in this vehicle" in status(services).why
            assert services.images_missing == {two.image}
            vehicle.images.put(two.image)
            services.images_changed()
            assert await until(services, lambda: status(services).version == "2") < 1

    run(main())


def test_a_version_that_takes_the_vehicle_down_again_and_again_is_given_up():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            vehicle.prober.answers["one 2"] = "not yet"
            await services.apply([service(version="2")])
            await until(services, lambda: vehicle.versions() == ["one 2"])
        for _ in range(3):
            vehicle.runtime.power_cut()
            async with vehicle.agent() as services:
                await until(services, lambda: vehicle.versions() == ["one 2"])
        vehicle.runtime.power_cut()
        async with vehicle.agent() as services:
            await until(services, lambda: status(services).is_ready)

            assert vehicle.versions() == ["one 1"]
            assert "started 4 times while it proved itself" in services.why("one")["bad"][0]["why"]

    run(main())
