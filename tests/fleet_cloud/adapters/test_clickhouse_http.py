"""ClickHouse over HTTP: servers that die, lie, refuse or come back."""

import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.errors import BadInput, Conflict, Unavailable
from fairway.identity import DEFAULT_TENANT
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fleet_cloud.adapters import clickhouse_http, telemetry_store_clickhouse
from fleet_cloud.adapters.clickhouse_http import HttpEngine, Server, server
from fleet_cloud.adapters.telemetry_store import Store, open_store
from fleet_cloud.adapters.telemetry_store_sharded import shard_of
from fleet_cloud.ingest.ports import AcceptedBatch
from tests.clickhouse import ClickHouseServer, clickhouse_servers, scratch
from tests.e2e.programs import until
from tests.ports import free_ports

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

STREAM = "00000000000000aa"
TABLE = SignalTable((Signal("Vehicle.Speed"),))


def batch(vehicle: str, sequence: int, *, rows: int = 10) -> AcceptedBatch:
    block = SampleBlock(TABLE, np.zeros(rows, np.int32), np.arange(rows), np.ones(rows))
    return AcceptedBatch("default", BatchName(vehicle, STREAM, sequence), block, 10**18)


# One vehicle for each of two shards.
HOME = {shard_of(f"VIN{n}", 2): f"VIN{n}" for n in range(20)}


@pytest.mark.parametrize(
    ("url", "at"),
    [
        ("http://db:8123", Server("db", 8123)),
        ("http://db", Server("db", 8123)),
        ("https://db/fleet", Server("db", 8443, tls=True, database="fleet")),
        ("http://me:p%40ss@[::1]:9", Server("::1", 9, user="me", password="p@ss")),
    ],
)
def test_a_url_says_where_and_who(url: str, at: Server):
    assert server(url) == at


@given(
    url=st.text(max_size=30)
    | st.sampled_from(["http://", "ftp://x", "http://x/a;b", "http://x:99999"])
)
@settings(max_examples=100)
def test_a_url_is_refused_or_understood(url: str):
    try:
        at = server(url)
    except BadInput:
        return
    assert at.host


def test_a_password_is_not_told():
    assert "secret" not in server("http://me:secret@db").url
    for wrong in ("http://me:secret@db:99999", "ftp://me:secret@db"):
        with pytest.raises(BadInput) as refused:
            server(wrong)
        assert "secret" not in str(refused.value)


def test_nobody_at_the_port_is_unavailable():
    (port,) = free_ports(1)
    with pytest.raises(Unavailable, match="does not answer"):
        open_store([f"http://127.0.0.1:{port}"], Path())


class Liar(socketserver.BaseRequestHandler):
    """Answers every request with the same bytes."""

    says = b""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(self.says)


@pytest.fixture
def liar() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Liar) as tcp:
        thread = threading.Thread(target=tcp.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{tcp.server_address[1]}"
        tcp.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops",
        b"HTTP/1.1 500 No\r\nContent-Length: 34\r\n\r\nCode: 243. DB::Exception: not enough",
    ],
)
def test_a_server_that_talks_nonsense_is_unavailable(liar: str, says: bytes):
    Liar.says = says
    with pytest.raises(Unavailable, match="telemetry store"):
        open_store([liar], Path())


@pytest.fixture(scope="module")
def two_servers() -> Iterator[list[ClickHouseServer]]:
    with clickhouse_servers(2) as servers:
        yield servers


@pytest.fixture
def store(two_servers: list[ClickHouseServer]) -> Iterator[Store]:
    opened = open_store([one.url for one in two_servers], Path())
    yield opened
    opened.close()


def test_each_vehicle_lives_on_one_server(store: Store, two_servers: list[ClickHouseServer]):
    store.append([batch(vehicle, 1) for vehicle in HOME.values()])

    for shard, at in enumerate(two_servers):
        engine = HttpEngine(server(at.url))
        names = engine.query("SELECT DISTINCT vehicle FROM samples")["vehicle"]
        engine.close()
        assert names.texts() == [HOME[shard]]  # type: ignore[union-attr]


def test_servers_in_another_order_are_a_conflict(store: Store, two_servers: list[ClickHouseServer]):
    urls = [one.url for one in two_servers]
    for wrong in (urls[::-1], urls[:1]):
        with pytest.raises(Conflict, match="in the order they began with"):
            open_store(wrong, Path())


def test_several_processes_may_make_the_tables_at_once(two_servers: list[ClickHouseServer]):
    urls = [f"{one.url}/race" for one in two_servers]
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_store(urls, Path()), range(4)))
    for number, opened in enumerate(stores):
        opened.append([batch(vehicle, number + 1) for vehicle in HOME.values()])
    counts = [opened.count("default", HOME[1]) for opened in stores]
    for opened in stores:
        opened.close()

    assert counts == [40] * 4


@pytest.mark.slow
def test_a_dead_server_takes_its_own_vehicles_only_and_loses_nothing(
    store: Store, two_servers: list[ClickHouseServer]
):
    store.append([batch(HOME[0], 2), batch(HOME[1], 2)])
    two_servers[1].kill()

    with pytest.raises(Unavailable):
        store.append([batch(HOME[0], 3), batch(HOME[1], 3)])
    assert store.stored(DEFAULT_TENANT, HOME[0], STREAM, [2, 3]) == {2, 3}
    with pytest.raises(Unavailable, match="does not answer"):
        store.stored(DEFAULT_TENANT, HOME[1], STREAM, [3])

    two_servers[1].start()
    assert store.stored(DEFAULT_TENANT, HOME[1], STREAM, [2, 3]) == {2}
    store.append([batch(HOME[1], 3)])
    assert store.stored(DEFAULT_TENANT, HOME[1], STREAM, [2, 3]) == {2, 3}


@pytest.mark.slow
def test_batches_are_whole_although_the_server_dies_while_they_arrive(
    store: Store, two_servers: list[ClickHouseServer]
):
    vehicle, rows = HOME[0], 20_000
    acknowledged: list[int] = []

    def write() -> None:
        for sequence in range(100, 400):
            try:
                store.append([batch(vehicle, sequence, rows=rows)])
            except Unavailable:
                return
            acknowledged.append(sequence)

    before = store.count("default", vehicle)
    writer = threading.Thread(target=write)
    writer.start()
    while len(acknowledged) < 5:
        writer.join(0.005)
    two_servers[0].kill()
    writer.join()
    two_servers[0].start()

    stored = store.stored(DEFAULT_TENANT, vehicle, STREAM, range(100, 400))
    assert set(acknowledged) <= stored
    assert len(stored) <= len(acknowledged) + 1
    assert store.count("default", vehicle) - before == rows * len(stored)


def test_nothing_is_said_about_batches_while_an_insert_goes_on_that_was_given_up(
    store: Store, two_servers: list[ClickHouseServer]
):
    other = HttpEngine(server(two_servers[0].url))
    slow = {"query_id": "fairway-insert-other", "query": "SELECT sleep(2.5)"}
    with ThreadPoolExecutor(1) as pool:
        insert = pool.submit(other._post, slow, [b""])
        time.sleep(1.2)
        with pytest.raises(Unavailable, match="given up"):
            store.stored(DEFAULT_TENANT, HOME[0], STREAM, [1])
        insert.result()

    assert store.stored(DEFAULT_TENANT, HOME[0], STREAM, [10**6]) == set()
    other.close()


def test_an_insert_ends_in_time_and_what_a_sleeping_server_does_later_is_waited_for(
    store: Store, two_servers: list[ClickHouseServer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clickhouse_http, "INSERT_MAX_S", 0.5)
    monkeypatch.setattr(telemetry_store_clickhouse, "AWAKE_MAX_S", 0.3)
    two_servers[0].pause()
    with ThreadPoolExecutor(1) as pool:
        try:
            begun_s = time.monotonic()
            with pytest.raises(Unavailable):
                store.append([batch(HOME[0], 777)])
            took_s = time.monotonic() - begun_s
            question = pool.submit(store.stored, DEFAULT_TENANT, HOME[0], STREAM, [777])
            time.sleep(0.4)
        finally:
            two_servers[0].go_on()
        failure = question.exception()

    assert took_s < 2
    assert isinstance(failure, Unavailable)
    until("the late insert", lambda: store.stored(DEFAULT_TENANT, HOME[0], STREAM, [777]) == {777})


def test_a_wrong_password_is_told():
    with scratch() as folder:
        locked = ClickHouseServer(folder / "locked", password="right")
        locked.start()
        try:
            open_store([locked.url], Path()).close()
            with pytest.raises(Unavailable, match="user or the password"):
                open_store([locked.url.replace("right", "wrong")], Path())
        finally:
            locked.kill()


def test_the_draw_of_shards_never_changes():
    # Rows are where an earlier version put them.
    assert [shard_of(f"VIN{n}", 3) for n in range(8)] == [2, 2, 1, 0, 2, 1, 1, 2]
