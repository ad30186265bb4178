"""What a tenant publishes in its Image repository, verified as a vehicle would before a byte of it is served.

    files there + files that come > root chain > timestamp > snapshot > targets > every role below > Published

Rule 1: a tenant's first root is believed as it comes; every later one must be signed by the one before.
Rule 2: all roles that the snapshot lists are verified, not only those on the way to one image.
Rule 3: an image counts when the search of a vehicle for its path ends at it, and nowhere else.
Rule 4: a timestamp that is not newer than the one there comes from somebody who did not see that one.
"""

import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairway.errors import BadInput, Conflict, Tampered
from ota.custom import image_from_target
from ota.manifest import Image
from ota.trust.kept import Kept, Ledger, Moment, refusal_of
from ota.trust.metadata import TARGETS_MAX_BYTES
from ota.trust.model import Repository, Wanted
from ota.trust.top_level import Sight, TopLevel, quoted, targets_of, top_level
from ota.tuf_library import Metadata, Root, Targets

Lookup = Callable[[str], bytes | None]

_NAME = re.compile(r"(?:([1-9][0-9]{0,8})\.)?([A-Za-z0-9_%][A-Za-z0-9_.%-]{0,127})\.json")
# 16,384 hash bins, which is more than a snapshot of 2 MB lists, and some suppliers.
ROLES_MAX = 20_000
FILES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class FileName:
    """What a metadata file is called: "3.supplier.json"."""

    role: str
    version: int | None  # None: the newest


@dataclass(frozen=True, slots=True)
class Published:
    """What is served from now on."""

    files: Mapping[tuple[str, int], bytes]  # new ones, by role and version
    timestamp_version: int
    images: tuple[Image, ...]


def file_name(name: str) -> FileName:
    """Read the name of a metadata file.  Raises BadInput."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise BadInput(f"{name[:120]!r} is no name of metadata: write 3.targets.json")
    return FileName(found[2], int(found[1]) if found[1] else None)


def verified(before: Lookup, files: Mapping[str, bytes], now_ns: int) -> Published:
    """Return what becomes of a repository with these files.

    Raises BadInput for what is no metadata, Tampered for what a vehicle would refuse, Conflict when something
    newer is there.
    """
    if not 0 < len(files) <= FILES_MAX:
        raise BadInput(f"{len(files)} files came: 1 to {FILES_MAX} are taken at once")
    fresh = _by_version(files)
    old_stamp, new_stamp = before("timestamp.json"), files.get("timestamp.json")
    if new_stamp is None:
        raise BadInput("timestamp.json is missing: it makes the rest count")
    version = version_of(new_stamp, "timestamp.json")
    if old_stamp is not None and version <= (there := version_of(old_stamp, "timestamp.json")):
        raise Conflict(f"timestamp {there} is published, and version {version} comes: build on it")

    for name, data in fresh.items():
        if name != "timestamp.json" and (there_is := before(name)) is not None and there_is != data:
            raise Conflict(f"{name} is published with other bytes: a version is used once")

    def lookup(name: str) -> bytes | None:
        return fresh.get(name) or before(name)

    first_root = before("root.json") or fresh.get("1.root.json")
    if first_root is None:
        raise BadInput("the first root of this repository is missing: send 1.root.json too")
    try:
        images = _all_images(lookup, _kept(before, first_root), now_ns)
    except Tampered as error:
        refusal = refusal_of(error)
        raise Tampered(f"{refusal.where or 'metadata'}: {refusal.sentence}") from error
    new = {_place(name, data): data for name, data in fresh.items()}
    return Published(new, version, images)


def listed(lookup: Lookup) -> tuple[Image, ...]:
    """Return the images of metadata that was verified when it was published."""
    stamp = _signed(lookup("timestamp.json"))
    if stamp is None:
        return ()
    snapshot_version = stamp["meta"]["snapshot.json"]["version"]
    snapshot = _signed(lookup(f"{snapshot_version}.snapshot.json")) or {"meta": {}}

    def load(role: str) -> Targets | None:
        meta = snapshot["meta"].get(f"{role}.json")
        data = lookup(f"{meta['version']}.{quoted(role)}.json") if meta else None
        return None if data is None else Metadata[Targets].from_bytes(data).signed

    top = load("targets")
    tree = _Tree({} if top is None else {"targets": top})
    waiting = [] if top is None else [top]
    while waiting:
        for role in _delegated(waiting.pop()):
            found = None if role in tree.roles else load(role)
            if found is not None:
                tree.roles[role] = found
                waiting.append(found)
    return tree.images()


def version_of(data: bytes, name: str) -> int:
    """Return the version that metadata says it has.  Raises BadInput."""
    try:
        version = json.loads(data)["signed"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{name} is no metadata") from error
    if type(version) is not int or not 0 < version < 2**31:
        raise BadInput(f"{name} has no version")
    return version


def _by_version(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files by names with versions, whichever names they came by."""
    fresh: dict[str, bytes] = {}
    for name, data in files.items():
        said = file_name(name)
        if len(data) > TARGETS_MAX_BYTES:
            raise BadInput(f"{name} has more than {TARGETS_MAX_BYTES} bytes: use hash bins")
        if said.role == "timestamp":
            fresh["timestamp.json"] = data
            continue
        version = version_of(data, name)
        if said.version not in (None, version):
            raise BadInput(f"{name} says that it is version {version}")
        fresh[f"{version}.{said.role}.json"] = data
    return fresh


def _place(name: str, data: bytes) -> tuple[str, int]:
    return file_name(name).role, version_of(data, name)


def _kept(before: Lookup, first_root: bytes) -> Kept:
    """Return what a vehicle would have kept of what was published before."""
    roles = {(Repository.IMAGE, "root"): first_root}
    for role in ("timestamp", "snapshot", "targets"):
        data = before(f"{role}.json")
        if data is not None:
            roles[Repository.IMAGE, role] = data
    return Kept(roles=roles)


def _all_images(lookup: Lookup, kept: Kept, now_ns: int) -> tuple[Image, ...]:
    sight = Sight(Repository.IMAGE, Ledger(kept), Moment(now_ns, kept))
    steps = _walked(sight)
    answer: bytes | None = None
    while True:
        try:
            wanted = steps.send(answer)
        except StopIteration as end:
            tree: _Tree = end.value
            return tree.images()
        answer = lookup(wanted.name)


def _walked(sight: Sight) -> Generator[Wanted, bytes | None, "_Tree"]:
    """Verify all that the snapshot lists, from above."""
    top: TopLevel = yield from top_level(sight)
    if not top.root.consistent_snapshot:
        raise BadInput("the root has no consistent_snapshot: a vehicle could read half of a change")
    tree = _Tree({"targets": top.targets})
    waiting: list[Targets] = [top.targets]
    while waiting:
        above = waiting.pop()
        for role in _delegated(above):
            if f"{role}.json" not in top.snapshot.meta:
                continue
            below: Root | Targets = above
            targets = yield from targets_of(sight, top.root, top.snapshot, below, role)
            if role not in tree.roles:
                tree.roles[role] = targets
                waiting.append(targets)
            if len(tree.roles) > ROLES_MAX:
                raise BadInput(f"there are more than {ROLES_MAX} roles")
    return tree


def _delegated(above: Targets) -> list[str]:
    below = above.delegations
    if below is None:
        return []
    if below.succinct_roles is not None:
        return list(below.succinct_roles.get_roles())
    return list(below.roles or {})


@dataclass(slots=True)
class _Tree:
    """All roles of targets."""

    roles: dict[str, Targets] = field(default_factory=dict)

    def images(self) -> tuple[Image, ...]:
        """Return the images that a vehicle finds, in order of path.  Raises BadInput for one that cannot be."""
        found: dict[str, Image] = {}
        for role, targets in self.roles.items():
            for path, target in targets.targets.items():
                if path not in found and self._speaker(path) == role:
                    found[path] = image_from_target(path, target.to_dict())
        return tuple(found[path] for path in sorted(found))

    def _speaker(self, path: str) -> str | None:
        """Return the role that speaks for a path, as a vehicle's search finds it."""
        waiting, seen = ["targets"], set[str]()
        while waiting:
            role = waiting.pop()
            targets = self.roles.get(role)
            if role in seen or targets is None:
                continue
            seen.add(role)
            if path in targets.targets:
                return role
            below: list[str] = []
            if targets.delegations is not None:
                for child, ends in targets.delegations.get_roles_for_target(path):
                    below.append(child)
                    if ends:
                        waiting = []
                        break
            waiting += below[::-1]
        return None


def _signed(data: bytes | None) -> Any:
    return None if data is None else json.loads(data)["signed"]
