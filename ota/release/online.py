"""Snapshot and timestamp: which versions count now, signed by keys that are online.

    newest complete versions --refresh()--> N.snapshot.json, timestamp.json

Rule 1: a snapshot follows a change, a timestamp follows a snapshot; each follows when half its life is gone.
Rule 2: a version in a snapshot never falls, and no role goes from it: vehicles would refuse that.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from fairway.errors import BadInput, Denied, Tampered
from ota.release.folder import Folder, Signed, metadata_from
from ota.release.keys import TufSigner
from ota.release.plan import DAYS, SNAPSHOT, TARGETS, TIMESTAMP
from ota.release.ports import Catalogue
from ota.release.roles import DAYS_FIELD, days_of, delegations, expiry, keys_of, standing

# Signed anew when less than this share of its life is left.
_SHARE_LEFT = 0.5
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What was signed anew: versions, None for what stays."""

    snapshot: int | None
    timestamp: int | None


def refresh(
    folder: Folder, snapshot_key: TufSigner, timestamp_key: TufSigner, now_ns: int, *, always: bool
) -> Refreshed:
    """Sign a new snapshot and a new timestamp where they are due, or `always`.

    Raises BadInput when roles are not signed yet, Denied for a key that may not.
    """
    root = folder.need("root")
    snapshot = folder.latest(SNAPSHOT)
    meta = _meta(folder)
    fresh_snapshot = None
    if snapshot is None or snapshot.signed.meta != meta or always or _is_due(snapshot, now_ns):
        version = 1 if snapshot is None else snapshot.signed.version + 1
        days = DAYS[SNAPSHOT] if snapshot is None else days_of(snapshot, DAYS[SNAPSHOT])
        fields = {DAYS_FIELD: days}
        made = Snapshot(
            version, expires=expiry(now_ns, days), meta=meta, unrecognized_fields=fields
        )
        snapshot = _sign(folder, SNAPSHOT, Metadata(made), snapshot_key, root)
        fresh_snapshot = version
    stamp = folder.latest(TIMESTAMP)
    seen = None if stamp is None else stamp.signed.snapshot_meta.version
    if (
        stamp is not None
        and seen == snapshot.signed.version
        and not always
        and not _is_due(stamp, now_ns)
    ):
        return Refreshed(fresh_snapshot, None)
    version = 1 if stamp is None else stamp.signed.version + 1
    days = DAYS[TIMESTAMP] if stamp is None else days_of(stamp, DAYS[TIMESTAMP])
    made_stamp = Timestamp(
        version,
        expires=expiry(now_ns, days),
        snapshot_meta=MetaFile(snapshot.signed.version),
        unrecognized_fields={DAYS_FIELD: days},
    )
    _sign(folder, TIMESTAMP, Metadata(made_stamp), timestamp_key, root)
    return Refreshed(fresh_snapshot, version)


def adopt(folder: Folder, catalogue: Catalogue) -> int | None:
    """Take over a newer snapshot and timestamp that a place signed itself; return the version, None without.

    Raises Tampered when they are not signed by keys of root, Unavailable.
    """
    data = catalogue.file("timestamp.json")
    if data is None:
        return None
    stamp = metadata_from(data, "timestamp.json")
    ours = folder.latest(TIMESTAMP)
    if not isinstance(stamp.signed, Timestamp):
        raise Tampered("what is published as timestamp.json is none")
    if ours is not None and stamp.signed.version <= ours.signed.version:
        return None
    root = folder.need("root")
    version = stamp.signed.snapshot_meta.version
    name = f"{version}.{SNAPSHOT}.json"
    snapshot = metadata_from(catalogue.file(name) or b"", name)
    for role, one in ((SNAPSHOT, snapshot), (TIMESTAMP, stamp)):
        if not standing(one, root, role).is_complete:
            raise Tampered(
                f"the {role} that is published is not signed by keys of this repository's root"
            )
    if version not in folder.versions(SNAPSHOT):
        folder.accept(SNAPSHOT, snapshot)
    folder.accept(TIMESTAMP, stamp)
    return int(stamp.signed.version)


def is_overtaken(folder: Folder, catalogue: Catalogue) -> bool:
    """Whether a place has another file in place of our newest snapshot or timestamp: somebody was quicker."""
    for role in (SNAPSHOT, TIMESTAMP):
        ours = folder.latest(role)
        if ours is None:
            continue
        name = "timestamp.json" if role == TIMESTAMP else f"{ours.signed.version}.{role}.json"
        data = catalogue.file(name)
        theirs = None if data is None else metadata_from(data, name).signed
        if theirs is not None and theirs.version == ours.signed.version and theirs != ours.signed:
            return True
    return False


def _meta(folder: Folder) -> dict[str, MetaFile]:
    found = {f"{TARGETS}.json": MetaFile(folder.need(TARGETS).signed.version)}
    for above, below in delegations(folder):
        latest = folder.latest(below)
        if latest is not None:
            if not standing(latest, folder.need(above), below).is_complete:
                raise BadInput(
                    f"role {below} has new keys that have not signed it yet: it would be refused so"
                )
            found[f"{below}.json"] = MetaFile(latest.signed.version)
    if len(found) == 1:
        raise BadInput(
            "no role of releases is signed yet: `ota-release inspect` says by whom it may be"
        )
    return found


def _sign(folder: Folder, role: str, metadata: Signed, key: TufSigner, root: Signed) -> Signed:
    held, _threshold = keys_of(root, role)
    if key.keyid not in held:
        raise Denied(
            f"key {key.keyid[:12]} is none of role {role}: name the one that root gives it"
        )
    metadata.sign(key)
    if not standing(metadata, root, role).is_complete:
        raise Denied(f"role {role} has a threshold that one online key does not meet")
    folder.accept(role, metadata)
    return metadata


def _is_due(metadata: Signed, now_ns: int) -> bool:
    left = metadata.signed.expires - datetime.fromtimestamp(now_ns // _NS, UTC)
    return bool(left.total_seconds() < days_of(metadata, 1) * 86400 * _SHARE_LEFT)
