"""Why a campaign did or did not: each reason there is, named."""

import json
from dataclasses import asdict

import pytest

from fairway.campaign.engine import Engine
from fairway.campaign.why import Why
from fairway.errors import BadInput
from tests.fairway.campaign.drives import MS, TABLE, at, block, campaign, engine_of, heartbeat

BOTH = "$variable.`Speed` > 50 && $variable.`Door`"


def why_of(one, *rows, until_ms: int = 0) -> Why:
    engine = engine_of(one)
    engine.take(block(row for some in rows for row in some))
    engine.advance(until_ms * MS)
    why = engine.why("it")
    json.dumps(asdict(why))
    return why


def test_it_names_the_signal_that_never_came():
    why = why_of(campaign(BOTH), at(0, Speed=60))

    assert why.missing == ("Door",)
    assert why.waits_for == "a first sample of Door"
    assert [(one.name, one.is_missing) for one in why.conditions[0].inputs] == [
        ("Speed", False),
        ("Door", True),
    ]


def test_it_names_the_part_that_is_false():
    why = why_of(campaign(BOTH), at(0, Speed=40, Door=True))

    assert why.conditions[0].culprits == ("$variable.`Speed` > 50",)
    assert why.conditions[0].result is False
    assert why.waits_for == "its condition to become true"


def test_it_looks_into_held_conditions():
    why = why_of(campaign("held($variable.`Speed` > 50, 2 s)"), at(0, Speed=40))

    assert "$variable.`Speed` > 50" in why.conditions[0].culprits


def test_it_says_how_much_of_the_interval_is_left():
    why = why_of(campaign(BOTH, min_ms=5000), at(800, Speed=60, Door=True))

    assert why.waits_for == "its minimum interval: 4.2 s more"
    assert why.next_trigger_ns == 5000 * MS


def test_it_says_that_a_rising_edge_needs_a_false_first():
    why = why_of(
        campaign(BOTH, mode="RISING_EDGE"), at(0, Door=True), at(0, Speed=60), at(1, Speed=61)
    )

    assert why.triggers == 1
    assert "false first" in why.waits_for


def test_it_says_that_it_waits_for_the_post_trigger_time_and_what_would_be_sent():
    why = why_of(
        campaign(BOTH, post_ms=1000), at(0, Speed=60), at(10, Speed=70, Door=True), until_ms=110
    )

    assert (why.phase, why.waits_for) == (
        "waiting for post-trigger",
        "the end of its post-trigger time: 0.9 s more",
    )
    assert why.would_send == {"Speed": 2}
    assert why.next_trigger_ns == 1010 * MS


def test_it_says_which_period_a_heartbeat_waits_for_and_how_often_it_came():
    why = why_of(heartbeat(400), at(100, Speed=1), until_ms=900)

    assert (why.phase, why.triggers, why.last_trigger_ns) == ("running", 2, 800 * MS)
    assert why.waits_for == "its period: 0.3 s more"


def test_it_gives_each_value_with_its_age():
    why = why_of(campaign(BOTH), at(100, Speed=60), at(150, Door=False), until_ms=400)

    assert [(one.name, one.value, one.age_ms) for one in why.conditions[0].inputs] == [
        ("Speed", 60.0, 300.0),
        ("Door", False, 250.0),
    ]


def test_a_suspended_and_a_refused_campaign_say_so():
    engine = Engine(TABLE)
    one, bad = heartbeat(100), campaign("1 +", name="bad")
    ids = [verdict.sync_id for verdict in engine.set_campaigns([one, bad], now_ns=0)]
    engine.set_campaigns([one, bad], now_ns=1, suspended={ids[0]})

    assert engine.why("it").phase == "suspended"
    assert (engine.why(ids[1]).phase, engine.why("bad").waits_for[:5]) == ("refused", "bad: ")
    with pytest.raises(BadInput, match="no campaign is called other"):
        engine.why("other")


def test_warnings_are_said_again():
    why = why_of(campaign("$variable.`Gone` > 1"), at(0, Speed=1))

    assert "Gone" in why.warnings[0]
    assert why.missing == ("Gone",)
