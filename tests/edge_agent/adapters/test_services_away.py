"""A runtime that is not there when the agent starts, or goes away meanwhile, loses nothing of its services."""

import asyncio

from edge_agent.services.runtime import Exit
from fairway.services.model import Restart
from tests.edge_agent.adapters.services_rig import Vehicle, instance_id, service, status, until
from tests.virtual_time import run


def test_what_runs_at_a_runtime_that_comes_later_than_the_agent_is_taken_over():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
        vehicle.runtime.is_away = True
        async with vehicle.agent() as services:
            await asyncio.sleep(600)
            away = status(services)
            await services.apply([service("two")])
            assert status(services, "two").why == "the runtime is away"
            vehicle.runtime.is_away = False
            await until(services, lambda: status(services).is_ready, within_s=31)
            await until(services, lambda: status(services, "two").is_ready)

        assert (str(away), away.why) == ("NotScheduled", "the runtime is away")
        assert vehicle.runtime.stopped == []
        assert [id_.split(".")[0] for id_ in vehicle.runtime.started] == ["one", "two"]

    run(main())


def test_what_ended_while_the_runtime_did_not_answer_is_noticed_when_it_does():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service(restart=Restart.NEVER)])
            await until(services, lambda: status(services).is_ready)
            vehicle.runtime.is_away = True
            vehicle.runtime.end(instance_id(service(restart=Restart.NEVER)), Exit(3))
            await asyncio.sleep(10)
            meanwhile = str(status(services))
            vehicle.runtime.is_away = False
            await until(services, lambda: str(status(services)).startswith("Failed"), within_s=3)

        assert meanwhile == "Running(Ok)"

    run(main())
