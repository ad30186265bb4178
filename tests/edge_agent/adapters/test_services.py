"""The supervisor has what is wanted run, and says how it stands."""

import pytest

from fairway.services.model import Change, How
from tests.edge_agent.adapters.services_rig import (
    Vehicle,
    instance_id,
    service,
    status,
    told,
    until,
)
from tests.virtual_time import run


def test_a_declared_service_runs_and_is_ready():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready, within_s=1)

            assert told(status(services)) == "one 1 Running(Ok)"
            assert vehicle.versions() == ["one 1"]
            assert vehicle.doors.active == {"one": instance_id(service())}

    run(main())


def test_services_outlive_the_agent_and_are_adopted():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
        assert vehicle.versions() == ["one 1"]
        async with vehicle.agent() as services:
            await until(services, lambda: status(services).is_ready)

            assert vehicle.runtime.started == [instance_id(service())]  # once
            assert status(services).restarts == 0

    run(main())


def test_a_new_version_takes_the_place_of_the_old():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            await services.apply([service(version="2")])
            await until(
                services, lambda: status(services).version == "2" and status(services).is_ready
            )

            assert vehicle.versions() == ["one 2"]
            assert status(services).last_good == "1"

    run(main())


@pytest.mark.parametrize("how", list(How))
def test_a_version_that_is_not_ready_in_time_is_replaced_by_the_old_one_within_a_second(how: How):
    async def main():
        vehicle = Vehicle()
        vehicle.prober.answers["one 2"] = "it is not"
        async with vehicle.agent() as services:
            await services.apply([service(change=Change(how))])
            await until(services, lambda: status(services).is_ready)
            await services.apply([service(version="2", change=Change(how))])
            took_s = await until(
                services,
                lambda: status(services).bad and status(services).is_ready,
            )

            assert took_s < 5 + 1
            assert vehicle.versions() == ["one 1"]
            assert services.why("one")["bad"][0]["why"] == "it was not ready within 5 s"

    run(main())
