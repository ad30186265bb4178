"""The supervisor has what is wanted run, restarts what ends, and says how everything stands."""

import asyncio

import pytest

from edge_agent.services.runtime import Exit
from fairway.services.model import (
    Change,
    Check,
    Command,
    Condition,
    Health,
    How,
    OnLoss,
    Restart,
)
from tests.edge_agent.adapters.services_rig import (
    READY,
    Script,
    Vehicle,
    instance_id,
    service,
    status,
    told,
    until,
)
from tests.virtual_time import run

PLAIN = Health()


def active_in(vehicle: Vehicle) -> dict[str, str]:
    return {name: one.id for name, one in vehicle.doors.active.items()}


def test_a_declared_service_runs_and_is_ready():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready, within_s=1)

            assert told(status(services)) == "one 1 Running(Ok)"
            assert vehicle.versions() == ["one 1"]
            assert active_in(vehicle) == {"one": instance_id(service())}

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


def test_what_ended_while_there_was_no_agent_is_started_again_or_counts_as_done():
    async def main():
        vehicle = Vehicle()
        job = service("job", restart=Restart.NEVER, health=PLAIN)
        async with vehicle.agent() as services:
            await services.apply([service(), job])
            await until(services, lambda: len(vehicle.versions()) == 2)
        vehicle.runtime.end(instance_id(service()), Exit(1))
        vehicle.runtime.end(instance_id(job), Exit(0))
        async with vehicle.agent() as services:
            await until(services, lambda: status(services).is_ready)
            await asyncio.sleep(60)

            assert told(status(services, "job")) == "job 1 Succeeded(Ok)"
            assert vehicle.versions() == ["one 1"]

    run(main())


def test_an_instance_that_nobody_knows_is_removed_by_the_next_agent():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
        vehicle.kept.records.clear()
        async with vehicle.agent() as services:
            await asyncio.sleep(1)

            assert vehicle.versions() == []
            assert services.statuses() == []

    run(main())


def test_a_new_version_takes_the_place_of_the_old():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            await services.apply([service(version="2")])
            await until(services, lambda: status(services).version == "2")
            await until(services, lambda: status(services).is_ready)

            assert vehicle.versions() == ["one 2"]
            assert status(services).last_good == "1"
            assert services.numbers().changes == 2

    run(main())


def test_beside_means_that_the_old_version_serves_until_the_new_one_is_ready():
    async def main():
        vehicle = Vehicle()
        beside = Change(How.BESIDE)
        vehicle.prober.answers["one 2"] = "not yet"
        async with vehicle.agent() as services:
            await services.apply([service(change=beside)])
            await until(services, lambda: status(services).is_ready)
            await services.apply([service(version="2", change=beside)])
            await until(services, lambda: len(vehicle.versions()) == 2)
            assert active_in(vehicle)["one"] == instance_id(service(change=beside))
            assert "version 2 proves itself beside it" in status(services).why
            vehicle.prober.answers.clear()
            await until(services, lambda: vehicle.versions() == ["one 2"])

            assert active_in(vehicle)["one"] == instance_id(service(version="2", change=beside))

    run(main())


@pytest.mark.parametrize("how", list(How))
def test_a_version_that_is_not_ready_in_time_is_replaced_by_the_old_one_within_a_second(how: How):
    async def main():
        vehicle = Vehicle({"one 2": Script(ignores_signals=True)})
        vehicle.prober.answers["one 2"] = "it is not"
        async with vehicle.agent() as services:
            await services.apply([service(change=Change(how))])
            await until(services, lambda: status(services).is_ready)
            await services.apply([service(version="2", change=Change(how))])
            took_s = await until(
                services, lambda: status(services).bad and status(services).is_ready
            )

            assert took_s < 5 + 1
            await until(services, lambda: vehicle.versions() == ["one 1"], within_s=1)
            assert services.why("one")["bad"][0]["why"] == "it was not ready within 5 s"
            assert services.numbers().roll_backs == 1

    run(main())


def test_a_version_that_failed_is_tried_again_only_when_asked():
    async def main():
        vehicle = Vehicle({"one 2": Script(ends_after_s=0.1, exit=Exit(1))})
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            await services.apply([service(version="2")])
            await until(services, lambda: status(services).bad)
            vehicle.runtime.scripts.clear()
            await services.apply([service(version="2")])
            await asyncio.sleep(60)
            assert vehicle.versions() == ["one 1"]
            await services.apply([service(version="2")], retry=True)
            await until(services, lambda: vehicle.versions() == ["one 2"])

            assert status(services).bad == ()

    run(main())


def test_a_version_in_force_that_crashes_on_and_on_gives_way_to_the_one_before():
    async def main():
        vehicle = Vehicle({"one 2": Script(ends_after_s=3.0, exit=Exit(1))})
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            await services.apply([service(version="2")])
            await until(services, lambda: status(services).version == "2")
            await until(services, lambda: vehicle.versions() == ["one 1"])

            assert services.why("one")["bad"][0]["why"] == "it failed 5 times in a row"
            await asyncio.sleep(900)
            assert told(status(services)) == "one 1 Running(Ok)"

    run(main())


def test_a_service_without_a_good_version_goes_on_trying_ever_more_rarely():
    async def main():
        vehicle = Vehicle({"one": Script(ends_after_s=0.01, exit=Exit(3))})
        async with vehicle.agent() as services:
            await services.apply([service(health=PLAIN)])
            await asyncio.sleep(3600)
            soon = len(vehicle.runtime.started)
            await asyncio.sleep(3600)

            assert 20 < soon < 30  # 10 steps up to 5 minutes (here 225 s), then one each
            assert 10 < len(vehicle.runtime.started) - soon <= 17
            assert told(status(services)) == "one 1 Failed(ExecFailed)"
            assert "it ended with 3; it is started again in" in status(services).why

    run(main())


def test_out_of_memory_is_told_from_a_crash():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service(restart=Restart.NEVER)])
            await until(services, lambda: status(services).is_ready)
            await asyncio.sleep(2)
            vehicle.runtime.end(
                instance_id(service(restart=Restart.NEVER)), Exit(None, 9, was_out_of_memory=True)
            )
            await until(services, lambda: not status(services).is_ready)

            assert (
                status(services).why
                == "it needed more memory than its manifest allows and was killed"
            )
            assert services.numbers().services[0].out_of_memory == 1

    run(main())


def test_a_service_whose_liveness_fails_is_started_anew():
    async def main():
        vehicle = Vehicle()
        alive = Check(Command(("alive",)), interval_s=2.0, failures=2)
        one = service(health=Health(liveness=alive, readiness=READY))
        async with vehicle.agent() as services:
            await services.apply([one])
            await until(services, lambda: status(services).is_ready)
            vehicle.prober.answers["one"] = "it hangs"
            await until(services, lambda: services.why("one")["failures"])
            assert "its liveness failed: it hangs" in status(services).why
            vehicle.prober.answers.clear()
            await until(services, lambda: status(services).is_ready)

            assert vehicle.runtime.started == [instance_id(one)] * 2
            assert status(services).restarts == 1

    run(main())


def test_who_is_not_ready_any_more_is_not_called():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: vehicle.doors.active)
            vehicle.prober.answers["one"] = "busy"
            await until(services, lambda: not vehicle.doors.active)

            assert told(status(services)) == "one 1 Running(Ok)"
            assert status(services).why == "it runs and is not ready yet"

    run(main())


def test_one_starts_when_what_it_waits_for_is_there_and_stops_before_it():
    async def main():
        vehicle = Vehicle()
        vehicle.prober.answers["battery"] = "not yet"
        dash = service("dash", depends_on=(("battery", Condition.HEALTHY),))
        async with vehicle.agent() as services:
            await services.apply([dash, service("battery")])
            await asyncio.sleep(30)
            assert vehicle.versions() == ["battery 1"]
            assert told(status(services, "dash")) == "dash 1 Pending(WaitingToStart)"
            assert status(services, "dash").why == "it waits until battery is healthy"
            vehicle.prober.answers.clear()
            await until(services, lambda: status(services, "dash").is_ready)
            await services.apply([], replace=True)
            await until(services, lambda: not services.statuses())

            assert [id_.split(".")[0] for id_, _ in vehicle.runtime.stopped] == ["dash", "battery"]
            assert vehicle.doors.opened == {}

    run(main())


def test_a_person_stops_and_starts_a_service_and_that_outlives_the_agent():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            await services.stop("one")
            await until(services, lambda: not vehicle.versions())
        async with vehicle.agent() as services:
            await asyncio.sleep(30)
            assert told(status(services)) == "one 1 NotScheduled"
            assert status(services).why == "it was stopped by hand"
            await services.start("one")
            await until(services, lambda: status(services).is_ready)

    run(main())


def test_restart_is_a_stop_and_a_start():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            await services.restart("one")
            await until(services, lambda: len(vehicle.runtime.started) == 2)
            await until(services, lambda: status(services).is_ready, within_s=1)

    run(main())


def test_without_a_cloud_each_does_as_its_policy_says_but_not_in_a_tunnel():
    async def main():
        vehicle = Vehicle()
        keeps = service("keeps")
        stops = service("stops", on_loss=OnLoss.STOP)
        falls = service("falls", on_loss=OnLoss.FALL_BACK, fall_back="simple")
        simple = service("simple", is_active=False)
        async with vehicle.agent() as services:
            await services.apply([keeps, stops, falls, simple])
            await until(services, lambda: vehicle.versions() == ["falls 1", "keeps 1", "stops 1"])
            vehicle.is_connected = False
            await asyncio.sleep(8)
            assert vehicle.versions() == ["falls 1", "keeps 1", "stops 1"]
            await until(services, lambda: vehicle.versions() == ["keeps 1", "simple 1"], within_s=5)
            assert (
                status(services, "falls").why
                == "the vehicle has no cloud, and simple runs in its place"
            )
            vehicle.is_connected = True
            await asyncio.sleep(8)
            assert vehicle.versions() == ["keeps 1", "simple 1"]
            await until(
                services,
                lambda: vehicle.versions() == ["falls 1", "keeps 1", "stops 1"],
                within_s=5,
            )

    run(main())


def test_doors_are_told_at_once_when_a_program_runs_that_may_have_a_port():
    async def main():
        vehicle = Vehicle({"one": Script(ends_after_s=5.0, exit=Exit(3))})
        id_ = instance_id(service())
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: vehicle.versions() == ["one 1"])
            assert vehicle.doors.starts == [id_]
            await until(services, lambda: len(vehicle.runtime.started) == 2)
            await until(services, lambda: vehicle.doors.starts == [id_, id_], within_s=0.1)
        async with vehicle.agent() as services:
            await until(services, lambda: vehicle.doors.starts[2:3] == [id_], within_s=1)

    run(main())
