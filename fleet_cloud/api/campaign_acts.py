"""POST /v1/campaigns/{name}/...: what is done to a campaign: approve, start, suspend, resume, stage."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.campaign_views import CampaignView, view_of
from fleet_cloud.api.campaigns import ACTS, CampaignName, Write, seen_campaign
from fleet_cloud.api.gate import needs
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.tenants import TenantName
from fleet_cloud.api.visible import Caller
from fleet_cloud.campaigns.model import Kept

_Approve = Annotated[Caller, needs(Permission.CAMPAIGNS_APPROVE)]


@dataclass(frozen=True, slots=True)
class StageWish:
    """The share of its targets that a campaign is to reach."""

    percent: Annotated[float, Field(gt=0, le=100)]


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of acts on campaigns."""
    routes = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
    service, clock = ports.campaigns.service, ports.clock

    def told(kept: Kept) -> CampaignView:
        """Have the doors of this process look at once, and return the campaign as it is now."""
        ports.campaigns.poke()
        return view_of(kept, ports.campaigns)

    @routes.post("/{name}/approve", responses=ACTS)
    def approve_campaign(
        caller: _Approve, name: CampaignName, tenant: TenantName = ""
    ) -> CampaignView:
        """Approve a campaign as it is; its author cannot."""
        kept = seen_campaign(ports, caller, tenant, name)
        return told(service.approve(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))

    @routes.post("/{name}/start", responses=ACTS)
    def start_campaign(caller: Write, name: CampaignName, tenant: TenantName = "") -> CampaignView:
        """Send an approved campaign to its targets, or to the first share of them."""
        kept = seen_campaign(ports, caller, tenant, name)
        return told(service.start(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))

    @routes.post("/{name}/suspend", responses=ACTS)
    def suspend_campaign(
        caller: Write, name: CampaignName, tenant: TenantName = ""
    ) -> CampaignView:
        """Have vehicles pause a campaign; what waits in them is still sent."""
        kept = seen_campaign(ports, caller, tenant, name)
        return told(service.suspend(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))

    @routes.post("/{name}/resume", responses=ACTS)
    def resume_campaign(caller: Write, name: CampaignName, tenant: TenantName = "") -> CampaignView:
        """Have vehicles go on with a suspended campaign."""
        kept = seen_campaign(ports, caller, tenant, name)
        return told(service.resume(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))

    @routes.post("/{name}/stage", responses=ACTS)
    def stage_campaign(
        caller: Write, name: CampaignName, wish: StageWish, tenant: TenantName = ""
    ) -> CampaignView:
        """Raise the share of its targets that a campaign reaches; also after it stopped by itself."""
        kept = seen_campaign(ports, caller, tenant, name)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return told(service.stage(kept, wish.percent, actor=actor, now_ns=now_ns))

    return routes
