"""When campaigns trigger: each rule of FleetWise's agent, by name."""

import itertools

import pytest

from fairway.campaign.model import TriggerMode
from fairway.campaign.trigger import ALWAYS_MOVES, MOVES, Event, State, Trigger
from tests.fairway.campaign.drives import MS, at, campaign, heartbeat, run, samples, triggers_ms

FAST = "$variable.`Speed` > 50"


def test_a_heartbeat_comes_each_time_its_period_has_passed_even_without_samples():
    assert triggers_ms(run(heartbeat(500), at(100, Speed=1), at(1100, Speed=2), until_ms=2000)) == [
        500,
        1500,
    ]  # at 1000 and at 2000 there was nothing new to send


def test_nothing_triggers_before_the_first_minimum_interval_has_passed():
    rows = at(0, Speed=60), at(999, Speed=61), at(1001, Speed=62)

    assert triggers_ms(run(campaign(FAST, min_ms=1000), *rows)) == [1000]


def test_always_triggers_again_while_true_without_a_new_sample():
    rows = at(0, Speed=60), at(500, Speed=60), at(900, Speed=60), at(1500, A=0)

    assert triggers_ms(
        run(campaign(FAST, min_ms=400, diagnosticsMode="SEND_ACTIVE_DTCS"), *rows)
    ) == [
        400,
        800,
        1200,
    ]


def test_always_with_no_interval_triggers_at_each_evaluation_and_only_then():
    rows = at(0, Speed=60), at(10, Speed=60), at(500, A=1), at(600, Speed=49), at(700, Speed=51)

    assert triggers_ms(run(campaign(FAST), *rows, until_ms=5000)) == [0, 10, 700]


def test_always_stops_when_the_condition_is_false_again():
    rows = at(0, Speed=60), at(450, Speed=10), at(2000, Speed=20)

    assert triggers_ms(run(campaign(FAST, min_ms=400), *rows)) == [400]


def test_an_always_condition_that_was_never_evaluated_never_triggers():
    assert (
        run(campaign(FAST, min_ms=100, diagnosticsMode="SEND_ACTIVE_DTCS"), until_ms=10_000) == []
    )


def test_a_rising_edge_needs_a_false_first():
    rows = at(0, Speed=60), at(10, Speed=70), at(20, Speed=10), at(30, Speed=60), at(40, Speed=61)

    assert triggers_ms(run(campaign(FAST, mode="RISING_EDGE"), *rows)) == [30]


def test_what_was_undefined_counts_as_false_before_an_edge():
    rows = at(0, Speed=60), at(10, Door=True)
    both = campaign(f"{FAST} && $variable.`Door`", mode="RISING_EDGE")

    assert triggers_ms(run(both, *rows)) == [10]


def test_an_edge_inside_the_interval_is_deferred_not_lost():
    rows = (
        at(0, Speed=10),
        at(500, Speed=60),
        at(900, Speed=60),
        at(1200, Speed=60),
        at(1300, Speed=60),
    )

    assert triggers_ms(run(campaign(FAST, mode="RISING_EDGE", min_ms=1000), *rows)) == [1200]


def test_a_deferred_edge_that_is_over_before_the_interval_is_none():
    rows = at(0, Speed=10), at(500, Speed=60), at(900, Speed=10), at(1200, Speed=10)

    assert run(campaign(FAST, mode="RISING_EDGE", min_ms=1000), *rows) == []


def test_no_second_trigger_while_the_first_waits_for_its_post_trigger_time():
    rows = at(0, Speed=10), at(10, Speed=60), at(20, Speed=10), at(30, Speed=60), at(200, Speed=60)
    one = campaign(FAST, mode="RISING_EDGE", post_ms=100)

    events = run(one, *rows)

    assert triggers_ms(events) == [10]
    assert [time_ms for _, time_ms, _ in samples(events[0])] == [0, 10, 20, 30]


def test_an_always_condition_triggers_again_right_after_its_post_trigger_time():
    one = campaign(FAST, min_ms=50, post_ms=200, diagnosticsMode="SEND_ACTIVE_DTCS")

    assert triggers_ms(run(one, at(0, Speed=60), until_ms=700)) == [50, 250, 450]


def test_undefined_is_not_true_and_an_unknown_signal_never_triggers():
    assert run(campaign(f"{FAST} || $variable.`Gone` > 1"), at(0, Speed=60)) == []


def test_a_condition_without_signals_is_evaluated_once_and_triggers_by_its_interval():
    assert triggers_ms(
        run(campaign("1 == 1", min_ms=300), at(10, Speed=1), at(310, Speed=2), until_ms=900)
    ) == [
        300,
        600,
    ]


@pytest.mark.parametrize("moves", [MOVES, ALWAYS_MOVES])
def test_the_table_knows_each_event_in_each_state_it_can_come_in(
    moves: dict[tuple[State, Event], State],
):
    collecting = {State.COLLECTING_FALSE, State.COLLECTING_TRUE}
    possible = {
        (state, event)
        for state, event in itertools.product(State, Event)
        if (event is Event.COLLECTED) <= (state in collecting)
        and (event is Event.INTERVAL) <= (state not in collecting)
    }

    assert set(moves) == possible


def test_a_trigger_says_when_it_repeats():
    trigger = Trigger(TriggerMode.ALWAYS, 100 * MS, last_ns=0)

    said = [trigger.repeats_ns]
    trigger.evaluated(10 * MS, is_true=True)
    said.append(trigger.repeats_ns)
    assert trigger.interval_passed(100 * MS)
    trigger.collected(100 * MS)
    said.append(trigger.repeats_ns)

    assert said == [None, 100 * MS, 200 * MS]
