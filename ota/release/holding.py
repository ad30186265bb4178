"""Keys of roles change: one is added, one is taken away, a threshold moves; what they signed is signed anew.

    rotate(role, Change) > drafts: of the delegator, of the role, of its bins

Rule 1: the rule of hands (plan.py) holds after every change, or there is no change.
Rule 2: who loses a key loses what it has signed: each role that it could sign gets a new version.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Key, SSlibKey
from tuf.api.metadata import Root

from fairway.errors import BadInput, Conflict
from ota.release import keys as keys_of_roles
from ota.release.folder import Folder, Signed
from ota.release.plan import DAYS, RELEASES_DAYS, ROOT, TARGETS, TOP_ROLES, checked
from ota.release.roles import current, delegations, edited, hands_of, keys_of, parent_of


@dataclass(frozen=True, slots=True)
class Change:
    """What changes in a role."""

    add: tuple[SSlibKey, ...] = ()
    remove: tuple[str, ...] = ()  # labels, or beginnings of ids
    threshold: int | None = None


def rotate(folder: Folder, role: str, change: Change, now_ns: int) -> tuple[str, ...]:
    """Draft a change of a role, or its next version when nothing changes; return the roles to be signed.

    Raises BadInput for keys that are not there or hands that would not do, Conflict for one that is.
    """
    if change == Change():
        folder.put_draft(role, edited(folder, role, now_ns, days(role)))
        return (role,)
    above = ROOT if role in TOP_ROLES else parent_of(folder, role)
    drafts = {above: edited(folder, above, now_ns, days(above))}
    _change(drafts[above], role, change)
    if role not in TOP_ROLES:
        below = current(folder, role).signed.delegations
        if below is not None and below.succinct_roles is not None:
            drafts[role] = edited(folder, role, now_ns, days(role))
            first = next(iter(below.succinct_roles.get_roles()))
            _change(drafts[role], first, change)
    for name in _signed_by(folder, role):
        # Snapshot and timestamp have no drafts: they are made when they are signed.
        if name not in drafts and name not in {"snapshot", "timestamp"}:
            drafts[name] = edited(folder, name, now_ns, days(name))
    for name, draft in drafts.items():
        draft.signatures.clear()
        folder.put_draft(name, draft)
    return tuple(drafts)


def revoke(folder: Folder, wanted: str, now_ns: int) -> tuple[str, ...]:
    """Take a key out of all roles; return the roles to be signed.  Raises BadInput."""
    roles = [role for role in _roles(folder) if _holds(folder, role, wanted)]
    if not roles:
        raise BadInput(
            f"{wanted!r:.80} is no key of any role: give its label or the beginning of its id"
        )
    changed: dict[str, None] = {}
    for role in roles:
        changed |= dict.fromkeys(rotate(folder, role, Change(remove=(wanted,)), now_ns))
    return tuple(changed)


def days(role: str) -> int:
    """Return how many days a role lives when its metadata does not say."""
    return DAYS.get(role, RELEASES_DAYS)


def _change(delegator: Signed, role: str, change: Change) -> None:
    held, threshold = keys_of(delegator, role)
    for key in change.add:
        if key.keyid in held:
            raise Conflict(f"{keys_of_roles.label_of(key)} is a key of role {role} already")
    gone = {keys_of_roles.found(held, wanted).keyid for wanted in change.remove}
    staying = [keyid for keyid in held if keyid not in gone]
    wanted_ids = [*staying, *(key.keyid for key in change.add)]
    signed = delegator.signed
    holders = _holders(signed, role)
    for one in holders:
        one.keyids = wanted_ids
        one.threshold = threshold if change.threshold is None else change.threshold
    table: dict[str, Key] = signed.keys if isinstance(signed, Root) else signed.delegations.keys
    table |= {key.keyid: key for key in change.add}
    used = set(_used(signed))
    for keyid in [one for one in table if one not in used]:
        del table[keyid]
    checked(hands_of(delegator, role))


def _holders(signed: Any, role: str) -> list[Any]:
    if isinstance(signed, Root):
        return [signed.roles[role]]
    below = signed.delegations
    return [(below.roles or {}).get(role) or below.succinct_roles]


def _used(signed: Any) -> Iterator[str]:
    if isinstance(signed, Root):
        for one in signed.roles.values():
            yield from one.keyids
        return
    below = signed.delegations
    for role in (below.roles or {}).values():
        yield from role.keyids
    if below.succinct_roles is not None:
        yield from below.succinct_roles.keyids


def _signed_by(folder: Folder, role: str) -> list[str]:
    bins = [below for above, below in delegations(folder) if above == role and role != TARGETS]
    return [role, *bins]


def _roles(folder: Folder) -> list[str]:
    """Return all roles but bins, which have the keys of their role."""
    found = dict.fromkeys(TOP_ROLES)
    found |= dict.fromkeys(below for above, below in delegations(folder) if above == TARGETS)
    return list(found)


def _holds(folder: Folder, role: str, wanted: str) -> bool:
    above = current(folder, ROOT if role in TOP_ROLES else parent_of(folder, role))
    try:
        keys_of_roles.found(keys_of(above, role)[0], wanted)
    except BadInput:
        return False
    return True
