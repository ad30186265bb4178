"""What campaigns need of the world: somewhere durable for what is wanted, and for what vehicles say of it.

    wanted   Campaigns, Facts, Templates  --Changes-->  the plan of every process
    said     Lists, CheckIns, Twins, Commands, Progress, Catalogues

Rule 1: whatever changes the plan moves its revision on: control/ports.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairway.control import CheckIn, StateTemplate, StateValue
from fairway.errors import BadInput
from fairway.ids import vehicle_id
from fairway.signals import Dictionary, SignalTable
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.control.ports import PAGE_MAX, FactsKeeper, Vehicle
from fleet_cloud.control.targets import (
    Facts,
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in the plan after a revision, and the revision that this brings the reader to."""

    revision: int
    campaigns: tuple[Kept, ...] = ()  # deleted ones too
    facts: tuple[tuple[Vehicle, Facts], ...] = ()
    templates: Mapping[str, tuple[StateTemplate, ...]] | None = None  # all of each tenant concerned


class Campaigns(Protocol):
    """Keeps campaigns.  Contract: tests/contracts/test_campaigns.py."""

    def add(self, kept: Kept) -> None:
        """Keep a new campaign.  Raises Conflict when there is one of that name, Unavailable."""
        ...

    def change(self, kept: Kept) -> bool:
        """Put `kept`, whose version is one above the one it was made from, in that one's place.

        False: somebody else has changed it since.  Raises Unavailable.
        """
        ...

    def campaign(self, tenant: str, name: str) -> Kept | None:
        """Return a campaign that is not deleted.  Raises Unavailable."""
        ...

    def campaigns(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[Kept]:
        """Return campaigns of `tenants` (None: of all) in order of tenant and name.

        `after` is `<tenant>/<name>` of the one to go on behind.  Raises Unavailable.
        """
        ...


class Templates(Protocol):
    """Keeps state templates.  Contract: tests/contracts/test_campaigns.py."""

    def put_template(self, tenant: str, template: StateTemplate) -> bool:
        """Keep a template, or replace the one of its name; whether it is new.  Raises Unavailable."""
        ...

    def delete_template(self, tenant: str, name: str) -> bool:
        """Forget a template; False when there is none.  Raises Unavailable."""
        ...

    def templates(self, tenant: str) -> list[StateTemplate]:
        """Return all of a tenant, in order of name.  Raises Unavailable."""
        ...


class Following(Protocol):
    """Tells what changed.  Contract: tests/contracts/test_campaigns.py."""

    def changes(self, after: int) -> Changes:
        """Return what changed after a revision (0: everything).  Raises Unavailable."""
        ...


class PlanKeeper(Campaigns, FactsKeeper, Templates, Following, Protocol):
    """All that is wanted of vehicles."""


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """The last check-in of a vehicle, and when it came."""

    vehicle: Vehicle
    check_in: CheckIn
    received_time_ns: int


class CheckIns(Protocol):
    """Keeps what vehicles say they run.  Contract: tests/contracts/test_check_ins.py."""

    def note(self, checked_in: Sequence[CheckedIn]) -> None:
        """Replace what each of these vehicles said before.  Raises Unavailable."""
        ...

    def check_in(self, vehicle: Vehicle) -> CheckedIn | None:
        """Return the last check-in of a vehicle.  Raises Unavailable."""
        ...

    def statuses(
        self, tenant: str, sync_id: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[CheckedIn]:
        """Return the vehicles that told of a campaign, each with that status alone, in order of id."""
        ...

    def state_counts(self, tenant: str, sync_id: str) -> Mapping[int, int]:
        """Return how many vehicles told of each state of a campaign.  Raises Unavailable."""
        ...

    def catalogues(self, tenant: str) -> Mapping[str, bytes]:
        """Return which catalogue every vehicle named last.  Raises Unavailable."""
        ...


class Twins(Protocol):
    """Keeps last known values.  Contract: tests/contracts/test_check_ins.py."""

    def report(
        self, reports: Sequence[tuple[Vehicle, str, Sequence[StateValue]]], now_ns: int
    ) -> None:
        """Keep values of templates; of one signal the latest counts.  Raises Unavailable."""
        ...

    def twin(self, vehicle: Vehicle) -> list[tuple[StateValue, str]]:
        """Return the last known values, each with its template, in order of name.  Raises Unavailable."""
        ...


class Said(CheckIns, Twins, Protocol):
    """All that vehicles say of themselves."""


class Catalogues(Protocol):
    """Knows what vehicles can collect.  Contract: tests/contracts/test_catalogues.py."""

    def keep_catalogue(self, tenant: str, catalogue: Dictionary) -> None:
        """Keep a catalogue.  Raises Unavailable."""
        ...

    def table(self, tenant: str, catalogue: bytes) -> SignalTable | None:
        """Return a catalogue's signals; None: it is not known.  Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What a campaign has brought from one vehicle."""

    vehicle: str
    events: int
    samples: int
    received_bytes: int
    last_time_ns: int


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a campaign."""

    vehicle: str
    id: int
    time_ns: int
    samples: int
    dtcs: tuple[str, ...] = ()
    dtcs_missing: str = ""

    @property
    def place(self) -> str:
        """Its place in a listing."""
        return f"{self.time_ns}/{self.vehicle}/{self.id}"


def place_of(before: str) -> tuple[int, str, int]:
    """Read the place of an event in a listing: `<time_ns>/<vehicle>/<id>`.  Raises BadInput."""
    time_ns, _, rest = before.partition("/")
    vehicle, _, number = rest.rpartition("/")
    try:
        return int(time_ns), vehicle_id(vehicle), int(number)
    except ValueError as error:
        raise BadInput(f"before is {before[:80]!r}: give the `next` of the page before") from error


class ProgressReader(Protocol):
    """Tells what campaigns have brought.  Contract: tests/contracts/test_progress.py."""

    def total(self, tenant: str, sync_id: str) -> Progress:
        """Return the sums over all vehicles.  Raises Unavailable."""
        ...

    def of_vehicles(
        self, tenant: str, sync_id: str, vehicles: Collection[str]
    ) -> dict[str, Progress]:
        """Return the progress of those vehicles that have sent something.  Raises Unavailable."""
        ...

    def events(
        self, tenant: str, sync_id: str, *, vehicle: str = "", before: str = "", limit: int = 100
    ) -> list[Happened]:
        """Return events, the newest first.  Raises Unavailable."""
        ...

    def trim_events(self, tenant: str, sync_id: str, keep: int) -> None:
        """Forget all events but about the newest `keep`; counts stay.  Raises Unavailable."""
        ...

    def streams(self, tenant: str, sync_id: str, vehicle: str) -> list[tuple[str, str]]:
        """Return the streams of a campaign in a vehicle, each with its partition.  Raises Unavailable."""
        ...

    def every_stream(self, tenant: str, vehicle: str) -> list[str]:
        """Return the streams of all campaigns there ever were in a vehicle, in order.  Raises Unavailable."""
        ...
