"""What vehicles say, in whatever order and however often, ends alike."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.clock import NS_PER_S
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.rollouts.following import BAD, RETRIES, SILENT, followed, settled
from fleet_cloud.rollouts.life import FINAL_STAGES, OPEN_STAGES
from fleet_cloud.rollouts.model import VehicleKept, action_of, rollout_of

ROLLOUT = "0" * 16
ACTION = action_of(ROLLOUT, 1)
KEPT = VehicleKept("V1", ROLLOUT, 0, Stage.OFFERED)
NOW = 10**18

OPEN = st.sampled_from(OPEN_STAGES[1:])
FINAL = st.sampled_from(FINAL_STAGES)


def end(events: list[UpdateEvent]) -> VehicleKept:
    kept = KEPT
    for event in events:
        kept = followed(kept, event, NOW) or kept
    return kept


@st.composite
def histories(draw: st.DrawFn) -> list[UpdateEvent]:
    """What one vehicle says of one order: steps, and perhaps an end, numbered in order."""
    stages = draw(st.lists(OPEN, max_size=6)) + draw(st.lists(FINAL, max_size=1))
    return [UpdateEvent(ACTION, n, NOW, stage) for n, stage in enumerate(stages)]


@given(histories(), st.data())
def test_any_order_with_any_repetition_ends_as_it_was_said(events, data):
    said = data.draw(
        st.permutations(
            events + data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
        )
    )

    wanted = events[-1].stage if events else Stage.OFFERED
    assert end(said).stage is wanted
    assert end(said) == end(events)


def test_an_ecus_word_is_not_the_vehicles():
    assert followed(KEPT, UpdateEvent(ACTION, 1, NOW, Stage.FAILED, ecu="b"), NOW) is None


def test_another_orders_word_changes_nothing():
    for action in (action_of(ROLLOUT, 2), action_of("1" * 16, 1), ""):
        assert followed(KEPT, UpdateEvent(action, 1, NOW, Stage.COMMITTED), NOW) is None


def test_a_vehicle_that_is_back_after_its_order_was_given_up_still_counts():
    silent = replace(KEPT, stage=Stage.FAILED, fault=Fault.TIME, sentence=SILENT, sequence=3)
    back = followed(silent, UpdateEvent(ACTION, 2, NOW, Stage.COMMITTED), NOW)

    assert back is not None
    assert back.stage is Stage.COMMITTED
    assert followed(silent, UpdateEvent(ACTION, 9, NOW, Stage.STAGED), NOW) is None


@pytest.mark.parametrize("fault", list(Fault))
def test_each_kind_of_failure_is_tried_again_or_not(fault: Fault):
    failed = replace(KEPT, stage=Stage.FAILED, fault=fault)
    outcome = settled(failed, {}, NOW, may_retry=True)

    assert outcome.is_bad is (fault in BAD)
    assert (outcome.kept.stage is Stage.PLANNED) is (fault in RETRIES)
    over = settled(failed, {}, NOW, may_retry=False)
    assert over.kept.stage is Stage.FAILED


def test_waits_double_up_to_a_cap_and_tries_end():
    retry = RETRIES[Fault.NETWORK]
    waits, kept = [], KEPT
    for _ in range(retry.tries + 3):
        outcome = settled(
            replace(kept, stage=Stage.FAILED, fault=Fault.NETWORK), {}, NOW, may_retry=True
        )
        if outcome.kept.stage is not Stage.PLANNED:
            break
        kept = outcome.kept
        waits.append((kept.not_before_ns - NOW) // NS_PER_S)

    assert len(waits) == retry.tries
    assert waits[:3] == [300, 600, 1200]
    assert max(waits) <= retry.most_wait_s


def test_a_vehicle_that_rolled_back_without_a_word_holds_a_bad_version():
    assert settled(replace(KEPT, stage=Stage.ROLLED_BACK), {}, NOW, may_retry=True).is_bad


@given(st.text(max_size=40))
def test_an_order_of_ours_is_told_from_others(text: str):
    rollout, attempt = rollout_of(text)

    assert not rollout or action_of(rollout, attempt) == text or text.endswith(str(attempt))
    assert rollout_of(ACTION) == (ROLLOUT, 1)
