"""The telemetry store's contract: in memory, embedded, two servers of 2018, today's engine behind HTTP."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput
from fairway.identity import DEFAULT_TENANT
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fleet_cloud.adapters.telemetry_store import Store
from fleet_cloud.adapters.telemetry_store_memory import MemoryTelemetryStore
from fleet_cloud.vehicles.telemetry import POINTS_MAX, LatestValue, SignalSpan
from tests.clickhouse import (  # noqa: F401 - fixtures
    current_server_store,
    embedded_store,
    sharded_store,
)
from tests.contracts.telemetry_rows import (
    BELT,
    GEAR,
    NOW,
    SPEED,
    STREAM,
    TABLE,
    S,
    batch,
    block,
    everything,
    new_vehicle,
    speeds,
)


@pytest.fixture(params=["memory", "embedded", "current_server", "sharded"])
def store(request: pytest.FixtureRequest, socket_enabled: None) -> Iterator[Store]:
    if request.param == "memory":
        memory = MemoryTelemetryStore()
        yield memory
        memory.close()
    else:
        yield request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def vehicle() -> str:
    """A vehicle of this test alone, for stores are shared."""
    return new_vehicle()


def test_what_was_appended_is_read_back_in_order_of_time(store: Store, vehicle: str):
    store.append(
        [batch(vehicle, block((0, 20, 2.5), (1, 15, 1.0), (0, 10, 1.5), texts=("P", "D")))]
    )

    assert speeds(store, vehicle) == [(10, 1.5), (20, 2.5)]


def test_numbers_texts_and_booleans_come_back_as_what_they_are(store: Store, vehicle: str):
    samples = block((0, 1, -0.25), (1, 2, 1.0), (2, 3, 1.0), (2, 4, 0.0), texts=("P", "Neutral"))
    store.append([batch(vehicle, samples)])

    values = [
        store.series(SignalSpan("default", vehicle, signal.name), limit=9).values()
        for signal in TABLE
    ]
    assert values == [[-0.25], ["Neutral"], [True, False]]


def test_a_series_knows_its_unit(store: Store, vehicle: str):
    store.append([batch(vehicle, block((0, 1, 1.0), (2, 1, 0.0)))])

    units = [
        store.series(SignalSpan("default", vehicle, signal.name), limit=9).unit for signal in TABLE
    ]
    assert units == ["km/h", "", ""]


def test_latest_is_the_newest_value_of_every_signal_in_order_of_name(store: Store, vehicle: str):
    first = block((0, 10, 1.0), (0, 30, 3.0), (0, 20, 2.0), (2, 5, 1.0))
    store.append(
        [batch(vehicle, first), batch(vehicle, block((1, 7, 0.0), texts=("R",)), sequence=2)]
    )

    assert store.latest("default", vehicle) == [
        LatestValue("Belt", 5, value=True),
        LatestValue("Gear", 7, "R"),
        LatestValue("Vehicle.Speed", 30, 3.0, "km/h"),
    ]


def test_of_samples_with_one_time_the_greater_sequence_is_the_newer(store: Store, vehicle: str):
    store.append([batch(vehicle, block((0, 10, 1.0)), sequence=2)])
    store.append([batch(vehicle, block((0, 10, 9.0)), sequence=1)])

    assert store.latest("default", vehicle)[0].value == 1.0
    assert speeds(store, vehicle) == [(10, 9.0), (10, 1.0)]


def test_a_batch_is_known_by_its_name_only(store: Store, vehicle: str):
    store.append([batch(vehicle, block((0, 1, 1.0)), sequence=number) for number in (3, 2**62)])

    assert store.stored(DEFAULT_TENANT, vehicle, STREAM, [1, 2, 3, 2**62]) == {3, 2**62}
    assert store.stored(DEFAULT_TENANT, vehicle, "00000000000000ab", [3]) == set()
    assert store.stored(DEFAULT_TENANT, new_vehicle(), STREAM, [3]) == set()
    assert store.stored(DEFAULT_TENANT, vehicle, STREAM, []) == set()


def test_a_span_holds_its_beginning_but_not_its_end(store: Store, vehicle: str):
    store.append([batch(vehicle, block(*((0, time_ns, 0.0) for time_ns in (9, 10, 19, 20))))])

    assert [time_ns for time_ns, _ in speeds(store, vehicle, from_ns=10, to_ns=20)] == [10, 19]


def test_pages_never_split_a_moment_and_add_up_to_all(store: Store, vehicle: str):
    times = (1, 2, 2, 2, 3, 4, 5, 5)
    store.append(
        [batch(vehicle, block(*((0, time_ns, float(n)) for n, time_ns in enumerate(times))))]
    )
    pages = []
    from_ns: int | None = 0
    while from_ns is not None:
        page = store.series(SignalSpan("default", vehicle, SPEED.name, from_ns), limit=3)
        pages.append(page.time_ns.tolist())
        from_ns = page.next_ns

    assert pages == [[1], [2, 2, 2], [3, 4], [5, 5]]


def test_a_moment_longer_than_a_page_is_given_whole(store: Store, vehicle: str):
    store.append([batch(vehicle, block(*((0, 7, float(n)) for n in range(5)), (0, 8, 5.0)))])

    page = store.series(SignalSpan("default", vehicle, SPEED.name), limit=2)
    assert (len(page), page.next_ns) == (5, 8)


def test_buckets_begin_at_multiples_of_their_width(store: Store, vehicle: str):
    store.append(
        [
            batch(
                vehicle,
                block((0, 10 * S, 1.0), (0, 14 * S, 4.0), (0, 12 * S, -2.0), (0, 31 * S, 8.0)),
            )
        ]
    )

    found = store.buckets(SignalSpan("default", vehicle, SPEED.name), bucket_ns=10 * S, limit=10)
    rows = zip(
        *(
            column.tolist()
            for column in (
                found.start_ns,
                found.minimum,
                found.maximum,
                found.mean,
                found.last,
                found.count,
            )
        ),
        strict=True,
    )
    assert list(rows) == [(10 * S, -2.0, 4.0, 1.0, 4.0, 3), (30 * S, 8.0, 8.0, 8.0, 8.0, 1)]
    assert (found.unit, found.next_ns) == ("km/h", None)


def test_buckets_do_not_count_what_is_no_number(store: Store, vehicle: str):
    samples = block((0, 1, float("nan")), (0, 2, 3.0), (1, 1, 0.0), texts=("P",))
    store.append([batch(vehicle, samples)])

    of = [
        store.buckets(SignalSpan("default", vehicle, name), bucket_ns=S, limit=9).count.tolist()
        for name in (SPEED.name, GEAR.name)
    ]
    assert of == [[1], []]


def test_buckets_come_in_pages_too(store: Store, vehicle: str):
    store.append([batch(vehicle, block(*((0, n * S, float(n)) for n in range(5))))])

    first = store.buckets(SignalSpan("default", vehicle, SPEED.name), bucket_ns=S, limit=2)
    assert (first.last.tolist(), first.next_ns) == ([0.0, 1.0], 2 * S)


def test_many_vehicles_share_an_append(store: Store):
    fleet = [new_vehicle() for _ in range(20)]
    rows = [
        block(*((0, time_ns, float(number)) for time_ns in range(number + 1)))
        for number in range(20)
    ]
    store.append([batch(name, samples) for name, samples in zip(fleet, rows, strict=True)])

    assert [store.count("default", name) for name in fleet] == list(range(1, 21))
    assert speeds(store, fleet[2]) == [(0, 2.0), (1, 2.0), (2, 2.0)]


def test_tables_of_different_vehicles_do_not_mix(store: Store):
    one, other = new_vehicle(), new_vehicle()
    reversed_table = SignalTable((BELT, GEAR, SPEED))
    store.append(
        [
            batch(one, block((0, 1, 5.0), (1, 1, 0.0), texts=("P",))),
            batch(other, block((2, 1, 6.0), (1, 1, 1.0), texts=("R", "N"), table=reversed_table)),
        ]
    )

    assert [entry.value for entry in store.latest("default", one)] == ["P", 5.0]
    assert [entry.value for entry in store.latest("default", other)] == ["N", 6.0]


def test_tenants_are_apart(store: Store, vehicle: str):
    store.append([batch(vehicle, block((0, 1, 1.0)), tenant="acme")])

    assert store.count("default", vehicle) == 0
    assert store.count("acme", vehicle) == 1
    assert store.latest("default", vehicle) == []
    assert store.stored("acme", vehicle, STREAM, [1]) == {1}
    assert store.stored("default", vehicle, STREAM, [1]) == set()


@pytest.mark.parametrize(
    "samples",
    [
        block((1, 1, 2.0), texts=("P", "R")),
        block((1, 1, -1.0), texts=("P",)),
        block((1, 1, float("nan")), texts=("P",)),
        block((3, 1, 0.0)),
        block((-1, 1, 0.0)),
    ],
    ids=["text beyond", "text before", "text nan", "signal beyond", "signal before"],
)
def test_a_batch_that_can_never_be_stored_keeps_its_companions_out(
    store: Store, vehicle: str, samples: SampleBlock
):
    with pytest.raises(BadInput):
        store.append([batch(vehicle, block((0, 1, 1.0))), batch(vehicle, samples, sequence=2)])

    assert store.stored(DEFAULT_TENANT, vehicle, STREAM, [1, 2]) == set()


def test_an_empty_batch_is_nothing(store: Store, vehicle: str):
    store.append([])
    store.append([batch(vehicle, block())])

    assert store.count("default", vehicle) == 0


def test_of_an_unknown_vehicle_nothing_is_known(store: Store, vehicle: str):
    assert store.latest("default", vehicle) == []
    assert store.stored("default", vehicle, STREAM, [1]) == set()
    assert speeds(store, vehicle) == []
    assert len(store.buckets(SignalSpan("default", vehicle, "x"), bucket_ns=S, limit=1)) == 0


@pytest.mark.parametrize("limit", [0, -1, POINTS_MAX + 1])
def test_a_page_without_measure_is_refused(store: Store, vehicle: str, limit: int):
    with pytest.raises(BadInput):
        store.series(SignalSpan("default", vehicle, "x"), limit=limit)
    with pytest.raises(BadInput):
        store.buckets(SignalSpan("default", vehicle, "x"), bucket_ns=S, limit=limit)


@pytest.mark.parametrize("bucket_ns", [0, -1, 2**63])
def test_a_bucket_without_measure_is_refused(store: Store, vehicle: str, bucket_ns: int):
    with pytest.raises(BadInput):
        store.buckets(SignalSpan("default", vehicle, "x"), bucket_ns=bucket_ns, limit=1)


def test_statistics_count_rows(store: Store, vehicle: str):
    before = store.statistics().rows
    store.append([batch(vehicle, block((0, 1, 1.0), (0, 2, 1.0)))])

    assert store.statistics().rows == before + 2


def test_questions_are_answered_while_samples_arrive(store: Store, vehicle: str):
    failures: list[BaseException] = []

    def write(first: int) -> None:
        try:
            for sequence in range(first, first + 5):
                rows = [(0, sequence, float(sequence))] * 100
                store.append([batch(vehicle, block(*rows), sequence=sequence)])
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert store.count("default", vehicle) % 100 == 0
    for thread in threads:
        thread.join()

    assert failures == []
    assert store.count("default", vehicle) == 1000


ODD_TEXTS = st.text(max_size=20) | st.sampled_from(
    ["'", "\\", "\\'", "\0", "{x}", "%s", "'; DROP TABLE samples; --"]
)


@given(name=ODD_TEXTS.filter(bool), text=ODD_TEXTS, unit=ODD_TEXTS)
@settings(max_examples=15)
def test_texts_of_any_kind_survive(name: str, text: str, unit: str):
    for store in _all_stores():
        vehicle = new_vehicle()
        table = SignalTable((Signal(name, Kind.TEXT, unit),))
        store.append([batch(vehicle, block((0, 1, 0.0), texts=(text,), table=table))])

        assert store.latest("default", vehicle) == [LatestValue(name, 1, text, unit)]
        assert store.series(SignalSpan("default", vehicle, name), limit=1).values() == [text]


TIMES = st.integers(0, 30)
ROWS = st.one_of(
    st.tuples(st.just(0), TIMES, st.integers(-8, 8).map(float)),
    st.tuples(st.just(1), TIMES, st.sampled_from([0.0, 1.0])),
    st.tuples(st.just(2), TIMES, st.sampled_from([0.0, 1.0])),
)


@given(
    batches=st.lists(st.lists(ROWS, max_size=12), max_size=4),
    span=st.tuples(TIMES, TIMES).map(sorted),
    limit=st.integers(1, 6),
)
@settings(max_examples=25)
def test_every_store_gives_the_same_answers(
    batches: list[list[tuple[int, int, float]]], span: list[int], limit: int
):
    answers = []
    for store in _all_stores():
        vehicle = new_vehicle()
        store.append(
            [
                batch(vehicle, block(*rows, texts=("P", "R")), sequence=number)
                for number, rows in enumerate(batches)
            ]
        )
        answers.append(everything(store, vehicle, span, limit))

    assert all(answer == answers[0] for answer in answers[1:])


@pytest.fixture(autouse=True)
def _stores(request: pytest.FixtureRequest) -> None:
    """Lend the properties all stores at once: a function-scoped fixture would hide examples from hypothesis."""
    if "test_every" in request.node.name or "survive" in request.node.name:
        request.getfixturevalue("socket_enabled")
        STORES[:] = [
            MemoryTelemetryStore(),
            *(
                request.getfixturevalue(f"{kind}_store")
                for kind in ("embedded", "current_server", "sharded")
            ),
        ]


STORES: list[Store] = []


def _all_stores() -> list[Store]:
    return STORES


def test_samples_of_some_streams_are_told_apart_from_the_others(store: Store, vehicle: str):
    other = "00000000000000ff"
    store.append(
        [
            batch(vehicle, block((0, NOW, 1.0), (0, NOW + 2, 3.0))),
            batch(vehicle, block((0, NOW + 1, 2.0)), stream=other),
        ]
    )

    assert [value for _, value in speeds(store, vehicle)] == [1.0, 2.0, 3.0]
    assert [value for _, value in speeds(store, vehicle, streams=(other,))] == [2.0]
    assert speeds(store, vehicle, streams=(STREAM, other)) == speeds(store, vehicle)
    assert speeds(store, vehicle, streams=()) == []
    one = SignalSpan("default", vehicle, SPEED.name, streams=(other,))
    assert store.buckets(one, bucket_ns=S, limit=9).count.tolist() == [1]
