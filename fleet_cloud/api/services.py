"""/v1/services: what services are desired of which vehicles, from a manifest to its approval.

Rule 1: something desired is there for whoever may see its fleet, or the whole of its tenant.
Rule 2: every act is in the audit log before it is done; vehicles are told at once.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from fairway.errors import BadInput, Denied
from fairway.services.manifest import service_from_yaml, service_of
from fairway.services.model import Service
from fleet_cloud.access.grants import may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import needs
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.service_views import ServicePage, ServiceView, view_of
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.visible import Caller
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.control.targets import Target, TargetKind, target_of
from fleet_cloud.services.model import Kept

DesiredId = Annotated[str, Path(description="As /v1/services tells it.", pattern=r"^[0-9a-f]{16}$")]
ServiceName = Annotated[str, Path(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
Read = Annotated[Caller, needs(Permission.SERVICES_READ)]
Write = Annotated[Caller, needs(Permission.SERVICES_WRITE)]
_Approve = Annotated[Caller, needs(Permission.SERVICES_APPROVE)]
ACTS = responses(400, 401, 403, 404, 409, 413, 429, 503)


@dataclass(frozen=True, slots=True)
class ServiceWish:
    """A manifest, as a table or as YAML text, and the one target that is to run it."""

    manifest: dict[str, Any] | str
    vehicle: Annotated[str, Field(max_length=64)] = ""
    fleet: Annotated[str, Field(max_length=64)] = ""
    query: Annotated[str, Field(max_length=1024)] = ""


@dataclass(frozen=True, slots=True)
class ApprovalWish:
    """Which content is approved, by its sync id; empty: whatever waits."""

    sync_id: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


def seen_desired(ports: ApiPorts, caller: Caller, id_: str) -> Kept:
    """Return something desired that is there for `caller`.  Raises NotFound, Unavailable."""
    kept = ports.services.desired.desired(caller.tenants, id_)
    if kept is None or not sees(caller, kept.tenant, kept.target):
        raise NotFound(f"no service is desired by the id {id_}: see /v1/services")
    return kept


def sees(caller: Caller, tenant: str, target: Target) -> bool:
    """Whether what is desired of a target is there for `caller`."""
    return may(caller.principal, caller.permission, tenant, target.fleet)


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of what is desired."""
    routes = APIRouter(prefix="/v1/services", tags=["services"])
    ordering, clock = ports.services.ordering, ports.clock

    def told(kept: Kept) -> ServiceView:
        """Have the doors of this process look at once."""
        ports.campaigns.poke()
        return view_of(kept)

    @routes.get("", responses=responses(400, 401, 403, 429, 503))
    def list_services(
        caller: Read,
        service: Annotated[str, Query(pattern=r"^[a-z0-9-]{0,40}$")] = "",
        after: Annotated[
            str,
            Query(
                description="`next` of the page before.",
                pattern=r"^([\w.-]{1,64}/[a-z0-9-]{1,40}/[0-9a-f]{16})?$",
            ),
        ] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> ServicePage:
        """List what is desired, of one service or of all, a page at a time."""
        found: list[Kept] = []
        is_last = False
        while len(found) < limit and not is_last:
            page = ports.services.desired.all_desired(
                tenants=caller.tenants, name=service, after=after, limit=limit
            )
            is_last = len(page) < limit
            seen = [one for one in page if sees(caller, one.tenant, one.target)]
            found += seen[: limit - len(found)]
            after = _place(page[-1]) if page else after
        more = _place(found[-1]) if len(found) == limit else None
        return ServicePage([view_of(kept) for kept in found], more)

    @routes.post("", status_code=201, responses=responses(400, 401, 403, 409, 413, 429, 503))
    def apply_service(caller: Write, wish: ServiceWish, tenant: TenantName = "") -> ServiceView:
        """Desire a service of a vehicle, a fleet or whatever a query means; the same again changes nothing.

        Where the tenant demands approval it waits, and what was in force stays in force meanwhile.
        """
        service, target = _service(wish), _target(wish)
        of = tenant_meant(caller, tenant)
        if not sees(caller, of, target):
            where = of if target.fleet == "*" else f"{of}/{target.fleet}"
            raise Denied(f"this service needs {caller.permission} over {where}, and you hold less")
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return told(ordering.apply(of, service, target, actor=actor, now_ns=now_ns))

    @routes.get("/{id}", responses=responses(400, 401, 403, 404, 429, 503))
    def show_service(caller: Read, id: DesiredId) -> ServiceView:  # noqa: A002 - as it is in the path
        """Show what is desired of one target about one service."""
        return view_of(seen_desired(ports, caller, id))

    @routes.post("/{id}/approve", responses=ACTS)
    def approve_service(caller: _Approve, id: DesiredId, wish: ApprovalWish) -> ServiceView:  # noqa: A002
        """Put what waits into force; its author cannot."""
        kept = seen_desired(ports, caller, id)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return told(ordering.approve(kept, wish.sync_id, actor=actor, now_ns=now_ns))

    @routes.post("/{id}/withdraw", responses=ACTS)
    def withdraw_service(caller: Write, id: DesiredId) -> ServiceView:  # noqa: A002
        """Forget what waits; what is in force stays."""
        kept = seen_desired(ports, caller, id)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return told(ordering.withdraw(kept, actor=actor, now_ns=now_ns))

    @routes.delete("/{id}", status_code=204, response_class=Response, responses=ACTS)
    def remove_service(caller: Write, id: DesiredId) -> None:  # noqa: A002
        """Desire it no longer: vehicles stop it, unless something else wants it of them."""
        kept = seen_desired(ports, caller, id)
        ordering.remove(kept, actor=caller.principal.actor, now_ns=clock.now_ns())
        ports.campaigns.poke()

    return routes


def _service(wish: ServiceWish) -> Service:
    if isinstance(wish.manifest, str):
        return service_from_yaml(wish.manifest)
    return service_of(wish.manifest)


def _target(wish: ServiceWish) -> Target:
    said = [(kind, text) for kind in TargetKind if (text := getattr(wish, kind.value))]
    if len(said) != 1:
        raise BadInput(f"whom is it for?  Give one of {', '.join(TargetKind)}")
    return target_of(*said[0])


def _place(kept: Kept) -> str:
    return f"{kept.tenant}/{kept.name}/{kept.id}"
