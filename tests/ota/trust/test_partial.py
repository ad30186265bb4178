"""What an ECU verifies by itself, with the Director's metadata alone."""

import pytest

from ota.trust.kept import Held, Kept
from ota.trust.model import Attack, Ecu, Plan, Refusal, Repository, UpToDate, Wanted
from ota.trust.partial import PartialRefresh
from tests.ota.repository_simulator import DAY_NS, NOW_NS, World, driven, new_key
from tests.ota.trust.verdicts import attack, images

BRAKE = Ecu("br-1", "brake")


def look(world: World, ecu: Ecu = BRAKE, now_ns: int | None = NOW_NS) -> Plan | UpToDate | Refusal:
    refresh = PartialRefresh(world.kept, world.vehicle, ecu, now_ns)

    def director_only(wanted: Wanted) -> bytes | None:
        assert wanted.repository is Repository.DIRECTOR
        return world.file(wanted)

    verdict: Plan | UpToDate | Refusal = driven(refresh.steps(), director_only)
    world.kept = refresh.kept
    return verdict


def test_an_ecu_finds_its_own_image(world: World):
    verdict = look(world)

    assert images(verdict) == {"br-1": "brake/2.bin"}
    assert isinstance(verdict, Plan)
    assert verdict.assigned[0].image.release_counter == 2
    assert world.director.asked == ["2.root.json", "targets.json"]


def test_an_ecu_that_gets_nothing_is_up_to_date(world: World):
    assert look(world, Ecu("gw-1", "gateway")) == UpToDate("roll-1", 2)


def test_image_rollback_is_refused_by_the_ecu_too(world: World):
    """Even when the primary and the Director's keys are stolen."""
    world.kept = Kept(world.kept.roles, {"br-1": Held("brake-fw", 3)})

    assert attack(look(world)) is Attack.IMAGE_ROLLBACK


def test_image_rollback_that_both_repositories_sign_is_refused_by_an_ecu_that_sees_one(
    world: World,
):
    world.kept = Kept(world.kept.roles, {"br-1": Held("brake-fw", 3)})
    world.order("br-1", "brake/2.bin", downgrade=True)
    world.publish()

    assert attack(look(world)) is Attack.IMAGE_ROLLBACK


def test_metadata_rollback_by_the_primary(world: World):
    world.publish()
    look(world)
    world.director.targets.version = 1
    world.publish()

    assert attack(look(world)) is Attack.METADATA_ROLLBACK


def test_arbitrary_software_by_the_primary(world: World):
    world.director.signers["targets"] = {"x": new_key()}
    world.publish()

    assert attack(look(world)) is Attack.ARBITRARY_SOFTWARE


def test_freeze_by_the_primary(world: World):
    assert attack(look(world, now_ns=NOW_NS + 91 * DAY_NS)) is Attack.FREEZE


@pytest.mark.parametrize("now_ns", [None, 0])
def test_time_is_needed_by_an_ecu_too(world: World, now_ns: int | None):
    assert attack(look(world, now_ns=now_ns)) is Attack.TIME


def test_drop_request_by_the_primary(world: World):
    del world.director.files["targets.json"]

    assert attack(look(world)) is Attack.DROP_REQUEST


def test_orders_of_another_vehicle_are_refused_by_an_ecu_too(world: World):
    world.director.targets.unrecognized_fields["custom"] = {"vehicle": "CAR2"}
    world.director.publish()

    assert attack(look(world)) is Attack.WRONG_ECU


def test_new_keys_of_the_director_reach_the_ecu_by_its_root(world: World):
    world.director.targets.version = 70
    world.publish()
    look(world)
    world.director.rotate("targets")
    world.director.targets.version = 3
    world.publish()

    assert images(look(world)) == {"br-1": "brake/2.bin"}
