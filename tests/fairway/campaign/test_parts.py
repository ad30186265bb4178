"""Moments, streams, rings and windows, each against the obvious way to do it."""

import math
from collections import deque
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairway.campaign.moments import moments
from fairway.campaign.plan import Stream
from fairway.campaign.rings import Rings
from fairway.campaign.streams import Streams
from fairway.campaign.windows import Window
from tests.fairway.campaign.drives import MS, TABLE, Row, block
from tests.fairway.campaign.oracle import moments_of

GROUPS = np.array([signal.group for signal in TABLE], np.int32)
NUMBERS = ("Speed", "A", "B", "C")
rows_of_numbers = st.lists(
    st.tuples(st.sampled_from(NUMBERS), st.integers(0, 3), st.integers(0, 9).map(float)),
    max_size=24,
)


@given(rows_of_numbers)
def test_moments_are_runs_of_one_time_and_one_frame_until_a_signal_returns(rows: list[Row]):
    found = moments(block(rows), GROUPS, offset_ns=0, now_ns=0)

    naive = moments_of(rows)
    assert np.diff(np.append(found.first, len(rows))).tolist()[: len(naive)] == [
        len(one) for one in naive
    ]
    assert found.last.tolist() == np.cumsum([len(one) for one in naive]).tolist()


def test_drive_time_never_goes_back():
    rows = [("Speed", time_ms, 0.0) for time_ms in (5, 3, 9, 7)]

    found = moments(block(rows), GROUPS, offset_ns=2 * MS, now_ns=8 * MS)

    assert (found.drive_ns // MS).tolist() == [8, 8, 11, 11]
    assert found.row_at(11 * MS) == 2


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(NUMBERS), st.integers(0, 30)), max_size=8), max_size=6
    )
)
def test_a_thinned_out_stream_takes_a_sample_when_its_interval_has_passed(
    pieces: list[list[tuple[str, int]]],
):
    streams = Streams(len(TABLE))
    every = Stream(TABLE.number("A"), interval_ns=7 * MS, since_ns=1)
    streams.replace([Stream(TABLE.number("A")), every, Stream(TABLE.number("Speed"))])
    taken, expected, next_ms, now_ms = [], [], 0, 0
    for piece in pieces:
        here = moments(
            block([(name, time_ms, 0.0) for name, time_ms in piece]),
            GROUPS,
            offset_ns=0,
            now_ns=now_ms * MS,
        )
        hits = streams.hits(here)
        assert (np.diff(hits.row) >= 0).all()
        taken += (here.drive_ns[hits.row[hits.stream == streams.number(every)]] // MS).tolist()
        for name, time_ms in piece:
            now_ms = max(now_ms, time_ms)
            if name == "A" and now_ms >= next_ms:
                expected.append(now_ms)
                next_ms = now_ms + 7

    assert taken == expected


writes = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), max_size=12), max_size=6
)


@given(writes, st.tuples(*[st.integers(1, 5)] * 3), st.tuples(*[st.integers(1, 6)] * 3))
def test_rings_hold_the_newest_of_each_stream(
    pieces: list[list[tuple[int, int]]], depths: tuple[int, ...], later: tuple[int, ...]
):
    keys = [Stream(number) for number in range(3)]
    rings, naive = Rings(), [deque[int](maxlen=depth) for depth in depths]
    rings.reshape(dict(zip(keys, depths, strict=True)), frozenset())
    for number, piece in enumerate(pieces):
        if number == 3:  # others came: the rings are laid out anew
            rings.reshape(dict(zip(reversed(keys), reversed(later), strict=True)), frozenset())
            naive = [deque(one, maxlen=depth) for one, depth in zip(naive, later, strict=True)]
        which = np.array([rings.numbers[keys[ring]] for ring, _ in piece], np.intp)
        values = np.array([value for _, value in piece], np.float64)
        rings.write(which, values.astype(np.int64), values)
        for ring, value in piece:
            naive[ring].append(value)

    for key, expected in zip(keys, naive, strict=True):
        asked = np.array([rings.numbers[key]], np.intp)
        most = np.array([len(expected)], np.int64)
        taken, counts = rings.newest(asked, most, np.zeros(1, np.int64))
        assert counts.tolist() == [len(expected)]
        assert taken.value.tolist() == list(expected)
        assert taken.time_ns.tolist() == list(expected)


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.one_of(st.integers(-9, 9).map(float), st.just(math.nan)))
    )
)
def test_windows_by_blocks_are_windows_by_samples(samples: list[tuple[int, float]]):
    def run(take: Any) -> list[object]:
        window, found, at = Window(100, 0), [], 0
        while at < len(ordered):
            while window.due_ns is not None and window.due_ns <= ordered[at][0]:
                window.end()
                found.append((window.end_ns, window.last, window.previous))
            at += take(window, at)
        return [*found, window.due_ns]

    def one(window: Window, at: int) -> int:
        window.add(*ordered[at])
        return 1

    def all_of_a_window(window: Window, at: int) -> int:
        end_ns = window.due_ns or ordered[at][0] + 1
        values = [value for time_ns, value in ordered[at:] if time_ns < end_ns]
        window.add_all(ordered[at][0], np.array(values))
        return len(values)

    ordered = sorted(samples, key=lambda sample: sample[0])

    assert run(one) == run(all_of_a_window)
