"""Who holds which role, and what is always true of that.

    a profile (demo, production) or a keys file (TOML) > Plan > checked() > init

Rule 1: "a push from CI alone never reaches a customer vehicle": in no role can keys of CI meet the threshold.
Rule 2: root and targets are never online; snapshot and timestamp may be, for they only say what is newest.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairway.errors import BadInput
from fairway.services.fields import Table
from ota.release.keys import PUBLIC, Holder

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
TOP_ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
# The role that releases are signed in when no other is named.
RELEASES = "releases"
ONLINE_ROLES = frozenset({SNAPSHOT, TIMESTAMP})
# Lives of roles, from the table of keys of the Uptane deployment practices.
DAYS = {ROOT: 365, TARGETS: 180, SNAPSHOT: 7, TIMESTAMP: 1}
RELEASES_DAYS = 90
DAYS_MAX = 3650
KEYS_MAX = 32


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key of a role: where it lies, and whose it is."""

    name: str  # as fairway.signers opens it, or public:FILE
    holder: Holder
    label: str

    @property
    def is_elsewhere(self) -> bool:
        """Whether it can only be named here, not used."""
        return self.name.startswith(PUBLIC)


@dataclass(frozen=True, slots=True)
class RolePlan:
    """Who holds a role."""

    threshold: int
    days: int  # that its metadata lives
    keys: tuple[KeyPlan, ...]


Plan = Mapping[str, RolePlan]


@dataclass(frozen=True, slots=True)
class Hands:
    """As much of a role as rule 1 and rule 2 need: it is checked wherever a role is made or changed."""

    role: str
    threshold: int
    holders: tuple[Holder | None, ...]


def checked(hands: Hands) -> None:
    """Raise BadInput when a role could be met by hands that must not meet it alone."""
    keys, ci = len(hands.holders), hands.holders.count(Holder.CI)
    if not 1 <= hands.threshold <= keys:
        raise BadInput(
            f"role {hands.role} has {keys} keys and a threshold of {hands.threshold}: it can never be met"
        )
    if hands.role in ONLINE_ROLES:
        if set(hands.holders) != {Holder.ONLINE}:
            raise BadInput(f"role {hands.role} is signed by servers: all its keys are held online")
        return
    if Holder.ONLINE in hands.holders:
        raise BadInput(
            f"role {hands.role} has a key that is online: only snapshot and timestamp may"
        )
    if ci >= hands.threshold:
        raise BadInput(
            f"role {hands.role} has a threshold of {hands.threshold} and {ci} keys of CI, which would meet it"
            " alone: raise the threshold, or give a key to a person"
        )


def checked_plan(plan: Plan) -> Plan:
    """Return a plan that can be initialised.  Raises BadInput."""
    missing = [role for role in (*TOP_ROLES, RELEASES) if role not in plan]
    if missing:
        raise BadInput(f"the keys of role {missing[0]} are not said")
    for role, one in plan.items():
        checked(Hands(role, one.threshold, tuple(key.holder for key in one.keys)))
        for what in ("name", "label"):
            said = [getattr(key, what) for key in one.keys]
            if len(set(said)) != len(said):
                raise BadInput(f"role {role} has two keys of the same {what}")
    hands: dict[str, Holder] = {}
    for key in (key for one in plan.values() for key in one.keys):
        if hands.setdefault(key.name, key.holder) is not key.holder:
            raise BadInput(f"key {key.label} is held by two kinds of hands: give each its own key")
    if plan[RELEASES].threshold < 2:
        raise BadInput("role releases needs a threshold of 2 at least: one of CI, one of a person")
    return plan


def profile(name: str, keys: Path) -> Plan:
    """Return a profile whose keys are files in the folder `keys`."""
    root, targets, owners, spare = {
        "demo": ((2, 3), (2, 3), 2, 1),
        "production": ((5, 8), (3, 4), 3, 2),
    }[name]
    person, online = Holder.PERSON, Holder.ONLINE

    def files(labels: Iterable[str], holder: Holder) -> tuple[KeyPlan, ...]:
        return tuple(KeyPlan(str(keys / f"{label}.pem"), holder, label) for label in labels)

    def numbered(role: str, count: int) -> list[str]:
        return [f"{role}-{number}" for number in range(1, count + 1)]

    return {
        ROOT: RolePlan(root[0], DAYS[ROOT], files(numbered(ROOT, root[1]), person)),
        TARGETS: RolePlan(targets[0], DAYS[TARGETS], files(numbered(TARGETS, targets[1]), person)),
        RELEASES: RolePlan(
            2,
            RELEASES_DAYS,
            files(["ci"], Holder.CI) + files(numbered("owner", owners), person),
        ),
        SNAPSHOT: RolePlan(1, DAYS[SNAPSHOT], files(numbered(SNAPSHOT, spare), online)),
        TIMESTAMP: RolePlan(1, DAYS[TIMESTAMP], files(numbered(TIMESTAMP, spare), online)),
    }


def plan_from_toml(text: bytes, file: str, beside: Path) -> Plan:
    """Return what a keys file says; files in it lie beside it.  Raises BadInput."""
    try:
        document = tomllib.loads(text.decode())
    except ValueError as error:
        raise BadInput(f"{file} is not TOML: {error}") from error
    table = Table(document, "", file)
    found: dict[str, RolePlan] = {}
    for role in document:
        found[role] = _role(table.table(role), role, beside)
    table.nothing_else()
    return found


def _role(table: Table, role: str, beside: Path) -> RolePlan:
    usual = Holder.ONLINE if role in ONLINE_ROLES else Holder.PERSON
    keys: list[KeyPlan] = []
    for holder, key in ((Holder.CI, "ci"), (usual, "keys")):
        for label, name in sorted(_names(table, key)):
            keys.append(KeyPlan(_beside(name, beside), holder, label))
    plan = RolePlan(
        threshold=table.whole(
            "threshold", 1 if role in ONLINE_ROLES else 2, least=1, most=KEYS_MAX
        ),
        days=table.whole("days", DAYS.get(role, RELEASES_DAYS), least=1, most=DAYS_MAX),
        keys=tuple(keys),
    )
    table.nothing_else()
    return plan


def _names(table: Table, key: str) -> list[tuple[str, str]]:
    inner = table.table(key)
    found = [(label, inner.text(label, None, most=2048)) for label in inner.values]
    inner.nothing_else()
    return found


def _beside(name: str, beside: Path) -> str:
    """A path in a file is meant from where the file lies."""
    front = PUBLIC if name.startswith(PUBLIC) else ""
    rest = name.removeprefix(PUBLIC)
    if not front and rest.partition(":")[0] in {"pkcs11", "tpm2", "awskms"}:
        return name
    return f"{front}{beside / rest}"
