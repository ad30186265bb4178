"""The default collection on blocks, with either interpreter of the sieve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.canbus.sift import by_rounds, kernel_sift
from edge_agent.telemetry import collection as subject
from edge_agent.telemetry.collection import Collection
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput
from fairway.samples import Kind, SampleBlock, Signal, SignalTable, empty_block

TABLE = SignalTable(
    (
        Signal("Vehicle.Speed"),
        Signal("Vehicle.Gear", Kind.TEXT),
        Signal("Vehicle.IsOpen", Kind.BOOL),
    )
)
SPEED, GEAR, OPEN = range(3)

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


def block(rows, texts=()):
    """Rows are (signal, time_ms, value); a text stands as itself."""
    return SampleBlock(
        TABLE,
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] * NS_PER_MS for row in rows], np.int64),
        np.array([texts.index(row[2]) if row[0] == GEAR else row[2] for row in rows], np.float64),
        tuple(texts),
    )


def told(kept):
    return [(name, time_ns // NS_PER_MS, value) for name, time_ns, value in kept.rows()]


@sifts
def test_the_first_sample_of_every_signal_is_kept(sift):
    collection = Collection(TABLE, 100, on_change=True, sift=sift)

    kept = collection.collect(block([(SPEED, 0, 1.0), (OPEN, 0, 0.0), (SPEED, 50, 2.0)]))

    assert told(kept) == [("Vehicle.Speed", 0, 1.0), ("Vehicle.IsOpen", 0, False)]


@sifts
def test_without_on_change_every_interval_has_its_sample(sift):
    collection = Collection(TABLE, 100, on_change=False, sift=sift)

    kept = collection.collect(block([(SPEED, time, 7.0) for time in range(0, 400, 20)]))

    assert [time for _, time, _ in told(kept)] == [0, 100, 200, 300]


@sifts
def test_a_text_is_compared_by_what_it_says_not_by_its_number(sift):
    collection = Collection(TABLE, 0, on_change=True, sift=sift)
    collection.collect(block([(GEAR, 0, "P"), (GEAR, 1, "D")], ["P", "D"]))

    again = collection.collect(block([(GEAR, 2, "D")], ["D"]))
    changed = collection.collect(block([(GEAR, 3, "P")], ["R", "P"]))

    assert told(again) == []
    assert told(changed) == [("Vehicle.Gear", 3, "P")]


@sifts
def test_what_is_kept_does_not_depend_on_where_blocks_end(sift):
    rows = [(i % 3 % 2 * 2, i * 7, float(i // 5 % 3)) for i in range(300)]
    whole = Collection(TABLE, 20, on_change=True, sift=sift)
    parted = Collection(TABLE, 20, on_change=True, sift=sift)

    at_once = told(whole.collect(block(rows)))
    bit_by_bit = [
        row for i in range(0, 300, 7) for row in told(parted.collect(block(rows[i : i + 7])))
    ]

    assert bit_by_bit == at_once
    assert 10 < len(at_once) < 300


def test_memory_for_texts_has_an_end(monkeypatch):
    monkeypatch.setattr(subject, "TEXTS_MAX", 10)
    collection = Collection(TABLE, 0, on_change=True)

    kept = [
        told(collection.collect(block([(GEAR, i, f"text {i // 2}")], [f"text {i // 2}"])))
        for i in range(100)
    ]

    assert len(collection._texts) <= 10
    assert {value for rows in kept for _, _, value in rows} == {f"text {i}" for i in range(50)}


def test_a_block_of_another_table_is_refused():
    collection = Collection(TABLE, 0, on_change=False)

    with pytest.raises(BadInput, match="its own signal table"):
        collection.collect(empty_block(SignalTable((Signal("Other"),))))


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300), st.integers(0, 2)))))
def test_kept_samples_are_samples_in_their_order(drive):
    collection = Collection(TABLE, 50, on_change=True)
    texts = ["a", "b", "c"]
    for rows in drive:
        given_rows = [(s, t, texts[v] if s == GEAR else float(v)) for s, t, v in rows]

        kept = told(collection.collect(block(given_rows, texts)))

        everything = iter(told(block(given_rows, texts)))
        assert all(row in everything for row in kept)  # a subsequence
