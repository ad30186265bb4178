"""Services as the cloud orders them, over a real supervisor in virtual time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from edge_agent.adapters.kept_files import MemoryKept
from edge_agent.adapters.service_orders import LOGS_MAX_BYTES, ServiceOrders
from edge_agent.adapters.services import Services
from edge_agent.telemetry import inbox
from fairway.control import (
    FORBIDDEN_BY_VEHICLE,
    Answer,
    AnswerState,
    ExecuteInService,
    ExplainService,
    FetchServiceLogs,
    RestartService,
    ServiceDenial,
    ServiceList,
    ServiceOrder,
    ServiceStatus,
    StopService,
    service_sync_id,
)
from fairway.errors import Unavailable
from fairway.services.manifest import service_to_json
from fairway.services.model import Condition, Service
from fairway.services.states import State
from tests.edge_agent.adapters.services_rig import (
    Vehicle,
    digest,
    instance_id,
    replace,
    service,
    until,
)
from tests.virtual_time import run


def listed(revision: int, *services: Service | str) -> ServiceList:
    texts = [one if isinstance(one, str) else service_to_json(one) for one in services]
    return ServiceList(revision, tuple(ServiceOrder(service_sync_id(one), one) for one in texts))


def told(orders: ServiceOrders, name: str = "one") -> ServiceStatus:
    return next(one for one in orders.statuses() if one.name == name)


def ordered(main: Callable[[Vehicle, Services, ServiceOrders], Awaitable[None]]) -> None:
    """Run `main` beside an agent with services."""

    async def around() -> None:
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await main(vehicle, services, ServiceOrders(services, vehicle.kept))

    run(around())


def test_the_last_denials_of_a_service_are_told_with_their_sum():
    async def main(vehicle, services, orders):
        await orders.order(listed(7, service()))
        for number in range(10):
            for _ in range(2):
                what = f"Vehicle.A{number}"
                vehicle.denials.note("one", "read", what, "it may not", now_ns=number)

        status = told(orders)
        assert (len(status.denials), status.denied) == (8, 20)
        assert status.denials[0] == ServiceDenial("read", "Vehicle.A9", 2, 9, "it may not")

    ordered(main)


def test_a_list_of_the_cloud_runs_and_its_revision_is_told():
    async def main(vehicle, services, orders):
        assert orders.revision == 0
        await orders.order(listed(7, service()))
        await until(services, lambda: told(orders).is_ready)

        assert orders.revision == 7
        assert vehicle.versions() == ["one 1"]
        assert told(orders).image == digest("1")
        assert (told(orders).state, told(orders).is_isolated) == (State.RUNNING, False)  # in memory

    ordered(main)


def test_what_the_next_list_does_not_name_is_stopped():
    async def main(vehicle, services, orders):
        await orders.order(listed(1, service(), service("two")))
        await until(services, lambda: len(vehicle.versions()) == 2)
        await orders.order(listed(2, service("two")))
        await until(services, lambda: vehicle.versions() == ["two 1"])

        assert orders.revision == 2

    ordered(main)


def test_a_list_that_cannot_run_here_changes_nothing_and_says_why():
    async def main(vehicle, services, orders):
        await orders.order(listed(1, service()))
        await until(services, lambda: told(orders).is_ready)
        after = service("two", depends_on=(("three", Condition.RUNNING),))
        round_ = service("three", depends_on=(("two", Condition.RUNNING),))
        await orders.order(listed(2, service(), after, round_))

        assert orders.revision == 1
        assert vehicle.versions() == ["one 1"]
        assert told(orders).is_ready
        assert told(orders).why == ""
        assert told(orders, "two").state is State.NOT_SCHEDULED
        assert "list 2 of the cloud is not in force" in told(orders, "two").why

        await orders.order(listed(3, service()))
        assert [one.name for one in orders.statuses()] == ["one"]

    ordered(main)


def test_a_manifest_of_a_later_version_leaves_the_service_before_as_it_is():
    later = json.dumps({"name": "one", "version": "2", "image": digest("2"), "holograms": True})

    async def main(vehicle, services, orders):
        await orders.order(listed(1, service()))
        await until(services, lambda: told(orders).is_ready)
        await orders.order(listed(2, later, service("two")))
        await until(services, lambda: len(vehicle.versions()) == 2)

        assert orders.revision == 2
        assert vehicle.versions() == ["one 1", "two 1"]
        assert "holograms" in told(orders).why

    ordered(main)


def test_after_a_restart_of_the_agent_everything_is_told_as_before():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            orders = ServiceOrders(services, vehicle.kept)
            said = replace(listed(5, service()), artifacts_url="grpcs://files:1")
            await orders.order(said)
            await until(services, lambda: told(orders).is_ready)
        async with vehicle.agent() as services:
            orders = ServiceOrders(services, vehicle.kept)
            await until(services, lambda: told(orders).is_ready)

            assert (orders.revision, orders.artifacts_url) == (5, "grpcs://files:1")
            assert told(orders).image == digest("1")
            assert vehicle.runtime.started == [instance_id(service())]

    run(main())


class FullDisk(MemoryKept):
    """Keeps nothing more once it is full."""

    is_full = False

    def keep(self, name: str, record: bytes) -> None:
        if self.is_full:
            raise Unavailable("the disk is full")
        super().keep(name, record)


def test_a_list_that_cannot_be_kept_is_not_in_force():
    async def main():
        vehicle = Vehicle()
        vehicle.kept = disk = FullDisk()
        async with vehicle.agent() as services:
            orders = ServiceOrders(services, disk)
            await orders.order(listed(1, service()))
            disk.is_full = True
            with pytest.raises(Unavailable):
                await orders.order(listed(2, service("two")))

            assert orders.revision == 1

    run(main())


async def obeyed(orders: ServiceOrders, what: Any) -> Answer:
    return await orders.obey("c1", what)


def test_logs_are_answered_with_the_newest_lines():
    async def main(vehicle, services, orders):
        await orders.order(listed(1, service()))
        vehicle.logs.said[instance_id(service())] = [f"T out line {n}" for n in range(500)]

        answer = await obeyed(orders, FetchServiceLogs("one", 2))
        usual = await obeyed(orders, FetchServiceLogs("one"))

        assert answer.state is AnswerState.SUCCEEDED
        assert json.loads(answer.json) == {"lines": ["T out line 498", "T out line 499"]}
        assert len(json.loads(usual.json)["lines"]) == 200

    ordered(main)


def test_more_logs_than_an_answer_takes_lose_the_oldest():
    async def main(vehicle, services, orders):
        await orders.order(listed(1, service()))
        vehicle.logs.said[instance_id(service())] = [f"{n} " + "x" * 4000 for n in range(1000)]

        lines = json.loads((await obeyed(orders, FetchServiceLogs("one", 1000))).json)["lines"]

        assert lines[-1].startswith("999 ")
        assert 200 < len(lines) < 1000
        assert sum(map(len, lines)) <= LOGS_MAX_BYTES

    ordered(main)


def test_why_and_stop_and_restart_are_done_by_the_supervisor():
    async def main(vehicle, services, orders):
        await orders.order(listed(1, service()))
        await until(services, lambda: told(orders).is_ready)

        why = await obeyed(orders, ExplainService("one"))
        assert json.loads(why.json)
        assert (await obeyed(orders, StopService("one"))).state is AnswerState.SUCCEEDED
        await until(services, lambda: not vehicle.versions())
        assert (await obeyed(orders, RestartService("one"))).state is AnswerState.SUCCEEDED
        await until(services, lambda: vehicle.versions() == ["one 1"])

    ordered(main)


def test_a_restart_starts_what_runs_anew():
    async def main(vehicle, services, orders):
        await orders.order(listed(1, service()))
        await until(services, lambda: told(orders).is_ready)
        await obeyed(orders, RestartService("one"))
        await until(services, lambda: len(vehicle.runtime.started) == 2)
        await until(services, lambda: told(orders).is_ready)

    ordered(main)


@pytest.mark.parametrize(
    "what",
    [FetchServiceLogs("no"), ExplainService("no"), RestartService("no"), StopService("no")],
)
def test_a_service_that_is_not_there_is_said(what):
    async def main(_vehicle, _services, orders):
        answer = await obeyed(orders, what)

        assert (answer.state, answer.reason_code) == (
            AnswerState.FAILED,
            inbox.PRECONDITION_FAILED,
        )
        assert "no service 'no'" in answer.sentence

    ordered(main)


def test_a_command_inside_is_refused_unless_the_settings_allow_it():
    async def main(_vehicle, services, orders):
        await orders.order(listed(1, service()))
        await until(services, lambda: told(orders).is_ready)

        answer = await obeyed(orders, ExecuteInService("one", ("/bin/true",)))

        assert (answer.state, answer.reason_code) == (AnswerState.FAILED, FORBIDDEN_BY_VEHICLE)
        assert "allow_exec is false" in answer.sentence
        assert answer.json == ""

    ordered(main)


def test_a_command_that_is_allowed_runs_inside_and_its_output_is_answered():
    async def main(vehicle, services, orders):
        services._terms = replace(services._terms, allow_exec=True)
        await orders.order(listed(1, service()))
        await until(services, lambda: told(orders).is_ready)

        answer = await obeyed(orders, ExecuteInService("one", ("/bin/true",)))

        assert answer.state is AnswerState.SUCCEEDED
        assert json.loads(answer.json)["code"] == 0

    ordered(main)


def test_a_command_that_does_not_end_is_given_up():
    async def main(_vehicle, services, orders):
        async def execute(name: str, argv: Any) -> Any:
            del name, argv
            await asyncio.sleep(3600)

        await orders.order(listed(1, service()))
        services.execute = execute

        answer = await obeyed(orders, ExecuteInService("one", ("/bin/sleep", "3600"), 2))

        assert answer.state is AnswerState.TIMED_OUT

    ordered(main)
