"""Differences of a listed image against an older one: made, kept when they are worth it, listed as its sources.

Rule 1: bytes of both are compared with their hashes first; a difference of other bytes helps nobody.
Rule 2: a container has no differences: its layers are fetched by digest, and those that are there are not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fairway.errors import BadInput
from ota.custom import own_blob
from ota.delta.choose import worthwhile
from ota.delta.create import Left, Made, Pair, made
from ota.manifest import Form, Image, Kind, Source
from ota.release import listing
from ota.release.folder import Folder
from ota.release.plan import RELEASES
from ota.release.publishing import image_bytes
from ota.release.roles import parent_of

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Differences of one image against one base."""

    image: Image
    base: Image
    made: tuple[Made, ...]
    kept: tuple[Source, ...]
    left: tuple[Left, ...]
    full_bytes: int
    drafts: tuple[str, ...]


def add(
    folder: Folder,
    path: str,
    base_path: str,
    forms: Sequence[Form],
    now_ns: int,
    progress: Progress,
) -> Outcome:
    """Make differences of an image and list those worth it.  Raises BadInput, Tampered, Unavailable."""
    known = listing.listed(folder)
    one, old = (_flat(known, wanted) for wanted in (path, base_path))
    if one.image.sha256 == old.image.sha256:
        raise BadInput(f"{path} and {base_path} have the same bytes: there is no difference")
    pair = Pair(_bytes(folder, old.image), _bytes(folder, one.image))
    full_bytes = image_bytes(one.image)
    with folder.scratch() as scratch:
        found, left = made(pair, Path(scratch), progress, forms)
        sources: list[Source] = []
        for each in found:
            with each.path.open("rb") as file:
                blob = folder.put_file(file.read)
            sources.append(Source(each.form, blob, old.image.sha256, each.memory_bytes))
    kept = worthwhile(sources, full_bytes)
    for source in sources:
        if source not in kept:
            folder.blob_path(source.blob.sha256).unlink(missing_ok=True)
    others = tuple(
        source
        for source in one.image.sources
        if source.base_sha256 != old.image.sha256 or source.form not in forms
    )
    image = replace(one.image, sources=(*others, *kept))
    role = _role(folder, one.role)
    drafts = listing.put(folder, role, (image,), now_ns)
    return Outcome(image, old.image, found, kept, left, full_bytes, drafts)


def before(folder: Folder, path: str) -> list[str]:
    """Return the paths of older versions of an image, the newest first.  Raises BadInput."""
    known = listing.listed(folder)
    image = _flat(known, path).image
    older = [
        one.image
        for one in known.values()
        if one.image.name == image.name
        and one.image.kind is image.kind
        and one.image.release_counter < image.release_counter
    ]
    return [one.path for one in sorted(older, key=lambda one: -one.release_counter)]


def _flat(known: dict[str, listing.Listed], path: str) -> listing.Listed:
    if path not in known:
        raise BadInput(f"no image is listed as {path!r:.120}: `ota-release inspect` lists all")
    if known[path].image.kind in {Kind.CONTAINER, Kind.BUNDLE}:
        raise BadInput(
            f"{path} is a {known[path].image.kind}: its parts are fetched by their digests"
        )
    return known[path]


def _bytes(folder: Folder, image: Image) -> Path:
    return folder.need_blob(own_blob(image))


def _role(folder: Folder, place: str) -> str:
    """Return the role whose bin `place` is, or `place` itself."""
    above = parent_of(folder, place)
    return place if above == "targets" or place == RELEASES else above
