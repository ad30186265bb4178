"""What the supervisor of services is told: what it refuses, keeps, forgets, and says when asked."""

import asyncio
from typing import Any

import pytest

from edge_agent.adapters.services import Services
from edge_agent.services.records import Source, record_name
from edge_agent.services.runtime import Executed
from fairway.errors import BadInput, Conflict, Denied, Unavailable
from fairway.services.model import (
    MIB,
    Change,
    Condition,
    Data,
    Health,
    How,
    Network,
    Resources,
)
from fairway.services.needs import Room
from tests.edge_agent.adapters.services_rig import (
    Script,
    Vehicle,
    instance_id,
    service,
    status,
    until,
)
from tests.virtual_time import run

PLAIN = Health()


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


def test_what_a_service_printed_goes_when_it_is_taken_back_and_not_before():
    async def main():
        vehicle = Vehicle()
        one, two = service(), service("two")
        async with vehicle.agent() as services:
            await services.apply([one, two])
            await until(services, lambda: status(services).is_ready)
            vehicle.logs.said = {instance_id(one): ["hello"], instance_id(two): ["hello"]}
            await services.stop("one")
            await until(services, lambda: vehicle.versions() == ["two 1"])
            assert services.logs("one", 10) == ["hello"]
            await services.remove("one")
            await until(services, lambda: len(services.statuses()) == 1)

            assert vehicle.logs.said == {instance_id(two): ["hello"]}

    run(main())


def test_what_a_service_printed_goes_also_when_the_agent_died_before_it_went():
    async def main():
        vehicle = Vehicle()
        vehicle.logs.said = {"gone.0123456789ab": ["hello"]}
        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)

        assert vehicle.logs.said == {}

    run(main())


def test_what_a_service_was_denied_is_explained_and_counted_by_kind():
    async def main():
        vehicle = Vehicle()
        for what in ("Vehicle.Speed", "Vehicle.Speed", "Vehicle.VIN"):
            vehicle.denials.note("one", "read", what, "it may not", now_ns=7)
        vehicle.denials.note("one", "call", "battery.health", "it may not", now_ns=8)
        async with vehicle.agent() as services:
            await services.apply([service(), service("two")])
            counted = {one.name: one.denied for one in services.numbers().services}
            (newest, *_) = services.why("one")["denied"]

        assert counted == {"one": {"read": 3, "call": 1}, "two": {}}
        assert (newest["action"], newest["what"], newest["count"]) == ("call", "battery.health", 1)

    run(main())


def test_what_is_taken_back_durably_goes_although_its_record_cannot_be_removed():
    async def main():
        vehicle = Vehicle()
        keep = vehicle.kept.keep

        def full(name: str, record: bytes) -> None:
            if name == record_name("one") and not record:
                raise Unavailable("the disk is full")
            keep(name, record)

        async with vehicle.agent() as services:
            await services.apply([service()])
            await until(services, lambda: status(services).is_ready)
            vehicle.kept.keep = full  # type: ignore[method-assign]
            await services.remove("one")
            await until(services, lambda: not services.statuses())

        assert vehicle.versions() == []

    run(main())


def test_data_over_its_limit_is_a_warning_for_as_long_as_it_is():
    async def main():
        vehicle = Vehicle()
        one = service(data=(Data("/data", 1 << 20),), health=Health())
        async with vehicle.agent() as services:
            await services.apply([one])
            await until(services, lambda: status(services).is_ready)
            before = status(services).warnings
            vehicle.overfull[instance_id(one)] = "/data has 2097152 bytes of 1048576"
            await until(services, lambda: status(services).warnings != before, within_s=70)
            over = status(services).warnings
            shown = services.why("one")["warnings"]
            vehicle.overfull.clear()
            await until(services, lambda: status(services).warnings == before, within_s=70)

        assert over == (*before, "/data has 2097152 bytes of 1048576")
        assert shown == list(over)

    run(main())


def test_no_room_for_an_image_is_made_by_removing_what_nobody_needs():
    async def main():
        vehicle = Vehicle()
        first, second = service(), service(version="2")
        spare = service(version="3").image
        vehicle.images.has_all = False
        vehicle.images.put(first.image, second.image, spare)
        root, tried = vehicle.images.root, []

        async def full(digest: str):
            tried.append(digest)
            if digest == second.image and spare in vehicle.images.digests:
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
