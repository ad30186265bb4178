"""Looks at an image of an OCI layout or archive without taking it in: its digest, and what it runs."""

import platform
from dataclasses import dataclass
from pathlib import Path

from fairway.errors import BadInput
from fairway.oci import platforms
from ota.images.build import image_of
from ota.images.source import opened


@dataclass(frozen=True, slots=True)
class Look:
    """An image as its layout describes it."""

    digest: str  # of the manifest for this machine
    name: str  # what the layout calls it, "" when it does not
    entry_point: tuple[str, ...]


def look_at(path: Path, name: str = "") -> Look:
    """Return the image of a layout, or the one called `name`.

    Raises BadInput when it is not there or it is not clear which is meant, Tampered, Unavailable.
    """
    source = opened(path)
    entries = [one for one in source.entries if not name or one.name == name]
    if len(entries) != 1:
        called = ", ".join(one.name or one.digest for one in source.entries) or "none"
        raise BadInput(f"{path} holds {called}: it has to be clear which image is meant")
    image = image_of(source, entries[0], platforms.of_machine(platform.machine()))
    return Look(image.digest, entries[0].name, image.config.entrypoint)
