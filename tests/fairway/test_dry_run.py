"""A campaign on recorded drives: what it would trigger, send, hold back and give up."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.campaign.document import campaign_of
from fairway.campaign.engine import Limits
from fairway.campaign.functions import Answer, Invocation
from fairway.campaign.model import Campaign
from fairway.dry_run import DryRun
from fairway.expression.campaign import Value
from fairway.prediction import Assumptions, Prediction
from fairway.samples import Kind, SampleBlock, Signal, SignalTable

MS, S = 1_000_000, 1_000_000_000
HOUR, DAY = 3600 * S, 86_400 * S
# The noon of a UTC day.
NOON_NS = 19_676 * DAY + DAY // 2
TABLE = SignalTable((Signal("Speed"), Signal("Gate", Kind.BOOL), Signal("Noise")))
SPEED, GATE, NOISE = 0, 1, 2


def campaign(
    name: str = "tried", expression: str = "$variable.`Speed` > 100", **more: Any
) -> Campaign:
    document = {
        "name": name,
        "collectionScheme": {
            "conditionBasedCollectionScheme": {"expression": expression, "triggerMode": "ALWAYS"}
        },
        "signalsToCollect": [{"name": "Speed"}],
    }
    return campaign_of(document | more)


def gated(*, size: Mapping[str, Any] | None = None, hours: int = 24, **more: Any) -> Campaign:
    """A campaign whose events wait until the gate is open."""
    partition = {
        "id": "bulk",
        "storageOptions": {
            "maximumSize": size or {"unit": "MB", "value": 1},
            "storageLocation": "bulk",
            "minimumTimeToLive": {"unit": "HOURS", "value": hours},
        },
        "uploadOptions": {"expression": "$variable.`Gate` == true"},
    }
    signals = [{"name": "Speed", "dataPartitionId": "bulk"}]
    return campaign(dataPartitions=[partition], **{"signalsToCollect": signals, **more})


def budget(**limits: int) -> dict[str, Any]:
    return {"fairway": {"budget": limits}}


def block(*rows: tuple[int, float, float], start_ns: int = NOON_NS) -> SampleBlock:
    """Rows of (signal, seconds, value)."""
    signal, seconds, value = zip(*rows, strict=True)
    return SampleBlock(
        TABLE,
        np.array(signal, np.int32),
        start_ns + (np.array(seconds) * S).astype(np.int64),
        np.array(value, np.float64),
    )


def bursts(count: int, *, start_ns: int = NOON_NS) -> list[SampleBlock]:
    """So many triggers, a second apart."""
    return [block((SPEED, at, 120.0 + at), start_ns=start_ns) for at in range(count)]


def tried(one: Campaign, *drives: Sequence[SampleBlock], **more: Any) -> Prediction:
    trial = DryRun(TABLE, [one], vehicle="CAR", **more)
    for drive in drives:
        trial.drive(drive)
    return trial.predictions[0]


def test_what_goes_at_once_is_sent_whole():
    found = tried(campaign(), bursts(5))

    assert (found.triggers, found.samples, found.batches) == (5, 5, 5)
    assert found.trigger_times_ns == [NOON_NS + at * S for at in range(5)]
    assert found.sent_bytes == found.bytes == found.lanes[""].sent_bytes > 0
    assert (found.drives, found.drive_s) == (1, 4.0)


def test_what_waits_for_a_condition_is_sent_when_it_is_true():
    closed = tried(gated(), bursts(3))
    opened = tried(gated(), [*bursts(3), block((GATE, 5, 1.0))])

    lane = closed.lanes["bulk"]
    assert (lane.sent_bytes, lane.waiting_bytes) == (0, closed.bytes)
    lane = opened.lanes["bulk"]
    assert (lane.sent_bytes, lane.waiting_bytes) == (closed.bytes, 0)


def test_what_is_collected_while_the_gate_is_open_is_sent_too():
    found = tried(gated(), [block((GATE, 0, 1.0)), *bursts(2), block((NOISE, 9, 0.0))])

    assert found.lanes["bulk"].sent_bytes == found.bytes > 0


def test_what_waits_when_a_drive_ends_is_sent_in_the_next():
    found = tried(gated(), bursts(3), [block((GATE, 0, 1.0), start_ns=NOON_NS + HOUR)])

    assert found.drives == 2
    assert (found.lanes["bulk"].sent_bytes, found.lanes["bulk"].waiting_bytes) == (found.bytes, 0)


def noisy(seconds: int) -> list[SampleBlock]:
    """Numbers that do not compress, a thousand a second, and a trigger for each second."""
    random, drive = np.random.default_rng(3), []
    for second in range(seconds):
        rows = [
            (SPEED, second + n / 1000, 101 + value) for n, value in enumerate(random.random(1000))
        ]
        drive.append(block(*rows))
    return drive


def test_what_is_too_much_for_its_partition_is_dropped_the_oldest_first():
    scheme = {"expression": "$variable.`Speed` > 100", "minimumTriggerIntervalMs": 1000}
    bulky = gated(hours=1, collectionScheme={"conditionBasedCollectionScheme": scheme})
    drive = noisy(190)
    whole = tried(bulky, drive)
    lane = whole.lanes["bulk"]

    assert lane.waiting_bytes <= 1 << 20 < whole.bytes
    assert lane.waiting_bytes + lane.dropped_bytes == whole.bytes
    assert lane.dropped_bytes > 6 * whole.bytes / whole.batches
    # Those of the first five seconds are gone: there is nothing that grows too old with them.
    later = [block((NOISE, 5, 0.0), start_ns=NOON_NS + HOUR)]
    assert tried(bulky, drive, later).lanes["bulk"].dropped_bytes == lane.dropped_bytes


def test_what_is_too_old_for_its_partition_is_given_up():
    late = [block((NOISE, 0, 0.0), start_ns=NOON_NS + 2 * HOUR)]
    opened = [block((GATE, 0, 1.0), start_ns=NOON_NS + 2 * HOUR)]

    lane = tried(gated(hours=1), bursts(3), late, opened).lanes["bulk"]

    assert (lane.sent_bytes, lane.waiting_bytes) == (0, 0)
    assert lane.dropped_bytes > 0


def test_a_budget_in_all_holds_back_what_is_over_it():
    size = tried(campaign(), bursts(1)).bytes
    found = tried(
        campaign(**budget(maxBytes=3 * size + size // 2)),
        bursts(5),
        bursts(2, start_ns=NOON_NS + DAY),
    )
    lane = found.lanes[""]

    assert lane.sent_bytes + lane.held_back_bytes == found.bytes
    assert lane.sent_bytes <= 3 * size + size // 2 < lane.sent_bytes + 2 * size
    assert lane.held_back_bytes > 0


def test_a_budget_of_a_day_begins_anew_with_the_next_day():
    size = tried(campaign(), bursts(1)).bytes
    most = 2 * size + size // 2
    daily = campaign(**budget(maxBytesPerDay=most))
    today, tomorrow = bursts(3), [block((NOISE, 0, 0.0), start_ns=NOON_NS + DAY)]

    held = tried(daily, today).lanes[""]
    paid = tried(daily, today, tomorrow).lanes[""]

    assert held.sent_bytes <= most
    assert held.held_back_bytes > 0
    assert (paid.sent_bytes, paid.held_back_bytes) == (held.sent_bytes + held.held_back_bytes, 0)


def test_two_drives_of_one_day_share_its_budget():
    size = tried(campaign(), bursts(1)).bytes
    daily = campaign(**budget(maxBytesPerDay=2 * size + size // 2))

    found = tried(daily, bursts(2), bursts(2, start_ns=NOON_NS + HOUR)).lanes[""]

    assert found.held_back_bytes > found.sent_bytes - size


def test_several_drives_add_up():
    one = tried(campaign(), bursts(4))
    both = tried(campaign(), bursts(4), bursts(4, start_ns=NOON_NS + HOUR))

    assert (both.drives, both.drive_s) == (2, 2 * one.drive_s)
    assert (both.triggers, both.samples) == (2 * one.triggers, 2 * one.samples)
    assert both.bytes == pytest.approx(2 * one.bytes, abs=8)


def test_a_drive_without_samples_is_none():
    assert tried(campaign(), [], [block((SPEED, 0, 0.0)).take(np.zeros(1, np.bool_))]).drives == 0


def test_a_campaign_that_cannot_run_is_refused_before_any_drive():
    odd = campaign(expression="custom_function('nobody', 1)")
    trial = DryRun(TABLE, [odd, campaign("good")], vehicle="CAR")
    trial.drive(bursts(2))
    refused, good = trial.predictions

    assert "no custom function 'nobody'" in refused.refused
    assert (refused.triggers, refused.drives) == (0, 0)
    assert (good.refused, good.triggers) == ("", 2)


def test_one_campaign_given_twice_is_refused_once():
    trial = DryRun(TABLE, [campaign(), campaign()], vehicle="CAR")
    trial.drive(bursts(2))

    assert [bool(one.refused) for one in trial.predictions] == [False, True]
    assert [one.triggers for one in trial.predictions] == [2, 0]


def test_limits_of_the_vehicle_are_the_dry_runs():
    assert "bytes" in tried(campaign(), limits=Limits(ring_bytes=10)).refused


def test_signals_that_are_not_there_are_warnings():
    found = tried(campaign(signalsToCollect=[{"name": "Speed"}, {"name": "Nothing"}]), bursts(1))

    assert found.warnings == ("Nothing cannot be collected: this vehicle has no such signal",)
    assert found.triggers == 1


def test_fetches_are_counted_and_said_not_to_be_in_a_drive():
    fetch = {
        "fullyQualifiedName": "Codes",
        "signalFetchConfig": {"timeBased": {"executionFrequencyMs": 2000}},
        "actions": ["custom_function('DTC_QUERY', -1, 2, -1)"],
    }
    found = tried(campaign(signalsToFetch=[fetch]), bursts(7))

    assert found.fetches == 4  # at once, and each two seconds
    assert found.warnings == ()
    assert any("answers are not in a drive" in note for note in found.notes)


def test_events_of_trouble_codes_go_without_a_sample():
    found = tried(campaign(signalsToCollect=[], diagnosticsMode="SEND_ACTIVE_DTCS"), bursts(3))

    assert (found.triggers, found.samples, found.batches) == (3, 0, 3)
    assert any("trouble codes" in note for note in found.notes)


def test_a_budget_of_metered_networks_is_said_not_to_be_applied():
    found = tried(campaign(**budget(maxMeteredBytesPerDay=1)), bursts(2))

    assert found.lanes[""].held_back_bytes == 0
    assert any("metered" in note for note in found.notes)


def test_batches_close_by_age_in_the_time_of_the_drive():
    found = tried(campaign(fairway={"batchMaxAgeMs": 2500}), bursts(8))

    assert (found.triggers, found.batches) == (8, 2)  # of 0 to 3 s, and of 4 to 7 s


def test_a_request_is_no_larger_than_the_agent_makes_it():
    scheme = {"timeBasedCollectionScheme": {"periodMs": 10_000}}
    one = campaign(
        collectionScheme=scheme, signalsToCollect=[{"name": "Speed", "maxSampleCount": 9000}]
    )
    whole = tried(one, noisy(12))
    halved = tried(one, noisy(12), assumptions=Assumptions(max_request_bytes=8192))

    assert whole.batches == whole.triggers == 1
    assert halved.batches > halved.triggers == 1
    assert halved.samples == whole.samples


class Remembers:
    """A function that is true the first time it is asked."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def knows(self, campaign: Campaign, name: str) -> bool:
        return name == "first"

    def call(self, invocation: Invocation, arguments: Sequence[Value | None]) -> Answer:
        is_first = invocation.sync_id not in self.asked
        self.asked.add(invocation.sync_id)
        return Answer(is_first, {})

    def forget(self, sync_id: str) -> None:
        self.asked.discard(sync_id)


def test_functions_begin_anew_with_each_drive():
    one = campaign(expression="custom_function('first', $variable.`Speed`)")

    found = tried(one, bursts(5), bursts(5, start_ns=NOON_NS + HOUR), functions=Remembers())

    assert found.triggers == 2


@given(cuts=st.lists(st.integers(1, 59), max_size=8))
@settings(max_examples=30)
def test_it_does_not_matter_how_a_drive_is_cut_into_blocks(cuts: list[int]):
    rows = [(SPEED, at / 10, 90.0 + at % 7 * 5) for at in range(60)]
    one = campaign(postTriggerCollectionDuration=300)
    edges = [0, *sorted(set(cuts)), 60]

    cut = tried(one, [block(*rows[a:b]) for a, b in itertools.pairwise(edges)])

    whole = tried(one, [block(*rows)])
    assert (cut.triggers, cut.samples) == (whole.triggers, whole.samples)
    assert cut.trigger_times_ns == whole.trigger_times_ns
