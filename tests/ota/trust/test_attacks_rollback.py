"""Metadata rollback, image rollback, fast-forward, mix-and-match: what was seen once is not undone."""

import pytest

from ota.trust.model import Attack, Plan
from tests.ota.repository_simulator import RepositorySimulator, World
from tests.ota.trust.verdicts import attack, images

REPOSITORIES = ["director", "images"]


@pytest.fixture(params=REPOSITORIES)
def attacked(request: pytest.FixtureRequest, world: World) -> RepositorySimulator:
    """Each of the two repositories, after the vehicle has seen both."""
    world.publish()
    world.look()
    repository: RepositorySimulator = getattr(world, request.param)
    return repository


def test_timestamp_rollback(world: World, attacked: RepositorySimulator):
    attacked.timestamp.version -= 2
    attacked.publish_timestamp()

    assert attack(world.look()) is Attack.METADATA_ROLLBACK


def test_snapshot_rollback(world: World, attacked: RepositorySimulator):
    attacked.snapshot.version -= 2
    attacked.publish(skip=["targets"])

    assert attack(world.look()) is Attack.METADATA_ROLLBACK


def test_targets_rollback(world: World, attacked: RepositorySimulator):
    attacked.targets.version -= 2
    attacked.publish()

    assert attack(world.look()) is Attack.METADATA_ROLLBACK


def test_rollback_of_a_snapshot_behind_an_unchanged_timestamp(
    world: World, attacked: RepositorySimulator
):
    """The timestamp is newer, its snapshot version the same, its content another."""
    before = attacked.snapshot.version
    attacked.snapshot.version -= 1
    attacked.targets.version -= 2
    attacked.publish()
    assert attacked.snapshot.version == before

    assert attack(world.look()) is Attack.METADATA_ROLLBACK


def test_removal_of_a_role_from_the_snapshot(world: World):
    world.images.delegate("targets", "supplier", ["s/*"])
    world.publish()
    world.look()
    del world.images.roles["supplier"]
    world.images.targets.delegations = None
    del world.images.snapshot.meta["supplier.json"]
    world.publish()

    assert attack(world.look()) is Attack.METADATA_ROLLBACK


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_fast_forward_recovery(world: World, attacked: RepositorySimulator, role: str):
    """An attacker drove versions up; new keys and lower versions are taken all the same."""
    signed = {
        "timestamp": attacked.timestamp,
        "snapshot": attacked.snapshot,
        "targets": attacked.targets,
    }
    signed[role].version = 1 << 40
    world.publish()
    world.look()

    attacked.rotate("timestamp")
    attacked.rotate("snapshot")
    signed[role].version = 3
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}


def test_fast_forward_alone_is_no_recovery(world: World, attacked: RepositorySimulator):
    """Without new keys a lower version stays a rollback."""
    attacked.timestamp.version = 1 << 40
    world.publish()
    world.look()
    attacked.timestamp.version = 3
    world.publish()

    assert attack(world.look()) is Attack.METADATA_ROLLBACK


def test_replay_of_the_version_that_is_known_changes_nothing(
    world: World, attacked: RepositorySimulator
):
    """A timestamp of the same version and other content is dropped."""
    kept = dict(world.kept.roles)
    attacked.timestamp.version -= 1
    attacked.snapshot.version += 40
    attacked.publish_timestamp()

    assert images(world.look()) == {"br-1": "brake/2.bin"}
    assert world.kept.roles == kept


def test_mix_and_match_of_an_old_targets_file(world: World, attacked: RepositorySimulator):
    old = attacked.files[f"{attacked.targets.version}.targets.json"]
    world.publish()
    attacked.put("targets", old)

    assert attack(world.look()) is Attack.MIX_AND_MATCH


def test_mix_and_match_without_hashes_is_seen_by_the_version(
    world: World, attacked: RepositorySimulator
):
    attacked.with_hashes = False
    old = attacked.files[f"{attacked.targets.version}.targets.json"]
    world.publish()
    attacked.put("targets", old)

    assert attack(world.look()) is Attack.MIX_AND_MATCH


def test_mix_and_match_of_another_snapshot_than_the_timestamp_names(
    world: World, attacked: RepositorySimulator
):
    old = attacked.files[f"{attacked.snapshot.version}.snapshot.json"]
    world.publish()
    attacked.put("snapshot", old)

    assert attack(world.look()) is Attack.MIX_AND_MATCH


def test_mix_and_match_with_a_role_that_the_snapshot_does_not_list(world: World):
    world.images.delegate("targets", "supplier", ["brake/*"], terminating=True)
    listed = world.images.targets.targets.pop("brake/2.bin")
    world.images.roles["supplier"].targets["brake/2.bin"] = listed
    world.images.publish()
    del world.images.snapshot.meta["supplier.json"]
    world.images.snapshot.version += 1
    world.images.put("snapshot", world.images.sign(world.images.snapshot, "snapshot"))
    world.images.publish_timestamp()

    assert attack(world.look()) is Attack.MIX_AND_MATCH


def test_image_rollback(world: World):
    world.hold("br-1", "brake-fw", 3)

    verdict = world.look()

    assert attack(verdict) is Attack.IMAGE_ROLLBACK
    assert "release counter 2 is lower than 3, which ECU br-1 has" in str(verdict)


def test_image_rollback_under_another_name(world: World):
    """The counter is the ECU's: calling an old image otherwise does not help."""
    world.hold("br-1", "brake-fw-special", 3)

    assert attack(world.look()) is Attack.IMAGE_ROLLBACK


def test_image_rollback_by_a_director_that_lies_about_the_counter(world: World):
    world.hold("br-1", "brake-fw", 3)
    world.order("br-1", "brake/2.bin", release_counter=4)
    world.publish()

    assert attack(world.look()) is Attack.IMAGE_ROLLBACK


def test_the_same_image_again_is_no_rollback(world: World):
    world.hold("br-1", "brake-fw", 2)

    assert images(world.look()) == {"br-1": "brake/2.bin"}


def exception(**changes: object) -> dict[str, object]:
    said = {"vehicles": ["CAR1"], "name": "brake-fw", "to_counter": 1}
    return {"downgrade": said | changes}


def downgraded(world: World, statement: object, *, ordered: bool = True) -> None:
    world.hold("br-1", "brake-fw", 2)
    world.orders_nothing()
    world.order("br-1", "brake/1.bin", downgrade=ordered)
    world.images.targets.unrecognized_fields["custom"] = statement
    world.publish()


def test_a_downgrade_that_both_repositories_sign_is_a_plan(world: World):
    downgraded(world, exception())

    verdict = world.look()

    assert isinstance(verdict, Plan)
    assert [(one.image.release_counter, one.is_downgrade) for one in verdict.assigned] == [
        (1, True)
    ]


def test_a_downgrade_is_in_a_list_of_exceptions(world: World):
    downgraded(world, {"downgrade": [exception(name="x")["downgrade"], exception()["downgrade"]]})

    assert images(world.look()) == {"br-1": "brake/1.bin"}


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"downgrade": True},
        {"downgrade": ["CAR1"]},
        exception(vehicles=["CAR2"]),
        exception(vehicles="CAR1"),
        exception(name="gateway-os"),
        exception(to_counter=0),
        exception(to_counter=True),
    ],
)
def test_image_rollback_by_the_director_alone(world: World, statement: object):
    """Stolen Director keys: "downgrade" is signed, and no role of the Image repository allows it."""
    downgraded(world, statement)

    assert attack(world.look()) is Attack.IMAGE_ROLLBACK


def test_image_rollback_by_an_exception_that_the_director_did_not_order(world: World):
    downgraded(world, exception(), ordered=False)

    assert attack(world.look()) is Attack.IMAGE_ROLLBACK
