"""Current values: columns put by block, what changes, and how good a value is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.store import Quality
from edge_agent.broker.vehicle import one
from fairway.clock import NS_PER_MS, NS_PER_S
from tests.edge_agent.vehicle_api import (
    BUS,
    GEAR,
    LEAVES,
    MODE,
    POSITION,
    SPEED,
    block,
    take,
    vehicle,
)

ALL = np.arange(len(LEAVES), dtype=np.int32)


def put(data, rows, now_ns=1, *, is_watched=True):
    watched = np.full(len(LEAVES), is_watched)
    found = data.store.put_block(
        block(rows), ALL, providers=np.full_like(ALL, BUS), now_ns=now_ns, is_watched=watched
    )
    return [
        [
            (int(n), changes.objects.get(int(n), value))
            for n, value in zip(changes.ids, changes.value, strict=True)
        ]
        for changes in found
    ]


def quality(data, signal, now_ns):
    return data.store.state(signal, now_ns=now_ns).quality


def publish(data, signal, value, now_ns, provider=1):
    is_number = bool(data.signals.is_number[signal])
    arrived = one(signal, value, is_number=is_number, time_ns=now_ns, source_ns=7)
    data.publish(arrived, provider=provider, now_ns=now_ns)


def test_a_block_changes_continuous_signals_always_and_others_when_they_differ():
    data = vehicle()

    assert put(data, [(SPEED, 1, 5.0), (GEAR, 1, 2.0), (MODE, 1, "ON")]) == [
        [(SPEED, 5.0), (GEAR, 2.0), (MODE, "ON")]
    ]
    assert put(data, [(SPEED, 2, 5.0), (GEAR, 2, 2.0), (MODE, 2, "ON")]) == [
        [(SPEED, 5.0), (MODE, "ON")]
    ]
    assert put(data, [(GEAR, 3, 3.0)]) == [[(GEAR, 3.0)]]
    assert put(data, []) == []


def test_a_signal_that_stands_twice_is_told_twice_where_somebody_listens():
    rows = [(SPEED, 1, 1.0), (GEAR, 1, 1.0), (SPEED, 2, 2.0), (SPEED, 3, 3.0), (GEAR, 3, 2.0)]

    data = vehicle()
    assert put(data, rows) == [
        [(SPEED, 1.0), (GEAR, 1.0)],
        [(SPEED, 2.0)],
        [(SPEED, 3.0), (GEAR, 2.0)],
    ]
    unheard = vehicle()
    assert len(put(unheard, rows, is_watched=False)) == 1
    for one_of in (data, unheard):
        assert (one_of.store.value(SPEED), one_of.store.value(GEAR)) == (3.0, 2)
        points = one_of.store.history.between(SPEED, 0, 9, now_ns=1, most=9)
        assert [(point.time_ns, point.value) for point in points] == [(1, 1.0), (2, 2.0), (3, 3.0)]


rows = st.lists(
    st.tuples(
        st.sampled_from([SPEED, GEAR, POSITION]), st.integers(1, 99), st.integers(0, 3).map(float)
    ),
    max_size=40,
)


@given(st.lists(rows, max_size=5), st.booleans())
def test_blocks_mean_what_their_samples_mean_one_by_one(blocks, is_watched):
    data, told = vehicle(), []
    last: dict[int, tuple[int, float | None]] = {}
    for number, each in enumerate(blocks):
        expected = []
        for signal, time_ns, value in each:
            if signal != GEAR or last.get(signal, (0, None))[1] != value:
                expected.append((signal, value))
            last[signal] = (time_ns, value)
        found = put(data, each, now_ns=number + 1, is_watched=is_watched)
        told = [pair for changes in found for pair in changes]
        if is_watched:
            assert told == expected
    for signal in (SPEED, GEAR, POSITION):
        state = data.store.state(signal, now_ns=1)
        assert (state.time_ns, state.value) == last.get(signal, (0, None))


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 99), st.integers(0, 9)), max_size=30), max_size=6)
)
def test_the_history_is_the_newest_values_in_their_order(blocks):
    data, kept = vehicle(history_count=7), []
    for each in blocks:
        put(data, [(SPEED, time_ns, float(value)) for time_ns, value in each])
        kept += each

    points = data.store.history.between(SPEED, 20, 80, now_ns=1, most=5)

    assert [(point.time_ns, point.value) for point in points] == [
        pair for pair in kept[-7:] if 20 <= pair[0] < 80
    ][-5:]


def test_the_history_ends_with_its_age_and_its_memory():
    data = vehicle(history_count=10)
    put(data, [(SPEED, 5, 1.0)], now_ns=NS_PER_S)
    put(data, [(SPEED, 6, 2.0)], now_ns=500 * NS_PER_S)

    def values(signal, now_s):
        found = data.store.history.between(signal, 0, 99, now_ns=now_s * NS_PER_S, most=99)
        return [point.value for point in found]

    assert values(SPEED, 600) == [1.0, 2.0]
    assert values(SPEED, 700) == [2.0]
    for number in range(12):
        publish(data, MODE, f"text {number}", number)
    assert values(MODE, 1) == [f"text {number}" for number in range(2, 12)]
    for number in range(3000):
        publish(data, (MODE, 5)[number % 2], "x" * 4000, number)
    assert data.store.history._objects_bytes <= 4 * 1024 * 1024


def test_quality_says_valid_stale_invalid_or_not_available():
    data = vehicle()
    assert quality(data, SPEED, 0) is Quality.NOT_AVAILABLE
    data.store.expect(np.array([SPEED], np.int32), 500 * NS_PER_MS)

    take(data, [(SPEED, 1, 1.0), (GEAR, 1, 1.0)], now_ns=NS_PER_S)
    assert quality(data, SPEED, 2 * NS_PER_S) is Quality.VALID
    assert quality(data, SPEED, 3 * NS_PER_S) is Quality.STALE
    assert quality(data, GEAR, 3000 * NS_PER_S) is Quality.VALID  # it comes when it changes
    take(data, [(SPEED, 1, 2.0)], now_ns=3 * NS_PER_S)
    assert quality(data, SPEED, 3 * NS_PER_S) is Quality.VALID

    data.store.invalidate(np.array([SPEED, POSITION], np.int32))
    assert quality(data, SPEED, 3 * NS_PER_S) is Quality.INVALID
    assert (data.store.value(SPEED), data.store.value(POSITION)) == (2.0, None)
    data.store.is_gone(BUS)
    assert quality(data, GEAR, 3 * NS_PER_S) is Quality.STALE
    take(data, [(GEAR, 1, 1.0)], now_ns=4 * NS_PER_S)
    assert quality(data, GEAR, 4 * NS_PER_S) is Quality.VALID


def test_an_interval_is_learned_where_none_is_declared():
    data = vehicle()
    for number in range(50):
        take(data, [(SPEED, 1, 1.0)], now_ns=(1 + number * 2) * NS_PER_S)
    last_ns = 99 * NS_PER_S

    assert quality(data, SPEED, last_ns + 5 * NS_PER_S) is Quality.VALID
    assert quality(data, SPEED, last_ns + 7 * NS_PER_S) is Quality.STALE


def test_who_leaves_takes_no_values_along_but_they_are_stale():
    data = vehicle()
    provider = data.providers.open("climate", None)
    data.claim(provider, {SPEED: 0, MODE: 0})
    publish(data, SPEED, 5.0, 1, provider.number)
    publish(data, MODE, "ON", 1, provider.number)

    data.withdraw(provider, time_ns=2, now_ns=2)
    assert (data.store.value(MODE), quality(data, MODE, 2)) == (None, Quality.NOT_AVAILABLE)
    publish(data, MODE, "ON", 3, provider.number)
    data.leave(provider)
    assert (data.store.value(MODE), quality(data, MODE, 3)) == ("ON", Quality.STALE)
    state = data.store.state(MODE, now_ns=3)
    assert (data.providers.name(state.provider), state.source_time_ns) == ("climate", 7)
    assert not data.providers.is_here(state.provider)


@pytest.mark.parametrize("count", [0, 1])
def test_a_history_of_nothing_or_of_one_value_holds(count):
    data = vehicle(history_count=count)
    put(data, [(SPEED, 1, 1.0), (SPEED, 2, 2.0)])
    publish(data, MODE, "ON", 1)

    assert len(data.store.history.between(SPEED, 0, 9, now_ns=1, most=9)) == count
    assert len(data.store.history.between(MODE, 0, 9, now_ns=1, most=9)) == count
