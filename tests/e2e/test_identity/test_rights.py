"""What a certificate lets its bearer do at each door of a real cloud, and that nothing lets anybody do more."""

import datetime as dt
import itertools
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.clock import NS_PER_S, SystemClock
from fairway.telemetry import Outcome
from fairway.topics import down_telemetry, up_telemetry
from fairway.wire.telemetry import receipts_from_bytes
from fleet_cloud.adapters.pki_files import FilePki
from tests.certificates import Authority
from tests.e2e.doors import DOORS, Door, MqttLine
from tests.fleet_cloud.ingest.desk import batch_bytes
from tests.issued import Keys, keys_of

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

A, B = "CAR-A", "CAR.B"
NOW = SystemClock().now_ns()
DAY_NS = 86_400 * NS_PER_S
CUT_OFF_MAX_S = 5.0
# What A is not granted: others' trees, its own up, everything, the broker's own affairs.
FOREIGN = (
    down_telemetry(B),
    f"fairway/v1/{B}/#",
    f"fairway/v1/{B}/up/#",
    f"fairway/v1/{A}/up/#",
    "fairway/v1/+/down/telemetry",
    "+/+/+/+/+",
    "#",
    "fairway/#",
    "fairway/v1/#",
    "$SYS/#",
    "$MQTT/#",
    "$CONTROL/#",
)
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=DOORS)
def door(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("door"), request.param)
    try:
        door.cloud.start()
        yield door
        assert door.cloud.program.stop() == 0
    finally:
        door.cloud.program.close()


@pytest.fixture(scope="module")
def a(door: Door) -> Keys:
    return door.added(A)


@pytest.fixture(scope="module")
def b(door: Door) -> Keys:
    keys = door.added(B)
    time.sleep(1.0)  # the promise: within a second
    return keys


def batch(vehicle: str) -> bytes:
    """Return a batch that was never sent before."""
    return batch_bytes(next(NUMBERS), vehicle=vehicle)


def test_a_vehicle_neither_reads_what_is_anothers_nor_speaks_for_it(door: Door, a: Keys, b: Keys):
    if door.kind == "gRPC":
        pytest.skip("a stream has no topics: see the test of batches in another's name")
    thief, victim = door.open(a), door.open(b)
    assert isinstance(thief, MqttLine)
    assert isinstance(victim, MqttLine)
    try:
        granted = {topic: thief.client.subscribe(topic) for topic in FOREIGN}
        assert not any(granted.values()), granted

        stolen = batch(B)
        thief.client.publish(up_telemetry(B), stolen)
        thief.client.publish(down_telemetry(B), b"a receipt that the cloud never sent")
        assert victim.client.hears(1.0) is None
        # Had the cloud heard the thief's, this would be DUPLICATE.
        (receipt,) = victim.ask(stolen)

        assert receipt.outcome is Outcome.STORED
        assert thief.client.hears(1.0) is None
        assert thief.client.is_connected(
            10
        )  # a broker may have thrown it out for that: it comes back
        assert receipts_from_bytes(_heard(thief, batch(A)))[0].outcome is Outcome.STORED
    finally:
        thief.close()
        victim.close()


def _heard(line: MqttLine, message: bytes) -> bytes:
    line.client.subscribe(down_telemetry(A))  # a broker may have forgotten it with the connection
    line.client.publish(up_telemetry(A), message)
    heard = line.client.hears(10)
    assert heard is not None
    return heard[1]


def test_a_batch_in_anothers_name_is_not_stored(door: Door, a: Keys, b: Keys):
    line = door.open(b)
    before = door.cloud.rows()
    try:
        assert line.ask(batch(B))[0].outcome is Outcome.STORED
        try:
            outcome = line.ask(batch(A))[0].outcome
        except Exception:  # noqa: BLE001 - no answer at all, or the end of the stream, is as good
            outcome = Outcome.REFUSED
    finally:
        line.close()

    assert outcome is not Outcome.STORED
    assert door.cloud.rows() == before + 3


def test_a_revoked_certificate_is_cut_off_and_does_not_come_back(door: Door, b: Keys, capsys):
    first = door.added("CAR-C")
    second = door.renewed("CAR-C")
    time.sleep(1.0)
    session = _session(door, first)
    line, other = door.open(first), door.open(b)
    try:
        assert line.ask(batch("CAR-C"))
        assert other.ask(batch(B))

        begun = time.monotonic()
        door.revoke(first)
        assert line.is_cut_off(CUT_OFF_MAX_S)
        took_s = time.monotonic() - begun
        assert took_s < CUT_OFF_MAX_S
        with capsys.disabled():
            print(f"\n{door.kind}: cut off {took_s:.2f} s after `vehicle revoke` was typed")

        assert not _is_answered(door, first, session)
        assert not door.lets_in(first, batch("CAR-C"))
        assert not other.is_cut_off(0.2)
        assert other.ask(batch(B))[0].outcome is Outcome.STORED
    finally:
        line.close()
        other.close()
    assert door.lets_in(second, batch("CAR-C"))


def _context(keys: Keys) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(keys.ca))
    context.load_cert_chain(keys.certificate, keys.key)
    context.set_alpn_protocols(["h2"])
    return context


CONTEXTS: dict[Path, ssl.SSLContext] = {}


def _session(door: Door, keys: Keys) -> ssl.SSLSession | None:
    """Return what a TLS client keeps of a connection, to come back without showing its certificate."""
    context = CONTEXTS[keys.certificate] = _context(keys)
    with (
        socket.create_connection(("127.0.0.1", door.port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(_hello(door))
        tls.recv(4)
        return tls.session


def _is_answered(door: Door, keys: Keys, session: ssl.SSLSession | None) -> bool:
    """Whether an MQTT server answers a TLS session that is taken up again; gRPC looks at each call anyway."""
    if door.kind == "gRPC":
        return False
    try:
        with (
            socket.create_connection(("127.0.0.1", door.port), 5) as plain,
            CONTEXTS[keys.certificate].wrap_socket(
                plain, server_hostname="localhost", session=session
            ) as tls,
        ):
            tls.sendall(_hello(door))
            return tls.recv(4) == bytes.fromhex("20020000")
    except OSError:
        return False


def _hello(door: Door) -> bytes:
    if door.kind == "gRPC":
        return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
    return bytes.fromhex("100e 0004 4d515454 04 02 003c 0002 6262")  # CONNECT bb


def strangers(door: Door, folder: Path) -> Iterator[tuple[str, Keys]]:
    """Yield those who never get in, all of them under the name of a vehicle that would."""
    yield (
        "an expired one",
        keys_of(door.pki, folder, A, now_ns=NOW - 9 * DAY_NS, life=dt.timedelta(days=2)),
    )
    yield "one not valid yet", keys_of(door.pki, folder, A, now_ns=NOW + 9 * DAY_NS)
    abroad = FilePki(folder / "us", region="us")
    shutil.copytree(door.pki.authorities.offline, abroad.authorities.offline)
    shutil.copy(door.pki.authorities.root, abroad.authorities.root)
    abroad.ensure([], NOW)
    wrong = keys_of(abroad, folder, A)
    with wrong.certificate.open("ab") as chain:  # everything that could lead to a root they know
        chain.write(abroad.authorities.root.read_bytes())
    yield "one of another region, of the same root", wrong
    other = FilePki(folder / "other")
    other.ensure([], NOW)
    yield "one of another fleet", keys_of(other, folder, A)
    signed = Authority(folder / "self", A)
    yield "a self-signed one", Keys(door.pki.ca, signed.ca, signed.key, wrong.record)


def test_nobody_else_ever_gets_in(door: Door, a: Keys, tmp_path: Path):
    for who, keys in strangers(door, tmp_path):
        mine = Keys(door.pki.ca, keys.certificate, keys.key, keys.record)
        assert not door.lets_in(mine, batch(A)), who
    assert door.lets_in(a, batch(A))


def test_a_certificate_of_ours_that_the_registry_does_not_know_gets_nothing(
    door: Door, tmp_path: Path
):
    """As one made with a stolen issuing key: for a vehicle that does not exist, and for one that does."""
    assert not door.lets_in(keys_of(door.pki, tmp_path, "CAR-X"), batch("CAR-X"))
    if door.kind != "mosquitto":  # it tells vehicles by name: docs/explanation/security.md
        assert not door.lets_in(keys_of(door.pki, tmp_path, A), batch(A))


def test_tls_is_1_3_or_nothing(door: Door, a: Keys):
    context = _context(a)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with (
        pytest.raises(ssl.SSLError),
        socket.create_connection(("127.0.0.1", door.port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        pass
