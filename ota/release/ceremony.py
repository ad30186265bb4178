"""Signing: a key signs every draft that it may, and what is complete becomes the newest version.

Rule 1: nothing is signed that is not as it was built (attesting.py): a signer answers for what is published.
Rule 2: a draft becomes complete after its delegators: root first, then targets, then the rest.
Rule 3: CI and people sign by different commands, so that no pipeline signs as a person by mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fairway.errors import BadInput, Denied
from ota.release import attesting
from ota.release.folder import Folder
from ota.release.keys import Holder, TufSigner, holder_of, label_of
from ota.release.plan import ROOT, TARGETS
from ota.release.roles import Standing, delegations, delegators, keys_of, known, standings

Progress = Callable[[str], None]

_COMMANDS = {
    Holder.CI: "CI signs with `ota-release sign`",
    Holder.PERSON: "people sign with `ota-release cosign`",
    Holder.ONLINE: "servers sign with `ota-release timestamp`",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What signing did."""

    label: str
    signed: tuple[str, ...]  # roles
    accepted: tuple[str, ...]  # roles that are complete now
    waiting: tuple[Standing, ...]


def sign(
    folder: Folder, key: TufSigner, holder: Holder, now_ns: int, progress: Progress
) -> Outcome:
    """Sign all drafts that `key` may sign, when it is the key of such a hand.

    Raises BadInput when nothing awaits it, Denied when it is the key of another hand or a build is not vouched
    for, Tampered for bytes that are not those that were built.
    """
    label = label_in(folder, key, holder)
    attesting.vouch(folder, key, now_ns)
    done: list[str] = []
    for role in ordered(folder):
        draft = folder.draft(role)
        if draft is None or key.keyid in draft.signatures or not _may(folder, role, key):
            continue
        attesting.look(folder, role, progress)
        draft.sign(key, append=True)
        folder.put_draft(role, draft)
        done.append(role)
    if not done:
        raise BadInput(
            f"nothing awaits a signature of {label}: it has signed, or nothing has changed"
        )
    accepted = accept(folder)
    return Outcome(label, tuple(done), tuple(accepted), waiting(folder))


def accept(folder: Folder) -> list[str]:
    """Make complete drafts the newest versions (rule 2); return their roles."""
    found: list[str] = []
    for role in ordered(folder):
        draft = folder.draft(role)
        if draft is None or not _delegators_are_complete(folder, role):
            continue
        if all(one.is_complete for one in standings(folder, role, draft)):
            folder.accept(role, draft)
            found.append(role)
    return found


def waiting(folder: Folder) -> tuple[Standing, ...]:
    """Return how far all drafts have come; of the two words that a root needs, the one that lacks more."""
    found: list[Standing] = []
    for role in ordered(folder):
        draft = folder.draft(role)
        if draft is not None:
            views = standings(folder, role, draft)
            found.append(max(views, key=lambda one: one.threshold - len(one.by)))
    return tuple(found)


def ordered(folder: Folder) -> list[str]:
    """Return the roles with drafts, delegators first."""
    drafts = set(folder.drafts())
    first = [role for role in (ROOT, TARGETS) if role in drafts]
    named = [below for _above, below in delegations(folder) if below in drafts]
    return [*first, *named, *sorted(drafts - {*first, *named})]


def label_in(folder: Folder, key: TufSigner, holder: Holder) -> str:
    """Return what people call a key.  Raises Denied when another hand holds it, BadInput for a foreign key."""
    for role in sorted(known(folder)):
        for delegator in delegators(folder, role):
            listed = keys_of(delegator, role)[0].get(key.keyid)
            if listed is None:
                continue
            held = holder_of(listed)
            if held is not holder:
                cure = _COMMANDS[held] if held else "`ota-release rotate` says whose it is"
                raise Denied(f"{label_of(listed)} is a key of kind {held}: {cure}")
            return label_of(listed)
    raise BadInput(f"key {key.keyid[:12]} is in no role: `ota-release rotate` adds it to one")


def awaits(folder: Folder, role: str, key: TufSigner) -> bool:
    """Whether a draft may be signed by a key that has not signed it."""
    draft = folder.draft(role)
    return draft is not None and key.keyid not in draft.signatures and _may(folder, role, key)


def _may(folder: Folder, role: str, key: TufSigner) -> bool:
    return any(key.keyid in keys_of(one, role)[0] for one in delegators(folder, role))


def _delegators_are_complete(folder: Folder, role: str) -> bool:
    if role == ROOT:
        return True
    above = {parent: below for parent, below in delegations(folder) if below == role}
    needed = {ROOT, TARGETS, *above} if above else {ROOT}
    return not needed & set(folder.drafts())
