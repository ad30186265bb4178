"""What conditions see: last values, moments, windows, rates, held conditions, isNull, functions, fetches."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fairway.campaign.engine import Engine
from fairway.campaign.functions import Answer, Invocation
from fairway.campaign.model import Campaign
from fairway.expression.campaign import Value
from tests.fairway.campaign.drives import (
    MS,
    TABLE,
    at,
    block,
    campaign,
    engine_of,
    run,
    samples,
    triggers_ms,
)

DTCS = {"diagnosticsMode": "SEND_ACTIVE_DTCS"}  # an event each time, even with nothing to send


def times(expression: str, *rows, until_ms: int | None = None, **fields) -> list[float]:
    return triggers_ms(run(campaign(expression, **DTCS, **fields), *rows, until_ms=until_ms))


def test_signals_of_one_frame_change_at_once():
    rows = at(0, A=1, B=1), at(10, A=2, B=2), at(20, B=3, A=3)

    assert times("$variable.`A` != $variable.`B`", *rows) == []


def test_signals_of_different_frames_change_one_after_the_other():
    rows = at(0, A=1, Speed=1), at(10, A=2, Speed=2)

    assert times("$variable.`A` != $variable.`Speed`", *rows) == [10]


def test_a_signal_that_comes_again_begins_a_new_moment():
    rows = [("A", 0, 1), ("B", 0, 0), ("A", 0, 2), ("B", 0, 0)]

    assert times("$variable.`A` > 0", rows) == [0, 0]


def test_two_frames_of_one_time_are_two_moments():
    rows = at(0, A=0, B=0, C=0, D=True), at(10, A=1, B=1, C=1, D=True)

    assert times("$variable.`A` + $variable.`C` == 1", *rows) == [10]


def test_only_samples_of_its_own_signals_evaluate_a_condition():
    assert times("$variable.`Speed` > 0", at(0, Speed=1), at(10, Door=True), at(20, A=1)) == [0]


def test_windows_tumble_from_the_activation_on_and_are_undefined_until_one_has_ended():
    window: dict[str, Any] = {"fairway": {"windowMs": 100}, "mode": "RISING_EDGE"}
    rows = at(0, Speed=10), at(50, Speed=20), at(100, Speed=90), at(199, Speed=90), at(300, Speed=0)

    assert times("last_window_avg($variable.`Speed`) == 15", *rows, **window) == [100]
    assert times("last_window_max($variable.`Speed`) == 90", *rows, **window) == [200]
    assert times("prev_last_window_max($variable.`Speed`) == 20", *rows, **window) == [200]


def test_a_window_without_samples_is_undefined_and_the_one_before_it_still_there():
    window: dict[str, Any] = {"fairway": {"windowMs": 100}, "mode": "RISING_EDGE"}
    rows = at(0, Speed=10), at(1000, A=0)

    assert times("last_window_min($variable.`Speed`) == 10", *rows, **window) == [100]
    assert times("prev_last_window_min($variable.`Speed`) == 10", *rows, **window) == [200]
    assert (
        times(
            "last_window_min($variable.`Speed`) < 99 && prev_last_window_min($variable.`Speed`) < 99",
            *rows,
        )
        == []
    )


def test_a_window_of_negative_values_has_a_negative_maximum():
    rows = at(0, Speed=-10), at(50, Speed=-20)

    assert times(
        "last_window_max($variable.`Speed`) == 0 - 10",
        *rows,
        until_ms=100,
        fairway={"windowMs": 100},
    ) == [100]


def test_a_rate_is_the_change_per_second_between_the_newest_two_samples():
    rows = at(0, Speed=0), at(100, Speed=5), at(200, Speed=10), at(300, Speed=10)

    assert times("rate($variable.`Speed`) == 50", *rows) == [100, 200]


def test_a_held_condition_is_true_the_moment_its_duration_is_over_without_a_sample():
    rows = at(0, Speed=60), at(250, Speed=70), at(900, Speed=10)

    assert times("held($variable.`Speed` > 50, 300 ms)", *rows) == [300]


def test_a_break_begins_the_duration_anew():
    rows = at(0, Speed=60), at(200, Speed=10), at(250, Speed=60), at(600, A=1)

    assert times("held($variable.`Speed` > 50, 300 ms)", *rows) == [550]


def test_is_null_is_true_until_a_sample_came_and_after_it_was_sent():
    rows = at(10, Speed=1), at(130, Speed=2)

    assert times("!isNull($variable.`Speed`)", *rows, until_ms=300, min_ms=5) == [10, 130]


def test_a_condition_that_asks_is_evaluated_every_50_ms_even_without_samples():
    assert times("isNull($variable.`Speed`)", until_ms=200) == [50, 100, 150, 200]


def test_is_null_of_a_signal_that_is_not_collected_stays_false_once_it_came():
    one = {"collect": [{"name": "A"}]}

    assert times("isNull($variable.`Speed`)", at(60, Speed=1), until_ms=200, **one) == [50]


class Counter:
    """As FleetWise's example: counts its calls, and says so by a signal."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []
        self._counts: dict[tuple[str, int], int] = {}

    def knows(self, campaign: Campaign, name: str) -> bool:
        return name == "counter"

    def call(self, invocation: Invocation, arguments: Sequence[Value | None]) -> Answer:
        key = invocation.sync_id, invocation.number
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return Answer(float(count), {"Gear": f"call {count}"})

    def forget(self, sync_id: str) -> None:
        self.forgotten.append(sync_id)


def test_a_custom_function_is_called_every_50_ms_and_each_call_has_its_own_memory():
    two = "custom_function('counter') > 2 && custom_function('counter') < 4"
    engine = engine_of(campaign(two, **DTCS), functions=Counter())

    assert triggers_ms(engine.advance(300 * MS)) == [150]


def test_what_a_function_says_by_a_signal_goes_into_the_event_if_the_campaign_collects_it():
    engine = Engine(TABLE, functions=Counter())
    said = campaign("custom_function('counter') == 2", collect=[{"name": "Gear"}])
    engine.set_campaigns([said], now_ns=0)

    (event,) = engine.advance(300 * MS)

    assert samples(event) == [("Gear", 100, "call 2")]


def test_what_functions_remember_of_a_campaign_is_forgotten_when_it_goes():
    functions = Counter()
    engine = Engine(TABLE, functions=functions)
    (verdict,) = engine.set_campaigns([campaign("custom_function('counter') > 9")], now_ns=0)
    engine.set_campaigns([], now_ns=10)

    assert functions.forgotten == [verdict.sync_id]


def test_a_custom_function_the_vehicle_does_not_have_refuses_the_campaign():
    (verdict,) = Engine(TABLE).set_campaigns(
        [campaign("custom_function('nothing', 1) > 0")], now_ns=0
    )

    assert "no custom function 'nothing'" in (verdict.refused or "")


MULTI = "custom_function('MULTI_RISING_EDGE_TRIGGER', 'fast', $variable.`Speed` > 50, 'open', $variable.`Door`)"
NAMED = {"collect": [{"name": "Vehicle.MultiRisingEdgeTrigger"}]}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            at(0, Speed=60) + at(10, Door=True),
            [],
        ),  # the first call only remembers; undefined was true before
        (at(0, Speed=10) + at(5, Door=False) + at(10, Speed=60), [(10, ["fast"])]),
        (
            at(0, Speed=1) + at(5, Door=False) + at(10, Door=True) + at(20, Speed=60),
            [(10, ["open"]), (20, ["fast"])],
        ),
        (at(0, Speed=1) + at(10, Speed=60) + at(20, Speed=70), [(10, ["fast"])]),
    ],
)
def test_a_multi_rising_edge_trigger_names_what_became_true(rows, expected):
    events = run(campaign(MULTI, **NAMED), rows)

    found = [
        (time_ms, json.loads(str(text))) for event in events for _, time_ms, text in samples(event)
    ]
    assert found == expected


def _fetching(config: dict[str, Any], **fields) -> Campaign:
    fetch = {
        "fullyQualifiedName": "Gear",
        "signalFetchConfig": config,
        "actions": ["custom_function('DTC_QUERY', -1)"],
    }
    return campaign("$variable.`Gear` == 'P0420'", signalsToFetch=[fetch], **fields)


def test_a_timed_fetch_asks_on_activation_and_each_period_and_its_answers_are_ordinary_samples():
    engine = engine_of(
        _fetching({"timeBased": {"executionFrequencyMs": 2000}}, collect=[{"name": "Gear"}])
    )
    asked = []
    for time_ms in (0, 1999, 2000, 4000):
        engine.advance(time_ms * MS)
        asked.append([(one.signal, one.actions) for one in engine.fetch_requests()])

    query = [("Gear", ("custom_function('DTC_QUERY', -1)",))]
    assert asked == [query, [], query, query]
    (event,) = engine.take(block(at(4100, Gear="P0420")))
    assert samples(event) == [("Gear", 4100, "P0420")]


def test_no_signal_is_asked_for_more_than_once_a_second():
    engine = engine_of(_fetching({"timeBased": {"executionFrequencyMs": 10}}))

    engine.advance(2500 * MS)

    assert len(engine.fetch_requests()) == 3


def test_a_conditional_fetch_asks_while_its_condition_is_true_or_when_it_becomes_true():
    rows = (
        at(0, Speed=60)
        + at(500, Speed=61)
        + at(1100, Speed=62)
        + at(2200, Speed=1)
        + at(2300, Speed=63)
    )

    def asked(mode: str) -> int:
        config = {
            "conditionBased": {"conditionExpression": "$variable.`Speed` > 50", "triggerMode": mode}
        }
        engine = engine_of(_fetching(config))
        engine.take(block(rows))
        return len(engine.fetch_requests())

    assert (asked("ALWAYS"), asked("RISING_EDGE")) == (3, 1)


def test_a_conditional_fetch_without_a_signal_asks_each_second_while_it_is_true():
    config = {"conditionBased": {"conditionExpression": "true", "triggerMode": "ALWAYS"}}
    engine = engine_of(_fetching(config))

    engine.advance(3010 * MS)

    assert len(engine.fetch_requests()) == 3
