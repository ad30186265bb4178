"""Freeze, time tampering, drop requests: old metadata is not taken for new, whatever a clock says."""

from datetime import timedelta

import pytest

from ota.trust.model import Attack
from tests.ota.repository_simulator import DAY_NS, NOW, NOW_NS, TOP, RepositorySimulator, World
from tests.ota.trust.verdicts import attack, images

YEAR_NS = 365 * DAY_NS
HOUR_NS = 3600 * 10**9


@pytest.fixture(params=["director", "images"])
def attacked(request: pytest.FixtureRequest, world: World) -> RepositorySimulator:
    """Each of the two repositories."""
    repository: RepositorySimulator = getattr(world, request.param)
    return repository


@pytest.mark.parametrize("role", TOP)
def test_freeze_on_an_expired_role(world: World, attacked: RepositorySimulator, role: str):
    signed = {
        "root": attacked.root,
        "timestamp": attacked.timestamp,
        "snapshot": attacked.snapshot,
        "targets": attacked.targets,
    }
    signed[role].expires = NOW
    attacked.changed_roots = True
    world.publish()

    verdict = world.look()

    assert attack(verdict) is Attack.FREEZE
    assert f"{role}.json: it expired at 2026-11-29T12:00:00Z" in str(verdict)


def test_freeze_on_an_expired_delegated_role(world: World):
    listed = world.images.targets.targets.pop("brake/2.bin")
    supplier = world.images.delegate("targets", "supplier", ["brake/*"])
    supplier.targets["brake/2.bin"] = listed
    supplier.expires = NOW - timedelta(seconds=1)
    world.publish()

    assert attack(world.look()) is Attack.FREEZE


def test_freeze_by_a_repository_that_never_changes_again(world: World):
    """What was valid yesterday is served for ever."""
    assert images(world.look()) == {"br-1": "brake/2.bin"}

    assert attack(world.look(NOW_NS + 2 * DAY_NS)) is Attack.FREEZE


def test_freeze_by_a_clock_that_was_set_back(world: World):
    world.look()
    world.publish()
    world.director.timestamp.expires = NOW - timedelta(seconds=1)  # was valid yesterday
    world.publish()

    assert attack(world.look(NOW_NS - YEAR_NS)) is Attack.FREEZE


@pytest.mark.parametrize("now_ns", [None, 0, 90 * 10**9, 30 * YEAR_NS])
def test_time_of_a_clock_that_nobody_has_set_installs_nothing(world: World, now_ns: int | None):
    """In 1970 or 2000 all metadata would be valid for ever, and no time was kept yet."""
    assert attack(world.look(now_ns)) is Attack.TIME


def test_time_that_the_director_signs_will_do_without_a_clock(world: World):
    signed_at(world, "2026-11-29T12:00:00Z")

    assert images(world.look(None)) == {"br-1": "brake/2.bin"}
    assert world.kept.time_ns == NOW_NS


def test_time_that_the_director_signs_shows_what_has_expired(world: World):
    """The clock was set back to a day at which an old image role was valid."""
    world.images.targets.expires = NOW - timedelta(days=30)
    signed_at(world, "2026-11-29T12:00:00Z")

    assert attack(world.look(NOW_NS - YEAR_NS)) is Attack.FREEZE


def test_time_message_that_is_dropped_leaves_the_last_trusted_time(world: World):
    signed_at(world, "2026-11-29T12:00:00Z")
    world.look()
    signed_at(world, None)
    world.images.targets.expires = NOW - timedelta(hours=1)
    world.publish()

    assert attack(world.look(None)) is Attack.FREEZE


def test_time_message_that_is_replayed_does_not_turn_time_back(world: World):
    signed_at(world, "2026-11-29T12:00:00Z")
    world.look()
    signed_at(world, "2026-11-01T12:00:00Z")

    assert images(world.look(None)) == {"br-1": "brake/2.bin"}
    assert world.kept.time_ns == NOW_NS


def test_time_of_a_clock_in_1970_is_the_last_trusted_one(world: World):
    world.look()

    assert images(world.look(DAY_NS)) == {"br-1": "brake/2.bin"}
    assert world.kept.time_ns == NOW_NS


def test_time_far_in_the_future_locks_nobody_out(world: World):
    assert attack(world.look(NOW_NS + 50 * YEAR_NS)) is Attack.FREEZE
    assert world.kept.time_ns == 0

    assert images(world.look(NOW_NS)) == {"br-1": "brake/2.bin"}


def test_time_a_little_ahead_locks_nobody_out_once_the_director_signs_anew(world: World):
    """A clock that is ahead by less than a timestamp lives is believed, and no longer than that."""
    world.look(NOW_NS + 20 * HOUR_NS)
    assert world.kept.time_ns < NOW_NS + DAY_NS

    world.director.timestamp.expires = NOW + timedelta(hours=25)
    world.images.timestamp.expires = NOW + timedelta(hours=25)
    world.publish()
    assert images(world.look(NOW_NS + HOUR_NS)) == {"br-1": "brake/2.bin"}


def test_time_in_the_future_that_a_stolen_director_key_signs_is_forgotten(world: World):
    world.director.timestamp.expires = NOW + timedelta(days=365 * 50)
    signed_at(world, "2060-01-01T00:00:00Z")
    assert attack(world.look()) is Attack.FREEZE
    assert world.kept.time_ns == 0

    world.director.rotate("timestamp")  # the theft is noticed
    world.director.timestamp.expires = NOW + timedelta(days=1)
    signed_at(world, "2026-11-29T12:00:00Z")
    assert images(world.look()) == {"br-1": "brake/2.bin"}


@pytest.mark.parametrize("time", [5, "soon", "2026-13-01T00:00:00Z", [1]])
def test_time_that_is_none_is_refused(world: World, time: object):
    signed_at(world, time)

    assert attack(world.look()) is Attack.TIME


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_drop_request(world: World, attacked: RepositorySimulator, role: str):
    """A file that is withheld stops the update and is told as an attack."""
    for name in [name for name in attacked.files if name.endswith(f"{role}.json")]:
        del attacked.files[name]

    assert attack(world.look()) is Attack.DROP_REQUEST


def test_drop_request_for_new_metadata_shows_within_the_life_of_a_timestamp(world: World):
    world.look()

    assert images(world.look(NOW_NS + DAY_NS - 10**9)) == {"br-1": "brake/2.bin"}
    assert attack(world.look(NOW_NS + DAY_NS)) is Attack.FREEZE


def signed_at(world: World, time: object) -> None:
    """Let the Director say when it signed its timestamp."""
    world.director.timestamp.unrecognized_fields.pop("custom", None)
    if time is not None:
        world.director.timestamp.unrecognized_fields["custom"] = {"time": time}
    world.publish()
