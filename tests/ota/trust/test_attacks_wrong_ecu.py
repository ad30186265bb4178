"""Wrong software on the wrong ECU, orders of another vehicle, partial bundles, sets that do not go together."""

import pytest

from ota.trust.model import Attack, UpToDate
from tests.ota.repository_simulator import World, requirement
from tests.ota.trust.verdicts import attack, images


def test_wrong_ecu_that_is_not_in_this_vehicle(world: World):
    world.order("br-2", "brake/2.bin", hardware="brake")
    world.publish()

    assert attack(world.look()) is Attack.WRONG_ECU


def test_wrong_hardware_that_the_director_names(world: World):
    world.order("br-1", "brake/2.bin", hardware="brake-mk2")
    world.publish()

    assert attack(world.look()) is Attack.WRONG_ECU


def test_wrong_hardware_that_the_image_is_for(world: World):
    """The Director sends the gateway the brake's software."""
    world.orders_nothing()
    world.order("gw-1", "brake/2.bin")
    world.publish()

    verdict = world.look()
    assert attack(verdict) is Attack.WRONG_ECU
    assert "not for the hardware 'gateway' of ECU gw-1" in str(verdict)


def test_image_for_no_hardware_is_for_none(world: World):
    listed = world.images.targets.targets["brake/2.bin"]
    del listed.unrecognized_fields["custom"]["hardware_ids"]
    world.publish()

    assert attack(world.look()) is Attack.WRONG_ECU


def test_two_images_for_one_ecu(world: World):
    world.order("br-1", "brake/1.bin")
    world.publish()

    assert attack(world.look()) is Attack.WRONG_ECU


@pytest.mark.parametrize(
    "custom",
    [
        {},
        None,
        {"ecuIdentifiers": {}},
        {"ecuIdentifiers": []},
        {"ecuIdentifiers": {"br-1": "brake"}},
        {"ecuIdentifiers": {"br-1": {}}},
        {"ecuIdentifiers": {"br-1": {"hardwareId": 5}}},
        {"ecuIdentifiers": {"br-1": {"hardwareId": "brake"}}, "release_counter": -1},
        {"ecuIdentifiers": {"br-1": {"hardwareId": "brake"}}, "downgrade": "yes"},
        {"ecuIdentifiers": {"b\nr": {"hardwareId": "brake"}}},
    ],
)
def test_order_for_nobody_is_malformed(world: World, custom: object):
    world.director.targets.targets["brake/2.bin"].unrecognized_fields["custom"] = custom
    world.publish()

    assert attack(world.look()) is Attack.MALFORMED


@pytest.mark.parametrize("path", ["../brake", "brake//2", "/brake", "a\\b", "a\nb"])
def test_image_whose_path_leads_elsewhere_is_malformed(world: World, path: str):
    for repository in (world.images, world.director):
        target = repository.targets.targets.pop("brake/2.bin")
        repository.targets.targets[path] = target
    world.publish()

    assert attack(world.look()) is Attack.MALFORMED


@pytest.mark.parametrize("named", ["CAR2", None, 5, ""])
def test_replay_of_the_orders_of_another_vehicle(world: World, named: object):
    world.director.targets.unrecognized_fields["custom"] = {"vehicle": named}
    world.director.publish()

    assert attack(world.look()) is Attack.WRONG_ECU


def test_replay_of_an_empty_list_of_another_vehicle(world: World):
    """Without the vehicle's name an old "nothing to do" of anybody would hold up an update."""
    world.orders_nothing()
    world.director.targets.unrecognized_fields.pop("custom")
    world.director.publish()
    assert attack(world.look()) is Attack.WRONG_ECU

    world.publish()
    assert isinstance(world.look(), UpToDate)


@pytest.mark.parametrize("action", [5, ["x"], "x" * 129, "a\nb"])
def test_order_with_a_name_that_is_none(world: World, action: object):
    said = {"vehicle": "CAR1", "correlationId": action}
    world.director.targets.unrecognized_fields["custom"] = said
    world.director.publish()

    assert attack(world.look()) is Attack.MALFORMED


def test_partial_bundle_with_an_image_that_is_withheld_is_refused_as_a_whole(world: World):
    world.release("gw/2", "gateway-os", 2, hardware="gateway")
    world.order("gw-1", "gw/2")
    del world.images.targets.targets["gw/2"]
    world.publish()

    assert attack(world.look()) is Attack.ARBITRARY_SOFTWARE


def test_mix_and_match_of_an_image_without_what_it_needs(world: World):
    world.release(
        "brake/3.bin", "brake-fw", 3, hardware="brake", requires=(requirement("gateway-os", 2),)
    )
    world.orders_nothing()
    world.order("br-1", "brake/3.bin")
    world.publish()

    verdict = world.look()
    assert attack(verdict) is Attack.MIX_AND_MATCH
    assert "it needs gateway-os with release counter 2" in str(verdict)

    world.release("gw/2", "gateway-os", 2, hardware="gateway")
    world.order("gw-1", "gw/2")
    world.publish()
    assert images(world.look()) == {"br-1": "brake/3.bin", "gw-1": "gw/2"}


@pytest.mark.parametrize(("most", "fits"), [(None, False), (1, False), (0, True)])
def test_mix_and_match_of_an_image_with_what_it_conflicts_with(
    world: World, most: int | None, *, fits: bool
):
    """The gateway holds gateway-os 1, and gets nothing."""
    foes = (requirement("gateway-os", 0, most),)
    world.release("brake/3.bin", "brake-fw", 3, hardware="brake", conflicts=foes)
    world.orders_nothing()
    world.order("br-1", "brake/3.bin")
    world.publish()

    verdict = world.look()
    if fits:
        assert images(verdict) == {"br-1": "brake/3.bin"}
    else:
        assert attack(verdict) is Attack.MIX_AND_MATCH


def test_mix_and_match_is_judged_by_the_vehicle_as_it_would_be(world: World):
    """What conflicts with the gateway's old version goes with its new one."""
    foes = (requirement("gateway-os", 0, 1),)
    world.release("brake/3.bin", "brake-fw", 3, hardware="brake", conflicts=foes)
    world.release("gw/2", "gateway-os", 2, hardware="gateway")
    world.orders_nothing()
    world.order("br-1", "brake/3.bin")
    world.order("gw-1", "gw/2")
    world.publish()

    assert images(world.look()) == {"br-1": "brake/3.bin", "gw-1": "gw/2"}
