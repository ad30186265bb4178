"""The on-board door on real sockets: a good token is served what it may have, others get a sentence."""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.onboard_calls import NOBODY, current_grant, current_rights
from edge_agent.adapters.onboard_grpc import CALLS_PER_CONNECTION_MAX, OnboardDoor, Tls
from edge_agent.adapters.onboard_listen import Listen, SocketFile, listen_at
from edge_agent.adapters.tokens import Verifier, load_keys
from edge_agent.broker.access import Action
from edge_agent.broker.claims import Expected
from fairway.clock import SystemClock
from fairway.errors import BadInput, Conflict, Unavailable
from tests import onboard_apps
from tests.certificates import Authority
from tests.onboard_apps import Issuer, bearer, channel, health, refusal

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

SERVICE = "tests.Signals"
ALL_SERVICES = ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", SERVICE]


async def get(request: bytes, _context: Any) -> bytes:
    """Answer with who asks, if it may read what it names."""
    current_rights().need(Action.READ, request.decode())
    if request == b"Vehicle.Broken":
        raise Unavailable("the bus is not there")
    return current_grant().subject.encode()


async def subscribe(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    """Answer for ever: slowly, or as fast as the reader takes it."""
    number = 0
    while True:
        current_rights().need(Action.READ, request.decode())
        yield b"x" * (100_000 if request == b"Vehicle.Flood" else 1)
        number += 1
        await asyncio.sleep(0 if request == b"Vehicle.Flood" else 0.05)


async def publish(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        current_rights().need(Action.PROVIDE_DATA, request.decode())
        yield request


def add_signals(server: grpc.aio.Server) -> str:
    makers: dict[str, Any] = {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Subscribe": grpc.unary_stream_rpc_method_handler(subscribe),
        "Publish": grpc.stream_stream_rpc_method_handler(publish),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, makers),))
    return SERVICE


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "issuer")


Opened = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path, issuer: Issuer) -> Opened:
    """Give what opens a door: by default a socket, with the issuer's key."""

    @asynccontextmanager
    async def door(listen: Listen | None = None, revoked: Path | None = None, **more: Any):
        keys = load_keys([issuer.public])
        verifier = Verifier(
            keys, Expected(frozenset({"kuksa.val"})), SystemClock(), revoked=revoked
        )
        listen = listen or Listen("unix", path=tmp_path / "run" / "onboard.sock")
        made = OnboardDoor(listen, verifier, services=[add_signals], **more)
        where = await made.start()
        try:
            yield made, where
        finally:
            await made.stop()

    return door


async def until(done: Callable[[], Any], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not done():
            await asyncio.sleep(0.02)


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def asked(where: str, ask: Callable[[Any], Any], **more: Any) -> Any:
    """Return what a client in a thread of its own is answered."""

    def work() -> Any:
        with channel(where, **more) as app:
            return ask(app)

    return await in_thread(work)


async def refused(where: str, ask: Callable[[Any], Any], **more: Any) -> tuple[str, str]:
    """Return the status and the sentence a client is refused with."""
    with pytest.raises(grpc.RpcError) as error:
        await asked(where, ask, **more)
    return refusal(error.value)


def getting(path: str, *metadata: tuple[str, str]) -> Callable[[Any], bytes]:
    return lambda app: app.unary_unary(f"/{SERVICE}/Get")(
        path.encode(), metadata=metadata, timeout=10
    )


async def test_a_token_opens_health_reflection_and_what_its_scopes_name(
    opened: Opened, issuer: Issuer
):
    token = bearer(issuer.token("read:Vehicle.Speed"))
    async with opened() as (door, where):
        assert await asked(where, lambda app: health(app, token)) == "SERVING"
        assert await asked(where, lambda app: onboard_apps.services(app, token)) == ALL_SERVICES
        assert await asked(where, getting("Vehicle.Speed", *token)) == b"app"
        assert await refused(where, getting("Vehicle.Width", *token)) == (
            "PERMISSION_DENIED",
            "the token has no scope to read Vehicle.Width",
        )
        await until(lambda: not door.counts.open)
        assert door.counts.calls == 4
        assert {name: n for name, n in door.counts.refused.items() if n} == {"no_scope": 1}
    assert current_grant() is NOBODY


def publishing(app: Any) -> Any:
    """Open a stream and send nothing on it."""
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait(10)
        yield from ()

    try:
        return next(app.stream_stream(f"/{SERVICE}/Publish")(nothing(), timeout=10))
    finally:
        over.set()


@pytest.mark.parametrize(
    ("metadata", "reason", "words"),
    [
        ([], "no_token", "no token: send `authorization: Bearer TOKEN`"),
        ([("authorization", "Basic dXNlcg==")], "bad_token", "authorization is said once"),
        ([("authorization", "Bearer")], "bad_token", "this is no token"),
        ([("authorization", "Bearer a.b.c")], "bad_token", "this is no token"),
        ("expired", "denied_token", "the token has expired"),
        ("twice", "bad_token", "authorization is said once"),
        ("other", "denied_token", "the token is for other, not for kuksa.val"),
        ("stranger", "bad_token", "signed by no key that is known here"),
    ],
)
async def test_who_shows_no_good_token_reaches_nothing(
    opened: Opened, issuer: Issuer, tmp_path: Path, metadata: Any, reason: str, words: str
):
    made = {
        "expired": lambda: bearer(issuer.token(seconds=-1)),
        "twice": lambda: bearer(issuer.token()) * 2,
        "other": lambda: bearer(issuer.token(audiences=["other"])),
        "stranger": lambda: bearer(Issuer(tmp_path / "stranger").token()),
    }
    shown = tuple(made[metadata]() if isinstance(metadata, str) else metadata)
    async with opened() as (door, where):
        asks = [
            getting("Vehicle.Speed", *shown),
            lambda app: health(app, shown),
            lambda app: onboard_apps.services(app, shown),
            lambda app: app.unary_unary("/no.Such/Method")(b"", metadata=shown, timeout=10),
        ]
        for ask in asks:
            code, sentence = await refused(where, ask)
            assert (code, words in sentence) == ("UNAUTHENTICATED", True), sentence
        assert door.counts.refused[reason] == len(asks) == door.counts.calls


async def test_a_stream_without_a_token_is_refused_before_it_sends(opened: Opened):
    async with opened() as (_, where):
        assert (await refused(where, publishing))[0] == "UNAUTHENTICATED"


async def test_an_unknown_method_is_unimplemented_for_who_has_a_token(
    opened: Opened, issuer: Issuer
):
    token = bearer(issuer.token())
    async with opened() as (_, where):
        ask = lambda app: app.unary_unary("/no.Such/Method")(b"", metadata=token, timeout=10)  # noqa: E731
        assert (await refused(where, ask))[0] == "UNIMPLEMENTED"


async def test_errors_of_the_house_become_statuses(opened: Opened, issuer: Issuer):
    token = bearer(issuer.token())
    async with opened() as (_, where):
        assert await refused(where, getting("Vehicle.Broken", *token)) == (
            "UNAVAILABLE",
            "the bus is not there",
        )


def reading(path: str, token: str) -> Callable[[Any], int]:
    """Read a stream to its end; raises how it ended."""

    def read(app: Any) -> int:
        call = app.unary_stream(f"/{SERVICE}/Subscribe")(
            path.encode(), metadata=bearer(token), timeout=20
        )
        return sum(1 for _ in call)

    return read


async def test_a_stream_ends_when_its_token_does(opened: Opened, issuer: Issuer):
    async with opened() as (door, where):
        ending = await refused(where, reading("Vehicle.Speed", issuer.token(seconds=2)))

        assert (ending[0], "the token has expired" in ending[1]) == ("UNAUTHENTICATED", True)
        await until(lambda: not door.counts.open)
        assert door.counts.refused["ended"] == 1


async def test_a_flood_that_nobody_reads_ends_with_its_token_too(opened: Opened, issuer: Issuer):
    token = issuer.token(seconds=2)

    def open_and_wait(app: Any) -> str:
        call = app.unary_stream(f"/{SERVICE}/Subscribe")(
            b"Vehicle.Flood", metadata=bearer(token), timeout=20
        )
        next(call)
        over.wait(20)
        return "waited"

    over = threading.Event()
    async with opened() as (door, where):
        waiting = asyncio.create_task(asked(where, open_and_wait))
        await until(lambda: door.counts.refused["ended"] and not door.counts.open)
        over.set()
        assert await waiting == "waited"
        assert await asked(where, getting("Vehicle.Speed", *bearer(issuer.token()))) == b"app"


async def test_a_stream_ends_when_its_token_is_revoked(
    opened: Opened, issuer: Issuer, tmp_path: Path
):
    revoked, token = tmp_path / "revoked", issuer.token()
    revoked.write_text("")
    async with opened(revoked=revoked) as (door, where):
        reader = asyncio.create_task(refused(where, reading("Vehicle.Speed", token)))
        await until(lambda: door.counts.open)
        revoked.write_text(onboard_apps.token_id(token) + "\n")

        code, sentence = await reader
        assert (code, "has been revoked" in sentence) == ("UNAUTHENTICATED", True)


async def test_an_agent_that_stops_tells_open_streams_to_come_again(opened: Opened, issuer: Issuer):
    async with opened() as (door, where):
        reader = asyncio.create_task(refused(where, reading("Vehicle.Speed", issuer.token())))
        await until(lambda: door.counts.open)
        await door.stop()

        assert await reader == ("UNAVAILABLE", "the agent is stopping: come again later")
        assert door.counts.refused["ended"] == 0


async def test_refusals_are_logged_once_in_a_while_and_without_tokens(
    opened: Opened, issuer: Issuer, caplog: pytest.LogCaptureFixture
):
    token = issuer.token(seconds=-1)
    async with opened() as (door, where):
        for number in range(3):
            await refused(where, lambda app: health(app, bearer(token)))
            await until(lambda: caplog.records or door.counts.calls < 1)
            assert door.counts.calls == number + 1

    (line,) = [record for record in caplog.records if record.message == "calls_refused"]
    facts = vars(line)["facts"]
    assert facts["denied_token"] >= 1
    assert "the token has expired" in facts["last_reason"]
    assert token[-20:] not in str(facts)


async def test_the_socket_is_for_owner_and_group_and_goes_away(opened: Opened, tmp_path: Path):
    path = tmp_path / "run" / "onboard.sock"
    async with opened() as (_, where):
        state = path.stat()
        assert where == f"unix:{path}"
        assert stat.S_IMODE(state.st_mode) == 0o660
        assert (state.st_uid, state.st_gid) == (os.geteuid(), os.getegid())
        assert names_in(path.parent) == ["onboard.sock"]
    assert names_in(path.parent) == []


async def test_a_dead_socket_is_replaced_and_a_live_one_is_not(opened: Opened, tmp_path: Path):
    path = tmp_path / "run" / "onboard.sock"
    path.parent.mkdir()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()

    async with opened():
        with pytest.raises(Conflict, match="somebody listens on .*onboard.sock already"):
            async with opened():
                pass
        assert path.is_socket()
        assert names_in(path.parent) == ["onboard.sock"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def a_file(path: Path) -> None:
    path.write_text("notes")


def a_link(path: Path) -> None:
    path.symlink_to("/dev/null")


def an_open_folder(path: Path) -> None:
    path.parent.chmod(0o777)


def a_folder_of_the_group(path: Path) -> None:
    path.parent.chmod(0o770)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (a_file, "is no socket of ours"),
        (a_link, "is no socket of ours"),
        (an_open_folder, "others may write to .*mode 0777.* chmod 755 it"),
        (a_folder_of_the_group, "others may write to"),
    ],
)
def test_a_place_that_is_not_safe_for_a_socket_is_refused(
    tmp_path: Path, prepare: Callable[[Path], None], words: str
):
    path = tmp_path / "run" / "onboard.sock"
    path.parent.mkdir()
    prepare(path)
    before = names_in(path.parent)

    with pytest.raises(BadInput, match=words):
        SocketFile(path).prepare()
    assert names_in(path.parent) == before


def test_a_path_that_is_too_long_and_a_group_that_is_not_there_are_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="too long for a Unix socket"):
        SocketFile(tmp_path / ("x" * 90) / "onboard.sock").prepare()
    with pytest.raises(BadInput, match="has no such group"):
        SocketFile(tmp_path / "onboard.sock", group="no-such-group")


async def test_the_socket_alone_lets_in_where_it_is_trusted_and_a_token_still_narrows(
    opened: Opened, issuer: Issuer
):
    async with opened(is_socket_trusted=True) as (_, where):
        assert await asked(where, getting("Vehicle.Speed")) == b"socket"
        narrow = bearer(issuer.token("read:Vehicle.Width"))
        assert (await refused(where, getting("Vehicle.Speed", *narrow)))[0] == "PERMISSION_DENIED"
        bad = bearer(issuer.token(seconds=-1))
        assert (await refused(where, getting("Vehicle.Speed", *bad)))[0] == "UNAUTHENTICATED"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


async def test_tls_serves_who_shows_a_token_and_nobody_in_plain(
    opened: Opened, issuer: Issuer, authority: Authority
):
    server, token = authority.server(), bearer(issuer.token())
    listen = listen_at("tls://127.0.0.1:0", plain=False)
    async with opened(listen, tls=Tls(server.certificate, server.key)) as (_, where):
        assert await asked(where, lambda app: health(app, token), ca=authority.ca) == "SERVING"
        ask = getting("Vehicle.Speed")
        assert (await refused(where, ask, ca=authority.ca))[0] == "UNAUTHENTICATED"
        plain = where.replace("tls://", "tcp://")
        assert (await refused(plain, lambda app: health(app, token)))[0] == "UNAVAILABLE"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_is_1_2_or_1_3(opened: Opened, authority: Authority, version: ssl.TLSVersion):
    server = authority.server()
    context = ssl.create_default_context(cafile=authority.ca)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])

    def shake_hands(port: int) -> tuple[str | None, str | None]:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return secure.version(), secure.selected_alpn_protocol()

    listen = listen_at("tls://127.0.0.1:0", plain=False)
    async with opened(listen, tls=Tls(server.certificate, server.key)) as (_, where):
        port = int(where.rpartition(":")[2])
        spoken = await in_thread(lambda: shake_hands(port))
        assert spoken == (version.name.replace("TLSv1_", "TLSv1."), "h2")


async def test_with_a_client_authority_an_app_needs_a_certificate_too(
    opened: Opened, issuer: Issuer, authority: Authority, tmp_path: Path
):
    server, token = authority.server(), bearer(issuer.token())
    mine, stranger = authority.vehicle("app"), Authority(tmp_path / "other").vehicle("app")
    tls = Tls(server.certificate, server.key, client_ca=authority.ca)

    def shown(identity: Any) -> dict[str, Any]:
        return {
            "ca": authority.ca,
            "private_key": identity.key.read_bytes(),
            "certificate_chain": identity.certificate.read_bytes(),
        }

    async with opened(listen_at("tls://127.0.0.1:0", plain=False), tls=tls) as (_, where):
        assert await asked(where, lambda app: health(app, token), **shown(mine)) == "SERVING"
        for wrong in ({"ca": authority.ca}, shown(stranger)):
            assert (await refused(where, lambda app: health(app, token), **wrong))[
                0
            ] == "UNAVAILABLE"


async def test_plain_tcp_is_for_this_machine_when_it_is_asked_for(opened: Opened, issuer: Issuer):
    token = bearer(issuer.token())
    async with opened(listen_at("tcp://127.0.0.1:0", plain=True)) as (_, where):
        assert await asked(where, lambda app: health(app, token)) == "SERVING"


@pytest.mark.parametrize(
    ("text", "plain", "words"),
    [
        ("tcp://127.0.0.1:55555", False, "tokens can be read on the way"),
        ("tcp://0.0.0.0:55555", True, "tokens can be read on the way"),
        ("tcp://localhost:55555", True, "tokens can be read on the way"),
        ("tls://127.0.0.1", False, "write unix:/path or tls://host:port"),
        ("tls://127.0.0.1:99999", False, "Port out of range"),
        ("tls://[::1:5", False, "onboard.listen is"),
        ("http://127.0.0.1:80", False, "write unix:/path or tls://host:port"),
        ("tls://127.0.0.1:1/x", False, "write unix:/path or tls://host:port"),
        ("unix:onboard.sock", False, "write the whole path"),
        ("unix:", False, "write the whole path"),
        ("unix:/a\0b", False, "write the whole path"),
        ("", False, "write unix:/path or tls://host:port"),
    ],
)
def test_an_address_that_cannot_be_is_refused(text: str, plain: Any, words: str):
    with pytest.raises(BadInput, match=words):
        listen_at(text, plain=plain)


@given(st.text(max_size=40) | st.text(st.sampled_from("tlscpunix:/[]0159.@?#\0"), max_size=40))
def test_any_address_is_read_or_refused(text: str):
    with contextlib.suppress(BadInput):
        listen = listen_at(text, plain=True)
        assert listen.path.is_absolute() if listen.scheme == "unix" else listen.host


def test_addresses_are_read_as_clients_write_them():
    assert listen_at("unix:///run/a.sock", plain=False) == listen_at(
        "unix:/run/a.sock", plain=False
    )
    assert str(listen_at("tls://[::1]:55555", plain=False)) == "tls://[::1]:55555"


def test_a_door_that_makes_no_sense_is_refused(
    issuer: Issuer, authority: Authority, tmp_path: Path
):
    verifier = Verifier((), Expected(frozenset({"kuksa.val"})), SystemClock())
    server, other = authority.server(), Authority(tmp_path / "other").vehicle("x")
    tls, unix = listen_at("tls://127.0.0.1:0", plain=False), Listen("unix", path=tmp_path / "s")
    cases: list[tuple[Listen, dict[str, Any], str]] = [
        (tls, {}, "TLS needs one with its key"),
        (unix, {"tls": Tls(server.certificate, server.key)}, "nothing else does"),
        (tls, {"tls": Tls(server.certificate, other.key)}, "no certificates for the door"),
        (tls, {"tls": Tls(tmp_path / "nowhere", server.key)}, "no certificates for the door"),
        (
            tls,
            {"tls": Tls(server.certificate, server.key), "is_socket_trusted": True},
            "trust_socket is for Unix sockets alone",
        ),
    ]
    for listen, more, words in cases:
        with pytest.raises(BadInput, match=words):
            OnboardDoor(listen, verifier, **more)


async def test_a_port_that_is_taken_is_one_sentence(opened: Opened):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"cannot listen for apps on tcp://127.0.0.1:{port}"):
            async with opened(Listen("tcp", host="127.0.0.1", port=port)):
                pass


async def test_one_app_cannot_take_more_than_its_share(opened: Opened, issuer: Issuer):
    token = issuer.token()

    async with opened() as (door, where), grpc.aio.insecure_channel(where) as connected:
        app: Any = connected
        calls = [
            app.unary_stream(f"/{SERVICE}/Subscribe")(b"Vehicle.Speed", metadata=bearer(token))
            for _ in range(CALLS_PER_CONNECTION_MAX + 8)
        ]
        reads = [asyncio.ensure_future(call.read()) for call in calls]
        await until(lambda: sum(read.done() for read in reads) >= CALLS_PER_CONNECTION_MAX)
        assert door.counts.open == CALLS_PER_CONNECTION_MAX == sum(read.done() for read in reads)
        for call in calls:
            call.cancel()
        await asyncio.gather(*reads, return_exceptions=True)


@pytest.mark.parametrize(
    ("request_bytes", "more_metadata"), [(2_000_000, ()), (10, (("x-more", "x" * 20_000),))]
)
async def test_what_is_too_large_is_refused_unread(
    opened: Opened, issuer: Issuer, request_bytes: int, more_metadata: Any
):
    shown = (*bearer(issuer.token()), *more_metadata)
    async with opened() as (_, where):
        code, _ = await refused(where, getting("x" * request_bytes, *shown))
        assert code == "RESOURCE_EXHAUSTED"
