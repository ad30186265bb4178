"""What vehicles are made of, as the cloud knows it; and who reads the proof of what was done.

Rule 1: other ECUs than are known wait for a person: a stranger's ECU, or a stranger's key, is offered nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from securesystemslib.signer import Key

from fairway.errors import BadInput
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.rollouts.ports import RegisteredEcu
from fleet_cloud.rollouts.records import Record
from ota.report import Installed
from ota.report_json import ECUS_MAX, key_of

NAME_MAX_CHARS = 128


@dataclass(frozen=True, slots=True)
class EcuState:
    """An ECU, and what it said last."""

    vehicle: str
    known: RegisteredEcu
    installed: Installed | None
    counter: int
    attacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """ECUs of a vehicle that wait to be accepted."""

    tenant: str
    vehicle: str
    ecus: tuple[RegisteredEcu, ...]
    time_ns: int


class EcuKeeper(Protocol):
    """Knows ECUs as people see them.  Contract: tests/contracts/test_director.py."""

    def states(self, tenant: str, vehicle: str) -> list[EcuState]:
        """Return the ECUs of a vehicle with what they said last.  Raises Unavailable."""
        ...

    def waiting(self, tenants: Collection[str] | None, limit: int = PAGE_MAX) -> list[Waiting]:
        """Return what waits to be accepted, oldest first.  Raises Unavailable."""
        ...

    def accept(self, tenant: str, vehicle: str, by: str, now_ns: int) -> tuple[RegisteredEcu, ...]:
        """Have the ECUs that wait be those of the vehicle.  Raises Conflict when none wait, Unavailable."""
        ...


class RecordReader(Protocol):
    """Reads records.  Contract: tests/contracts/test_rollouts.py."""

    def export(self, tenant: str, series: str, now_ns: int) -> Iterator[bytes]:
        """Return the lines of all records of a series with their proof.  Raises Unavailable."""
        ...

    def of_subject(self, tenant: str, subject: str, *, limit: int = 1000) -> list[Record]:
        """Return the newest records of a vehicle, newest first.  Raises Unavailable."""
        ...


class RxswinReader(Protocol):
    """Knows which RXSWINs vehicles hold (UN R156).  Contract: tests/contracts/test_director.py."""

    def rxswin(self, tenant: str, vehicle: str) -> Mapping[str, str]:
        """Return those that a vehicle reported last.  Raises Unavailable."""
        ...

    def all_rxswin(
        self, tenant: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[tuple[str, Mapping[str, str]]]:
        """Return those of every vehicle that reported, in order of id.  Raises Unavailable."""
        ...


def checked(some: Sequence[RegisteredEcu]) -> tuple[RegisteredEcu, ...]:
    """Return ECUs in order of serial, when they can be those of a vehicle.  Raises BadInput."""
    if not 1 <= len(some) <= ECUS_MAX:
        raise BadInput(f"a vehicle has 1 to {ECUS_MAX} ECUs, not {len(some)}")
    if len({one.serial for one in some}) != len(some):
        raise BadInput("two ECUs of a vehicle have the same serial")
    if sum(one.is_primary for one in some) != 1:
        raise BadInput("one ECU of a vehicle is its primary, and no more than one")
    for one in some:
        for text in (one.serial, one.hardware_id):
            if not 1 <= len(text) <= NAME_MAX_CHARS or not text.isprintable():
                raise BadInput(
                    f"{text[:80]!r} is no serial or hardware id: 1 to {NAME_MAX_CHARS} characters"
                )
        if one.public_key:
            public_key_of(one)
    return tuple(sorted(some, key=lambda one: one.serial))


def public_key_of(one: RegisteredEcu) -> Key:
    """Return the key of an ECU as metadata names it.  Raises BadInput."""
    try:
        return key_of(serialization.load_pem_public_key(one.public_key.encode()))
    except ValueError as error:
        raise BadInput(f"the key of ECU {one.serial} is no public key in PEM") from error


def by_type(
    types: Mapping[str, str], held: Sequence[tuple[str, Mapping[str, str]]]
) -> dict[str, dict[tuple[str, str], int]]:
    """Return how many vehicles of each type hold each RXSWIN; `types` names that of each vehicle."""
    found: dict[str, dict[tuple[str, str], int]] = {}
    for vehicle, rxswin in held:
        counts = found.setdefault(types.get(vehicle, ""), {})
        for pair in rxswin.items():
            counts[pair] = counts.get(pair, 0) + 1
    return found
