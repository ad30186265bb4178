"""Where the on-board door listens: sockets and their folders, TLS, plain TCP, and what cannot be."""

import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.onboard_grpc import OnboardDoor, Tls
from edge_agent.adapters.onboard_listen import Listen, SocketFile, listen_at
from edge_agent.adapters.tokens import Verifier
from edge_agent.broker.claims import Expected
from fairway.clock import SystemClock
from fairway.errors import BadInput, Conflict, Unavailable
from tests.certificates import Authority
from tests.edge_agent.adapters.onboard_doors import (
    Opened,
    asked,
    getting,
    in_thread,
    issuer_of_tokens,  # noqa: F401 - a fixture
    opened_doors,  # noqa: F401 - a fixture
    refused,
)
from tests.onboard_apps import Issuer, bearer, health

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


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
