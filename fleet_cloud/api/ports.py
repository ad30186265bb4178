"""What the REST API stands on: everything it may ask, and what it says when it will not."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry

from fairway.clock import Clock
from fairway.errors import BadInput, Denied, Unavailable
from fleet_cloud.access.grants import DEFAULT_FLEET
from fleet_cloud.access.keys import Keys
from fleet_cloud.access.tokens import TokenMaker, Tokens
from fleet_cloud.access.users import UserReader
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.audit.acts import Audit
from fleet_cloud.audit.ports import AuditReader
from fleet_cloud.campaigns.ports import (
    Catalogues,
    PlanKeeper,
    ProgressReader,
    Said,
)
from fleet_cloud.campaigns.service import Service
from fleet_cloud.control.commanding import Commanding
from fleet_cloud.control.ports import (
    Commands,
)
from fleet_cloud.ingest.ports import LiveFeed
from fleet_cloud.ingest.records import Quarantine
from fleet_cloud.ingest.status import IngestStatus
from fleet_cloud.models.control_plane import ControlPlane
from fleet_cloud.rollouts.desk import Desk as RolloutDesk
from fleet_cloud.rollouts.ecus import EcuKeeper, RecordReader, RxswinReader
from fleet_cloud.rollouts.keeping import Rollouts, Standings
from fleet_cloud.rollouts.ports import ImageRepository, Offers
from fleet_cloud.services.images import Shelf
from fleet_cloud.services.ordering import Ordering
from fleet_cloud.services.ports import Desired, Statuses
from fleet_cloud.vehicles.drives import DriveReader
from fleet_cloud.vehicles.registry import VehicleReader
from fleet_cloud.vehicles.telemetry import TelemetryReader, TelemetryStatistics


class Telemetry(TelemetryReader, DriveReader, TelemetryStatistics, Protocol):
    """The readable half of the telemetry store."""


class NotFound(BadInput):
    """Nothing is called that; the API answers 404."""


class NotAcceptable(BadInput):
    """None of the media types asked for can be given; the API answers 406."""


class NotSignedIn(Denied):
    """Who asks has not proved who they are; the API answers 401 with a challenge (RFC 6750)."""

    def __init__(self, detail: str, *, is_wrong: bool) -> None:
        super().__init__(detail)
        self.is_wrong = is_wrong  # something was shown, and it is not good


class NotAllowed(Denied):
    """Who asks holds no permission to do this; the API answers 403 and says which one it is."""

    def __init__(self, permission: str) -> None:
        super().__init__(f"this needs the permission {permission}")
        self.permission = permission


class TooOften(Unavailable):
    """Who asks does so too often; the API answers 429."""

    def __init__(self, detail: str, *, wait_s: float) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class SignIn:
    """An issuer of our own, and who may sign in there."""

    maker: TokenMaker
    users: UserReader


@dataclass(frozen=True, slots=True)
class CampaignPorts:
    """What the routes of campaigns are given."""

    service: Service
    commanding: Commanding
    plan: PlanKeeper
    said: Said
    commands: Commands
    progress: ProgressReader
    catalogues: Catalogues
    poke: Callable[[], None]  # tells this process's doors that something changed
    price_per_mb: float = 0.0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ServicePorts:
    """What the routes of services are given."""

    ordering: Ordering
    desired: Desired
    statuses: Statuses
    shelf: Shelf


@dataclass(frozen=True, slots=True)
class UpdatePorts:
    """What the routes of updates are given."""

    desk: RolloutDesk
    rollouts: Rollouts
    standings: Standings
    offers: Offers
    records: RecordReader
    ecus: EcuKeeper
    rxswin: RxswinReader
    poke: Callable[[], None] = lambda: None  # has this process's worker look at once


@dataclass(frozen=True, slots=True)
class ReleasePorts:
    """What the routes of releases are given."""

    repository: ImageRepository
    artifacts: Artifacts


FleetsOf = Callable[[str, str], Collection[str]]  # (tenant, vehicle) -> its fleets


def default_fleet(_tenant: str, _vehicle: str) -> Collection[str]:
    """Return the fleets of vehicles that nobody put into another."""
    return (DEFAULT_FLEET,)


@dataclass(frozen=True, slots=True)
class ApiPorts:
    """What the routes are given."""

    telemetry: Telemetry
    vehicles: VehicleReader
    quarantine: Quarantine
    ingest_status: Callable[[], IngestStatus]
    feed: LiveFeed
    metrics: CollectorRegistry
    clock: Clock
    keys: Keys
    tokens: Tokens
    audit: Audit
    acts: AuditReader
    campaigns: CampaignPorts
    services: ServicePorts
    fleets_of: FleetsOf = default_fleet
    sign_in: SignIn | None = None  # None: people sign in elsewhere
    releases: ReleasePorts | None = None  # None: nothing is published here
    updates: UpdatePorts | None = None  # None: nothing is rolled out here
    fleetwise: ControlPlane | None = None  # None: models are kept elsewhere
