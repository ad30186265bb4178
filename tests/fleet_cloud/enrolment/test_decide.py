"""What becomes of a request for a certificate, as a table."""

from dataclasses import replace

import pytest

from fleet_cloud.enrolment.decide import (
    RENEWAL_MIN_NS,
    REPEAT_NS,
    Asked,
    Hold,
    Issue,
    Reason,
    Refuse,
    Repeat,
    Take,
    decide,
)
from fleet_cloud.enrolment.model import Allowance, Claim, Enrolment, EnrolmentState, Standing
from fleet_cloud.vehicles.registry import Vehicle, VehicleState

S = 1_000_000_000
NOW = 1_780_000_000 * S
KEY, OTHER = "11" * 32, "22" * 32
CLAIM = Claim("acme", "line-4", "ab" * 32, "1f", NOW - S, NOW + 86_400 * S)
ASKED = Asked("acme", "VIN1", KEY, "line-4", "ab" * 32)
RENEWING = Asked("acme", "VIN1", KEY)
VEHICLE = Vehicle("VIN1", "acme", VehicleState.ACTIVE, NOW, None)
UNUSED, USED = Allowance("VIN1"), Allowance("VIN1", KEY, NOW)
TAKEN = Enrolment("0" * 32, "acme", "VIN1", "line-4", KEY, EnrolmentState.TAKEN, NOW)
PENDING = replace(TAKEN, state=EnrolmentState.PENDING)
APPROVED = replace(TAKEN, state=EnrolmentState.APPROVED, decided_time_ns=NOW)
REJECTED = replace(TAKEN, state=EnrolmentState.REJECTED, decided_time_ns=NOW)
ISSUED = replace(TAKEN, state=EnrolmentState.ISSUED, decided_time_ns=NOW)


@pytest.mark.parametrize(
    ("vehicle", "state"),
    [
        (None, EnrolmentState.TAKEN),
        (VEHICLE, EnrolmentState.PENDING),
        (replace(VEHICLE, state=VehicleState.REMOVED), EnrolmentState.PENDING),
    ],
)
def test_a_new_vehicle_is_enrolled_and_a_known_one_waits_for_a_person(
    vehicle: Vehicle | None, state: EnrolmentState
):
    assert decide(ASKED, Standing(CLAIM, UNUSED), vehicle, NOW) == Take(state)


@pytest.mark.parametrize(
    ("standing", "vehicle", "reason"),
    [
        (Standing(None, UNUSED), None, Reason.UNKNOWN_CLAIM),
        (Standing(replace(CLAIM, sha256="cd" * 32), UNUSED), None, Reason.UNKNOWN_CLAIM),
        (Standing(replace(CLAIM, revoked_time_ns=NOW), UNUSED), None, Reason.REVOKED_CLAIM),
        (Standing(replace(CLAIM, expires_time_ns=NOW), UNUSED), None, Reason.EXPIRED_CLAIM),
        (Standing(CLAIM), None, Reason.NOT_ALLOWED),
        (Standing(CLAIM, UNUSED), replace(VEHICLE, tenant="other"), Reason.OTHER_TENANT),
        (Standing(CLAIM, Allowance("VIN1", OTHER, NOW)), VEHICLE, Reason.REUSED),
        (Standing(CLAIM, Allowance("VIN1", OTHER, NOW), ISSUED), VEHICLE, Reason.REUSED),
        (Standing(CLAIM, USED, REJECTED), VEHICLE, Reason.REJECTED),
        (
            Standing(replace(CLAIM, revoked_time_ns=NOW), USED, ISSUED),
            VEHICLE,
            Reason.REVOKED_CLAIM,
        ),
    ],
)
def test_everything_else_is_refused(standing: Standing, vehicle: Vehicle | None, reason: Reason):
    assert decide(ASKED, standing, vehicle, NOW) == Refuse(reason)


def test_the_same_key_is_told_what_its_enrolment_has_come_to():
    def told(enrolment: Enrolment) -> object:
        return decide(ASKED, Standing(CLAIM, USED, enrolment), VEHICLE, NOW)

    assert told(PENDING) == Hold()
    assert told(APPROVED) == Issue(APPROVED, replaces=True)
    assert told(TAKEN) == Issue(TAKEN)
    assert told(ISSUED) == Repeat(ISSUED)


def test_a_certificate_is_given_again_for_some_minutes_and_then_never():
    standing = Standing(CLAIM, USED, ISSUED)

    assert decide(ASKED, standing, VEHICLE, NOW + REPEAT_NS - 1) == Repeat(ISSUED)
    assert decide(ASKED, standing, VEHICLE, NOW + REPEAT_NS) == Refuse(Reason.REUSED)


def test_one_that_was_never_issued_is_issued_late_only_if_nobody_came_since():
    standing = Standing(CLAIM, USED, TAKEN)

    assert decide(ASKED, standing, None, NOW + REPEAT_NS) == Issue(TAKEN)
    assert decide(ASKED, standing, VEHICLE, NOW + REPEAT_NS) == Refuse(Reason.REUSED)


def test_a_vehicle_renews_with_any_key_but_not_all_the_time():
    renewal = replace(ISSUED, claim="")

    assert decide(RENEWING, Standing(), VEHICLE, NOW) == Take(EnrolmentState.TAKEN)
    assert decide(RENEWING, Standing(None, None, renewal, NOW), VEHICLE, NOW) == Repeat(renewal)
    assert decide(RENEWING, Standing(None, None, ISSUED, NOW), VEHICLE, NOW) == Refuse(
        Reason.TOO_SOON
    )
    assert decide(RENEWING, Standing(None, None, renewal, NOW), VEHICLE, NOW + REPEAT_NS) == Take(
        EnrolmentState.TAKEN
    )
    assert decide(
        RENEWING, Standing(None, None, ISSUED, NOW), VEHICLE, NOW + RENEWAL_MIN_NS
    ) == Take(EnrolmentState.TAKEN)
