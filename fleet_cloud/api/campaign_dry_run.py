"""POST /v1/campaigns/dry-run, POST /v1/campaigns/{name}/dry-run: what a campaign would do, on stored drives.

Rule 1: whoever asks may make campaigns and read telemetry: it says how people drive.
Rule 2: a dry run takes a core for a while, so a tenant has one at a time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Body

from fairway.campaign.document import campaign_of
from fairway.campaign.fields import Fields, fields_of
from fairway.campaign.model import Campaign
from fairway.prediction import Assumptions, Prediction, prediction_json
from fleet_cloud.access.grants import may_somewhere
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.campaigns import CampaignName, Write, seen_campaign
from fleet_cloud.api.parameters import time_ns
from fleet_cloud.api.ports import ApiPorts, NotAllowed, NotFound, TooOften
from fleet_cloud.api.problems import responses
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.visible import Caller, known_vehicle
from fleet_cloud.campaigns.trial import TRIAL_MAX_S, VEHICLES_MAX, Trial, Trials, TrialWish, act_of

# Of a prediction, as many times of triggers are told: a screen shows no more.
TRIGGER_TIMES_MAX = 1000

_ANSWERS = responses(400, 401, 403, 404, 413, 429, 503)
_DRIVES = (
    f"`vehicles` (1 to {VEHICLES_MAX}), `from`, `to` (as in series; until now without), `stream` (only what"
    " this one brought), `hoursPerMonth` (how long a vehicle is driven; 30)"
)
_EXAMPLE = {"vehicles": ["VIN1"], "from": "-7d", "hoursPerMonth": 40}
_Drives = Annotated[dict[str, Any], Body(description=f"{_DRIVES}.", examples=[_EXAMPLE])]
_DocumentAndDrives = Annotated[
    dict[str, Any],
    Body(
        description=f"`campaign` (FleetWise's document); {_DRIVES}.",
        examples=[
            _EXAMPLE
            | {
                "campaign": {
                    "name": "harsh-braking",
                    "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
                    "signalsToCollect": [{"name": "Vehicle.Speed"}],
                }
            }
        ],
    ),
]


@dataclass(frozen=True, slots=True)
class TriedView:
    """What a campaign would have done in one vehicle, on so many stored samples."""

    vehicle: str
    rows: int
    prediction: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrialView:
    """What a campaign would have done: `prediction` is of all drives of all vehicles, its month of one vehicle.

    A prediction is what `edge-agent campaign dry-run --json` prints, with the first 1,000 trigger times.
    """

    prediction: dict[str, Any]
    vehicles: list[TriedView]
    currency: str


class Turns:
    """Lets one at a time of each tenant."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: set[str] = set()

    @contextmanager
    def of(self, tenant: str) -> Iterator[None]:
        """Hold the turn of `tenant`.  Raises TooOften when somebody else holds it."""
        with self._lock:
            if tenant in self._busy:
                raise TooOften(
                    f"a dry run of {tenant} is under way: come again when it has answered",
                    wait_s=TRIAL_MAX_S / 2,
                )
            self._busy.add(tenant)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(tenant)


def router(ports: ApiPorts, turns: Turns | None = None) -> APIRouter:
    """Return the routes of dry runs."""
    routes = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
    turns = turns or Turns()
    campaigns = ports.campaigns
    trials = Trials(
        ports.telemetry, campaigns.said, campaigns.catalogues, campaigns.progress, ports.clock
    )

    def tried(caller: Caller, tenant: str, campaign: Campaign, wish: TrialWish) -> TrialView:
        _check_vehicles(ports, caller, tenant, wish)
        with turns.of(tenant):
            ports.audit.write(act_of(tenant, campaign, wish, actor=caller.principal.actor))
            return _view(trials.run(tenant, campaign, wish), wish.assumptions, campaigns.currency)

    @routes.post("/dry-run", responses=_ANSWERS)
    def try_document(caller: Write, wish: _DocumentAndDrives, tenant: TenantName = "") -> TrialView:
        """Try a campaign that is not made yet on stored drives: what it would trigger, send and cost."""
        fields = fields_of(wish, "")
        campaign = campaign_of(fields.taken("campaign"))
        of = tenant_meant(caller, tenant)
        return tried(caller, of, campaign, _wish(fields, ports))

    @routes.post("/{name}/dry-run", responses=_ANSWERS)
    def try_campaign(
        caller: Write, name: CampaignName, wish: _Drives, tenant: TenantName = ""
    ) -> TrialView:
        """Try a campaign on stored drives: what it would trigger, send and cost."""
        kept = seen_campaign(ports, caller, tenant, name)
        return tried(caller, kept.tenant, kept.campaign, _wish(fields_of(wish, ""), ports))

    return routes


def _wish(fields: Fields, ports: ApiPorts) -> TrialWish:
    now_ns = ports.clock.now_ns()
    vehicles = fields.needed_texts("vehicles", most=VEHICLES_MAX, characters=64)
    from_, to = fields.needed_text("from", most=64), fields.text("to", most=64)
    stream, hours = fields.text("stream", most=16), fields.number("hoursPerMonth", 0, 744)
    fields.nothing_else()
    return TrialWish(
        vehicles,
        time_ns(from_, name="from", now_ns=now_ns),
        now_ns if to is None else time_ns(to, name="to", now_ns=now_ns),
        stream,
        Assumptions(30.0 if hours is None else hours, ports.campaigns.price_per_mb),
    )


def _check_vehicles(ports: ApiPorts, caller: Caller, tenant: str, wish: TrialWish) -> None:
    """Raise NotAllowed, NotFound unless the caller may read the telemetry of all of them, and collect more."""
    if not may_somewhere(caller.principal, Permission.TELEMETRY_READ):
        raise NotAllowed(Permission.TELEMETRY_READ)
    reader = replace(caller, permission=Permission.TELEMETRY_READ)
    for name in wish.vehicles:
        for who in (caller, reader):
            if known_vehicle(ports.vehicles, name, who).tenant != tenant:
                raise NotFound(f"no vehicle is called {name!r}: see /v1/vehicles")


def _view(trial: Trial, assumptions: Assumptions, currency: str) -> TrialView:
    return TrialView(
        _shown(trial.prediction, assumptions),
        [
            TriedView(one.vehicle, one.rows, _shown(one.prediction, assumptions))
            for one in trial.vehicles
        ],
        currency,
    )


def _shown(prediction: Prediction, assumptions: Assumptions) -> dict[str, Any]:
    shown = prediction_json(prediction, assumptions)
    return shown | {"trigger_times_ns": shown["trigger_times_ns"][:TRIGGER_TIMES_MAX]}
