"""Disks that fail, and differences that do not apply: nothing is installed that is not what was signed."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.updates import Updates
from edge_agent.updates.order import Kept
from edge_agent.updates.planner import Means
from fairway.clock import NS_PER_S
from fairway.errors import Tampered, Unavailable
from fairway.update import Fault
from ota.manifest import Blob, Form, Image, Source
from tests.dropping_files import Keeps
from tests.edge_agent.updates import vehicle_rig
from tests.edge_agent.updates.releases import SERIALS, assigned, bytes_of, plan_of, sha256
from tests.edge_agent.updates.vehicle_rig import Vehicle, run, vehicle_with


@pytest.fixture
def vehicle(tmp_path: Path) -> Vehicle:
    return vehicle_with(1, tmp_path)


def versions(vehicle: Vehicle) -> set[int | str]:
    return set(vehicle.versions().values())


def last(vehicle: Vehicle):
    return vehicle.memory.read().done[-1]


# disks


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EIO])
def test_a_disk_that_takes_nothing_costs_nothing(vehicle: Vehicle, number: int):
    vehicle.files.fails = OSError(number, "it fails")

    async def carry() -> None:
        agent = vehicle.agent()
        await agent.take(await vehicle.order(plan_of(2, ["maps", "gateway"]), agent))
        while (wait_s := await agent.carry()) is not None:
            vehicle.clock.advance(round(wait_s * NS_PER_S))
            order = agent.kept.order
            if order is not None and order.fault is not None:
                vehicle.files.fails = None  # it is mended: what was begun goes back
        assert agent.kept.done[-1].fault is Fault.STORAGE
        assert agent.kept.bad == ()

    run(carry())
    assert versions(vehicle) == {1}


def test_records_that_cannot_be_written_stop_everything_before_it_is_done(vehicle: Vehicle):
    class Stuck:
        record = vehicle.memory.read()
        tries = 0

        def read(self) -> Kept:
            return self.record

        def keep(self, kept: Kept) -> None:
            self.tries += 1
            raise Unavailable("the disk is read-only")

    vehicle.memory = Stuck()  # type: ignore[assignment]

    async def take() -> None:
        agent = vehicle.agent()
        with pytest.raises(Unavailable, match="read-only"):
            await agent.take(await vehicle.order(plan_of(2), agent))
        assert agent.kept.order is None

    run(take())
    assert versions(vehicle) == {1}


@pytest.mark.parametrize("where", ["slots", "maps/versions", "body"])
def test_a_bit_that_flips_on_the_disk_is_found_when_it_is_read_back(vehicle: Vehicle, where: str):
    vehicle.files.flips_bit_in = where

    run(vehicle.install(plan_of(2)))

    assert last(vehicle).fault is Fault.INSTALL
    assert "does not keep what it is given" in last(vehicle).sentence
    vehicle.files.flips_bit_in = ""
    assert versions(vehicle) == {1}


def test_an_image_that_the_disk_spoils_after_it_was_fetched_is_not_installed(vehicle: Vehicle):
    class Spoilt(vehicle_rig.Content):
        async def fetch(self, blob: Blob, path: Path, *, most_bytes: int | None) -> int:
            taken = await super().fetch(blob, path, most_bytes=most_bytes)
            path.write_bytes(b"x" * taken)
            return taken

    vehicle.content = Spoilt()

    run(vehicle.install(plan_of(2)))

    assert last(vehicle).fault is Fault.STORAGE
    assert versions(vehicle) == {1}
    assert list(vehicle.folder.iterdir()) == []


# differences


def patched(vehicle: Vehicle, means: Means, monkey: list[Source]) -> Updates:
    """Return an agent whose order has a difference that does not apply."""
    agent = vehicle.agent()

    def unpack(image: Image, source: Source, packed: Path, base: Path | None, out: Path) -> None:
        monkey.append(source)
        raise Tampered("a wrong base: something else comes out")

    agent._around = replace(agent._around, unpack=unpack, means=lambda: means)
    agent._actor._around = agent._around
    return agent


async def with_patch(vehicle: Vehicle, agent: Updates) -> None:
    order = await vehicle.order(plan_of(2, ["maps"]), agent)
    blob = Blob(sha256(b"patch"), 5)
    vehicle.content.of[blob.sha256] = b"patch"
    source = Source(Form.ZSTD_PATCH, blob, order.tasks[0].before_sha256)
    await agent.take(replace(order, tasks=(replace(order.tasks[0], source=source),)))
    while (wait_s := await agent.carry()) is not None:
        vehicle.clock.advance(round(wait_s * NS_PER_S))


def test_a_difference_that_does_not_apply_is_fetched_whole(vehicle: Vehicle):
    tried = list[Source]()

    run(with_patch(vehicle, patched(vehicle, Means(), tried)))

    assert [one.form for one in tried] == [Form.ZSTD_PATCH]
    assert vehicle.content.taken[-1] == assigned("maps", 2).image.sha256
    assert vehicle.versions()["maps"] == 2


def test_over_a_metered_link_it_is_not(vehicle: Vehicle):
    before = len(vehicle.content.taken)

    run(with_patch(vehicle, patched(vehicle, Means(is_metered=True), [])))

    assert last(vehicle).fault is Fault.BUDGET
    assert "whole over a metered link is not allowed" in last(vehicle).sentence
    assert len(vehicle.content.taken) == before + 1


def test_release_counters_are_raised_before_the_order_is_forgotten(vehicle: Vehicle):
    raised = list[str]()

    async def carry() -> None:
        agent = vehicle.agent()

        def committed(all_: object) -> None:
            assert agent.kept.order is not None
            raised.extend(one.image.path for one in all_)  # type: ignore[attr-defined]

        agent._around = replace(agent._around, committed=committed)
        await agent.take(await vehicle.order(plan_of(2, ["maps"]), agent))
        while (wait_s := await agent.carry()) is not None:
            vehicle.clock.advance(round(wait_s * NS_PER_S))

    run(carry())
    assert raised == ["maps/2"]


def test_a_cut_in_the_middle_of_everything_leaves_what_was_fetched(vehicle: Vehicle):
    """What is begun goes on: an image that is here is not fetched again."""
    before = len(vehicle.content.taken)
    run(vehicle.install(plan_of(2), Keeps.ALL, [25]))

    assert len(vehicle.content.taken) - before == len(SERIALS)


def test_what_was_taken_over_a_metered_link_counts_for_the_whole_order(vehicle: Vehicle):
    asked = list[int | None]()

    class Counting(vehicle_rig.Content):
        async def fetch(self, blob: Blob, path: Path, *, most_bytes: int | None) -> int:
            asked.append(most_bytes)
            return await super().fetch(blob, path, most_bytes=most_bytes)

    vehicle.content = Counting()

    async def carry() -> None:
        agent = vehicle.agent()
        means = Means(is_metered=True, budget_bytes=100_000)
        agent._around = replace(agent._around, means=lambda: means)
        agent._actor._around = agent._around
        await agent.take(await vehicle.order(plan_of(2, ["maps", "body"]), agent))
        while (wait_s := await agent.carry()) is not None:
            vehicle.clock.advance(round(wait_s * NS_PER_S))

    run(carry())
    assert asked == [100_000, 100_000 - len(bytes_of("body", 2))]
