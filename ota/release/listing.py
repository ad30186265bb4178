"""Images in the metadata of the Image repository: what is listed, where the next one goes, what is taken off.

Rule 1: with hash bins a role lists nothing itself: the bin that a path's hash says lists it.
Rule 2: release counters only grow (ota/manifest.py): a new version of a name has a higher one than all before.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tuf.api.metadata import TargetFile, Targets

from fairway.errors import BadInput, Conflict
from ota.custom import image_from_target, image_to_target
from ota.manifest import Image
from ota.release.folder import Folder, Signed
from ota.release.plan import RELEASES, RELEASES_DAYS, TARGETS
from ota.release.roles import current, delegations, edited, parent_of

_SHA256 = re.compile(r"[0-9a-f]{64}")
ATTESTATIONS = "attestations"  # in the custom data of a bundle: envelopes that vouch for its build


@dataclass(frozen=True, slots=True)
class Listed:
    """An image and the role that lists it."""

    role: str
    image: Image
    is_draft: bool
    attestations: tuple[str, ...] = ()  # SHA-256 of documents


def listed(folder: Folder) -> dict[str, Listed]:
    """Return all images as they are going to be, by path."""
    found: dict[str, Listed] = {}
    for role in (TARGETS, *(below for _above, below in delegations(folder))):
        draft = folder.draft(role)
        metadata = draft or folder.latest(role)
        if metadata is None:
            continue
        for one in in_metadata(role, metadata, is_draft=draft is not None):
            found.setdefault(one.image.path, one)
    return found


def in_metadata(role: str, metadata: Signed, *, is_draft: bool) -> Iterator[Listed]:
    """Yield what one file lists.  Raises BadInput."""
    if not isinstance(metadata.signed, Targets):
        return
    for path, target in metadata.signed.targets.items():
        said = target.to_dict()
        custom = said.get("custom") or {}
        vouched = custom.get(ATTESTATIONS) if isinstance(custom, dict) else None
        image = image_from_target(path, said)
        documents = vouched if isinstance(vouched, list) else []
        hashes = tuple(one for one in documents if isinstance(one, str) and _SHA256.fullmatch(one))
        yield Listed(role, image, is_draft, hashes)


def put(folder: Folder, role: str, images: Iterable[Image], now_ns: int) -> tuple[str, ...]:
    """List images in a role, or in its bins; return the roles whose drafts changed.  Raises BadInput."""
    changed: set[str] = set()
    for image in images:
        place = place_of(folder, role, image.path)
        target = TargetFile.from_dict(image_to_target(image), image.path)
        metadata = current(folder, place)
        there = metadata.signed.targets.get(image.path)
        if there is not None and without_attestations(there) == target:
            continue
        draft = edited(folder, place, now_ns, RELEASES_DAYS)
        draft.signed.targets[image.path] = target
        folder.put_draft(place, draft)
        changed.add(place)
    return tuple(sorted(changed))


def remove(folder: Folder, paths: Iterable[str], now_ns: int) -> tuple[str, ...]:
    """Take images off; return the roles whose drafts changed.  Raises BadInput for one that is not listed."""
    known = listed(folder)
    changed: set[str] = set()
    for path in paths:
        if path not in known:
            raise BadInput(f"no image is listed as {path!r:.120}: `ota-release inspect` lists all")
        place = known[path].role
        draft = edited(folder, place, now_ns, RELEASES_DAYS)
        draft.signed.targets.pop(path, None)
        folder.put_draft(place, draft)
        changed.add(place)
    return tuple(sorted(changed))


def attest(folder: Folder, one: Listed, sha256: str, now_ns: int) -> None:
    """Note that a document vouches for the build of a bundle; signatures come after it."""
    draft = edited(folder, one.role, now_ns, RELEASES_DAYS)
    custom = draft.signed.targets[one.image.path].unrecognized_fields["custom"]
    custom[ATTESTATIONS] = [sha256]
    folder.put_draft(one.role, draft)


def place_of(folder: Folder, role: str, path: str) -> str:
    """Return which file lists a path of a role: the role, or one of its bins.  Raises BadInput."""
    parent = parent_of(folder, role)
    held = (current(folder, parent).signed.delegations.roles or {}).get(role)
    if held is None or not held.is_delegated_path(path):
        allowed = ", ".join(held.paths or ()) if held is not None else "nothing"
        raise BadInput(f"role {role} may not list {path!r:.120}: its paths are {allowed}")
    below = current(folder, role).signed.delegations
    if below is not None and below.succinct_roles is not None:
        return str(below.succinct_roles.get_role_for_target(path))
    return role


def prefix_of(folder: Folder, role: str) -> str:
    """Return what the paths of a role begin with, "" for the role of releases."""
    if role == RELEASES:
        return ""
    held = (current(folder, parent_of(folder, role)).signed.delegations.roles or {})[role]
    return str(held.paths[0]).removesuffix("*/*").rstrip("/")


def next_counter(known: Iterable[Listed], name: str) -> int:
    """Return the release counter of the next version of a name (rule 2)."""
    return 1 + max(
        (one.image.release_counter for one in known if one.image.name == name), default=0
    )


def checked_counters(known: dict[str, Listed], images: Iterable[Image]) -> None:
    """Raise Conflict when an image would go back, or another has its path."""
    for image in images:
        there = known.get(image.path)
        if there is not None and not there.is_draft and there.image.sha256 != image.sha256:
            raise Conflict(
                f"{image.path} is published with other bytes: give the release a new version,"
                " or revoke the old one first"
            )
        highest = next_counter((one for one in known.values() if one is not there), image.name) - 1
        if image.release_counter <= highest:
            raise Conflict(
                f"{image.path} has release counter {image.release_counter}, and {highest} is taken by"
                f" another version of {image.name}: vehicles would refuse it"
            )


def without_attestations(target: TargetFile) -> TargetFile:
    """Return a target as it was before its build was vouched for."""
    said = target.to_dict()
    if isinstance(said.get("custom"), dict):
        said["custom"] = {key: one for key, one in said["custom"].items() if key != ATTESTATIONS}
    return TargetFile.from_dict(said, target.path)
