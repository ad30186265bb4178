"""Whether a request for a certificate is granted: pure, and in one place.

    asks with      vehicle                  key                   what happens
    claim          on its list, unknown     any                   Take: it is issued
    claim          on its list, known       any                   Hold: a person approves the replacement
    claim          used up                  the same as then      Repeat, or what its enrolment has come to
    claim          used up                  another               Refuse, REUSED
    certificate    its own                  any                   Take: a renewal

Rule 1: a vehicle that the fleet knows (in force, removed, or with certificates revoked) comes back by claim
only with a person's word: its old head unit may be at work, or have been shut out for a reason.
Rule 2: the same key is given the same certificate again for REPEAT_NS: the answer may have been lost.  That
tells nobody a secret: a certificate is public, and only who holds the key can use it.  It is no second use
either: whoever asks has proved to hold the key that was certified.  Afterwards the claim is used up.
Rule 3: a vehicle renews at most once in RENEWAL_MIN_NS, or a broken agent would fill the registry.
"""

from dataclasses import dataclass
from enum import StrEnum

from fairway.clock import NS_PER_S
from fleet_cloud.enrolment.model import Enrolment, EnrolmentState, Standing
from fleet_cloud.vehicles.registry import Vehicle

# An agent that lost the answer asks again within a minute; a head unit on a bad link within some.
REPEAT_NS = 600 * NS_PER_S
RENEWAL_MIN_NS = 60 * NS_PER_S


class Reason(StrEnum):
    """Why a request is refused, as the audit log and the vehicle are told."""

    UNKNOWN_CLAIM = "this claim is not known here"
    REVOKED_CLAIM = "this claim was withdrawn"
    EXPIRED_CLAIM = "this claim has expired"
    NOT_ALLOWED = "this claim may not enrol this vehicle"
    REUSED = "this claim was used for this vehicle before, with another key or too long ago"
    REJECTED = "a person rejected the enrolment of this vehicle with this key"
    OTHER_TENANT = "this vehicle cannot be enrolled with this claim"
    TOO_SOON = "the certificate was renewed a moment ago: ask again in some minutes"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what: what the doors know."""

    tenant: str
    vehicle: str
    key_sha256: str
    claim: str = ""  # its name; empty: the vehicle itself, with its certificate
    claim_sha256: str = ""  # of the claim's certificate


@dataclass(frozen=True, slots=True)
class Take:
    """Open an enrolment in this state; TAKEN: then issue the certificate."""

    state: EnrolmentState


@dataclass(frozen=True, slots=True)
class Issue:
    """Issue the certificate of this enrolment."""

    enrolment: Enrolment
    replaces: bool = False  # revoke the vehicle's others


@dataclass(frozen=True, slots=True)
class Repeat:
    """Answer with the certificate of this enrolment again."""

    enrolment: Enrolment


@dataclass(frozen=True, slots=True)
class Hold:
    """Have it ask again later."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Say no."""

    reason: Reason


Decision = Take | Issue | Repeat | Hold | Refuse


def decide(asked: Asked, standing: Standing, vehicle: Vehicle | None, now_ns: int) -> Decision:
    """Decide a request; `vehicle` is what the fleet knows of it."""
    if asked.claim:
        return _by_claim(asked, standing, vehicle, now_ns)
    return _renewal(standing, now_ns)


def _by_claim(asked: Asked, standing: Standing, vehicle: Vehicle | None, now_ns: int) -> Decision:
    refusal = _claim_refusal(asked, standing, vehicle, now_ns)
    if refusal is not None:
        return Refuse(refusal)
    allowance = standing.allowance
    assert allowance is not None
    if not allowance.used_key:
        return Take(EnrolmentState.TAKEN if vehicle is None else EnrolmentState.PENDING)
    enrolment = standing.enrolment
    if allowance.used_key != asked.key_sha256 or enrolment is None:
        return Refuse(Reason.REUSED)
    return _again(enrolment, vehicle, now_ns)


def _claim_refusal(
    asked: Asked, standing: Standing, vehicle: Vehicle | None, now_ns: int
) -> Reason | None:
    claim = standing.claim
    if claim is None or claim.sha256 != asked.claim_sha256:
        return Reason.UNKNOWN_CLAIM
    if claim.revoked_time_ns is not None:
        return Reason.REVOKED_CLAIM
    if now_ns >= claim.expires_time_ns:
        return Reason.EXPIRED_CLAIM
    if standing.allowance is None:
        return Reason.NOT_ALLOWED
    if vehicle is not None and vehicle.tenant != asked.tenant:
        return Reason.OTHER_TENANT
    return None


def _again(enrolment: Enrolment, vehicle: Vehicle | None, now_ns: int) -> Decision:
    match enrolment.state:
        case EnrolmentState.TAKEN:
            # The cloud died before it was issued.  Who comes late finds that somebody else may have come since.
            is_late = now_ns >= enrolment.requested_time_ns + REPEAT_NS
            return Refuse(Reason.REUSED) if is_late and vehicle is not None else Issue(enrolment)
        case EnrolmentState.APPROVED:
            return Issue(enrolment, replaces=True)
        case EnrolmentState.PENDING:
            return Hold()
        case EnrolmentState.REJECTED:
            return Refuse(Reason.REJECTED)
        case EnrolmentState.ISSUED:
            is_fresh = now_ns < (enrolment.decided_time_ns or 0) + REPEAT_NS
            return Repeat(enrolment) if is_fresh else Refuse(Reason.REUSED)


def _renewal(standing: Standing, now_ns: int) -> Decision:
    enrolment = standing.enrolment
    if enrolment is not None and not enrolment.claim:
        if enrolment.state is EnrolmentState.TAKEN:
            return Issue(enrolment)
        if now_ns < (enrolment.decided_time_ns or 0) + REPEAT_NS:
            return Repeat(enrolment)
    last_ns = standing.renewed_time_ns
    if last_ns is not None and now_ns < last_ns + RENEWAL_MIN_NS:
        return Refuse(Reason.TOO_SOON)
    return Take(EnrolmentState.TAKEN)
