"""/v1/rollouts: which release goes to which vehicles, from a wish to the record of what was done.

Rule 1: a rollout is there for whoever may see its fleet, or the whole of its tenant.
Rule 2: every act is in the audit log and in the records before it is done.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from fairway.errors import Denied
from fairway.update import Stage
from fleet_cloud.access.grants import may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import needs
from fleet_cloud.api.ports import ApiPorts, NotFound, UpdatePorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.rollout_views import (
    RolloutPage,
    RolloutVehicles,
    RolloutView,
    rollout_view,
    vehicle_view,
)
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.visible import Caller
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.control.targets import Target
from fleet_cloud.rollouts.model import Kept
from fleet_cloud.rollouts.wishes import wish_of

RolloutId = Annotated[str, Path(description="As /v1/rollouts tells it.", pattern=r"^[0-9a-f]{16}$")]
Read = Annotated[Caller, needs(Permission.ROLLOUTS_READ)]
Write = Annotated[Caller, needs(Permission.ROLLOUTS_WRITE)]
Approve = Annotated[Caller, needs(Permission.ROLLOUTS_APPROVE)]
Records = Annotated[Caller, needs(Permission.UPDATES_RECORDS)]
ACTS = responses(400, 401, 403, 404, 409, 413, 429, 503)
_ASKS = responses(400, 401, 403, 404, 429, 503)
LINES = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class RolloutWish:
    """A wish as `fleet-cloud rollout create` takes it; a draft waits to be submitted."""

    wish: dict[str, Any]
    draft: bool = False


def seen_rollout(updates: UpdatePorts, caller: Caller, id_: str) -> Kept:
    """Return a rollout that is there for `caller`.  Raises NotFound, Unavailable."""
    kept = updates.rollouts.rollout(caller.tenants, id_)
    if kept is None or not sees(caller, kept.tenant, kept.wish.target):
        raise NotFound(f"there is no rollout {id_}: see /v1/rollouts")
    return kept


def sees(caller: Caller, tenant: str, target: Target) -> bool:
    """Whether what is rolled out to a target is there for `caller`."""
    return may(caller.principal, caller.permission, tenant, target.fleet)


def shown(updates: UpdatePorts, kept: Kept) -> RolloutView:
    """Return a rollout with its waves and counts."""
    waves = updates.standings.waves(kept)
    return rollout_view(kept, waves, updates.standings.counts(kept))


def router(ports: ApiPorts, updates: UpdatePorts) -> APIRouter:
    """Return the routes of rollouts."""
    routes = APIRouter(prefix="/v1/rollouts", tags=["rollouts"])
    clock = ports.clock

    @routes.get("", responses=responses(400, 401, 403, 429, 503))
    def list_rollouts(
        caller: Read,
        after: Annotated[
            str,
            Query(
                description="`next` of the page before.",
                pattern=r"^([0-9]{1,19}/[0-9a-f]{16})?$",
            ),
        ] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> RolloutPage:
        """List rollouts, newest first, a page at a time."""
        found: list[Kept] = []
        is_last = False
        while len(found) < limit and not is_last:
            page = updates.rollouts.rollouts(tenants=caller.tenants, after=after, limit=limit)
            is_last = len(page) < limit
            seen = [one for one in page if sees(caller, one.tenant, one.wish.target)]
            found += seen[: limit - len(found)]
            after = _place(page[-1]) if page else after
        more = _place(found[-1]) if len(found) == limit else None
        return RolloutPage([rollout_view(kept) for kept in found], more)

    @routes.post("", status_code=201, responses=responses(400, 401, 403, 409, 413, 429, 503))
    def create_rollout(caller: Write, body: RolloutWish, tenant: TenantName = "") -> RolloutView:
        """Make a rollout of a release; it waits for approval by somebody else."""
        wish, of = wish_of(body.wish), tenant_meant(caller, tenant)
        if not sees(caller, of, wish.target):
            where = of if wish.target.fleet == "*" else f"{of}/{wish.target.fleet}"
            raise Denied(f"this rollout needs {caller.permission} over {where}, and you hold less")
        actor, now_ns = caller.principal.actor, clock.now_ns()
        kept = updates.desk.create(of, wish, actor=actor, now_ns=now_ns, is_draft=body.draft)
        updates.poke()
        return shown(updates, kept)

    @routes.get("/{rollout}", responses=_ASKS)
    def show_rollout(caller: Read, rollout: RolloutId) -> RolloutView:
        """Show a rollout with its waves, and how many vehicles stand where."""
        kept = seen_rollout(updates, caller, rollout)
        return shown(updates, kept)

    @routes.get("/{rollout}/vehicles", responses=_ASKS)
    def list_vehicles(
        caller: Read,
        rollout: RolloutId,
        stage: Stage | None = None,
        after: Annotated[str, Query(pattern=r"^[\w.-]{0,64}$")] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> RolloutVehicles:
        """List the vehicles of a rollout, all or those at a stage: how the update stands, and why."""
        kept = seen_rollout(updates, caller, rollout)
        found = updates.standings.vehicles(kept, after=after, stage=stage, limit=limit)
        more = found[-1].vehicle if len(found) == limit else None
        return RolloutVehicles([vehicle_view(one) for one in found], more)

    @routes.get(
        "/{rollout}/records",
        responses={**_ASKS, 200: {"content": {LINES: {}}}},
        response_class=StreamingResponse,
    )
    def export_records(caller: Records, rollout: RolloutId) -> StreamingResponse:
        """Export every record of a rollout with its proof, as JSON lines for `fleet-cloud rollout verify`."""
        kept = seen_rollout(updates, caller, rollout)
        lines = updates.records.export(kept.tenant, kept.id, clock.now_ns())
        return StreamingResponse(lines, media_type=LINES)

    return routes


def _place(kept: Kept) -> str:
    return f"{kept.created_time_ns}/{kept.id}"
