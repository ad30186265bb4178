"""Images as hawkBit groups them: files of a module, modules of an order.

Rule 1: images of one kind, name and version are one module; its files are called as the ends of their paths.
Rule 2: a module is known by its words, so it has one number however often it is rolled out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ota.manifest import Image
from ota.manifest import Kind as ImageKind

# hawkBit's words in an order, and those for types of modules: there they differ.
_PARTS = {ImageKind.SLOT: "os", ImageKind.FIRMWARE: "firmware"}
_KINDS = {"os": ImageKind.SLOT, "firmware": ImageKind.FIRMWARE}
_APPLICATION = "bApp"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A module of an order."""

    key: str  # what it is numbered by
    part: str
    name: str
    version: str
    images: tuple[Image, ...]


def chunks_of(images: Sequence[Image]) -> list[Chunk]:
    """Return the modules that images make, in the order in which they come."""
    groups: dict[str, list[Image]] = {}
    for image in images:
        groups.setdefault(key_of(image.kind, image.name, image.version), []).append(image)
    return [
        Chunk(
            key, _PARTS.get(some[0].kind, _APPLICATION), some[0].name, some[0].version, tuple(some)
        )
        for key, some in groups.items()
    ]


def key_of(kind: ImageKind, name: str, version: str) -> str:
    """Return what a module is numbered by."""
    return f"{kind.value}\n{name}\n{version}"


def kind_of(module_type: str) -> ImageKind:
    """Return how a module of hawkBit is installed, as far as its type says."""
    return _KINDS.get(module_type, ImageKind.FILE)


def filename_of(image: Image) -> str:
    """Return what the file of an image is called."""
    return image.path.rpartition("/")[2]
