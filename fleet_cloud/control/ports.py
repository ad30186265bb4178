"""What every feature that tells vehicles something needs of the world.

    facts of vehicles > what is aimed at them > a whole list, numbered > the vehicle > its answer

Rule 1: whatever changes what is wanted moves one number on, the plan's revision, in the same transaction: a
        process that follows asks for that number and reads only what changed.
Rule 2: a list of a vehicle has a revision that only grows, whichever process asks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from fairway.control import Answer, AnswerState, What
from fleet_cloud.control.targets import Facts

# Revisions are 63 bits where they are kept: a vehicle that reports more than half of them is not followed.
REPORTED_MAX = 2**62
# One page of a listing.
PAGE_MAX = 1000


class Vehicle(NamedTuple):
    """A vehicle of a tenant."""

    tenant: str
    name: str


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


class ListKind(StrEnum):
    """What a vehicle is given as a whole list."""

    CAMPAIGNS = "campaigns"
    TEMPLATES = "templates"
    SERVICES = "services"


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
