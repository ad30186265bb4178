"""Delegation confusion: a role speaks for what was delegated to it, as the delegator now in use says."""

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Targets

from ota.trust.model import Attack, Repository
from tests.ota.repository_simulator import World
from tests.ota.trust.verdicts import attack, images


def moved(world: World, role: str, path: str = "brake/2.bin") -> None:
    """Let a delegated role list an image instead of the top-level targets."""
    world.images.roles[role].targets[path] = world.images.targets.targets.pop(path)


def test_a_supplier_lists_what_was_delegated_to_it(world: World):
    world.images.delegate("targets", "supplier", ["brake/*"])
    moved(world, "supplier")
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}
    assert "1.supplier.json" in world.images.asked


def test_delegation_confusion_a_supplier_cannot_list_other_paths(world: World):
    world.images.delegate("targets", "supplier", ["doors/*"])
    moved(world, "supplier")
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE
    assert "1.supplier.json" not in world.images.asked


def test_delegation_confusion_the_director_must_not_delegate(world: World):
    world.director.delegate("targets", "supplier", ["brake/*"])
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_delegation_confusion_a_terminating_role_ends_the_search(world: World):
    world.images.delegate("targets", "first", ["brake/*"], terminating=True)
    world.images.delegate("targets", "second", ["brake/*"])
    moved(world, "second")
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_delegation_order_the_first_role_that_lists_it_counts(world: World):
    for role, counter in (("first", 2), ("second", 3)):
        world.images.delegate("targets", role, ["app/*"])
        world.release("app/x", "app", counter, hardware="gateway", role=role)
    world.order("gw-1", "app/x", release_counter=2)
    world.publish()

    assert images(world.look())["gw-1"] == "app/x"


def diamond(world: World) -> CryptoSigner:
    """Two suppliers delegate to one role of a name, by different keys; return the key of the second."""
    for parent, paths in (("a", ["brake/*"]), ("b", ["gw/*"])):
        world.images.delegate("targets", parent, paths)
        world.images.delegate(parent, "shared", paths)
    world.release("gw/2", "gateway-os", 2, hardware="gateway", role="shared")
    moved(world, "shared")
    world.order("gw-1", "gw/2")
    roles = world.images.roles["b"].delegations
    assert roles is not None
    assert roles.roles is not None
    second = world.images.signers["shared"].pop(roles.roles["shared"].keyids[0])
    world.publish()
    return second


def test_delegation_confusion_a_role_is_verified_against_each_delegator(world: World):
    """Signed for supplier a alone, it does not speak for supplier b, though it was verified a moment ago."""
    diamond(world)

    verdict = world.look()
    assert attack(verdict) is Attack.ARBITRARY_SOFTWARE
    assert "image/shared.json" in str(verdict)


def test_delegation_confusion_a_kept_role_is_verified_against_the_delegator_now_in_use(
    world: World,
):
    second = diamond(world)
    world.images.signers["shared"][second.public_key.keyid] = second
    world.publish()
    assert images(world.look()) == {"br-1": "brake/2.bin", "gw-1": "gw/2"}
    assert (Repository.IMAGE, "shared") in world.kept.roles

    supplier = world.images.roles["b"]
    supplier.revoke_key(second.public_key.keyid, "shared")
    world.images.add_key("shared", parent="b")
    del world.images.signers["shared"][second.public_key.keyid]
    newest = next(reversed(world.images.signers["shared"]))
    del world.images.signers["shared"][newest]
    world.publish()
    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_endless_delegation_in_a_circle_ends(world: World):
    world.images.delegate("targets", "a", ["brake/*"])
    world.images.delegate("a", "b", ["brake/*"])
    world.images.delegate("b", "a", ["brake/*"])
    del world.images.targets.targets["brake/2.bin"]
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


@pytest.mark.parametrize("chain", [True, False])
def test_endless_delegation_ends_after_32_roles(world: World, *, chain: bool):
    parent = "targets"
    for number in range(40):
        world.images.delegate(parent, f"r{number}", ["brake/*"])
        parent = f"r{number}" if chain else "targets"
    del world.images.targets.targets["brake/2.bin"]
    world.publish()

    assert attack(world.look()) is Attack.ENDLESS_DATA
    assert len([name for name in world.images.asked if ".r" in name and "root" not in name]) == 32


@pytest.mark.parametrize("name", ["../root", "/etc/passwd", "a/b", "?", "#", "%2e%2e"])
def test_delegated_role_of_an_odd_name_is_asked_for_safely(world: World, name: str):
    world.images.delegate("targets", name, ["brake/*"])
    moved(world, name)
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}
    assert not [one for one in world.images.asked if "/" in one or "?" in one or "#" in one]


def test_delegated_role_that_is_called_as_a_top_level_role_is_malformed(world: World):
    world.images.delegate("targets", "supplier", ["brake/*"])
    delegations = world.images.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles["supplier"].name = "snapshot"
    world.publish()

    assert attack(world.look()) is Attack.MALFORMED


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_hash_bins_are_searched_one_for_each_image(world: World, bits: int):
    succinct = world.images.bins(bits)
    for path in list(world.images.targets.targets):
        moved(world, succinct.get_role_for_target(path), path)
    world.publish()

    assert images(world.look()) == {"br-1": "brake/2.bin"}
    assert len([name for name in world.images.asked if ".bin-" in name]) == 1


def test_delegation_confusion_a_hash_bin_cannot_list_what_belongs_to_another(world: World):
    succinct = world.images.bins(4)
    right = succinct.get_role_for_target("brake/2.bin")
    wrong = next(name for name in succinct.get_roles() if name != right)
    moved(world, wrong)
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_a_hundred_bins_are_not_fetched_for_one_image(world: World):
    world.images.bins(7)
    assert isinstance(world.images.roles["bin-00"], Targets)
    world.publish()
    world.look()

    assert len(world.images.asked) == 4
