"""The four top-level roles of one repository, in the order of TUF 1.0.34, 5.3 to 5.6.

    root (each version up to the newest) > timestamp > snapshot > targets

Rule 1: roles are loaded in this order, each against those before it.  Nothing is loaded after one that failed.
Rule 2: a root is signed by the root before it and by itself, and is exactly one version later.  An expired one
may lead to the next; only the last must not have expired.  256 of them in one refresh at most.
Rule 3: what was kept of timestamp and snapshot sets the lowest versions that are taken, expired or not, as long
as the root in use verifies it.  If its keys were replaced it is forgotten: so a repository whose versions an
attacker drove up recovers (fast-forward).
Rule 4: a timestamp with the version of the kept one is dropped, and the kept one stays.
Rule 5: a snapshot lists all that the one before listed, and no version in it falls.
Rule 6: a snapshot or targets file is the one that the metadata before it names: version, and length and hashes
where they are given.
Rule 7: a step is kept when it holds as final (not expired), before the next begins.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from fairway.errors import Tampered
from ota.trust.kept import Ledger, Moment, refused
from ota.trust.metadata import (
    ROOT_MAX_BYTES,
    SNAPSHOT_MAX_BYTES,
    TARGETS_MAX_BYTES,
    TIMESTAMP_MAX_BYTES,
    TUF,
    Dialect,
    check_against,
    check_expiry,
    checked_length,
    place,
    verify,
)
from ota.trust.model import Attack, Repository, Wanted
from ota.tuf_library import MetaFile, Root, Snapshot, Targets, Timestamp

ROTATIONS_MAX = 256

Fetch = Generator[Wanted, bytes | None, bytes | None]


@dataclass(slots=True)
class Sight:
    """How one repository is looked at: what is kept, which time it is, how metadata is spelled."""

    repository: Repository
    ledger: Ledger
    moment: Moment
    dialect: Dialect = TUF

    def kept(self, role: str) -> bytes | None:
        """Return what is kept of a role."""
        return self.ledger.bytes_of(self.repository, role)

    def keep(self, role: str, content: bytes) -> None:
        """Keep a role that holds."""
        self.ledger.keep(self.repository, role, content)

    def at(self, name: str) -> str:
        """Return how a refusal names a file."""
        return place(self.repository, name)

    def fetch(self, name: str, max_bytes: int) -> Fetch:
        """Ask for a file."""
        wanted = Wanted(self.repository, name, max_bytes)
        return checked_length((yield wanted), wanted)


@dataclass(frozen=True, slots=True)
class TopLevel:
    """The verified top-level roles of one repository."""

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets


def top_level(sight: Sight) -> Generator[Wanted, bytes | None, TopLevel]:
    """Bring the top-level roles up to date.  Raises Tampered."""
    root = yield from latest_root(sight)
    timestamp = yield from _timestamp(sight, root)
    snapshot = yield from _snapshot(sight, root, timestamp)
    targets = yield from targets_of(sight, root, snapshot, root, "targets")
    return TopLevel(root, timestamp, snapshot, targets)


def latest_root(sight: Sight) -> Generator[Wanted, bytes | None, Root]:
    """Follow the chain of roots to its end.  Raises Tampered."""
    where = sight.at("root.json")
    content = sight.kept("root")
    if content is None:
        raise refused(
            Attack.MALFORMED, where, "no root is trusted yet: provision the vehicle with one"
        )
    file = sight.dialect.read(content, Root, where)
    root = verify(file, file.signed, "root", where)
    for _ in range(ROTATIONS_MAX):
        name = f"{root.version + 1}.root.json"
        content = yield from sight.fetch(name, ROOT_MAX_BYTES)
        if content is None:
            break
        root = _next_root(sight, root, content, sight.at(name))
        sight.keep("root", content)
    check_expiry(root, sight.moment, where)
    return root


def _next_root(sight: Sight, root: Root, content: bytes, where: str) -> Root:
    file = sight.dialect.read(content, Root, where)
    verify(file, root, "root", where)
    new = verify(file, file.signed, "root", where)
    if new.version != root.version + 1:
        raise refused(
            Attack.METADATA_ROLLBACK,
            where,
            f"its version is {new.version} and not {root.version + 1}",
        )
    return new


def _timestamp(sight: Sight, root: Root) -> Generator[Wanted, bytes | None, Timestamp]:
    where = sight.at("timestamp.json")
    old = _kept_timestamp(sight, root)
    content = yield from sight.fetch("timestamp.json", TIMESTAMP_MAX_BYTES)
    if content is None:
        raise refused(Attack.DROP_REQUEST, where, "the repository does not give it away")
    new = verify(sight.dialect.read(content, Timestamp, where), root, "timestamp", where)
    if old is not None:
        _check_not_older(old.version, new.version, where)
        if new.version == old.version and sight.dialect.keeps_first_of_equal:
            _check_time(sight, root, old, where)
            return old
        _check_not_older(
            old.snapshot_meta.version, new.snapshot_meta.version, sight.at("snapshot.json")
        )
    _check_time(sight, root, new, where)
    sight.keep("timestamp", content)
    return new


def _kept_timestamp(sight: Sight, root: Root) -> Timestamp | None:
    content = sight.kept("timestamp")
    if content is None:
        return None
    where = sight.at("timestamp.json")
    try:
        return verify(sight.dialect.read(content, Timestamp, where), root, "timestamp", where)
    except Tampered:
        return None  # rule 3


def _check_time(sight: Sight, root: Root, timestamp: Timestamp, where: str) -> None:
    """Take note of the time that a timestamp says it was signed at, and look who has expired by then."""
    custom = timestamp.unrecognized_fields.get("custom")
    said = custom.get("time") if isinstance(custom, dict) else None
    if said is not None:
        sight.moment.at_least(_time_ns(said, where))
        check_expiry(root, sight.moment, sight.at("root.json"))
    check_expiry(timestamp, sight.moment, where)


def _time_ns(said: object, where: str) -> int:
    try:
        time = datetime.strptime(str(said)[:40], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise refused(
            Attack.TIME, where, f"its time is {said!r:.60} and not as 2026-11-29T22:30:00Z"
        ) from error
    return max(0, int(time.timestamp())) * 10**9


def _snapshot(
    sight: Sight, root: Root, timestamp: Timestamp
) -> Generator[Wanted, bytes | None, Snapshot]:
    meta = timestamp.snapshot_meta
    where = sight.at("snapshot.json")
    old = _kept_snapshot(sight, root)
    if old is not None and old.version == meta.version and _is_still(sight, old, meta):
        return old
    name = f"{meta.version}.snapshot.json" if root.consistent_snapshot else "snapshot.json"
    content = yield from sight.fetch(name, _most(meta, SNAPSHOT_MAX_BYTES))
    if content is None:
        raise refused(Attack.DROP_REQUEST, sight.at(name), "the repository does not give it away")
    check_against(meta, content, where)
    new = verify(sight.dialect.read(content, Snapshot, where), root, "snapshot", where)
    if old is not None:
        _check_keeps_all(old, new, where)
    _check_version(meta, new.version, where)
    check_expiry(new, sight.moment, where)
    sight.keep("snapshot", content)
    return new


def _kept_snapshot(sight: Sight, root: Root) -> Snapshot | None:
    content = sight.kept("snapshot")
    if content is None:
        return None
    where = sight.at("snapshot.json")
    try:
        return verify(sight.dialect.read(content, Snapshot, where), root, "snapshot", where)
    except Tampered:
        return None  # rule 3


def _is_still(sight: Sight, old: Snapshot, meta: MetaFile) -> bool:
    """Whether the kept snapshot is the one that the timestamp names, and has not expired."""
    where = sight.at("snapshot.json")
    try:
        check_against(meta, sight.kept("snapshot") or b"", where)
        check_expiry(old, sight.moment, where)
    except Tampered:
        return False
    return True


def _check_keeps_all(old: Snapshot, new: Snapshot, where: str) -> None:
    for name, meta in old.meta.items():
        if name not in new.meta:
            raise refused(
                Attack.METADATA_ROLLBACK, where, f"it does not list {name!r:.80} any more"
            )
        _check_not_older(meta.version, new.meta[name].version, f"{where}: {name!r:.80}")


def targets_of(
    sight: Sight, root: Root, snapshot: Snapshot, delegator: Root | Targets, role: str
) -> Generator[Wanted, bytes | None, Targets]:
    """Return the targets of a role as its delegator trusts it, kept or fetched.  Raises Tampered."""
    file = f"{quoted(role)}.json"
    where = sight.at(file)
    meta = snapshot.meta.get(f"{role}.json")
    if meta is None:
        raise refused(Attack.MIX_AND_MATCH, where, "the snapshot does not list it")
    kept = sight.kept(role)
    if kept is not None:
        try:
            return _targets_file(sight, kept, meta, delegator, role)
        except Tampered:
            pass  # another version, or another delegator: fetched anew
    name = f"{meta.version}.{file}" if root.consistent_snapshot else file
    content = yield from sight.fetch(name, _most(meta, TARGETS_MAX_BYTES))
    if content is None:
        raise refused(Attack.DROP_REQUEST, sight.at(name), "the repository does not give it away")
    targets = _targets_file(sight, content, meta, delegator, role)
    sight.keep(role, content)
    return targets


def _targets_file(
    sight: Sight, content: bytes, meta: MetaFile, delegator: Root | Targets, role: str
) -> Targets:
    where = sight.at(f"{quoted(role)}.json")
    check_against(meta, content, where)
    targets = verify(sight.dialect.read(content, Targets, where), delegator, role, where)
    _check_version(meta, targets.version, where)
    check_expiry(targets, sight.moment, where)
    return targets


def quoted(role: str) -> str:
    """Return the name of a role as it can stand in an address and in a file's name."""
    return quote(role, safe="")


def _check_not_older(old: int, new: int, where: str) -> None:
    if new < old:
        raise refused(
            Attack.METADATA_ROLLBACK, where, f"version {new} is offered; {old} was there before"
        )


def _check_version(meta: MetaFile, version: int, where: str) -> None:
    if version != meta.version:
        raise refused(
            Attack.MIX_AND_MATCH,
            where,
            f"its version is {version} and not {meta.version}, as listed",
        )


def _most(meta: MetaFile, cap_bytes: int) -> int:
    return cap_bytes if meta.length is None else min(meta.length, cap_bytes)
