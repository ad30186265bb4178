"""Certificates of vehicles: which of them let somebody in, and for how long.

    ACTIVE --a newer one was issued--> SUPERSEDED --OVERLAP_NS is over--> (lets nobody in)
    ACTIVE, SUPERSEDED --revoke--> REVOKED, for ever

Rule 1: a certificate lets in while it is known here, not revoked, not expired, and its vehicle may connect.
A vehicle of which no certificate was ever known here has one of somebody else's, and is told by its name.
Rule 2: a superseded one is good for OVERLAP_NS more: the vehicle may not have got the newer one yet.
Rule 3: certificates are told apart by their number (fairway/identity.py), which is in them, and by their hash.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fairway.clock import NS_PER_S
from fairway.identity import DEFAULT_TENANT
from fleet_cloud.vehicles.registry import Vehicle

# A renewed vehicle switches at its next connection; one that lost the answer asks again within a day or two.
OVERLAP_NS = 3 * 86_400 * NS_PER_S


# Why the certificates of a head unit that was exchanged are revoked.
REPLACED = "replaced"


class CertificateState(StrEnum):
    """What became of a certificate since it was issued."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate that was issued for a vehicle."""

    sha256: str  # of its DER, hexadecimal
    number: str  # 32 hexadecimal digits; empty: issued before certificates were numbered
    vehicle: str
    serial: str  # X.509's own, hexadecimal, as revocation lists name it
    issued_time_ns: int
    expires_time_ns: int
    state: CertificateState = CertificateState.ACTIVE
    ended_time_ns: int | None = None  # when it was superseded or revoked
    reason: str = ""  # why it was revoked
    tenant: str = DEFAULT_TENANT

    @property
    def lets_in_until_ns(self) -> int:
        """The first moment at which it lets nobody in."""
        match self.state:
            case CertificateState.REVOKED:
                return 0
            case CertificateState.SUPERSEDED:
                return min(self.expires_time_ns, (self.ended_time_ns or 0) + OVERLAP_NS)
            case CertificateState.ACTIVE:
                return self.expires_time_ns


@dataclass(frozen=True, slots=True)
class Member:
    """A vehicle that may connect now, and by which certificates."""

    vehicle: str
    tenant: str
    numbers: frozenset[str] = frozenset()
    sha256s: frozenset[str] = frozenset()
    by_name: bool = False  # its certificates are issued elsewhere, or before they were numbered
    ended: frozenset[str] = (
        frozenset()
    )  # with by_name: numbers of its certificates that let nobody in

    def shows(self, sha256: str) -> bool:
        """Whether the certificate of that hash lets this vehicle in."""
        return sha256 in self.sha256s or (self.by_name and not self.sha256s)


def members(
    vehicles: Iterable[Vehicle], certificates: Sequence[Certificate], now_ns: int
) -> list[Member]:
    """Return the vehicles that may connect at `now_ns`, in order of id, each with what lets it in."""
    known: dict[str, list[Certificate]] = {}
    for certificate in certificates:
        known.setdefault(certificate.vehicle, []).append(certificate)
    found = []
    for vehicle in sorted(vehicles, key=lambda vehicle: vehicle.id):
        of_it = known.get(vehicle.id, [])
        good = [one for one in of_it if now_ns < one.lets_in_until_ns]
        if vehicle.may_connect and (good or not of_it):
            found.append(_member(vehicle, good, of_it))
    return found


def _member(vehicle: Vehicle, good: Sequence[Certificate], of_it: Sequence[Certificate]) -> Member:
    numbers = frozenset(one.number for one in good if one.number)
    by_name = not all(one.number for one in good) or not good
    ended = frozenset(one.number for one in of_it if one.number) - numbers
    return Member(
        vehicle.id,
        vehicle.tenant,
        numbers,
        frozenset(one.sha256 for one in good),
        by_name=by_name,
        ended=ended if by_name else frozenset(),
    )


def next_change_ns(certificates: Iterable[Certificate], now_ns: int) -> int | None:
    """Return when, after `now_ns`, a certificate stops to let in by itself; None: none does."""
    ends = [one.lets_in_until_ns for one in certificates if one.lets_in_until_ns > now_ns]
    return min(ends, default=None)


class Certificates(Protocol):
    """Keeps the certificates of vehicles.  Contract: tests/contracts/test_certificates.py."""

    def record(self, certificate: Certificate, *, replaces: bool = False) -> None:
        """Keep a new certificate; the vehicle's others are superseded by it, or revoked with `replaces`.

        The same certificate again changes nothing of it.  Raises Unavailable.
        """
        ...

    def of_vehicle(self, vehicle: str) -> list[Certificate]:
        """Return every certificate of a vehicle, the newest first.  Raises Unavailable."""
        ...

    def revoke(self, vehicle: str, now_ns: int, reason: str, *, sha256: str = "") -> int:
        """Revoke one certificate of a vehicle, or all, and return how many were.  Raises Unavailable."""
        ...

    def changed(self, after_revision: int, until_revision: int) -> list[Certificate]:
        """Return those that changed between two of the fleet's revisions.  Raises Unavailable."""
        ...
