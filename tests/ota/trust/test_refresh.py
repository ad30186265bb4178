"""A look at both repositories when nobody attacks."""

import pytest

from fairway.errors import Unavailable
from ota.manifest import Install
from ota.trust.kept import committed
from ota.trust.model import Plan, Repository, UpToDate, Wanted
from ota.trust.refresh import Refresh
from tests.ota.repository_simulator import NOW_NS, World, driven
from tests.ota.trust.verdicts import images


def test_both_repositories_agree_and_a_plan_comes_of_it(world: World):
    verdict = world.look()

    assert images(verdict) == {"br-1": "brake/2.bin"}
    assert isinstance(verdict, Plan)
    assert verdict.action == "roll-1"
    assert verdict.director_version == 2


def test_a_director_that_lists_nothing_leaves_a_vehicle_as_it_is(world: World):
    world.orders_nothing()
    world.publish()

    assert world.look() == UpToDate("roll-1", 3)


def test_a_second_look_asks_for_what_may_have_changed_only(world: World):
    world.look()
    world.director.asked.clear()
    world.images.asked.clear()

    world.look()

    assert world.director.asked == ["2.root.json", "timestamp.json"]
    assert world.images.asked == ["2.root.json", "timestamp.json"]


def test_what_is_kept_are_the_bytes_that_came(world: World):
    world.look()

    for (repository, role), content in world.kept.roles.items():
        simulator = world.director if repository is Repository.DIRECTOR else world.images
        assert content == simulator.files[f"{role}.json"]
    assert len(world.kept.roles) == 8


def test_images_are_in_the_order_of_their_installation(world: World):
    world.release("gw/2", "gateway-os", 2, hardware="gateway", install=Install(order=-1))
    world.order("gw-1", "gw/2")
    world.publish()

    assert list(images(world.look())) == ["gw-1", "br-1"]


def test_a_year_parked_is_caught_up_over_200_roots(world: World):
    for _ in range(200):
        world.director.rotate("root")
        world.director.publish_root()
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}
    assert world.director.asked.count("201.root.json") == 1


def test_what_was_verified_stays_when_the_line_breaks(world: World):
    for _ in range(3):
        world.director.rotate("root")
        world.director.publish_root()
    world.publish()

    def breaks(wanted: Wanted, content: bytes | None) -> bytes | None:
        if wanted.name == "timestamp.json":
            raise Unavailable("no network")
        return content

    world.on_wanted = breaks
    refresh = Refresh(world.kept, world.vehicle, NOW_NS)
    with pytest.raises(Unavailable):
        driven(refresh.steps(), world.file)

    kept = refresh.kept.roles[Repository.DIRECTOR, "root"]
    assert kept == world.director.files["4.root.json"]


def test_more_roots_than_256_take_several_looks():
    world = World()
    for _ in range(300):
        world.director.rotate("root")
        world.director.publish_root()
    world.publish()
    world.look()

    assert world.kept.roles[Repository.DIRECTOR, "root"] == world.director.files["257.root.json"]
    world.look()
    assert world.kept.roles[Repository.DIRECTOR, "root"] == world.director.files["301.root.json"]


def test_a_commit_raises_the_release_counter_and_an_offer_does_not(world: World):
    verdict = world.look()
    assert isinstance(verdict, Plan)
    assert world.kept.held["br-1"].release_counter == 1

    assert committed(world.kept, verdict.assigned).held["br-1"].release_counter == 2


def test_a_role_that_the_snapshot_does_not_list_any_more_is_forgotten(world: World):
    world.images.delegate("targets", "supplier", ["s/*"])
    world.release("s/1", "s", 1, hardware="gateway", role="supplier")
    world.order("gw-1", "s/1")
    world.publish()
    world.look()
    assert (Repository.IMAGE, "supplier") in world.kept.roles

    world.images.rotate("snapshot")  # a role may only be dropped with a new key: see fast-forward
    del world.images.roles["supplier"]
    del world.images.snapshot.meta["supplier.json"]
    assert world.images.targets.delegations is not None
    world.images.targets.delegations = None
    del world.director.targets.targets["s/1"]
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}
    assert (Repository.IMAGE, "supplier") not in world.kept.roles


def test_repositories_without_consistent_snapshots_are_read_under_plain_names(world: World):
    for repository in (world.director, world.images):
        repository.root.consistent_snapshot = False
        repository.changed_roots = True
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}
    assert "targets.json" in world.images.asked
