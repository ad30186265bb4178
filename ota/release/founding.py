"""A repository begins: the four roles of TUF, and a role of releases below targets.

    Plan + public halves --found()--> drafts of root, targets, releases; signed by those keys that are here

Rule 1: paths say which role may list what: releases have NAME/VERSION, a supplier has PREFIX/NAME/VERSION.
Rule 2: bins are made with their role: a client that looks for an image finds a file, even an empty one.
"""

from collections.abc import Mapping

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Role,
    Root,
    SuccinctRoles,
    Targets,
)

from fairway.errors import BadInput
from ota.release.folder import Folder
from ota.release.keys import public_half, tuf_key
from ota.release.plan import (
    DAYS,
    RELEASES,
    ROOT,
    TARGETS,
    TOP_ROLES,
    Hands,
    Plan,
    RolePlan,
    checked,
    checked_plan,
)
from ota.release.roles import DAYS_FIELD, edited, expiry

# A power of two; each is a file of its own that is signed by all keys of its role.
BINS_MAX = 16_384


def found(folder: Folder, plan: Plan, *, bins: int, now_ns: int) -> None:
    """Make the drafts of a new repository.  Raises BadInput, Unavailable."""
    checked_plan(plan)
    keys = {role: keys_of_plan(one) for role, one in plan.items()}
    root = Root(
        expires=expiry(now_ns, plan[ROOT].days),
        keys={key.keyid: key for role in TOP_ROLES for key in keys[role].values()},
        roles={role: Role(list(keys[role]), plan[role].threshold) for role in TOP_ROLES},
        consistent_snapshot=True,
        unrecognized_fields={DAYS_FIELD: plan[ROOT].days},
    )
    folder.put_draft(ROOT, Metadata(root))
    targets = empty(plan[TARGETS].days, now_ns)
    targets.delegations = Delegations({}, {})
    folder.put_draft(TARGETS, Metadata(targets))
    for role in (one for one in plan if one not in TOP_ROLES):
        prefix = "" if role == RELEASES else role
        delegate(folder, role, plan[role], keys[role], prefix=prefix, now_ns=now_ns)
        if bins:
            add_bins(folder, role, plan[role], keys[role], bins=bins, now_ns=now_ns)


def keys_of_plan(plan: RolePlan) -> dict[str, SSlibKey]:
    """Return the keys of a role as they stand in metadata.  Raises BadInput for one key named twice."""
    found: dict[str, SSlibKey] = {}
    for one in plan.keys:
        key = tuf_key(public_half(one.name), one.holder, one.label)
        if key.keyid in found:
            raise BadInput(f"{one.label} is the same key as another one of its role")
        found[key.keyid] = key
    return found


def delegate(
    folder: Folder,
    role: str,
    plan: RolePlan,
    keys: Mapping[str, SSlibKey],
    *,
    prefix: str,
    now_ns: int,
) -> None:
    """Add a role below targets, whose draft is there to be changed, and the role's first draft."""
    targets = folder.draft(TARGETS)
    assert targets is not None
    path = f"{prefix}/*/*" if prefix else "*/*"
    below = targets.signed.delegations
    below.keys |= keys
    # The narrow ones come first, and end the search: nobody else speaks for a supplier's paths.
    held = DelegatedRole(role, list(keys), plan.threshold, terminating=True, paths=[path])
    below.roles = dict(sorted({**(below.roles or {}), role: held}.items(), key=_narrow_first))
    targets.signatures.clear()
    folder.put_draft(TARGETS, targets)
    folder.put_draft(role, Metadata(empty(plan.days, now_ns)))


def add_role(
    folder: Folder, role: str, plan: RolePlan, *, prefix: str, bins: int, now_ns: int
) -> tuple[str, ...]:
    """Draft a new role below targets of a repository that stands; return the drafts.  Raises BadInput."""
    keys = keys_of_plan(plan)
    checked(Hands(role, plan.threshold, tuple(one.holder for one in plan.keys)))
    if plan.threshold < 2:
        raise BadInput(f"role {role} needs a threshold of 2 at least: one of CI, one of a person")
    folder.put_draft(TARGETS, edited(folder, TARGETS, now_ns, DAYS[TARGETS]))
    delegate(folder, role, plan, keys, prefix=prefix, now_ns=now_ns)
    if bins:
        add_bins(folder, role, plan, keys, bins=bins, now_ns=now_ns)
    return (TARGETS, role)


def add_bins(
    folder: Folder,
    role: str,
    plan: RolePlan,
    keys: Mapping[str, SSlibKey],
    *,
    bins: int,
    now_ns: int,
) -> None:
    """Spread the images of a new role over bins by the hash of their paths.  Raises BadInput."""
    if bins & (bins - 1) or not 2 <= bins <= BINS_MAX:
        raise BadInput(f"--bins {bins} is no power of two from 2 to {BINS_MAX}")
    draft = folder.draft(role)
    assert draft is not None
    bits = bins.bit_length() - 1
    succinct = SuccinctRoles(list(keys), plan.threshold, bits, f"{role}-bin")
    draft.signed.delegations = Delegations(dict(keys), succinct_roles=succinct)
    folder.put_draft(role, draft)
    for name in succinct.get_roles():
        folder.put_draft(name, Metadata(empty(plan.days, now_ns)))


def empty(days: int, now_ns: int) -> Targets:
    """Return a list of no images."""
    return Targets(expires=expiry(now_ns, days), unrecognized_fields={DAYS_FIELD: days})


def _narrow_first(item: tuple[str, DelegatedRole]) -> tuple[int, str]:
    name, held = item
    return -max(path.count("/") for path in held.paths or ["/"]), name
