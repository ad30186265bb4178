"""A repository is verified as a vehicle does it: from a root that is trusted, down to every image.

    root.json, files by name, now --verified()--> all images that vehicles take, or why they take none

Rule 1: the chain of roots, each signed by the one before and by itself; then timestamp, snapshot, targets, and
        every delegation: signatures, versions, paths, ends.
Rule 2: beyond what a vehicle checks, no role may be one that keys of CI could meet alone (plan.py).
Rule 3: files are asked for by name and never believed: a file that is missing is an error with its name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from fairway.errors import BadInput, Tampered
from ota.release.folder import Signed, metadata_from
from ota.release.listing import Listed, in_metadata
from ota.release.plan import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_ROLES, checked
from ota.release.roles import hands_of

ROTATIONS_MAX = 256
ROLES_MAX = 32 + 16_384  # delegations, and bins
DEPTH_MAX = 4
_NS = 1_000_000_000

# Returns the bytes of a file, None when there is none.
Files = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a vehicle would take."""

    versions: dict[str, int]  # by role
    images: dict[str, Listed]
    expires: datetime  # the first of all ends
    delegators: dict[str, Signed] = field(repr=False)  # of each role that lists images


def verified(files: Files, root: bytes, now_ns: int) -> Verified:
    """Verify a repository.  Raises Tampered for what does not hold, BadInput for what is missing."""
    now = datetime.fromtimestamp(now_ns // _NS, UTC)
    trusted = _roots(files, _typed(root, "the trusted root", Root))
    _not_expired(trusted, ROOT, now)
    for role in TOP_ROLES:
        checked(hands_of(trusted, role))
    stamp = _below(files, "timestamp.json", Timestamp, trusted, TIMESTAMP, now)
    pinned = stamp.signed.snapshot_meta.version
    snapshot = _below(files, f"{pinned}.snapshot.json", Snapshot, trusted, SNAPSHOT, now)
    _same(snapshot, pinned, SNAPSHOT)
    versions = {ROOT: trusted.signed.version, TIMESTAMP: stamp.signed.version, SNAPSHOT: pinned}
    first = min(trusted.signed.expires, stamp.signed.expires, snapshot.signed.expires)
    images: dict[str, Listed] = {}
    delegators: dict[str, Signed] = {}
    for role, metadata, delegator in _targets(files, trusted, snapshot, now):
        versions[role] = metadata.signed.version
        delegators[role] = delegator
        first = min(first, metadata.signed.expires)
        for one in in_metadata(role, metadata, is_draft=False):
            _may_list(delegator, role, one.image.path)
            images.setdefault(one.image.path, one)
    return Verified(versions, images, first, delegators)


def _roots(files: Files, trusted: Signed) -> Signed:
    _signed_by(trusted, trusted, ROOT, "the trusted root")
    for _ in range(ROTATIONS_MAX):
        name = f"{trusted.signed.version + 1}.root.json"
        data = files(name)
        if data is None:
            return trusted
        fresh = _typed(data, name, Root)
        if fresh.signed.version != trusted.signed.version + 1:
            raise Tampered(f"{name} says that it is version {fresh.signed.version}")
        _signed_by(fresh, trusted, ROOT, name)
        _signed_by(fresh, fresh, ROOT, name)
        trusted = fresh
    raise Tampered(
        f"the root was changed more than {ROTATIONS_MAX} times: give a newer trusted root"
    )


def _targets(
    files: Files, root: Signed, snapshot: Signed, now: datetime
) -> Iterator[tuple[str, Signed, Signed]]:
    """Yield each role that may list images, with its delegator."""
    waiting: list[tuple[str, Signed, int]] = [(TARGETS, root, 0)]
    seen: set[str] = set()
    while waiting:
        role, delegator, depth = waiting.pop(0)
        if role in seen:
            continue
        seen.add(role)
        if len(seen) > ROLES_MAX or depth > DEPTH_MAX:
            raise Tampered(
                f"there are more than {ROLES_MAX} roles, or {DEPTH_MAX} of them in a row"
            )
        pinned = snapshot.signed.meta.get(f"{role}.json")
        if pinned is None:
            raise Tampered(f"the snapshot does not say which version of {role}.json counts")
        checked(hands_of(delegator, role))
        name = f"{pinned.version}.{role}.json"
        metadata = _below(files, name, Targets, delegator, role, now)
        _same(metadata, pinned.version, role)
        yield role, metadata, delegator
        found = metadata.signed.delegations
        if found is not None:
            names = list(found.roles or {})
            names += list(found.succinct_roles.get_roles()) if found.succinct_roles else []
            waiting += [(one, metadata, depth + 1) for one in names]


def _below(
    files: Files, name: str, kind: type, delegator: Signed, role: str, now: datetime
) -> Signed:
    data = files(name)
    if data is None:
        raise BadInput(f"{name} is missing: no vehicle takes anything")
    metadata = _typed(data, name, kind)
    _signed_by(metadata, delegator, role, name)
    _not_expired(metadata, name, now)
    return metadata


def _typed(data: bytes, name: str, kind: type) -> Signed:
    metadata = metadata_from(data, name)
    if not isinstance(metadata.signed, kind):
        raise Tampered(f"{name} is a file of role {metadata.signed.type}")
    return metadata


def _signed_by(metadata: Signed, delegator: Signed, role: str, name: str) -> None:
    try:
        delegator.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (UnsignedMetadataError, ValueError) as error:
        raise Tampered(f"{name} is not signed by enough keys of role {role}: {error}") from error


def _not_expired(metadata: Signed, name: str, now: datetime) -> None:
    if metadata.signed.is_expired(now):
        ended = metadata.signed.expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        raise Tampered(f"{name} ended on {ended}: sign it anew")


def _same(metadata: Signed, pinned: int, role: str) -> None:
    if metadata.signed.version != pinned:
        raise Tampered(
            f"{role} is version {metadata.signed.version}, and {pinned} is the one that counts"
        )


def _may_list(delegator: Signed, role: str, path: str) -> None:
    if isinstance(delegator.signed, Root):
        return
    found = delegator.signed.delegations
    held = (found.roles or {}).get(role)
    if held is not None:
        may = held.is_delegated_path(path)
    else:
        may = found.succinct_roles.get_role_for_target(path) == role
    if not may:
        raise Tampered(f"role {role} lists {path}, which is none of its paths")
