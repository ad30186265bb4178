"""Who may do what to whose: grants, and the one question that every route asks.

    viewer                 in the tenant that is meant without saying, all of its fleets
    operator@acme          all fleets of one tenant
    operator@acme/north    one fleet
    admin@*                every tenant

Rule 1: nothing is allowed but what a grant allows: no grant, no access.
Rule 2: a grant over one fleet says nothing of the tenant's other vehicles, and nothing of the tenant itself.
"""

from dataclasses import dataclass

from fairway.errors import BadInput
from fairway.identity import tenant_name
from fleet_cloud.access.roles import PERMISSIONS, PLATFORM_WIDE, Permission, Role

# Every tenant, or every fleet of a tenant; no tenant and no fleet can have this name.
ALL = "*"

# The fleet of a vehicle that was put into no other.
DEFAULT_FLEET = "default"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One role, over one tenant (or all), over one of its fleets (or all)."""

    role: Role
    tenant: str
    fleet: str = ALL

    def __str__(self) -> str:
        return f"{self.role}@{self.tenant}" + ("" if self.fleet == ALL else f"/{self.fleet}")


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a machine that has proved who it is."""

    actor: str  # as the audit log calls it: user:<subject>, key:<id>
    grants: tuple[Grant, ...]
    until_ns: int | None = None  # when the proof ends; None: never by itself


def grant_of(text: str, *, tenant: str = "") -> Grant:
    """Read `ROLE[@TENANT[/FLEET]]`; `tenant` is meant where none is said.  Raises BadInput."""
    role, at, where = text.partition("@")
    named, slash, fleet = where.partition("/")
    if not at:
        named = tenant
    if role not in list(Role):
        raise BadInput(f"{role[:80]!r} is not a role: choose from {', '.join(Role)}")
    if not named:
        raise BadInput(f"{text[:80]!r} names no tenant: write {role}@TENANT")
    if slash and named == ALL and fleet != ALL:
        raise BadInput(f"{text[:80]!r} names a fleet of no tenant")
    return Grant(Role(role), scope_name(named), scope_name(fleet) if slash else ALL)


def scope_name(text: str) -> str:
    """Return `text` when it names a tenant or a fleet, or is `*` for all of them.  Raises BadInput."""
    return text if text == ALL else tenant_name(text)


def may(principal: Principal, permission: Permission, tenant: str, fleet: str = ALL) -> bool:
    """Whether `principal` may do this to a vehicle of that fleet, or (fleet ALL) to the tenant as a whole."""
    return any(
        permission in PERMISSIONS[grant.role]
        and grant.tenant in (ALL, tenant)
        and grant.fleet in (ALL, fleet)
        for grant in principal.grants
    )


def may_somewhere(principal: Principal, permission: Permission) -> bool:
    """Whether there is anything that `principal` may do this to: what is asked before it is known to what."""
    if permission in PLATFORM_WIDE:
        return may(principal, permission, ALL)
    return any(permission in PERMISSIONS[grant.role] for grant in principal.grants)


def gives(principal: Principal, permission: Permission, grant: Grant) -> bool:
    """Whether `principal` may hand `grant` on: nobody gives what they do not hold themselves."""
    return all(
        may(principal, each, grant.tenant, grant.fleet)
        for each in PERMISSIONS[grant.role] | {permission}
    )
