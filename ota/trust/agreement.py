"""Whether both repositories agree on what each ECU of this vehicle is to hold (Uptane Standard 2.1.0, 5.4.4).

    the Director's targets + the Image repository's + the vehicle  ->  an image for each ECU that gets one

Rule 1: an ECU is in this vehicle, has the hardware that the Director says, and gets one image at most.
Rule 2: length, every hash that both give, hardware id and release counter are the same in both repositories.
Rule 3: a release counter never falls, unless both repositories say so: the Director by "downgrade": true, and
the role of the Image repository that lists the image by a statement for this vehicle, image and counter:

    "custom": {"downgrade": [{"vehicles": ["CAR1"], "name": "brake-fw", "to_counter": 4}]}   see ota.downgrade

So whoever steals the Director's keys cannot bring back an image with a known hole, although it is still listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairway.errors import BadInput
from fairway.services.fields import Table
from ota.custom import NAME_MAX_CHARS, NUMBER_MAX, image_from_target, named_pairs
from ota.downgrade import Downgrade, allows
from ota.manifest import Image
from ota.trust.delegations import Found
from ota.trust.kept import Held, refused
from ota.trust.model import Assigned, Attack, Ecu, Vehicle
from ota.tuf_library import TargetFile, Targets

ECUS_MAX = 256


@dataclass(frozen=True, slots=True)
class Directed:
    """What the Director says of one target."""

    path: str
    target: TargetFile
    ecus: tuple[Ecu, ...]
    release_counter: int
    is_downgrade: bool


def directed(targets: Targets, vehicle: Vehicle, where: str) -> tuple[Directed, ...]:
    """Return what the Director tells the ECUs of this vehicle.  Raises Tampered."""
    if targets.delegations is not None:
        raise refused(Attack.ARBITRARY_SOFTWARE, where, "the Director must not delegate")
    if len(targets.targets) > ECUS_MAX:
        what = f"it lists {len(targets.targets)} images; {ECUS_MAX} at most"
        raise refused(Attack.ENDLESS_DATA, where, what)
    found = tuple(_directed(path, one, where) for path, one in sorted(targets.targets.items()))
    known = {ecu.serial: ecu for ecu in vehicle.ecus}
    seen = dict[str, str]()
    for one in found:
        for ecu in one.ecus:
            if ecu.serial in seen:
                what = f"ECU {ecu.serial} gets two images: {seen[ecu.serial]} and {one.path}"
                raise refused(Attack.WRONG_ECU, where, what)
            seen[ecu.serial] = one.path
            _check_ecu(ecu, known, where)
    return found


def check_vehicle(targets: Targets, vehicle: Vehicle, where: str) -> None:
    """Raise Tampered when the Director's targets are for another vehicle, or do not say for which."""
    named = _custom(targets).get("vehicle")
    if named != vehicle.id:
        raise refused(
            Attack.WRONG_ECU, where, f"it is for vehicle {named!r:.80} and not for {vehicle.id}"
        )


def action_of(targets: Targets, where: str) -> str:
    """Return how the Director calls this order, "" when it has no name.  Raises Tampered."""
    action = _custom(targets).get("correlationId", "")
    if not isinstance(action, str) or len(action) > NAME_MAX_CHARS or not action.isprintable():
        what = f"its correlationId is no text of at most {NAME_MAX_CHARS} characters"
        raise refused(Attack.MALFORMED, where, what)
    return action


def agreed(
    one: Directed,
    found: Found | None,
    vehicle: Vehicle,
    held: Mapping[str, Held],
    *,
    names_hardware: bool = True,
) -> tuple[Assigned, ...]:
    """Return what an image is assigned to, when the Image repository says the same of it.

    An older Image repository may name no hardware for an image (`names_hardware` false).  Raises Tampered.
    """
    if found is None:
        what = "the Image repository does not list it"
        raise refused(Attack.ARBITRARY_SOFTWARE, one.path, what)
    _check_same_bytes(one, found.target)
    image = _image(one.path, found.target)
    if one.release_counter != image.release_counter:
        raise refused(
            Attack.IMAGE_ROLLBACK,
            one.path,
            f"its release counter is {image.release_counter}; the Director says {one.release_counter}",
        )
    for ecu in one.ecus:
        if image.hardware_ids or names_hardware:
            _check_hardware(image, ecu)
    exception = Downgrade((vehicle.id,), image.name, image.release_counter)
    may_fall = one.is_downgrade and allows(_custom(found.targets), exception)
    return tuple(
        Assigned(ecu, image, counter_checked(image, ecu, held.get(ecu.serial), may_fall=may_fall))
        for ecu in one.ecus
    )


def counter_checked(image: Image, ecu: Ecu, held: Held | None, *, may_fall: bool) -> bool:
    """Return whether this is a downgrade.  Raises Tampered when it is one, and may not be."""
    if held is None or image.release_counter >= held.release_counter:
        return False
    if not may_fall:
        raise refused(
            Attack.IMAGE_ROLLBACK,
            image.path,
            f"its release counter {image.release_counter} is lower than {held.release_counter}, which"
            f" ECU {ecu.serial} has, and no signed exception for this vehicle allows that",
        )
    return True


def _check_hardware(image: Image, ecu: Ecu) -> None:
    if ecu.hardware_id not in image.hardware_ids:
        raise refused(
            Attack.WRONG_ECU,
            image.path,
            f"it is not for the hardware {ecu.hardware_id!r:.80} of ECU {ecu.serial}",
        )


def _directed(path: str, target: TargetFile, where: str) -> Directed:
    try:
        custom = Table({"custom": _object(target.custom)}, "", path[:120]).table("custom")
        ecus = tuple(
            Ecu(serial, inner.table(serial).text("hardwareId", most=NAME_MAX_CHARS))
            for serial, inner in named_pairs(custom, "ecuIdentifiers", most=ECUS_MAX)
        )
        counter = custom.whole("release_counter", 0, least=0, most=NUMBER_MAX)
        is_downgrade = custom.yes("downgrade", default=False)
    except BadInput as error:
        raise refused(Attack.MALFORMED, where, str(error)) from error
    if not ecus:
        raise refused(Attack.MALFORMED, where, f"{path!r:.120} is for no ECU")
    return Directed(path, target, ecus, counter, is_downgrade)


def _check_ecu(ecu: Ecu, known: Mapping[str, Ecu], where: str) -> None:
    here = known.get(ecu.serial)
    if here is None:
        raise refused(
            Attack.WRONG_ECU, where, f"there is no ECU {ecu.serial!r:.80} in this vehicle"
        )
    if here.hardware_id != ecu.hardware_id:
        what = f"ECU {ecu.serial} is {here.hardware_id} and not {ecu.hardware_id!r:.80}"
        raise refused(Attack.WRONG_ECU, where, what)


def _check_same_bytes(one: Directed, listed: TargetFile) -> None:
    ours, theirs = one.target.hashes, listed.hashes
    both = set(ours) & set(theirs)
    is_same = "sha256" in both and all(ours[name] == theirs[name] for name in both)
    if not is_same or one.target.length != listed.length:
        raise refused(
            Attack.ARBITRARY_SOFTWARE,
            one.path,
            "the Director and the Image repository tell different lengths or hashes of it",
        )


def _image(path: str, listed: TargetFile) -> Image:
    try:
        return image_from_target(
            path,
            {
                "length": listed.length,
                "hashes": listed.hashes,
                "custom": _object(listed.custom),
            },
        )
    except BadInput as error:
        raise refused(Attack.MALFORMED, path, str(error)) from error


def _custom(targets: Targets) -> dict[str, Any]:
    custom = targets.unrecognized_fields.get("custom")
    return custom if isinstance(custom, dict) else {}


def _object(custom: object) -> dict[str, Any]:
    return custom if isinstance(custom, dict) else {}
