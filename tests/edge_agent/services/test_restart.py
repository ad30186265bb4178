"""Whether and when what ended is started again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.restart import CAP_S, FIRST_S, restarts, told, wait_s
from edge_agent.services.runtime import Exit
from fairway.services.model import Restart


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_is_half_to_all_of_a_step_that_doubles_up_to_five_minutes(
    failures: int, chance: float
):
    step = min(CAP_S, FIRST_S * 2.0 ** min(failures - 1, 60))

    assert step / 2 <= wait_s(failures, chance) <= step <= 300


def test_two_vehicles_do_not_wait_equally_long():
    assert wait_s(4, 0.1) != wait_s(4, 0.9)


@pytest.mark.parametrize(
    ("policy", "exit_", "again"),
    [
        (Restart.NEVER, Exit(0), False),
        (Restart.NEVER, Exit(1), False),
        (Restart.ON_FAILURE, Exit(0), False),
        (Restart.ON_FAILURE, Exit(1), True),
        (Restart.ON_FAILURE, Exit(None), True),
        (Restart.ON_FAILURE, Exit(None, signal=9), True),
        (Restart.ON_FAILURE, Exit(0, was_out_of_memory=True), True),
        (Restart.ALWAYS, Exit(0), True),
        (Restart.ALWAYS, Exit(1), True),
    ],
)
def test_policies_are_those_of_ankaios(policy: Restart, exit_: Exit, again: bool):  # noqa: FBT001
    assert restarts(policy, exit_) is again


def test_out_of_memory_is_told_from_a_crash():
    assert told(Exit(None, signal=9, was_out_of_memory=True)) == (
        "it needed more memory than its manifest allows and was killed"
    )
    assert told(Exit(None, signal=9)) == "it was ended by signal 9"
    assert told(Exit(3)) == "it ended with 3"
    assert told(Exit(None)) == "it ended and nobody saw how"
