"""Which images of a bundle are for which ECUs of a vehicle, and whether they fit (UN R156, 7.1.1.7).

    a bundle's images + the ECUs as they reported last --> image for each ECU, or why it does not fit

Rule 1: an image is for every ECU whose hardware it names; one that is for none of them is not for this vehicle.
Rule 2: what an image requires, and what it conflicts with, is asked of the vehicle as it will be afterwards.
Rule 3: a release counter never falls, unless that is the purpose.
Rule 4: what is not known is no obstacle to itself: an ECU with an image that nobody knows can be given another.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ota.manifest import Image, Kind, Requirement
from ota.report import Installed

HAS_ALL = "it holds all of the release already"


@dataclass(frozen=True, slots=True)
class EcuKnown:
    """An ECU and what it holds, as it was reported last."""

    serial: str
    hardware_id: str
    installed: Installed | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An image for an ECU."""

    ecu: EcuKnown
    image: Image

    @property
    def is_news(self) -> bool:
        """Whether the ECU holds something else now."""
        installed = self.ecu.installed
        return installed is None or installed.sha256 != self.image.sha256


@dataclass(frozen=True, slots=True)
class Fit:
    """What a vehicle would be given; `why` it cannot be, in one sentence, "" when it can."""

    given: tuple[Given, ...]
    why: str = ""

    @property
    def images(self) -> tuple[Image, ...]:
        """The images, each once, in the order of installing."""
        some = {one.image.path: one.image for one in self.given}
        return tuple(sorted(some.values(), key=lambda image: (image.install.order, image.path)))


def fit(
    images: Sequence[Image],
    ecus: Sequence[EcuKnown],
    known: Mapping[str, Image],
    *,
    is_downgrade: bool = False,
) -> Fit:
    """Return what of `images` the ECUs are to hold; `known` has images by their SHA-256."""
    given: dict[str, Given] = {}
    for image in images:
        if image.kind is Kind.BUNDLE:
            continue
        for ecu in ecus:
            if ecu.hardware_id not in image.hardware_ids:
                continue
            other = given.get(ecu.serial)
            if other is not None and not _may_share(other.image, image):
                why = f"{other.image.path} and {image.path} are both for ECU {ecu.serial}"
                return Fit((), why)
            key = ecu.serial if other is None else f"{ecu.serial}\0{image.name}"
            given[key] = Given(ecu, image)
    some = tuple(given.values())
    if not some:
        return Fit((), "none of the release's images is for an ECU of this vehicle")
    if not any(one.is_news for one in some):
        return Fit(some, HAS_ALL)
    return Fit(some, _misfit(some, ecus, known, is_downgrade=is_downgrade))


def configuration(ecus: Iterable[EcuKnown]) -> str:
    """Return the name of a configuration: the same for vehicles in which the same fits."""
    said = sorted(
        f"{ecu.hardware_id}\0{ecu.installed.sha256 if ecu.installed else ''}"
        f"\0{ecu.installed.release_counter if ecu.installed else 0}"
        for ecu in ecus
    )
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32] if said else ""


def _may_share(one: Image, other: Image) -> bool:
    """Whether an ECU can hold both: services and folders live side by side, firmware does not."""
    apart = {Kind.CONTAINER, Kind.FILE}
    return one.name != other.name and one.kind in apart and other.kind in apart


def _misfit(
    given: Sequence[Given],
    ecus: Sequence[EcuKnown],
    known: Mapping[str, Image],
    *,
    is_downgrade: bool,
) -> str:
    before = {
        ecu.serial: known[ecu.installed.sha256]
        for ecu in ecus
        if ecu.installed is not None and ecu.installed.sha256 in known
    }
    for one in given:
        old, was = before.get(one.ecu.serial), one.ecu.installed
        is_same = old is None or old.name == one.image.name
        floor = was.release_counter if was is not None and is_same else 0
        if one.image.release_counter < floor and not is_downgrade:
            return (
                f"ECU {one.ecu.serial} holds release counter {floor}, and {one.image.path} has"
                f" {one.image.release_counter}: it would be a downgrade"
            )
    after = _afterwards(given, before)
    for one in given:
        for wanted in one.image.requires:
            if not any(_is(image, wanted) for image in after):
                return f"{one.image.path} requires {_said(wanted)}, which the vehicle will not hold"
        for unwanted in one.image.conflicts:
            if any(_is(image, unwanted) for image in after if image.path != one.image.path):
                return f"{one.image.path} conflicts with {_said(unwanted)}, which the vehicle will hold"
    return ""


def _afterwards(given: Sequence[Given], before: Mapping[str, Image]) -> list[Image]:
    replaced = {one.ecu.serial for one in given}
    new = [one.image for one in given]
    names = {image.name for image in new}
    return [
        *new,
        *(
            image
            for serial, image in before.items()
            if serial not in replaced and image.name not in names
        ),
    ]


def _is(image: Image, meant: Requirement) -> bool:
    most = meant.counter_max
    return (
        image.name == meant.name
        and image.release_counter >= meant.counter_min
        and (most is None or image.release_counter <= most)
    )


def _said(meant: Requirement) -> str:
    if meant.counter_max is None:
        return meant.name + (f" from counter {meant.counter_min}" if meant.counter_min else "")
    return f"{meant.name} of counters {meant.counter_min} to {meant.counter_max}"
