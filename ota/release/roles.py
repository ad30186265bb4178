"""Roles of a repository: who may sign which, how far a draft has come, what follows a version.

Rule 1: a draft is complete when the keys named by its delegator meet the threshold; a root needs the old
        root's word, too.
Rule 2: a change takes all signatures off a draft: what was signed is what is published.
Rule 3: no clock: `now` is an argument.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from fairway.errors import BadInput
from ota.release.folder import Folder, Signed
from ota.release.keys import Holder, holder_of, label_of
from ota.release.plan import ROOT, TARGETS, TOP_ROLES, Hands, checked

DAYS_FIELD = "x-fairway-days"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Signature:
    """A key that has signed, or may."""

    label: str
    keyid: str
    holder: Holder | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a draft has come, in the eyes of one delegator."""

    role: str
    version: int
    threshold: int
    by: tuple[Signature, ...]
    missing: tuple[Signature, ...]  # who may sign and has not

    @property
    def is_complete(self) -> bool:
        """Whether the threshold is met."""
        return len(self.by) >= self.threshold

    @property
    def sentence(self) -> str:
        """Say it to people."""
        who = ", ".join(one.label for one in self.by) or "nobody"
        if self.is_complete:
            return f"{self.role} {self.version}: signed by {who}"
        may = ", ".join(one.label for one in self.missing)
        count = f"{len(self.by)} of {self.threshold}"
        return f"{self.role} {self.version}: awaiting signature: {count} ({who}); may sign: {may}"


def expiry(now_ns: int, days: int) -> datetime:
    """Return when something ends that lives so many days from now."""
    moment = datetime.fromtimestamp(now_ns // _NS, UTC)
    return moment + timedelta(days=days)


def days_of(metadata: Signed, default: int) -> int:
    """Return how many days a role's metadata lives."""
    said = metadata.signed.unrecognized_fields.get(DAYS_FIELD, default)
    return said if isinstance(said, int) and said > 0 else default


def following(metadata: Signed, now_ns: int, default_days: int) -> Signed:
    """Return the version after a complete one, without signatures."""
    fresh = copy.deepcopy(metadata)
    fresh.signed.version += 1
    fresh.signed.expires = expiry(now_ns, days_of(metadata, default_days))
    fresh.signatures.clear()
    return fresh


def edited(folder: Folder, role: str, now_ns: int, default_days: int) -> Signed:
    """Return the draft of a role to be changed, or what follows its newest version (rule 2)."""
    draft = folder.draft(role)
    if draft is None:
        return following(folder.need(role), now_ns, default_days)
    draft.signatures.clear()
    draft.signed.expires = expiry(now_ns, days_of(draft, default_days))
    return draft


def current(folder: Folder, role: str) -> Signed:
    """Return a role as it is going to be: its draft, or its newest version.  Raises BadInput."""
    return folder.draft(role) or folder.need(role)


def delegators(folder: Folder, role: str) -> Iterator[Signed]:
    """Yield whose words a role's next version needs.  Raises BadInput for a role that nobody knows."""
    if role == ROOT:
        old = folder.latest(ROOT)
        new = folder.draft(ROOT)
        yield from (one for one in (old, new) if one is not None)
    elif role in TOP_ROLES:
        yield current(folder, ROOT)
    else:
        yield current(folder, parent_of(folder, role))


def parent_of(folder: Folder, role: str) -> str:
    """Return the role that delegates to `role`.  Raises BadInput."""
    for above, below in delegations(folder):
        if below == role:
            return above
    raise BadInput(f"there is no role {role!r:.80}: known are {', '.join(sorted(known(folder)))}")


def known(folder: Folder) -> set[str]:
    """Return the names of all roles."""
    return {*TOP_ROLES, *(below for _above, below in delegations(folder))}


def delegations(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield each delegation: the role that delegates, and the one that is delegated to; bins come last."""
    waiting = [TARGETS]
    while waiting:
        above = waiting.pop(0)
        metadata = folder.draft(above) or folder.latest(above)
        if metadata is None or metadata.signed.delegations is None:
            continue
        found = metadata.signed.delegations
        for name in found.roles or {}:
            yield above, name
            waiting.append(name)
        if found.succinct_roles is not None:
            for name in found.succinct_roles.get_roles():
                yield above, name


def keys_of(delegator: Signed, role: str) -> tuple[dict[str, Key], int]:
    """Return who may sign a role, and how many have to.  Raises BadInput."""
    signed = delegator.signed
    if isinstance(signed, Root):
        held = signed.roles[role]
        return {keyid: signed.keys[keyid] for keyid in held.keyids}, held.threshold
    if isinstance(signed, Targets) and signed.delegations is not None:
        below = signed.delegations
        roles = below.roles or {}
        held_by = roles.get(role) or below.succinct_roles
        if held_by is not None:
            return {keyid: below.keys[keyid] for keyid in held_by.keyids}, held_by.threshold
    raise BadInput(f"role {role} is not delegated by {signed.type}")


def hands_of(delegator: Signed, role: str) -> Hands:
    """Return a role as the rule about CI looks at it."""
    keys, threshold = keys_of(delegator, role)
    return Hands(role, threshold, tuple(holder_of(key) for key in keys.values()))


def standing(metadata: Signed, delegator: Signed, role: str) -> Standing:
    """Return how far `metadata` has come in the eyes of `delegator`.  Raises BadInput."""
    keys, threshold = keys_of(delegator, role)
    checked(Hands(role, threshold, tuple(holder_of(key) for key in keys.values())))
    by = {keyid for keyid, key in keys.items() if has_signed(metadata, key)}
    told = {keyid: Signature(label_of(key), keyid, holder_of(key)) for keyid, key in keys.items()}
    return Standing(
        role=role,
        version=metadata.signed.version,
        threshold=threshold,
        by=tuple(one for keyid, one in told.items() if keyid in by),
        missing=tuple(one for keyid, one in told.items() if keyid not in by),
    )


def standings(folder: Folder, role: str, metadata: Signed) -> tuple[Standing, ...]:
    """Return how far a draft has come, in the eyes of each whose word it needs."""
    return tuple(standing(metadata, one, role) for one in delegators(folder, role))


def has_signed(metadata: Metadata[Root] | Signed, key: Key) -> bool:
    """Whether a key's signature is there and holds."""
    signature = metadata.signatures.get(key.keyid)
    if signature is None:
        return False
    try:
        key.verify_signature(signature, metadata.signed_bytes)
    except (UnverifiedSignatureError, VerificationError):
        return False
    return True
