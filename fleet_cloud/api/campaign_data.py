"""GET /v1/campaigns/{name}/vehicles|events|data|check: what vehicles make of a campaign, and what it brings.

Rule 1: events and samples are telemetry, and need that permission; statuses do not.
Rule 2: a campaign's data are the samples of its streams: all batches of a stream are of one campaign.
"""

from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from fairway.campaign.model import Campaign
from fairway.control import CampaignState, CampaignStatus
from fairway.errors import BadInput
from fleet_cloud.access.roles import Permission
from fleet_cloud.api import formats
from fleet_cloud.api.campaign_views import ProgressView, progress_view
from fleet_cloud.api.campaigns import CampaignName, Read, seen_campaign
from fleet_cloud.api.formats import Format
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import SIGNAL_MAX_CHARS, iso, time_ns
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.series import LIMIT_DEFAULT, RESPONSES, paged
from fleet_cloud.api.tenants import TenantName
from fleet_cloud.api.visible import Caller, known_vehicle
from fleet_cloud.campaigns.check import prepare, report
from fleet_cloud.campaigns.model import Kept
from fleet_cloud.campaigns.ports import (
    CheckedIn,
    Happened,
    Progress,
)
from fleet_cloud.campaigns.stages import is_reached
from fleet_cloud.control.ports import (
    PAGE_MAX,
)
from fleet_cloud.control.reach import meant
from fleet_cloud.vehicles.telemetry import POINTS_MAX, TIME_MAX_NS, SignalSpan

_Telemetry = Annotated[Caller, needs(Permission.TELEMETRY_READ)]
_After = Annotated[
    str, Query(description="The id to go on behind.", pattern=r"^[A-Za-z0-9._-]{0,64}$")
]
_VehicleQuery = Annotated[str, Query(pattern=r"^[A-Za-z0-9._-]{0,64}$")]
# FleetWise's words, and two of ours.
_WORDS = {
    CampaignState.READY: "ready",
    CampaignState.RUNNING: "healthy",
    CampaignState.SUSPENDED: "suspended",
    CampaignState.EXPIRED: "expired",
    CampaignState.REFUSED: "refused",
}
_CREATED = CampaignStatus("", CampaignState.READY)


@dataclass(frozen=True, slots=True)
class VehicleStatus:
    """A campaign in one vehicle: created (nothing was said yet), ready, healthy, suspended, expired, refused.

    Counts are the vehicle's own, since it put the campaign into force; `progress` is what has arrived here.
    """

    vehicle: str
    status: str
    reason: str | None
    warnings: list[str]
    triggers: int
    samples: int
    sent_bytes: int
    waiting_bytes: int
    dropped_samples: int
    held_back_bytes: int
    checked_in: str | None
    progress: ProgressView


@dataclass(frozen=True, slots=True)
class VehicleStatusPage:
    """Some vehicles in order of id; `next` is the `after` of the next page, or null on the last."""

    vehicles: list[VehicleStatus]
    next: str | None


@dataclass(frozen=True, slots=True)
class EventView:
    """One event: when the vehicle triggered it, and what came with it."""

    vehicle: str
    id: int
    time: str
    time_ns: int
    samples: int
    dtcs: list[str]
    dtcs_missing: str | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the newest first; `next` is the `before` of the next page, or null on the last."""

    events: list[EventView]
    next: str | None


@dataclass(frozen=True, slots=True)
class CheckView:
    """How a campaign fits its targets: how many run it whole, partly or not, and of how many none knows."""

    vehicles: int
    counts: dict[str, int]
    missing: dict[str, int]
    errors: dict[str, int]
    examples: dict[str, list[str]]


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of what campaigns bring."""
    routes = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])

    @routes.get("/{name}/vehicles", responses=responses(400, 401, 403, 404, 429, 503))
    def list_statuses(
        caller: Read,
        name: CampaignName,
        tenant: TenantName = "",
        after: _After = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> VehicleStatusPage:
        """List the vehicles that a campaign is for, and what each said of it last."""
        kept = seen_campaign(ports, caller, tenant, name)
        told = {
            one.vehicle.name: one
            for one in ports.campaigns.said.statuses(
                kept.tenant, kept.sync_id, after=after, limit=limit
            )
        }
        reached = {
            vehicle
            for vehicle in meant(ports.campaigns.plan, ports.vehicles, kept.tenant, kept.target)
            if vehicle > after and is_reached(kept.name, vehicle, kept.percent)
        }
        names = sorted(reached | told.keys())[:limit]
        brought = ports.campaigns.progress.of_vehicles(kept.tenant, kept.sync_id, names)
        found = [_status(one, told.get(one), brought.get(one), ports) for one in names]
        return VehicleStatusPage(found, names[-1] if len(names) == limit else None)

    @routes.get("/{name}/check", responses=responses(400, 401, 403, 404, 429, 503))
    def check_campaign(caller: Read, name: CampaignName, tenant: TenantName = "") -> CheckView:
        """Hold a campaign against what its targets can collect, before or after it is started."""
        kept = seen_campaign(ports, caller, tenant, name)
        return _checked(ports, kept, kept.campaign)

    @routes.get("/{name}/events", responses=responses(400, 401, 403, 404, 429, 503))
    def list_events(
        caller: _Telemetry,
        name: CampaignName,
        tenant: TenantName = "",
        vehicle: _VehicleQuery = "",
        before: Annotated[str, Query(max_length=120)] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> EventPage:
        """List the events of a campaign, the newest first."""
        kept = seen_campaign(ports, caller, tenant, name)
        found = ports.campaigns.progress.events(
            kept.tenant, kept.sync_id, vehicle=vehicle, before=before, limit=limit
        )
        return EventPage(
            [_event(one) for one in found], found[-1].place if len(found) == limit else None
        )

    @routes.get("/{name}/data", response_class=Response, responses=RESPONSES)
    def read_data(  # noqa: PLR0913 - each is a parameter of the request
        *,
        caller: _Telemetry,
        request: Request,
        name: CampaignName,
        vehicle: Annotated[
            str, Query(description="Of which vehicle.", pattern=r"^[A-Za-z0-9._-]{1,64}$")
        ],
        signal: Annotated[str, Query(max_length=SIGNAL_MAX_CHARS, description="Which signal.")],
        tenant: TenantName = "",
        partition: Annotated[
            str | None, Query(max_length=128, description="Only what waited in this partition.")
        ] = None,
        from_: Annotated[str, Query(alias="from", max_length=64)] = "0",
        to: Annotated[str, Query(max_length=64)] = str(TIME_MAX_NS),
        limit: Annotated[int, Query(ge=1, le=POINTS_MAX)] = LIMIT_DEFAULT,
        format_: Annotated[Format | None, Query(alias="format")] = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Read the samples of one signal that a campaign has collected in one vehicle."""
        form = formats.chosen(format_, accept)
        kept = seen_campaign(ports, caller, tenant, name)
        found = known_vehicle(ports.vehicles, vehicle, caller)
        if found.tenant != kept.tenant:
            raise NotFound(f"no vehicle is called {vehicle!r}: see /v1/vehicles")
        now_ns = ports.clock.now_ns()
        span = SignalSpan(
            found.tenant,
            found.id,
            signal,
            time_ns(from_, name="from", now_ns=now_ns),
            time_ns(to, name="to", now_ns=now_ns),
            tuple(
                stream
                for stream, of in ports.campaigns.progress.streams(
                    kept.tenant, kept.sync_id, found.id
                )
                if partition in (None, of)
            ),
        )
        if span.from_ns > span.to_ns:
            raise BadInput(f"from ({from_}) is behind to ({to}): swap them")
        series = ports.telemetry.series(span, limit=limit)
        head = {"campaign": name, "vehicle": found.id, "signal": signal}
        return paged(request, formats.of_series(series, head), form, series.next_ns)

    return routes


def _checked(ports: ApiPorts, kept: Kept, campaign: Campaign) -> CheckView:
    said, catalogues = ports.campaigns.said, ports.campaigns.catalogues
    found = report(
        prepare(campaign),
        meant(ports.campaigns.plan, ports.vehicles, kept.tenant, kept.target),
        said.catalogues(kept.tenant),
        lambda named: catalogues.table(kept.tenant, named),
    )
    return CheckView(
        found.vehicles,
        {fit.value: count for fit, count in found.counts.items()},
        dict(found.missing),
        dict(found.errors),
        {fit.value: list(some) for fit, some in found.examples.items()},
    )


def _status(
    vehicle: str, told: CheckedIn | None, brought: Progress | None, ports: ApiPorts
) -> VehicleStatus:
    status = told.check_in.campaigns[0] if told else _CREATED
    progress = brought or Progress(vehicle, 0, 0, 0, 0)
    said = asdict(status)
    return VehicleStatus(
        vehicle=vehicle,
        status=_WORDS[status.state] if told else "created",
        reason=status.reason or None,
        warnings=list(status.warnings),
        **{name: said[name] for name in _COUNTS},
        checked_in=iso(told.received_time_ns) if told else None,
        progress=progress_view(
            progress.events,
            progress.samples,
            progress.received_bytes,
            progress.last_time_ns,
            ports.campaigns,
        ),
    )


_COUNTS = (
    "triggers",
    "samples",
    "sent_bytes",
    "waiting_bytes",
    "dropped_samples",
    "held_back_bytes",
)


def _event(one: Happened) -> EventView:
    return EventView(
        one.vehicle,
        one.id,
        iso(one.time_ns),
        one.time_ns,
        one.samples,
        list(one.dtcs),
        one.dtcs_missing or None,
    )
