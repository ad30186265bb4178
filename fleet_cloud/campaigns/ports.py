"""What campaigns need of the world: somewhere durable for what is wanted, and for what vehicles say of it.

    wanted   Campaigns, Facts, Templates  --Changes-->  the plan of every process
    said     Lists, CheckIns, Twins, Commands, Progress, Catalogues

Rule 1: whatever changes the plan moves one number on, the plan's revision, in the same transaction: a process
        that follows asks for that number and reads only what changed.
Rule 2: a list of a vehicle has a revision that only grows, whichever process asks.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from fairway.control import Answer, AnswerState, CheckIn, StateTemplate, StateValue, What
from fairway.errors import BadInput
from fairway.ids import vehicle_id
from fairway.samples import SignalTable
from fairway.telemetry import Dictionary
from fleet_cloud.campaigns.model import Facts, Kept

# Revisions are 63 bits where they are kept: a vehicle that reports more than half of them is not followed.
REPORTED_MAX = 2**62
# One page of a listing.
PAGE_MAX = 1000


class Vehicle(NamedTuple):
    """A vehicle of a tenant."""

    tenant: str
    name: str


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


class FactsKeeper(Protocol):
    """Keeps what is known of vehicles.  Contract: tests/contracts/test_campaigns.py."""

    def put_facts(self, vehicle: Vehicle, facts: Facts) -> None:
        """Replace what is known of a vehicle.  Raises Unavailable."""
        ...

    def facts(self, vehicle: Vehicle) -> Facts:
        """Return what is known of a vehicle; nothing is as good an answer.  Raises Unavailable."""
        ...

    def all_facts(self, tenant: str) -> dict[str, Facts]:
        """Return what is known of every vehicle of a tenant.  Raises Unavailable."""
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


class ListKind(StrEnum):
    """What a vehicle is given as a whole list."""

    CAMPAIGNS = "campaigns"
    TEMPLATES = "templates"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The list that a vehicle is to have, by the name of its content, and the revision that it says it has."""

    vehicle: Vehicle
    digest: str
    reported: int = 0


@dataclass(frozen=True, slots=True)
class Revised:
    """The revision of a vehicle's list, and whether it is new and ours to send."""

    revision: int
    digest: str
    is_new: bool


class Lists(Protocol):
    """Numbers the lists of vehicles.  Contract: tests/contracts/test_campaigns.py."""

    def revise(
        self, kind: ListKind, wanted: Sequence[Wanted], basis: int
    ) -> dict[Vehicle, Revised]:
        """Give every list whose content is new a revision above all before, and return how each stands.

        `basis` is the plan's revision that the contents were worked out from; of two, the later one counts.
        Raises Unavailable.
        """
        ...


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


@dataclass(frozen=True, slots=True)
class Order:
    """A command to a vehicle, and what became of it."""

    id: str
    vehicle: Vehicle
    what: What
    actor: str
    created_time_ns: int
    expires_time_ns: int
    is_sent: bool = False
    answer: Answer | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.answer is not None and self.answer.state is not AnswerState.IN_PROGRESS


class Said(CheckIns, Twins, Protocol):
    """All that vehicles say of themselves."""


class Commands(Protocol):
    """Keeps commands.  Contract: tests/contracts/test_commands.py."""

    def add_command(self, order: Order) -> None:
        """Keep a new command.  Raises Unavailable."""
        ...

    def command(self, tenants: Collection[str] | None, command: str) -> Order | None:
        """Return a command of `tenants` (None: of any).  Raises Unavailable."""
        ...

    def open_commands(self, now_ns: int) -> list[Order]:
        """Return those that have neither expired nor been answered.  Raises Unavailable."""
        ...

    def mark_sent(self, orders: Sequence[Order]) -> list[Order]:
        """Mark commands as sent, and return those that nobody else had marked.  Raises Unavailable."""
        ...

    def answered(self, answers: Sequence[tuple[Vehicle, Answer]]) -> None:
        """Note answers; those to another vehicle's command, or to none, are ignored.  Raises Unavailable."""
        ...

    def forget_commands(self, before_ns: int) -> None:
        """Forget commands that expired before a time.  Raises Unavailable."""
        ...


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
