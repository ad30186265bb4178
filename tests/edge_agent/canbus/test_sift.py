"""Thinning by interval and change: both interpreters against a sample-by-sample reference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus.sift import Sieve, by_rounds, kernel_sift

SIGNALS = 4

samples = st.tuples(
    st.integers(0, SIGNALS - 1),
    st.integers(-50, 500) | st.integers(-(2**62), 2**62),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, math.nan, math.inf]),
)
drives = st.lists(st.lists(samples, max_size=40), max_size=6)
intervals = st.lists(st.sampled_from([0, 1, 10, 100, 2**61]), min_size=SIGNALS, max_size=SIGNALS)
flags = st.lists(st.booleans(), min_size=SIGNALS, max_size=SIGNALS)

sifts = pytest.mark.parametrize(
    "sift",
    [
        pytest.param(by_rounds, id="numpy"),
        pytest.param(
            kernel_sift,
            id="kernel",
            marks=pytest.mark.skipif(kernel_sift is None, reason="no compiler here"),
        ),
    ],
)


def one_by_one(drive, interval_ns, on_change):
    """What the header of sift.py says, written down for one sample after the other."""
    last: dict[int, tuple[int, float]] = {}
    told = []
    for block in drive:
        keep = []
        for signal, time_ns, value in block:
            if signal not in last:
                kept = True
            else:
                then, before = last[signal]
                due = time_ns < then or time_ns - then >= interval_ns[signal]
                same = value == before or (math.isnan(value) and math.isnan(before))
                kept = due and not (on_change[signal] and same)
            if kept:
                last[signal] = (time_ns, value)
            keep.append(kept)
        told.append(keep)
    return told


def columns(block):
    signal, time_ns, value = zip(*block, strict=True) if block else ((), (), ())
    return np.array(signal, np.int32), np.array(time_ns, np.int64), np.array(value, np.float64)


@sifts
@given(drive=drives, interval_ns=intervals, on_change=flags)
def test_a_sieve_keeps_what_its_rules_say(sift, drive, interval_ns, on_change):
    sieve = Sieve(np.array(interval_ns, np.int64), np.array(on_change), sift=sift)

    told = [sieve.kept(*columns(block)).tolist() for block in drive]

    assert told == one_by_one(drive, interval_ns, on_change)


@sifts
def test_a_change_inside_the_interval_goes_with_the_next_sample_after_it(sift):
    sieve = Sieve(np.array([100], np.int64), np.array([True]), sift=sift)
    times = [0, 40, 80, 120, 200, 240, 340]
    values = [5, 6, 6, 6, 5, 5, 5]

    kept = sieve.kept(*columns([(0, t, float(v)) for t, v in zip(times, values, strict=True)]))

    assert [t for t, k in zip(times, kept, strict=True) if k] == [0, 120, 240]


@sifts
def test_a_clock_that_jumped_back_does_not_silence_a_signal(sift):
    sieve = Sieve(np.array([100], np.int64), np.array([False]), sift=sift)
    sieve.kept(*columns([(0, 10**18, 1.0)]))

    kept = sieve.kept(*columns([(0, 5, 1.0), (0, 50, 1.0), (0, 105, 1.0)]))

    assert kept.tolist() == [True, False, True]
