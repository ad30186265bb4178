"""When a certificate is renewed."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.enrolment.renewal import (
    LOOK_S,
    RETRY_FIRST_S,
    RETRY_MAX_S,
    Validity,
    retry_after_s,
    wait_s,
)

S = 1_000_000_000
DAY = 86_400 * S
HASHES = st.integers(0, 2**256 - 1).map("{:064x}".format)


@given(HASHES, st.integers(1, 3650))
def test_the_point_is_between_two_thirds_of_its_life_and_a_twentieth_later(sha256: str, days: int):
    at_ns = Validity(5 * DAY, (5 + days) * DAY, sha256).renew_at_ns() - 5 * DAY

    assert days * DAY * 2 // 3 <= at_ns <= days * DAY * 2 // 3 + days * DAY // 20


def test_a_fleet_is_spread_and_a_restart_changes_nothing():
    def at(number: int) -> int:
        return Validity(0, 90 * DAY, f"{number * 0x01234567:08x}" + "0" * 56).renew_at_ns()

    assert len({at(number) for number in range(200)}) == 200
    assert at(7) == at(7)


def test_nobody_sleeps_longer_than_a_look_because_the_clock_may_be_set():
    validity = Validity(0, 90 * DAY, "0" * 64)

    assert wait_s(validity, 0) == LOOK_S
    assert wait_s(validity, 60 * DAY - 5 * S) == 5.0
    assert wait_s(validity, 60 * DAY) == wait_s(validity, 1000 * DAY) == 0.0


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_retries_are_rare_and_end_in_an_hour(failures: int, chance: float):
    assert RETRY_FIRST_S <= retry_after_s(failures, chance) <= RETRY_MAX_S
    assert retry_after_s(failures, chance) <= retry_after_s(failures + 1, chance)
