"""Which image is for which ECU, and when a release does not fit a vehicle."""

import pytest

from fleet_cloud.rollouts.solver import HAS_ALL, EcuKnown, configuration, fit
from ota.manifest import Kind, Requirement
from ota.report import Installed
from tests.rollouts_kit import NEW, OLD, image

OLD_IMAGE = image(counter=1, sha256=OLD)
BRAKE = EcuKnown("b", "brake-hw", Installed("brake/1.bin", 1001, OLD, 1))
GATEWAY = EcuKnown("g", "gateway-hw")
KNOWN = {OLD: OLD_IMAGE}


def why(*images, ecus=(BRAKE, GATEWAY), **more) -> str:
    return fit(images, ecus, KNOWN, **more).why


def test_an_image_is_for_every_ecu_whose_hardware_it_names():
    two = (BRAKE, EcuKnown("b2", "brake-hw"), GATEWAY)
    found = fit([image()], two, KNOWN)

    assert [one.ecu.serial for one in found.given] == ["b", "b2"]
    assert found.why == ""


def test_a_release_for_other_hardware_is_not_for_this_vehicle():
    assert "none of the release's images" in why(image(hardware_ids=("other",)))


def test_a_vehicle_that_holds_it_all_has_nothing_to_do():
    ecus = (EcuKnown("b", "brake-hw", Installed("brake/2.bin", 1002, NEW, 2)),)

    assert why(image(), ecus=ecus) == HAS_ALL


def test_a_counter_never_falls_unless_that_is_the_purpose():
    newer = EcuKnown("b", "brake-hw", Installed("brake/9.bin", 1, "dd" * 32, 9))

    assert "would be a downgrade" in why(image(), ecus=(newer,))
    assert why(image(), ecus=(newer,), is_downgrade=True) == ""


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Requirement("engine", 3), True),
        (Requirement("engine", 4), False),
        (Requirement("engine", 1, 2), False),
        (Requirement("nothing"), False),
    ],
)
def test_what_is_required_must_be_there_afterwards(wanted, fits):
    engine = image("engine", 3, "ee" * 32)
    held = EcuKnown("e", "engine-hw", Installed("engine/3.bin", 1, "ee" * 32, 3))
    known = {**KNOWN, "ee" * 32: engine}

    assert (fit([image(requires=(wanted,))], (BRAKE, held), known).why == "") is fits
    assert (
        fit([image(requires=(wanted,)), engine], (BRAKE, EcuKnown("e", "engine-hw")), {}).why == ""
    ) is fits


def test_what_conflicts_must_not_be_there_afterwards():
    held = EcuKnown("e", "engine-hw", Installed("engine/3.bin", 1, "ee" * 32, 3))
    known = {**KNOWN, "ee" * 32: image("engine", 3, "ee" * 32)}
    new = image("engine", 4, "ff" * 32)
    clash = image(conflicts=(Requirement("engine", 0, 3),))

    assert "conflicts with engine" in fit([clash], (BRAKE, held), known).why
    assert fit([clash, new], (BRAKE, held), known).why == ""


def test_two_images_for_one_ecu_fit_only_where_they_live_side_by_side():
    assert "are both for ECU b" in why(image(), image("other", hardware_ids=("brake-hw",)))
    some = [
        image(name, kind=Kind.CONTAINER, hardware_ids=("gateway-hw",), sha256=sha)
        for name, sha in (("a", NEW), ("c", "cc" * 32))
    ]
    assert len(fit(some, (GATEWAY,), {}).given) == 2


def test_a_configuration_has_one_name_in_whatever_vehicle():
    other = EcuKnown("another-serial", "brake-hw", BRAKE.installed)

    assert configuration([BRAKE, GATEWAY]) == configuration([GATEWAY, other])
    assert configuration([BRAKE]) != configuration([EcuKnown("b", "brake-hw")])
    assert configuration([]) == ""
