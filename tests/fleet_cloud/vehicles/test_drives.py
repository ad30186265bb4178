"""Stored samples cut into drives, as vehicles make blocks of them."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairway.samples import SampleBlock, Signal, SignalTable
from fleet_cloud.vehicles.drives import BLOCK_ROWS, SILENCE_MAX_NS, drives

TABLE = SignalTable((Signal("a", group=2), Signal("b", group=1), Signal("c", group=2)))


def rows(*given: tuple[int, int, float]) -> SampleBlock:
    signal, time_ns, value = zip(*given, strict=True) if given else ((), (), ())
    return SampleBlock(
        TABLE,
        np.array(signal, np.int32),
        np.array(time_ns, np.int64),
        np.array(value, np.float64),
    )


def test_nothing_is_no_drive():
    assert list(drives(rows())) == []


def test_a_drive_ends_where_the_vehicle_was_silent_for_longer_than_a_stop():
    last = SILENCE_MAX_NS
    found = list(drives(rows((0, 0, 1), (0, last, 2), (0, 2 * last + 1, 3), (0, 2 * last + 2, 4))))

    assert [[value for block in drive for value in block.value] for drive in found] == [
        [1, 2],
        [3, 4],
    ]


def test_the_signals_of_a_frame_stand_together():
    (drive,) = drives(rows((0, 5, 1), (1, 5, 2), (2, 5, 3), (1, 4, 4)))

    assert [(int(s), v) for s, v in zip(drive[0].signal, drive[0].value, strict=True)] == [
        (1, 4),
        (1, 2),
        (0, 1),
        (2, 3),
    ]


def test_samples_of_one_signal_at_one_time_keep_their_order():
    (drive,) = drives(rows((0, 5, 3), (0, 5, 1), (0, 5, 2)))

    assert drive[0].value.tolist() == [3, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4 * SILENCE_MAX_NS)), max_size=700))
def test_no_sample_is_lost_and_none_is_out_of_order(given: list[tuple[int, int]]):
    found = list(drives(rows(*((s, t, n) for n, (s, t) in enumerate(given)))))

    blocks = [block for drive in found for block in drive]
    assert sorted(value for block in blocks for value in block.value) == list(range(len(given)))
    times = [time_ns for block in blocks for time_ns in block.time_ns.tolist()]
    assert times == sorted(time_ns for _, time_ns in given)
    assert all(0 < len(block) <= BLOCK_ROWS for block in blocks)
    ends = [(drive[0].time_ns[0], drive[-1].time_ns[-1]) for drive in found]
    assert all(b[0] - a[1] > SILENCE_MAX_NS for a, b in itertools.pairwise(ends))
