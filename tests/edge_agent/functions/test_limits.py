"""CPU time that fills up by the clock, and limits that make sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.functions.limits import BATCH_MAX_CALLS, CpuBudget, Limits
from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.errors import BadInput

LIMITS = Limits(cpu_max_ns_per_s=100 * NS_PER_MS)


def test_a_budget_is_used_up_and_fills_again_with_the_clock():
    used_up = CpuBudget.full(LIMITS, 0).after(150 * NS_PER_MS, 0)
    assert used_up.left_ns == -50 * NS_PER_MS

    assert used_up.after(0, NS_PER_S // 2).left_ns == 0
    assert used_up.after(0, NS_PER_S).left_ns == 50 * NS_PER_MS


def test_what_was_not_used_for_long_does_not_pile_up():
    assert CpuBudget.full(LIMITS, 0).after(0, 3600 * NS_PER_S).left_ns == 100 * NS_PER_MS


@given(st.lists(st.tuples(st.integers(0, 50 * NS_PER_MS), st.integers(0, NS_PER_S)), max_size=50))
def test_over_any_time_no_more_is_used_than_was_allowed(steps: list[tuple[int, int]]):
    budget, used_ns, now_ns = CpuBudget.full(LIMITS, 0), 0, 0
    for wanted_ns, pause_ns in steps:
        now_ns += pause_ns
        budget = budget.after(0, now_ns)
        if budget.left_ns > 0:
            used_ns += wanted_ns
            budget = budget.after(wanted_ns, now_ns)

    # One second's worth at the start, then as the clock gives, and the last call may go over.
    allowed_ns = 100 * NS_PER_MS * (1 + now_ns / NS_PER_S) + 50 * NS_PER_MS
    assert used_ns <= allowed_ns + 1


def test_a_batch_has_the_time_of_its_calls_up_to_a_limit():
    assert LIMITS.timeout_ns(1) == LIMITS.call_timeout_ns
    assert LIMITS.timeout_ns(3) == 3 * LIMITS.call_timeout_ns
    assert LIMITS.timeout_ns(10_000) == BATCH_MAX_CALLS * LIMITS.call_timeout_ns


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(BadInput, match="0 or less"):
        Limits(memory_max_bytes=0)
