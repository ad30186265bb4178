"""How services are shown."""

import json
from dataclasses import dataclass
from typing import Any

from fairway.control import ServiceDenial, ServiceStatus
from fleet_cloud.api.campaign_views import TargetView
from fleet_cloud.api.parameters import iso
from fleet_cloud.services.model import Content, Kept
from fleet_cloud.services.plan import Chosen


@dataclass(frozen=True, slots=True)
class ContentView:
    """A manifest as it is desired: who wants it, and who approved it."""

    version: str
    image: str | None
    sync_id: str
    author: str
    approved_by: str | None
    time: str
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServiceView:
    """What is desired of one target about one service; `proposed` waits for approval."""

    id: str
    tenant: str
    service: str
    target: TargetView
    state: str
    created: str
    changed: str
    in_force: ContentView | None
    proposed: ContentView | None


@dataclass(frozen=True, slots=True)
class ServicePage:
    """Some of what is desired; `next` is the `after` of the next page, null on the last."""

    services: list[ServiceView]
    next: str | None


@dataclass(frozen=True, slots=True)
class DenialView:
    """Something that a service asked for in vain, and how often since its vehicle's agent started."""

    kind: str
    what: str
    count: int
    last: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class StatusView:
    """How a service stands in a vehicle, in the words of Eclipse Ankaios; `denials`: the last few things."""

    service: str
    version: str
    state: str
    sub_state: str | None
    why: str | None
    ready: bool
    restarts: int
    last_good: str | None
    bad_versions: list[str]
    image: str | None
    isolated: bool
    denied: int
    denials: list[DenialView]


@dataclass(frozen=True, slots=True)
class ChosenView:
    """What a vehicle is to run of one service: by which desire, over which others; a conflict if there is."""

    id: str
    service: str
    version: str
    image: str | None
    target: TargetView
    overrides: list[str]
    conflict: str | None


@dataclass(frozen=True, slots=True)
class VehicleServices:
    """What a vehicle is to run, and what it says; `runs_services` is false until it says that it does."""

    vehicle: str
    runs_services: bool
    revision: int | None
    received: str | None
    desired: list[ChosenView]
    services: list[StatusView]


@dataclass(frozen=True, slots=True)
class VehicleStatus:
    """One service in one vehicle."""

    vehicle: str
    received: str
    status: StatusView


@dataclass(frozen=True, slots=True)
class StatusPage:
    """Some vehicles in order of id; `counts` is over all: how many told of each version and state."""

    vehicles: list[VehicleStatus]
    counts: list[dict[str, Any]]
    next: str | None


def view_of(kept: Kept) -> ServiceView:
    """Return what is desired as the API tells it."""
    return ServiceView(
        id=kept.id,
        tenant=kept.tenant,
        service=kept.name,
        target=_target(kept),
        state=kept.state.value,
        created=iso(kept.created_time_ns),
        changed=iso(kept.changed_time_ns),
        in_force=_content(kept.in_force),
        proposed=_content(kept.proposed),
    )


def status_view(status: ServiceStatus) -> StatusView:
    """Return a status as the API tells it."""
    return StatusView(
        service=status.name,
        version=status.version,
        state=status.state.value,
        sub_state=status.sub.value or None,
        why=status.why or None,
        ready=status.is_ready,
        restarts=status.restarts,
        last_good=status.last_good or None,
        bad_versions=list(status.bad),
        image=status.image or None,
        isolated=status.is_isolated,
        denied=status.denied,
        denials=[_denial(one) for one in status.denials],
    )


def _denial(denial: ServiceDenial) -> DenialView:
    return DenialView(
        kind=denial.kind,
        what=denial.what,
        count=denial.count,
        last=iso(denial.last_time_ns) if denial.last_time_ns else None,
        why=denial.why or None,
    )


def chosen_view(chosen: Chosen) -> ChosenView:
    """Return a choice as the API tells it."""
    return ChosenView(
        id=chosen.kept.id,
        service=chosen.kept.name,
        version=chosen.content.version,
        image=chosen.content.image or None,
        target=_target(chosen.kept),
        overrides=[one.id for one in chosen.overridden],
        conflict=chosen.conflict or None,
    )


def _target(kept: Kept) -> TargetView:
    return TargetView(kept.target.kind.value, kept.target.text)


def _content(content: Content | None) -> ContentView | None:
    if content is None:
        return None
    return ContentView(
        version=content.version,
        image=content.image or None,
        sync_id=content.sync_id,
        author=content.author,
        approved_by=content.approved_by or None,
        time=iso(content.time_ns),
        manifest=json.loads(content.manifest),
    )
