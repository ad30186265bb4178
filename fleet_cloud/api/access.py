"""/v1/me and /v1/keys: who one is to this service, and the keys of machines.

Rule 1: nobody makes a key that may do more than they may themselves, there.
Rule 2: the key itself is in one answer, to who made it, and nowhere else.
Rule 3: a key that one may not see is not there.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from fairway.clock import NS_PER_S
from fairway.errors import Denied
from fleet_cloud.access.grants import ALL, Grant, gives, may, scope_name
from fleet_cloud.access.keys import ApiKey, fresh_key
from fleet_cloud.access.roles import PERMISSIONS, Permission, Role
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import iso
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.visible import Caller
from fleet_cloud.audit.acts import Act, chain_of

# A key that is wanted for longer is made anew once a year.
DAYS_MAX = 366

_Scope = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63})$")]


@dataclass(frozen=True, slots=True)
class GrantView:
    """What one grant allows, and where; `*` is every tenant, or every fleet."""

    role: Role
    tenant: str
    fleet: str
    permissions: list[Permission]


@dataclass(frozen=True, slots=True)
class SelfView:
    """Who asks."""

    actor: str
    until: str | None
    grants: list[GrantView]


@dataclass(frozen=True, slots=True)
class KeyView:
    """One API key, without what would let in."""

    id: str
    name: str
    role: Role
    tenant: str
    fleet: str
    state: str
    created: str
    expires: str | None
    revoked: str | None
    last_used: str | None


@dataclass(frozen=True, slots=True)
class KeyList:
    """The keys, the newest first."""

    keys: list[KeyView]


@dataclass(frozen=True, slots=True)
class KeyWish:
    """A key to be made: what it is for, what it may do, and for how long."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$")]
    role: Role
    tenant: _Scope
    fleet: _Scope = ALL
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] = 90


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key: `secret` is what is sent as a credential, and is never told again."""

    secret: str
    key: KeyView


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of access."""
    routes = APIRouter(prefix="/v1", tags=["access"])

    @routes.get("/me", responses=responses(401, 403, 429, 503))
    def show_self(caller: Annotated[Caller, needs(Permission.SELF_READ)]) -> SelfView:
        """Show who you are to this service, and what you may do."""
        who = caller.principal
        return SelfView(who.actor, _iso(who.until_ns), [_granted(grant) for grant in who.grants])

    @routes.get("/keys", responses=responses(401, 403, 429, 503))
    def list_keys(caller: Annotated[Caller, needs(Permission.KEYS_READ)]) -> KeyList:
        """List the API keys there are, and were."""
        now_ns = ports.clock.now_ns()
        return KeyList([_view(key, now_ns) for key in ports.keys.listed() if _sees(caller, key)])

    @routes.post("/keys", status_code=201, responses=responses(400, 401, 403, 409, 413, 429, 503))
    def make_key(caller: Annotated[Caller, needs(Permission.KEYS_WRITE)], wish: KeyWish) -> MadeKey:
        """Make an API key; it is shown in this answer and never again."""
        grant = Grant(wish.role, scope_name(wish.tenant), scope_name(wish.fleet))
        if not gives(caller.principal, caller.permission, grant):
            raise Denied(f"nobody gives what they do not hold: {grant} is more than you may do")
        now_ns = ports.clock.now_ns()
        expires_ns = now_ns + wish.days * 86_400 * NS_PER_S
        kept, secret = fresh_key(wish.name, grant, now_ns, expires_time_ns=expires_ns)
        ports.audit.write(_act("key.create", caller, kept))
        ports.keys.add(kept)
        return MadeKey(secret, _view(kept, now_ns))

    @routes.delete(
        "/keys/{key}",
        status_code=204,
        response_class=Response,
        responses=responses(401, 403, 404, 429, 503),
    )
    def revoke_key(
        caller: Annotated[Caller, needs(Permission.KEYS_WRITE)],
        key: Annotated[str, Path(description="The id of a key, not the key itself.")],
    ) -> None:
        """Refuse a key from now on."""
        kept = ports.keys.key(key) if key.isascii() and key.isalnum() else None
        is_refused = kept is None or kept.revoked_time_ns is not None
        if kept is None or is_refused or not _sees(caller, kept):
            raise NotFound(f"no key in force has the id {key[:40]!r}: see /v1/keys")
        ports.audit.write(_act("key.revoke", caller, kept))
        ports.keys.revoke(key, ports.clock.now_ns())

    return routes


def _sees(caller: Caller, key: ApiKey) -> bool:
    return may(caller.principal, caller.permission, key.grant.tenant, key.grant.fleet)


def _act(action: str, caller: Caller, key: ApiKey) -> Act:
    details = {"name": key.name, "grant": str(key.grant)}
    tenant = chain_of(key.grant.tenant)
    return Act(action, caller.principal.actor, f"key:{key.id}", tenant, details=details)


def _granted(grant: Grant) -> GrantView:
    return GrantView(grant.role, grant.tenant, grant.fleet, sorted(PERMISSIONS[grant.role]))


def _view(key: ApiKey, now_ns: int) -> KeyView:
    state = "active"
    if key.revoked_time_ns is not None:
        state = "revoked"
    elif key.expires_time_ns is not None and key.expires_time_ns <= now_ns:
        state = "expired"
    return KeyView(
        id=key.id,
        name=key.name,
        role=key.grant.role,
        tenant=key.grant.tenant,
        fleet=key.grant.fleet,
        state=state,
        created=iso(key.created_time_ns),
        expires=_iso(key.expires_time_ns),
        revoked=_iso(key.revoked_time_ns),
        last_used=_iso(key.used_time_ns),
    )


def _iso(time_ns: int | None) -> str | None:
    return None if time_ns is None else iso(time_ns)
