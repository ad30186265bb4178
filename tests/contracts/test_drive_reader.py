"""The contract of stored drives: in memory, embedded, two servers of 2018, today's engine behind HTTP."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_socket import enable_socket

from fairway.errors import BadInput
from fairway.ids import BatchName
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fleet_cloud.adapters.telemetry_store import Store
from fleet_cloud.adapters.telemetry_store_memory import MemoryTelemetryStore
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.vehicles.drives import NAMES_MAX_CHARS, DriveSpan
from tests.clickhouse import (  # noqa: F401 - fixtures
    current_server_store,
    embedded_store,
    sharded_store,
)

SPEED, GEAR, BELT = Signal("Vehicle.Speed"), Signal("Gear", Kind.TEXT), Signal("{Belt}'", Kind.BOOL)
TABLE = SignalTable((SPEED, GEAR, BELT))
# What is asked for need not be numbered as what was sent.
ASKED = SignalTable((Signal("Other"), BELT, GEAR, SPEED))
STANDING, OF_A_CAMPAIGN = "00000000000000aa", "ffffffffffffffff"
TEXTS = ("P", "R", "N")

_numbers = itertools.count()
_Row = tuple[int, int, float]


@pytest.fixture(params=["memory", "embedded", "current_server", "sharded"])
def store(request: pytest.FixtureRequest, socket_enabled: None) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryTelemetryStore()
    else:
        yield request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def vehicle() -> str:
    """A vehicle of this test alone, for stores are shared."""
    return f"DRIVE{next(_numbers):05d}"


def batch(
    vehicle: str, *rows: _Row, sequence: int = 1, stream: str = STANDING, table: SignalTable = TABLE
) -> AcceptedBatch:
    signal, time_ns, value = zip(*rows, strict=True)
    block = SampleBlock(
        table,
        np.array(signal, np.int32),
        np.array(time_ns, np.int64),
        np.array(value, np.float64),
        TEXTS,
    )
    return AcceptedBatch("default", BatchName(vehicle, stream, sequence), block, 0)


def span(vehicle: str, *names: str, **more: object) -> DriveSpan:
    signals = names or tuple(signal.name for signal in TABLE)
    return DriveSpan("default", vehicle, ASKED, signals, **more)  # type: ignore[arg-type]


def rows(store: Store, wanted: DriveSpan, limit: int = 100) -> list[tuple[str, int, object]]:
    found = store.rows(wanted, limit=limit)
    assert found.table is wanted.table
    return list(found.rows())


def test_samples_of_all_signals_come_in_one_order_of_time(store: Store, vehicle: str):
    store.append([batch(vehicle, (0, 30, 1.5), (1, 20, 2.0), (2, 10, 1.0))])
    store.append([batch(vehicle, (1, 15, 0.0), (0, 40, -2.0), sequence=2)])

    assert rows(store, span(vehicle)) == [
        (BELT.name, 10, True),
        (GEAR.name, 15, "P"),
        (GEAR.name, 20, "N"),
        (SPEED.name, 30, 1.5),
        (SPEED.name, 40, -2.0),
    ]


def test_of_one_moment_the_earlier_batch_comes_first(store: Store, vehicle: str):
    store.append([batch(vehicle, (0, 10, 1.0), sequence=2)])
    store.append([batch(vehicle, (0, 10, 9.0), (2, 10, 0.0), sequence=1)])

    assert [value for _, _, value in rows(store, span(vehicle))] == [9.0, False, 1.0]


def test_only_the_signals_and_the_span_asked_for_come(store: Store, vehicle: str):
    store.append([batch(vehicle, *((0, at, float(at)) for at in (9, 10, 19, 20)), (2, 15, 1.0))])

    found = rows(store, span(vehicle, SPEED.name, from_ns=10, to_ns=20))

    assert found == [(SPEED.name, 10, 10.0), (SPEED.name, 19, 19.0)]


def test_streams_are_left_out_or_are_the_only_ones(store: Store, vehicle: str):
    store.append(
        [
            batch(vehicle, (0, 1, 1.0)),
            batch(vehicle, (0, 1, 1.0), (0, 2, 2.0), stream=OF_A_CAMPAIGN),
        ]
    )

    assert len(rows(store, span(vehicle))) == 3
    assert len(rows(store, span(vehicle, but_streams=(OF_A_CAMPAIGN,)))) == 1
    assert len(rows(store, span(vehicle, streams=(OF_A_CAMPAIGN,)))) == 2
    assert rows(store, span(vehicle, streams=())) == []
    assert rows(store, span(vehicle, streams=(STANDING,), but_streams=(STANDING,))) == []


def test_what_is_of_another_kind_in_the_table_is_left_out(store: Store, vehicle: str):
    before = SignalTable((Signal(SPEED.name, Kind.TEXT), Signal(GEAR.name), BELT))
    store.append([batch(vehicle, (0, 1, 1.0), (1, 2, 5.0), (2, 3, 1.0), table=before)])
    store.append([batch(vehicle, (0, 4, 1.0), sequence=2)])

    assert rows(store, span(vehicle)) == [(BELT.name, 3, True), (SPEED.name, 4, 1.0)]


def test_more_than_the_limit_is_refused_and_the_limit_itself_is_not(store: Store, vehicle: str):
    store.append([batch(vehicle, *((0, at, 0.0) for at in range(5)))])

    assert len(rows(store, span(vehicle), limit=5)) == 5
    with pytest.raises(BadInput, match=f"{vehicle} has more than 4 samples"):
        store.rows(span(vehicle), limit=4)


def test_of_others_and_of_nothing_there_is_nothing(store: Store, vehicle: str):
    store.append([batch(vehicle, (0, 1, 1.0))])

    assert rows(store, span("NOBODY")) == []
    assert rows(store, DriveSpan("acme", vehicle, ASKED, (SPEED.name,))) == []
    assert rows(store, DriveSpan("default", vehicle, ASKED, ())) == []


def test_names_that_are_not_in_the_table_or_too_many_are_refused(store: Store, vehicle: str):
    with pytest.raises(BadInput, match="no signal is called Nothing"):
        store.rows(span(vehicle, "Nothing"), limit=1)
    long = SignalTable(
        tuple(Signal(f"{number:0500d}") for number in range(NAMES_MAX_CHARS // 500 + 1))
    )
    with pytest.raises(BadInput, match="ask for fewer signals"):
        store.rows(DriveSpan("default", vehicle, long, tuple(one.name for one in long)), limit=1)


_TIMES = st.integers(0, 9)
_ROWS = st.one_of(
    st.tuples(st.just(0), _TIMES, st.integers(-4, 4).map(float)),
    st.tuples(st.just(1), _TIMES, st.sampled_from([0.0, 1.0, 2.0])),
    st.tuples(st.just(2), _TIMES, st.sampled_from([0.0, 1.0])),
)


@given(
    batches=st.lists(
        st.tuples(
            st.lists(_ROWS, min_size=1, max_size=9), st.sampled_from([STANDING, OF_A_CAMPAIGN])
        ),
        max_size=4,
    ),
    between=st.tuples(_TIMES, _TIMES).map(sorted),
    names=st.sets(st.sampled_from([one.name for one in TABLE]), min_size=1),
)
@settings(max_examples=25)
@pytest.mark.usefixtures("_can_connect")
def test_every_store_gives_the_same_rows(
    all_stores: list[Store],
    batches: list[tuple[list[_Row], str]],
    between: list[int],
    names: set[str],
):
    vehicle = f"DRIVE{next(_numbers):05d}"
    answers = []
    for one in all_stores:
        one.append(
            [
                batch(vehicle, *some, sequence=number, stream=stream)
                for number, (some, stream) in enumerate(batches)
            ]
        )
        wanted = span(
            vehicle,
            *sorted(names),
            from_ns=between[0],
            to_ns=between[1],
            but_streams=(OF_A_CAMPAIGN,),
        )
        answers.append(rows(one, wanted))

    assert all(answer == answers[0] for answer in answers[1:])


@pytest.fixture(scope="module")
def _can_connect() -> None:
    enable_socket()


@pytest.fixture(scope="module")
def all_stores(request: pytest.FixtureRequest) -> list[Store]:
    return [
        MemoryTelemetryStore(),
        *(request.getfixturevalue(f"{name}_store") for name in ("embedded", "current_server")),
    ]
