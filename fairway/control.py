"""The nouns that vehicle and cloud exchange beside telemetry; `fairway.wire.control` turns them into bytes.

vehicle  --CheckIn, Catalogue, StateReport, Answer-->                        cloud
vehicle  <--CampaignList, CatalogueWanted, StateTemplateList, Command-----  cloud
vehicle  <--ServiceList, UpdateNotice--------------------------------------  cloud

Rule 1: a list replaces the list before, and has a revision; what a vehicle runs is said by its check-in.
Rule 2: a command is done once, however often it comes; its answer says what became of it.
Rule 3: whoever says nothing of services runs none, and is told nothing of them.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from fairway.campaign.model import Campaign
from fairway.services.states import State, Sub
from fairway.signals import Dictionary


class CampaignState(IntEnum):
    """How a campaign stands in a vehicle; the numbers are those of the wire."""

    READY = 1
    RUNNING = 2
    SUSPENDED = 3
    EXPIRED = 4
    REFUSED = 5


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """One campaign in a vehicle; counts are since it was put into force, over restarts."""

    sync_id: str
    state: CampaignState
    reason: str = ""
    warnings: tuple[str, ...] = ()
    triggers: int = 0
    samples: int = 0
    sent_bytes: int = 0
    waiting_bytes: int = 0
    dropped_samples: int = 0
    held_back_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StateTemplateStatus:
    """One state template in a vehicle."""

    name: str
    is_active: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServiceDenial:
    """Something that a service asked for in vain."""

    kind: str  # read, write, provide ..., call
    what: str  # a VSS path, or an offer
    count: int = 1
    last_time_ns: int = 0  # the vehicle's wall clock
    why: str = ""  # one sentence


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service in a vehicle."""

    name: str
    version: str  # in force, or being tried
    state: State
    sub: Sub = Sub.NONE
    why: str = ""  # one sentence
    is_ready: bool = False
    restarts: int = 0
    last_good: str = ""  # the version that returns when a change fails
    bad: tuple[str, ...] = ()  # versions that failed in this vehicle
    image: str = ""  # sha256:... of its manifest; "": a program of the vehicle
    is_isolated: bool = True
    denials: tuple[ServiceDenial, ...] = ()  # the last few, the newest first
    denied: int = 0  # how often anything was, since the agent's start


@dataclass(frozen=True, slots=True)
class CheckIn:
    """What a vehicle runs."""

    agent_version: str
    time_ns: int  # the vehicle's wall clock
    campaigns_revision: int = 0
    campaigns: tuple[CampaignStatus, ...] = ()
    catalogue_id: bytes = b""  # Dictionary.id of everything it can collect
    state_templates_revision: int = 0
    state_templates: tuple[StateTemplateStatus, ...] = ()
    services_revision: int | None = None  # None: this vehicle runs no services
    services: tuple[ServiceStatus, ...] = ()
    updates_revision: int | None = None  # of the last notice; None: takes no notice of updates


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Everything that a vehicle can collect."""

    dictionary: Dictionary


@dataclass(frozen=True, slots=True)
class StateValue:
    """The last known value of a signal."""

    name: str
    time_ns: int
    value: float | bool | str


@dataclass(frozen=True, slots=True)
class StateReport:
    """Last known values, for a template."""

    template: str
    values: tuple[StateValue, ...]


class AnswerState(IntEnum):
    """What became of a command; the numbers are those of AWS IoT FleetWise."""

    SUCCEEDED = 1
    TIMED_OUT = 2
    FAILED = 4
    IN_PROGRESS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A vehicle's answer to a command."""

    id: str
    state: AnswerState
    reason_code: int = 0
    sentence: str = ""
    json: str = ""  # what was asked for


@dataclass(frozen=True, slots=True)
class CampaignOrder:
    """A campaign that a vehicle is to run."""

    sync_id: str
    campaign: Campaign
    is_suspended: bool = False


@dataclass(frozen=True, slots=True)
class CampaignList:
    """All campaigns that a vehicle is to run; `unreadable` are those it cannot even read: sync id, reason."""

    revision: int
    campaigns: tuple[CampaignOrder, ...]
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogueWanted:
    """The cloud does not know this vehicle's catalogue."""


@dataclass(frozen=True, slots=True)
class StateTemplate:
    """Signals whose last known values the cloud wants to know, while it is active."""

    name: str
    signals: tuple[str, ...]
    period_ms: int = 0  # 0: on change


@dataclass(frozen=True, slots=True)
class StateTemplateList:
    """All state templates of a vehicle."""

    revision: int
    templates: tuple[StateTemplate, ...]


@dataclass(frozen=True, slots=True)
class ServiceOrder:
    """A service that a vehicle is to run."""

    sync_id: str  # service_sync_id(manifest)
    manifest: str  # JSON, read by fairway.services.manifest


@dataclass(frozen=True, slots=True)
class ServiceList:
    """All services that a vehicle is to run; `unreadable` are those it cannot even read: sync id, reason."""

    revision: int
    services: tuple[ServiceOrder, ...]
    artifacts_url: str = (
        ""  # where images are fetched; "": at the gRPC address that the vehicle knows
    )
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateNotice:
    """There may be something new to install: the vehicle looks at once, and trusts what is signed there."""

    url: str  # of the door for updates, https://host:port; "": the one that the vehicle knows
    revision: int  # grows with each change of what the vehicle is to install


def service_sync_id(manifest: str) -> str:
    """Return the name of a manifest's content."""
    return hashlib.sha256(manifest.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ExplainCampaign:
    """Asks why a campaign, by its name or sync id, sends what it sends."""

    campaign: str


@dataclass(frozen=True, slots=True)
class UploadPartition:
    """Sends what waits in a partition ("": in all), whatever its condition says."""

    campaign: str
    partition: str = ""
    end_time_ns: int = 0  # only what was collected until then; 0: everything


@dataclass(frozen=True, slots=True)
class ActivateState:
    """Begins to report a state template."""

    template: str
    deactivate_after_s: int = 0  # 0: until it is deactivated


@dataclass(frozen=True, slots=True)
class DeactivateState:
    """Stops reporting a state template."""

    template: str


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """Asks for all values of a state template, once."""

    template: str


@dataclass(frozen=True, slots=True)
class FetchServiceLogs:
    """Asks for the newest lines of a service; 0: as many as the vehicle thinks right."""

    service: str
    lines: int = 0


@dataclass(frozen=True, slots=True)
class ExplainService:
    """Asks why a service stands as it does."""

    service: str


@dataclass(frozen=True, slots=True)
class RestartService:
    """Starts a service anew, also one that was stopped."""

    service: str


@dataclass(frozen=True, slots=True)
class StopService:
    """Stops a service until it is restarted, or another version of it is wanted."""

    service: str


@dataclass(frozen=True, slots=True)
class ExecuteInService:
    """Runs a command inside a service; refused unless the vehicle's own settings allow it."""

    service: str
    argv: tuple[str, ...]
    timeout_s: int = 0  # 0: as the vehicle thinks right


ServiceWhat: TypeAlias = (
    FetchServiceLogs | ExplainService | RestartService | StopService | ExecuteInService
)
What: TypeAlias = (
    ExplainCampaign
    | UploadPartition
    | ActivateState
    | DeactivateState
    | SnapshotState
    | ServiceWhat
)
# An answer's reason: the vehicle's own settings forbid it.  In the range that FleetWise leaves to the maker.
FORBIDDEN_BY_VEHICLE = 0x1_0001
# They change nothing, and are answered anew each time.
QUESTIONS = (ExplainCampaign, FetchServiceLogs, ExplainService)


@dataclass(frozen=True, slots=True)
class Command:
    """A question or an order to a vehicle."""

    id: str
    expires_time_ns: int  # not begun after this: wall clock
    what: What


FromVehicle: TypeAlias = CheckIn | Catalogue | StateReport | Answer
ToVehicle: TypeAlias = (
    CampaignList | CatalogueWanted | StateTemplateList | ServiceList | UpdateNotice | Command
)
