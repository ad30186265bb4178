"""What an event carries: history, counts, thinning out, partitions, each sample once."""

from collections.abc import Sequence

import pytest

from fairway.campaign.engine import Engine, Limits
from fairway.campaign.functions import Answer, Invocation, NoFunctions
from fairway.campaign.model import Campaign
from fairway.expression.campaign import Value
from fairway.samples import empty_block
from tests.fairway.campaign.drives import (
    MS,
    TABLE,
    at,
    block,
    campaign,
    engine_of,
    heartbeat,
    run,
    samples,
    triggers_ms,
)

FAST = "$variable.`Speed` > 50"


def _speeds(event):
    return [value for name, _, value in samples(event) if name == "Speed"]


def test_history_from_before_the_trigger_is_collected():
    events = run(campaign(FAST), at(0, Speed=1), at(10, Speed=2), at(20, Speed=60))

    assert samples(events[0]) == [("Speed", 0, 1.0), ("Speed", 10, 2.0), ("Speed", 20, 60.0)]


def test_of_each_signal_the_newest_are_collected_as_many_as_the_campaign_says():
    one = campaign(
        FAST, collect=[{"name": "Speed", "maxSampleCount": 2}, {"name": "A", "maxSampleCount": 1}]
    )

    events = run(one, at(0, A=1, Speed=1), at(10, A=2, Speed=2), at(20, Speed=60))

    assert samples(events[0]) == [("Speed", 10, 2.0), ("A", 10, 2.0), ("Speed", 20, 60.0)]


def test_each_sample_is_sent_once_per_campaign_and_to_each_campaign():
    engine = engine_of(campaign(FAST, name="one"), campaign(FAST, name="two", min_ms=15))

    events = engine.take(block(at(0, Speed=1) + at(10, Speed=60) + at(20, Speed=61)))

    by_name = {(event.campaign[:3], event.time_ns // MS): _speeds(event) for event in events}
    assert by_name == {("one", 10): [1, 60], ("one", 20): [61], ("two", 20): [1, 60, 61]}


@pytest.mark.parametrize("apart_ms", [1_000, 80 * 365 * 86_400_000])  # a clock that was not set yet
def test_what_triggers_at_one_moment_is_collected_apart_and_each_in_the_order_of_its_stamps(
    apart_ms: int,
):
    texts = campaign(FAST, name="texts", collect=[{"name": "Speed"}, {"name": "Gear"}])
    idle = campaign("$variable.`Speed` > 500", name="idle")
    numbers = campaign(FAST, name="numbers", collect=[{"name": "A"}, {"name": "Speed"}])
    engine = engine_of(texts, idle, numbers)
    rows = at(0, A=1, Gear="R") + at(5, Gear="D") + at(apart_ms, A=2, Speed=3)

    first, second = engine.take(block([*rows, *at(apart_ms + 1, Speed=60, A=3)]))

    assert samples(first) == [
        ("Gear", 0, "R"),
        ("Gear", 5, "D"),
        ("Speed", apart_ms, 3.0),
        ("Speed", apart_ms + 1, 60.0),
    ]
    assert samples(second) == [
        ("A", 0, 1.0),
        ("Speed", apart_ms, 3.0),
        ("A", apart_ms, 2.0),
        ("Speed", apart_ms + 1, 60.0),
    ]
    assert engine.advance(2 * apart_ms * MS) == []


def test_signals_that_only_the_condition_names_are_not_collected():
    one = campaign(FAST, collect=[{"name": "A"}])

    assert samples(run(one, at(0, A=4), at(10, Speed=60))[0]) == [("A", 0, 4.0)]


def test_a_sample_that_comes_too_early_after_the_one_before_is_left_out():
    one = heartbeat(100, collect=[{"name": "Speed", "minimumSamplingIntervalMs": 20}])

    events = run(
        one, *(at(time_ms, Speed=time_ms) for time_ms in (0, 10, 19, 20, 30, 45)), until_ms=100
    )

    assert _speeds(events[0]) == [0, 20, 45]


def test_a_condition_sees_a_signal_thinned_out_as_its_campaign_collects_it():
    one = campaign(FAST, collect=[{"name": "Speed", "minimumSamplingIntervalMs": 20}])

    assert triggers_ms(
        run(one, at(0, Speed=1), at(10, Speed=60), at(20, Speed=1), at(50, Speed=70))
    ) == [50]


def test_what_one_campaign_gets_does_not_depend_on_others():
    thin = {"collect": [{"name": "Speed", "minimumSamplingIntervalMs": 50, "maxSampleCount": 2}]}
    engine = engine_of(heartbeat(100, name="first", **thin))
    engine.take(block(at(0, Speed=0) + at(40, Speed=40)))
    late = heartbeat(100, name="late", **thin)
    engine.set_campaigns([heartbeat(100, name="first", **thin), late], now_ns=45 * MS)

    events = engine.take(block(at(46, Speed=46) + at(60, Speed=60) + at(145, Speed=145)))

    assert {event.campaign.split("@")[0]: _speeds(event) for event in events} == {
        "first": [0, 60],
        "late": [46],
    }


def test_samples_from_before_a_campaign_was_active_are_not_its_history():
    engine = engine_of(heartbeat(1000, name="old"))
    engine.take(block(at(0, Speed=1)))
    new = campaign("$variable.`Speed` > 0", name="new")
    engine.set_campaigns([heartbeat(1000, name="old"), new], now_ns=10 * MS)

    events = engine.take(block(at(20, Speed=60)))

    assert [_speeds(event) for event in events] == [[60]]


def test_a_campaign_that_did_not_change_goes_on_when_others_come_and_go():
    one = heartbeat(100, name="stays")
    engine = engine_of(one, heartbeat(30, name="goes"))
    engine.take(block(at(5, Speed=5)))
    engine.set_campaigns(
        [one, heartbeat(70, name="comes", collect=[{"name": "A"}])], now_ns=20 * MS
    )

    events = engine.take(block(at(25, Speed=25))) + engine.advance(100 * MS)

    assert [(event.campaign[:5], event.time_ns // MS, _speeds(event)) for event in events] == [
        ("stays", 100, [5, 25])
    ]


def test_a_suspended_campaign_neither_triggers_nor_keeps_and_begins_anew_when_resumed():
    one = heartbeat(100)
    engine = Engine(TABLE)
    (verdict,) = engine.set_campaigns([one], now_ns=0)
    engine.take(block(at(10, Speed=1)))
    engine.set_campaigns([one], now_ns=50 * MS, suspended={verdict.sync_id})
    assert engine.take(block(at(60, Speed=2) + at(500, Speed=3))) == []
    engine.set_campaigns([one], now_ns=510 * MS)

    events = engine.take(block(at(520, Speed=4))) + engine.advance(610 * MS)

    assert [(event.time_ns // MS, _speeds(event)) for event in events] == [(610, [4])]


def test_an_event_with_nothing_to_send_is_none_unless_it_wants_trouble_codes():
    silent, wants = heartbeat(100), heartbeat(100, diagnosticsMode="SEND_ACTIVE_DTCS")

    assert run(silent, until_ms=250) == []
    assert [(event.wants_dtcs, event.parts) for event in run(wants, until_ms=250)] == [
        (True, {})
    ] * 2


def test_an_event_carries_the_samples_of_each_partition_apart():
    storage = {
        "maximumSize": {"unit": "MB", "value": 1},
        "storageLocation": "x",
        "minimumTimeToLive": {"unit": "HOURS", "value": 1},
    }
    partitions = [
        {
            "id": "safe",
            "storageOptions": storage,
            "uploadOptions": {"expression": "$variable.`Door`"},
        },
        {"id": "rest", "storageOptions": storage},
    ]
    collect = [
        {"name": "Speed", "dataPartitionId": "safe"},
        {"name": "A", "dataPartitionId": "rest"},
        {"name": "B"},
    ]
    engine = engine_of(heartbeat(100, dataPartitions=partitions, collect=collect))
    (event,) = engine.take(block(at(0, Speed=1, A=2, B=3) + at(100, Door=True)))

    assert {part: samples(event, part) for part in event.parts} == {
        "": [("B", 0, 3.0)],
        "safe": [("Speed", 0, 1.0)],
        "rest": [("A", 0, 2.0)],
    }
    assert {part for _, part in engine.open_partitions} == {"safe"}
    engine.take(block(at(200, Door=False)))
    assert engine.open_partitions == frozenset()


def test_texts_come_out_as_they_went_in_long_after_others_were_forgotten():
    one = heartbeat(10_000, collect=[{"name": "Gear", "maxSampleCount": 3}])
    engine = engine_of(one)
    for number in range(4000):
        engine.take(block(at(number, Gear=f"gear {number}")))

    (event,) = engine.advance(10_000 * MS)

    assert [value for *_, value in samples(event)] == ["gear 3997", "gear 3998", "gear 3999"]


def test_event_ids_are_a_counter_and_the_time_in_31_bits():
    events = run(
        heartbeat(1000), *(at(time_ms, Speed=1) for time_ms in (1, 1001, 2001)), until_ms=3000
    )

    assert [event.id for event in events] == [1 | 1000 << 8, 2 | 2000 << 8, 3 | 3000 << 8]
    late = engine_of(heartbeat(1000)).take(block(at(1, Speed=1)), offset_ns=-(1 << 60))
    assert all(0 <= event.id < 1 << 31 for event in late)


def test_stamps_that_leave_are_wall_clock_while_intervals_are_drive_time():
    engine = engine_of(campaign(FAST, min_ms=100))
    events = engine.take(block(at(1000, Speed=60)), offset_ns=-1000 * MS)
    # At 150 ms of drive time the wall clock is an hour ahead, at 350 ms it is back below where it began.
    events += engine.take(block(at(3_601_150, Speed=70)), offset_ns=-3_601_000 * MS)
    events += engine.take(block(at(520, Speed=80)), offset_ns=-170 * MS)

    assert triggers_ms(events) == [3_601_100, 370]
    assert [_speeds(event) for event in events] == [[60], [70]]


def test_samples_of_another_table_are_refused():
    with pytest.raises(Exception, match="another signal table"):
        engine_of().take(empty_block(type(TABLE)(TABLE.signals[:2])))


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (Limits(campaigns=1), "at most 1 campaigns"),
        (Limits(ring_bytes=16 * 1000), "need 32000 bytes, more than 16000"),
    ],
)
def test_what_exceeds_a_limit_is_refused_with_a_sentence_and_the_rest_runs(
    limits: Limits, refusal: str
):
    engine = Engine(TABLE, limits=limits)

    first, second = engine.set_campaigns(
        [heartbeat(100, name="fits"), heartbeat(100, name="more", collect=[{"name": "A"}])],
        now_ns=0,
    )

    assert first.refused is None
    assert refusal in (second.refused or "")
    assert (second.refused or "").startswith("more: ")
    assert len(engine.take(block(at(5, Speed=1) + at(100, A=1)))) == 1


def test_the_same_campaign_twice_is_refused():
    engine = Engine(TABLE)

    verdicts = engine.set_campaigns([heartbeat(100), heartbeat(100)], now_ns=0)

    assert "twice" in (verdicts[1].refused or "")


def test_a_wildcard_stands_for_one_part_of_a_name_and_at_its_end_for_all_below():
    def collected(*names: str) -> set[str]:
        one = heartbeat(100, collect=[{"name": name} for name in names])
        rows = [
            ("Cabin.Left.Heat", 1, 1),
            ("Cabin.Right.Heat", 1, 2),
            ("Cabin.Left.Seat.Heat", 1, 3),
        ]
        return {name for event in run(one, rows, until_ms=100) for name, *_ in samples(event)}

    assert collected("Cabin.*.Heat") == {"Cabin.Left.Heat", "Cabin.Right.Heat"}
    assert collected("Cabin.Left.*") == {"Cabin.Left.Heat", "Cabin.Left.Seat.Heat"}
    assert collected("Cabin.R*.Heat") == {"Cabin.Right.Heat"}


def test_what_a_name_says_goes_before_what_a_wildcard_says():
    collect = [
        {"name": "Cabin.*", "maxSampleCount": 1},
        {"name": "Cabin.Left.Heat", "maxSampleCount": 2},
    ]
    rows = [
        (name, time_ms, time_ms)
        for time_ms in (1, 2, 3)
        for name in ("Cabin.Left.Heat", "Cabin.Right.Heat")
    ]

    (event,) = run(heartbeat(100, collect=collect), rows, until_ms=100)

    assert [name for name, *_ in samples(event)].count("Cabin.Left.Heat") == 2
    assert [name for name, *_ in samples(event)].count("Cabin.Right.Heat") == 1


def test_signals_the_vehicle_lacks_are_named_in_warnings_and_the_campaign_runs():
    engine = Engine(TABLE)
    one = campaign(
        f"{FAST} || $variable.`Gone` > 1",
        collect=[{"name": "Speed"}, {"name": "Lost"}, {"name": "No.*"}],
    )

    (verdict,) = engine.set_campaigns([one], now_ns=0)

    assert verdict.refused is None
    assert [warning.split()[0] for warning in verdict.warnings] == ["Lost", "No.*", "Gone"]


def test_a_condition_that_cannot_be_read_is_refused_with_the_character():
    engine = Engine(TABLE)

    (verdict,) = engine.set_campaigns([campaign("$variable.`Speed` >")], now_ns=0)

    assert "it: expression: character" in (verdict.refused or "")


class Said(NoFunctions):
    """A function that is true, and says a text for Speed and for Gear."""

    def __init__(self, speed: str) -> None:
        self._speed = speed

    def knows(self, campaign: Campaign, name: str) -> bool:
        return True

    def call(self, invocation: Invocation, arguments: Sequence[Value | None]) -> Answer:
        return Answer(value=True, texts={"Speed": self._speed, "Gear": "D"})


@pytest.mark.parametrize(
    ("text", "value"), [("11", 11.0), ("-2.5e3", -2500.0), ("true", 1.0), ("eleven", None)]
)
def test_what_a_function_says_for_a_signal_of_numbers_is_a_number_or_left_out(
    text: str, value: float | None
):
    one = campaign("custom_function('f')", collect=[{"name": "Speed"}, {"name": "Gear"}])
    engine = engine_of(one, functions=Said(text))

    event = engine.advance(50 * MS)[0]

    found = {name: value for name, _, value in samples(event)}
    assert found == {"Gear": "D"} | ({} if value is None else {"Speed": value})
