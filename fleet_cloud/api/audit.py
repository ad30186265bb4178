"""GET /v1/audit: who did what, newest first.

Rule 1: acts are their tenant's; who may see one fleet of it sees none of them.
Rule 2: acts on the platform itself are for who may see everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import iso, time_ns
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.visible import Caller
from fleet_cloud.audit.acts import Outcome
from fleet_cloud.audit.chain import Entry
from fleet_cloud.audit.ports import Wanted
from fleet_cloud.vehicles.telemetry import TIME_MAX_NS

# A person reads them; whoever wants all exports them.
ENTRIES_MAX = 1000

# Three of them, percent-encoded, still fit the longest URL that is taken.
_Text = Annotated[str, Query(max_length=128)]


@dataclass(frozen=True, slots=True)
class ActView:
    """One act, and its place in its tenant's chain."""

    id: int
    tenant: str
    number: int
    time: str
    time_ns: int
    actor: str
    action: str
    object: str
    outcome: Outcome
    details: Mapping[str, str]
    hash: str


@dataclass(frozen=True, slots=True)
class ActList:
    """Acts, newest first; `next` is what to give as `before` for the ones before them."""

    acts: list[ActView]
    next: int | None


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of the audit log."""
    routes = APIRouter(prefix="/v1", tags=["access"])

    @routes.get("/audit", responses=responses(400, 401, 403, 429, 503))
    def list_acts(  # noqa: PLR0913, PLR0917 - one for each thing to ask by
        caller: Annotated[Caller, needs(Permission.AUDIT_READ)],
        actor: _Text = "",
        action: _Text = "",
        object: _Text = "",  # noqa: A002 - what the log calls it
        since: Annotated[str, Query(alias="from", max_length=64)] = "0",
        until: Annotated[str, Query(alias="to", max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=ENTRIES_MAX)] = 100,
        before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    ) -> ActList:
        """List what was done, by whom and to what, newest first."""
        now_ns = ports.clock.now_ns()
        wanted = Wanted(
            caller.whole_tenants,
            actor,
            action,
            object,
            from_ns=time_ns(since, name="from", now_ns=now_ns),
            to_ns=time_ns(until, name="to", now_ns=now_ns) if until else TIME_MAX_NS,
        )
        found = ports.acts.newest(wanted, limit=limit, before=before)
        return ActList(
            [_view(place, entry) for place, entry in found],
            found[-1][0] if len(found) == limit else None,
        )

    return routes


def _view(place: int, entry: Entry) -> ActView:
    return ActView(
        place,
        entry.act.tenant,
        entry.number,
        iso(entry.time_ns),
        entry.time_ns,
        entry.act.actor,
        entry.act.action,
        entry.act.object,
        entry.act.outcome,
        entry.act.details,
        entry.hash,
    )
