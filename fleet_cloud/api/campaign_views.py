"""How campaigns are shown."""

from dataclasses import dataclass
from typing import Any

from fairway.campaign.document import campaign_document
from fairway.control import CampaignState
from fleet_cloud.api.parameters import iso
from fleet_cloud.api.ports import CampaignPorts
from fleet_cloud.campaigns.model import Kept

_BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class TargetView:
    """Which vehicles a campaign is for: `kind` is vehicle, fleet or query."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class StageView:
    """From `after_s` after the start, `percent` of the targets."""

    percent: float
    after_s: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What the bytes of a campaign have cost so far."""

    amount: float
    currency: str


@dataclass(frozen=True, slots=True)
class ProgressView:
    """What a campaign has brought so far; `cost` is null while no price is configured."""

    events: int
    samples: int
    received_bytes: int
    last: str | None
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class CampaignView:
    """One campaign; `percent` of its targets are reached, `vehicles` says how many told of each state."""

    name: str
    tenant: str
    state: str
    sync_id: str
    target: TargetView
    stages: list[StageView]
    max_refused_percent: float
    percent: float
    halted: str | None
    author: str
    approved_by: str | None
    created: str
    changed: str
    started: str | None
    document: dict[str, Any]
    vehicles: dict[str, int]
    progress: ProgressView


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """Some campaigns in order of tenant and name; `next` is the `after` of the next page, null on the last."""

    campaigns: list[CampaignView]
    next: str | None


def view_of(kept: Kept, ports: CampaignPorts) -> CampaignView:
    """Return a campaign as the API tells it."""
    counts = ports.said.state_counts(kept.tenant, kept.sync_id)
    total = ports.progress.total(kept.tenant, kept.sync_id)
    return CampaignView(
        name=kept.name,
        tenant=kept.tenant,
        state=kept.state.value,
        sync_id=kept.sync_id,
        target=TargetView(kept.target.kind.value, kept.target.text),
        stages=[StageView(one.percent, one.after_s) for one in kept.stages],
        max_refused_percent=kept.max_refused_percent,
        percent=kept.percent,
        halted=kept.halted or None,
        author=kept.author,
        approved_by=kept.approved_by or None,
        created=iso(kept.created_time_ns),
        changed=iso(kept.changed_time_ns),
        started=None if kept.started_time_ns is None else iso(kept.started_time_ns),
        document=campaign_document(kept.campaign),
        vehicles={state.name.lower(): counts.get(int(state), 0) for state in CampaignState},
        progress=progress_view(
            total.events, total.samples, total.received_bytes, total.last_time_ns, ports
        ),
    )


def progress_view(
    events: int, samples: int, received_bytes: int, last_time_ns: int, ports: CampaignPorts
) -> ProgressView:
    """Return progress with its cost."""
    price = ports.price_per_mb
    cost = Cost(round(received_bytes / _BYTES_PER_MB * price, 6), ports.currency) if price else None
    last = iso(last_time_ns) if last_time_ns else None
    return ProgressView(events, samples, received_bytes, last, cost)
