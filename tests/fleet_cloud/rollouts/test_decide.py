"""What happens to a rollout, decided from what is known of it."""

from dataclasses import replace

import pytest

from fairway.clock import NS_PER_S
from fleet_cloud.control.targets import Target, TargetKind
from fleet_cloud.rollouts.decide import SCAN_EVERY_NS, Do, Facts, Health, decide, wants_health
from fleet_cloud.rollouts.life import State, WaveState
from fleet_cloud.rollouts.model import Content, Counts, Gate, Kept, Rate, Wave, WaveKept, Wish
from ota.manifest import Bundle

NOW = 1_000_000 * NS_PER_S
GATE = Gate(success_percent=80, failure_percent=10, failure_sample_min=10, soak_s=60)
WISH = Wish(
    "w", "b.json", Target(TargetKind.FLEET, "f"), (Wave("one", percent=10, gate=GATE), Wave("all"))
)
KEPT = Kept(
    "0" * 16, "t", WISH, Content(Bundle("w", "1", ()), "aa" * 32, ()), State.RUNNING, "a", 0, 0,
    started_time_ns=NOW, scanned_time_ns=NOW,
)  # fmt: skip
WAVES = (WaveKept(0, WaveState.OFFERING, opened_time_ns=NOW), WaveKept(1))


def acts(
    kept: Kept = KEPT,
    waves: tuple[WaveKept, ...] = WAVES,
    health: Health | None = None,
    at_s: float = 0,
    **counts: Counts,
) -> list[tuple[Do, int]]:
    by_wave = {int(name[1:]): one for name, one in counts.items()}
    found = decide(kept, waves, Facts(by_wave, health=health), NOW + int(at_s * NS_PER_S))
    return [(act.do, act.wave) for act in found]


@pytest.mark.parametrize(
    "state", [State.DRAFT, State.AWAITING_APPROVAL, State.FINISHED, State.STOPPED]
)
def test_a_rollout_that_does_not_run_is_left_alone(state: State):
    assert acts(replace(KEPT, state=state, safety="x"), w0=Counts(planned=5)) == []


def test_a_rollout_that_was_not_scanned_is_scanned_first_and_again_later():
    assert acts(replace(KEPT, scanned_time_ns=0), w0=Counts(planned=5)) == [(Do.SCAN, -1)]
    assert acts(at_s=SCAN_EVERY_NS / NS_PER_S) == [(Do.SCAN, -1)]


def test_a_wave_is_opened_when_the_one_before_has_passed_and_not_sooner():
    assert acts(waves=(WaveKept(0), WaveKept(1)), w0=Counts(planned=1)) == [(Do.OPEN, 0)]
    passed = (WaveKept(0, WaveState.PASSED), WaveKept(1))
    assert acts(waves=passed, w0=Counts(committed=1)) == [(Do.OPEN, 1)]
    assert acts(w0=Counts(open=1)) == []


def test_success_is_a_share_of_those_that_could_be_offered_it():
    assert acts(w0=Counts(committed=8, open=2)) == [(Do.SOAK, 0)]
    assert acts(w0=Counts(committed=7, open=3)) == []
    assert acts(w0=Counts(committed=8, held=5, declined=3, expired=2)) == [(Do.SOAK, 0)]


@pytest.mark.parametrize(
    ("committed", "failed", "pauses"), [(8, 1, False), (9, 1, False), (8, 2, True), (0, 9, True)]
)
def test_failures_count_by_rate_and_from_a_sample_on(committed, failed, pauses):
    found = acts(w0=Counts(committed=committed, failed=failed, planned=100))

    assert (found == [(Do.FAIL, 0)]) is (pauses and committed + failed >= 10)


def test_a_wave_that_passed_still_fails_by_its_stragglers():
    passed = (WaveKept(0, WaveState.PASSED), WaveKept(1, WaveState.OFFERING))

    assert acts(waves=passed, w0=Counts(committed=50, failed=50)) == [(Do.FAIL, 0)]


def test_what_was_forgiven_is_not_counted_again():
    forgiven = replace(WAVES[0], forgiven_done=20, forgiven_failed=20, is_forgiven=True)
    waves = (forgiven, WAVES[1])

    assert acts(waves=waves, w0=Counts(failed=20, open=1)) == [(Do.PASS, 0)]
    assert acts(waves=waves, w0=Counts(failed=25, committed=5, open=70)) == [(Do.FAIL, 0)]


def test_a_wave_that_cannot_succeed_any_more_fails():
    assert acts(w0=Counts(committed=1, failed=3, open=4)) == [(Do.FAIL, 0)]


def test_a_soak_ends_with_the_vehicles_health():
    wish = replace(
        WISH, waves=(replace(WISH.waves[0], gate=replace(GATE, health="x > 1")), WISH.waves[1])
    )
    kept = replace(KEPT, wish=wish)
    soaking = (replace(WAVES[0], state=WaveState.SOAKING, soaking_time_ns=NOW), WAVES[1])
    done = Counts(committed=10)

    assert wants_health(kept, soaking, NOW + 59 * NS_PER_S) is None
    assert wants_health(kept, soaking, NOW + 60 * NS_PER_S) == 0
    assert acts(kept, soaking, Health(10, 0), 59, w0=done) == []
    assert acts(kept, soaking, Health(95, 5), 60, w0=done) == [(Do.PASS, 0)]
    assert acts(kept, soaking, Health(94, 6), 60, w0=done) == [(Do.FAIL, 0)]
    assert acts(kept, soaking, Health(0, 0, 10), 60, w0=done) == []
    assert acts(KEPT, soaking, None, 60, w0=done) == [(Do.PASS, 0)]


def test_safety_comes_before_everything_also_while_it_is_paused():
    for state in (State.RUNNING, State.PAUSED):
        assert acts(replace(KEPT, state=state, safety="V1: fire"), at_s=10**9) == [(Do.STOP, -1)]


def test_it_ends_when_all_is_done_or_its_time_is_over():
    passed = tuple(WaveKept(n, WaveState.PASSED) for n in range(2))

    assert acts(waves=passed, w0=Counts(committed=3), w1=Counts(failed=1)) == [(Do.FINISH, -1)]
    assert acts(waves=passed, w1=Counts(open=1)) == []
    assert acts(waves=passed, w1=Counts(planned=1)) == [(Do.OFFER, 1)]
    assert acts(at_s=WISH.ends_after_s, w0=Counts(planned=9)) == [(Do.FINISH, -1)]


def test_a_paused_rollout_offers_nothing():
    assert acts(replace(KEPT, state=State.PAUSED), w0=Counts(planned=9)) == []


def test_a_rate_says_how_many_are_offered_it_now():
    rate = Rate(base_per_minute=60, increment_factor=2, each_notified=10, maximum_per_minute=100)
    kept = replace(KEPT, wish=replace(WISH, waves=(Wave("one", rate=rate), WISH.waves[1])))

    def count(at_s: float, notified: int, paced_s: float = 0) -> int | None:
        one = replace(WAVES[0], paced_time_ns=NOW + int(paced_s * NS_PER_S))
        facts = Facts({0: Counts(planned=1000, open=notified)})
        found = decide(kept, (one, WAVES[1]), facts, NOW + int(at_s * NS_PER_S))
        return next((act.count for act in found if act.do is Do.OFFER), 0)

    assert [count(at_s, 0) for at_s in (0, 0.5, 1, 10)] == [0, 0, 1, 10]
    assert count(10, 10) == 16  # 100 a minute: 120 is over the maximum
    assert count(500, 0) == 60  # what was not used is kept for a minute
    assert count(12, 0, paced_s=10) == 2
