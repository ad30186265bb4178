"""The supervisor has what is wanted run, restarts what ends, and says how everything stands."""

import asyncio
from typing import Any

import pytest

from edge_agent.adapters.services import Services
from edge_agent.services.records import Source, record_name
from edge_agent.services.runtime import Executed, Exit
from fairway.errors import BadInput, Conflict, Denied, Unavailable
from fairway.services.model import (
    MIB,
    Change,
    Check,
    Command,
    Condition,
    Health,
    How,
    Network,
    OnLoss,
    Resources,
    Restart,
)
from fairway.services.needs import Room
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
            assert vehicle.doors.active["one"] == instance_id(service(change=beside))
            assert "version 2 proves itself beside it" in status(services).why
            vehicle.prober.answers.clear()
            await until(services, lambda: vehicle.versions() == ["one 2"])

            assert vehicle.doors.active["one"] == instance_id(service(version="2", change=beside))

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
            assert vehicle.doors.opened == set()

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


async def _refused(services: Services, **more: Any) -> str:
    with pytest.raises(BadInput) as refused:
        await services.apply([service(**more)])
    assert services.statuses() == []
    return str(refused.value)


def test_what_the_vehicle_cannot_give_is_refused_with_the_setting_that_would():
    async def main():
        vehicle = Vehicle()
        vehicle.room = Room(memory_max_bytes=100 * MIB, cpu_max=1.0, pids_max=100)
        async with vehicle.agent() as services:
            many = Resources(memory_max_bytes=101 * MIB)
            assert "it may take 101MiB of memory" in await _refused(services, resources=many)
            assert "host_network" in await _refused(services, network=Network.HOST)
            beside = Change(How.BESIDE)
            half = Resources(memory_max_bytes=60 * MIB)
            assert "120MiB for both versions" in await _refused(
                services, resources=half, change=beside
            )
            circle = [
                service("a", depends_on=(("b", Condition.RUNNING),)),
                service("b", depends_on=(("a", Condition.RUNNING),)),
            ]
            with pytest.raises(BadInput, match="in a circle: a -> b -> a"):
                await services.apply(circle)

    run(main())


def test_nobody_replaces_what_a_higher_source_declared():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()], source=Source.CLOUD, revision="7")
            with pytest.raises(Conflict, match="one is declared by the cloud"):
                await services.apply([service(version="2")])
            await services.apply([service("mine")])
            await services.apply([], source=Source.CLOUD, replace=True, revision="8")
            await until(services, lambda: vehicle.versions() == ["mine 1"])

            assert services.revision == "8"

    run(main())


def test_a_disk_that_takes_nothing_changes_nothing():
    async def main():
        vehicle = Vehicle()
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            keep = vehicle.kept.keep
            broken = True

            def full(name: str, record: bytes) -> None:
                if broken and name != "wanted":
                    raise Unavailable("the disk is full")
                keep(name, record)

            vehicle.kept.keep = full  # type: ignore[method-assign]
            await services.apply([service(version="2")])
            await asyncio.sleep(30)
            assert vehicle.versions() == ["one 1"]
            assert status(services).why == "the disk is full"
            assert services.numbers().disk_failing
            broken = False
            await until(services, lambda: vehicle.versions() == ["one 2"], within_s=10)

            assert not services.numbers().disk_failing

    run(main())


@pytest.mark.parametrize("name", ["wanted", record_name("one"), "uids"])
def test_a_damaged_record_is_forgotten_and_the_agent_starts(name: str):
    async def main():
        vehicle = Vehicle()
        vehicle.files = (service("file"),)
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
        vehicle.kept.records[name] = b"\x00" * 100
        async with vehicle.agent() as services:
            await until(services, lambda: status(services, "file").is_ready)
            expected = ["file 1"] if name == "wanted" else ["file 1", "one 1"]
            await until(services, lambda: vehicle.versions() == expected)

    run(main())


def test_the_settings_manifests_come_and_go_with_the_settings():
    async def main():
        vehicle = Vehicle()
        vehicle.files = (service("a"), service("b"))
        async with vehicle.agent() as services:
            await until(services, lambda: vehicle.versions() == ["a 1", "b 1"])
        vehicle.files = (service("b", version="2"),)
        async with vehicle.agent() as services:
            await until(services, lambda: vehicle.versions() == ["b 2"])

    run(main())


def test_a_command_inside_is_denied_unless_the_settings_allow_it():
    async def main():
        vehicle = Vehicle({"one": Script(answers=lambda argv: Executed(0, argv[0]))})
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            with pytest.raises(Denied, match="allow_exec is false"):
                await services.execute("one", ["ls"])
        vehicle.allow_exec = True
        async with vehicle.agent() as services:
            assert (await services.execute("one", ["ls"])).output == "ls"

    run(main())


def test_no_room_for_an_image_is_made_by_removing_what_nobody_needs():
    async def main():
        vehicle = Vehicle()
        first, second = service(), service(version="2")
        spare = service(version="3").image
        vehicle.images.digests = {first.image, second.image, spare}
        root, tried = vehicle.images.root, []

        async def full(digest: str):
            tried.append(digest)
            if digest == second.image and spare in (vehicle.images.digests or ()):
                raise Unavailable("there is no room")
            return await root(digest)

        vehicle.images.root = full  # type: ignore[method-assign]
        async with vehicle.agent() as services:
            await services.apply([first])
            await until(services, lambda: status(services).is_ready)
            await services.apply([second])
            await until(services, lambda: vehicle.versions() == ["one 2"])

            assert vehicle.images.digests == {first.image, second.image}
            assert services.images_kept == {first.image, second.image}

    run(main())


def test_logs_are_those_of_the_version_in_force_or_of_one_instance():
    async def main():
        vehicle = Vehicle()
        vehicle.logs.said = {instance_id(service()): ["a", "b"], "one.0123456789ab": ["old"]}
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)

            assert services.logs("one", 1) == ["b"]
            assert services.logs("one.0123456789ab", 9) == ["old"]
            with pytest.raises(BadInput, match="there is no service 'two'; declared are: one"):
                services.logs("two", 1)

    run(main())


def test_a_hundred_services_at_rest_decide_nothing():
    async def main():
        vehicle = Vehicle()
        vehicle.room = Room(memory_max_bytes=1 << 40, cpu_max=1000, pids_max=100_000)
        async with vehicle.agent() as services:
            await services.apply([service(f"s{number}") for number in range(100)])
            await until(services, lambda: all(one.is_ready for one in services.statuses()))
            await asyncio.sleep(60)
            rounds = services.decisions
            await asyncio.sleep(600)

            assert services.decisions - rounds == 0

    run(main())
