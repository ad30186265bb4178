"""What enrolment keeps: claims, whom they may enrol, and what became of every request.

    Allowance   unused --open--> used by one key         (claim allow: unused again, once more)

    Enrolment   TAKEN ----------------------------> ISSUED
                PENDING --approve--> APPROVED ----> ISSUED
                       '--reject---> REJECTED

Rule 1: an allowance (one claim, one vehicle) is good for exactly one key; `Enrolments.open` gives it away,
and of two who want it at once one gets it.
Rule 2: TAKEN is written before a certificate is signed: a cloud that dies in between gives the same key its
certificate when it asks again, and nobody else.
Rule 3: renewals are enrolments without a claim.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fairway.errors import BadInput
from fairway.ids import vehicle_id

# `claim:` and the name fit a common name, which X.509 limits to 64 characters.
CLAIM_NAME_MAX_CHARACTERS = 48


class EnrolmentState(StrEnum):
    """What became of a request."""

    TAKEN = "taken"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential of the factory image: it may enrol the vehicles of its list, once each."""

    tenant: str
    name: str
    sha256: str  # of its certificate
    serial: str  # of its certificate, hexadecimal
    created_time_ns: int
    expires_time_ns: int
    revoked_time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """One vehicle that a claim may enrol."""

    vehicle: str
    used_key: str = ""  # SHA-256 of the public key it was used for; empty: unused
    used_time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One request for a certificate."""

    id: str  # 32 hexadecimal digits
    tenant: str
    vehicle: str
    claim: str  # empty: a renewal
    key_sha256: str  # of the public key (SubjectPublicKeyInfo)
    state: EnrolmentState
    requested_time_ns: int
    decided_time_ns: int | None = None  # issued, approved or rejected
    decided_by: str = ""  # who approved or rejected it
    hardware_serial: str = ""
    agent_version: str = ""
    certificate_pem: bytes = b""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is kept about a request before it is decided."""

    claim: Claim | None = None  # the one that asks
    allowance: Allowance | None = None  # of it, for the vehicle
    enrolment: Enrolment | None = None  # the newest of this vehicle with this key
    renewed_time_ns: int | None = None  # when the vehicle renewed its certificate last


class Claims(Protocol):
    """Keeps claims and their lists.  Contract: tests/contracts/test_enrolments.py."""

    def create(self, claim: Claim, vehicles: Sequence[str]) -> None:
        """Keep a new claim.  Raises Conflict when its tenant has one of that name, Unavailable."""
        ...

    def allow(self, tenant: str, name: str, vehicles: Sequence[str]) -> None:
        """Have a claim enrol these once (more).  Raises BadInput for an unknown claim, Unavailable."""
        ...

    def revoke(self, tenant: str, name: str, now_ns: int) -> None:
        """End a claim.  Raises BadInput for an unknown or ended one, Unavailable."""
        ...

    def claims(self) -> list[tuple[Claim, list[Allowance]]]:
        """Return every claim of the region with its list, by tenant and name.  Raises Unavailable."""
        ...


class Enrolments(Protocol):
    """Keeps requests.  Contract: tests/contracts/test_enrolments.py."""

    def standing(self, tenant: str, claim: str, vehicle: str, key_sha256: str) -> Standing:
        """Return what is known before a decision.  Raises Unavailable."""
        ...

    def open(self, enrolment: Enrolment) -> bool:
        """Keep a new request, using up its claim's allowance; False: somebody was faster.

        Raises Unavailable.
        """
        ...

    def settle(self, enrolment: Enrolment, was: EnrolmentState) -> bool:
        """Replace a request that is still in state `was`; False: it is not any more.  Raises Unavailable."""
        ...

    def enrolments(self, state: EnrolmentState | None = None) -> list[Enrolment]:
        """Return the region's requests, the newest first, at most LISTED_MAX.  Raises Unavailable."""
        ...


# What a person looks through; older ones are found by narrowing.
LISTED_MAX = 1000


def claim_name(text: str) -> str:
    """Return `text` when a claim may be called so.  Raises BadInput."""
    if len(text) > CLAIM_NAME_MAX_CHARACTERS:
        raise BadInput(
            f"{text[:80]!r} is too long for a claim: at most {CLAIM_NAME_MAX_CHARACTERS} characters"
        )
    return vehicle_id(text)


def vehicles_listed(lines: Iterable[str]) -> list[str]:
    """Read an allow-list: a vehicle a line, # begins a remark.  Raises BadInput naming the line."""
    found = dict[str, None]()
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            found[vehicle_id(text)] = None
        except BadInput as error:
            raise BadInput(f"line {number}: {error}") from error
    return list(found)
