"""The power may go at any moment, and again on the way: a vehicle ends wholly old or wholly new, by itself.

A moment is everything that is done to something that lasts: a record, a change of a disk, a message to an ECU,
an order to the supervisor, a write of the bootloader.  The matrix is WAYS times all moments times what a disk
keeps of what was not synced; its size is printed (pytest -rP).
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.updates.ports import Health, Verdict
from fairway.update import Stage
from tests.dropping_files import Keeps
from tests.edge_agent.updates.releases import SERIALS, bytes_of, plan_of, sha256
from tests.edge_agent.updates.vehicle_rig import Vehicle, run, vehicle_with


@dataclass(frozen=True)
class Way:
    """One way that an update may go."""

    name: str
    end: Stage
    sick: str = ""  # what is wrong with the new version


WAYS = (
    Way("it goes well", Stage.COMMITTED),
    Way("the new system does not start", Stage.ROLLED_BACK, "gateway"),
    Way("the new service is ill", Stage.ROLLED_BACK, "apps"),
    Way("the vehicle is not well afterwards", Stage.ROLLED_BACK, "all"),
    Way("an ECU with two banks does not keep what it is given", Stage.FAILED, "body"),
    Way("an ECU with one bank does not keep what it is given", Stage.ROLLED_BACK, "brake"),
)
DISKS = (Keeps.NOTHING, Keeps.ALL, Keeps.SOME)
# Of all pairs of moments every so many-th is tried: a pair costs two runs.
PAIRS_STRIDE = 211

ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name.replace(" ", "-"))


def sick(vehicle: Vehicle, what: str) -> Vehicle:
    if what == "gateway":
        vehicle.unbootable.add(sha256(bytes_of("gateway", 2)))
    elif what == "apps":
        vehicle.supervisor.bad.add("2.0.0")
    elif what == "all":
        vehicle.checks.verdict = Verdict(Health.ILL, "no signal comes")
    elif what in vehicle.flashes:
        vehicle.flashes[what].refused = sha256(bytes_of(what, 2))
    return vehicle


def moments(old: Vehicle, way: Way, folder: Path) -> list[str]:
    """Return everything that is done on a way, if nothing cuts it."""
    vehicle = sick(old.copied(folder), way.sick)
    vehicle.heard = []
    run(vehicle.install(plan_of(2)))
    assert vehicle.end is way.end
    return vehicle.heard


def check(vehicle: Vehicle, where: str) -> None:
    """The law: wholly old or wholly new, as the vehicle itself says, and nothing is left of the order."""
    versions, end = vehicle.versions(), vehicle.end
    assert len(set(versions.values())) == 1, (where, versions)
    assert versions["gateway"] == (2 if end is Stage.COMMITTED else 1), (where, end, versions)
    kept = vehicle.memory.read()
    assert kept.order is None, where
    assert [one.action for one in kept.done] == ["to-1", "to-2"], where
    sequences = [one.sequence for one in kept.events]
    assert sequences == sorted(set(sequences)), where
    assert kept.events[-1].stage is end, where
    left = [name for name in vehicle.files.tree(Path("/disk")) if name.endswith(".order")]
    assert left == [], where


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Vehicle:
    return vehicle_with(1, tmp_path_factory.mktemp("images"))


@ways
def test_a_cut_at_any_moment_ends_wholly_old_or_wholly_new(old: Vehicle, way: Way, tmp_path: Path):
    said = moments(old, way, tmp_path)
    runs = 0
    for keeps in DISKS:
        for moment, label in enumerate(said):
            vehicle = sick(old.copied(tmp_path), way.sick)
            assert run(vehicle.install(plan_of(2), keeps, [moment], seed=moment)) == 1
            check(vehicle, f"{way.name}: cut at {moment} ({label}), the disk keeps {keeps}")
            # What began when nothing was wrong goes well; what is ill is never committed.
            assert (vehicle.end is Stage.COMMITTED) == (way.end is Stage.COMMITTED), label
            runs += 1
    print(f"{way.name}: {len(said)} moments x {len(DISKS)} disks = {runs} runs")
    assert runs > 150


@ways
def test_a_second_cut_while_it_goes_on_or_back_changes_nothing(
    old: Vehicle, way: Way, tmp_path: Path
):
    count = len(moments(old, way, tmp_path))
    runs = 0
    for number in range(0, count * count, PAIRS_STRIDE):
        first, second = divmod(number, count)
        keeps = DISKS[number % len(DISKS)]
        vehicle = sick(old.copied(tmp_path), way.sick)
        run(vehicle.install(plan_of(2), keeps, [first, second], seed=number))
        check(vehicle, f"{way.name}: cuts at {first} and {second}, the disk keeps {keeps}")
        runs += 1
    print(f"{way.name}: {count} x {count} pairs of moments, {runs} of them run")
    assert runs > 15


@ways
def test_a_vehicle_whose_power_fails_again_and_again_ends_too(
    old: Vehicle, way: Way, tmp_path: Path
):
    for seed in range(6):
        vehicle = sick(old.copied(tmp_path), way.sick)
        run(vehicle.install(plan_of(2), Keeps.SOME, [7 + seed] * 12, seed=seed))
        check(vehicle, f"{way.name}: twelve cuts, each after {7 + seed} moments")


def test_the_matrix_has_each_ecu_and_both_ends():
    assert {way.sick for way in WAYS} >= {"gateway", "apps", "body", "brake"}
    assert {way.end for way in WAYS} == {Stage.COMMITTED, Stage.ROLLED_BACK, Stage.FAILED}
    assert len(SERIALS) == 5
