"""/v1/campaigns: what is to be collected from which vehicles, from a document to what vehicles make of it.

Rule 1: a campaign is there for whoever may see its fleet, or the whole of its tenant.
Rule 2: every act is in the audit log before it is done; vehicles are told at once.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response

from fairway.campaign.document import campaign_document
from fairway.errors import Denied
from fleet_cloud.access.grants import may
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.campaign_views import CampaignPage, CampaignView, view_of
from fleet_cloud.api.gate import needs
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.visible import Caller
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.wishes import wish_of
from fleet_cloud.control.ports import (
    PAGE_MAX,
)
from fleet_cloud.control.targets import (
    Target,
)

CampaignName = Annotated[
    str, Path(description="What the document calls it.", pattern=r"^[a-zA-Z0-9\-_:]{1,100}$")
]
Read = Annotated[Caller, needs(Permission.CAMPAIGNS_READ)]
Write = Annotated[Caller, needs(Permission.CAMPAIGNS_WRITE)]
_Document = Annotated[
    dict[str, Any],
    Body(
        description="`campaign` (FleetWise's document), `target`, `stages`, `maxRefusedPercent`;"
        " or a FleetWise document alone, whose `targetArn` says whom it is for.",
        examples=[
            {
                "campaign": {
                    "name": "harsh-braking",
                    "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
                    "signalsToCollect": [{"name": "Vehicle.Speed"}],
                },
                "target": {"query": 'model == "ID.4" and year >= 2024'},
                "stages": [{"percent": 5, "after_s": 0}, {"percent": 100, "after_s": 86400}],
            }
        ],
    ),
]
ACTS = responses(400, 401, 403, 404, 409, 413, 429, 503)


def seen_campaign(ports: ApiPorts, caller: Caller, tenant: str, name: str) -> Kept:
    """Return a campaign that is there for `caller`.  Raises NotFound, Unavailable."""
    of = tenant_meant(caller, tenant)
    kept = ports.campaigns.plan.campaign(of, name)
    if kept is None or not may(caller.principal, caller.permission, of, kept.target.fleet):
        raise NotFound(f"no campaign is called {name}: see /v1/campaigns")
    return kept


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of campaigns."""
    routes = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
    service, plan, clock = ports.campaigns.service, ports.campaigns.plan, ports.clock

    def view(kept: Kept) -> CampaignView:
        return view_of(kept, ports.campaigns)

    @routes.get("", responses=responses(400, 401, 403, 429, 503))
    def list_campaigns(
        caller: Read,
        after: Annotated[
            str,
            Query(
                description="`next` of the page before.", pattern=r"^([\w.-]{1,64}/[\w:-]{1,100})?$"
            ),
        ] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> CampaignPage:
        """List campaigns in order of tenant and name, a page at a time."""
        found: list[Kept] = []
        is_last = False
        while len(found) < limit and not is_last:
            page = plan.campaigns(tenants=caller.tenants, after=after, limit=limit)
            is_last = len(page) < limit
            found += [one for one in page if _sees(caller, one.tenant, one.target)][
                : limit - len(found)
            ]
            after = f"{page[-1].tenant}/{page[-1].name}" if page else after
        more = f"{found[-1].tenant}/{found[-1].name}" if len(found) == limit else None
        return CampaignPage([view(kept) for kept in found], more)

    @routes.post("", status_code=201, responses=responses(400, 401, 403, 409, 413, 429, 503))
    def create_campaign(
        caller: Write, document: _Document, tenant: TenantName = ""
    ) -> CampaignView:
        """Make a campaign, which then waits for approval by somebody else."""
        wish = wish_of(document)
        of = tenant_meant(caller, tenant)
        _check_reach(caller, of, wish.target)
        kept = service.create(of, wish, actor=caller.principal.actor, now_ns=clock.now_ns())
        return view(kept)

    @routes.get("/{name}", responses=responses(400, 401, 403, 404, 429, 503))
    def show_campaign(caller: Read, name: CampaignName, tenant: TenantName = "") -> CampaignView:
        """Show a campaign: its document, where it stands, and what it has brought."""
        return view(seen_campaign(ports, caller, tenant, name))

    @routes.put("/{name}", responses=responses(400, 401, 403, 404, 409, 413, 429, 503))
    def change_campaign(
        caller: Write, name: CampaignName, document: _Document, tenant: TenantName = ""
    ) -> CampaignView:
        """Replace a campaign that has not been started; it waits for approval anew."""
        kept = seen_campaign(ports, caller, tenant, name)
        wish = wish_of(document, name=name)
        _check_reach(caller, kept.tenant, wish.target)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return view(service.change(kept, wish, actor=actor, now_ns=now_ns))

    @routes.delete("/{name}", status_code=204, response_class=Response, responses=ACTS)
    def delete_campaign(caller: Write, name: CampaignName, tenant: TenantName = "") -> None:
        """Take a campaign from its vehicles, and forget it; the samples it has brought stay."""
        kept = seen_campaign(ports, caller, tenant, name)
        service.delete(kept, actor=caller.principal.actor, now_ns=clock.now_ns())
        ports.campaigns.poke()

    @routes.get("/{name}/document", responses=responses(400, 401, 403, 404, 429, 503))
    def read_document(caller: Read, name: CampaignName, tenant: TenantName = "") -> dict[str, Any]:
        """Read a campaign's document alone, as FleetWise has it."""
        return campaign_document(seen_campaign(ports, caller, tenant, name).campaign)

    return routes


def _sees(caller: Caller, tenant: str, target: Target) -> bool:
    return may(caller.principal, caller.permission, tenant, target.fleet)


def _check_reach(caller: Caller, tenant: str, target: Target) -> None:
    """Raise Denied unless the caller may collect from all that the target can ever mean."""
    if not _sees(caller, tenant, target):
        where = tenant if target.fleet == "*" else f"{tenant}/{target.fleet}"
        raise Denied(f"this campaign needs {caller.permission} over {where}, and you hold less")
