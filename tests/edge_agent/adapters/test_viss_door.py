"""The door of VISS: where it opens, what a client may take, and what it does with garbage."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus, WebSocketException

from edge_agent.adapters import viss_http
from edge_agent.adapters.kuksa_service import Service
from edge_agent.adapters.onboard import open_door
from edge_agent.adapters.onboard_grpc import Tls
from edge_agent.adapters.onboard_listen import Listen
from edge_agent.adapters.tokens import Verifier
from edge_agent.adapters.viss_http import VissDoor
from edge_agent.adapters.viss_service import Viss
from edge_agent.adapters.viss_session import SUBSCRIPTIONS_OF_CONNECTION_MAX
from edge_agent.broker.claims import Expected
from edge_agent.broker.counts import OnboardCounts
from edge_agent.broker.vehicle import VehicleData, one
from edge_agent.config import Onboard
from fairway.clock import SystemClock
from fairway.errors import BadInput, Unavailable
from tests.certificates import Authority
from tests.edge_agent.vehicle_api import (
    GEAR,
    PATHS,
    SPEED,
    VIN,
    take,
    vehicle,
)
from tests.edge_agent.viss_apps import Client, VissApi, served_by_viss
from tests.onboard_apps import Issuer
from tests.ports import free_port

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

S = 1_000_000_000
NOW = 1_700_000_000 * S


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[VissApi]:
    async with served_by_viss(tmp_path) as made:
        yield made


def error(said):
    assert set(said["error"]) in (
        {"number", "reason", "message"},
        {"number", "reason", "description"},
    )
    return int(said["error"]["number"]), said["error"]["reason"]


async def test_a_client_is_bounded_and_leaves_nothing_behind(api):
    async with api.client(version="VISSv2") as app:
        for _ in range(SUBSCRIPTIONS_OF_CONNECTION_MAX):
            assert "subscriptionId" in await app.ask("subscribe", path=PATHS[VIN])
        said = await app.ask("subscribe", path=PATHS[VIN])
        assert error(said) == (429, "too_many_requests")
    for _ in range(100):
        if not len(api.data.subscriptions):
            break
        await asyncio.sleep(0.02)
    assert not len(api.data.subscriptions)
    with pytest.raises(InvalidStatus):
        async with api.client(version="soap"):
            pass


async def test_who_shows_no_good_token_is_not_kept(api, monkeypatch):
    monkeypatch.setattr(viss_http, "_STRANGER_MAX_S", 0.3)
    take(api.data, [(SPEED, NOW, 7.5)])

    async with api.client() as app, api.client(None) as stranger:
        await app.ask("get", path=PATHS[SPEED])
        await stranger.ask("get", path="Server.Support")
        await stranger.ask("get", path=PATHS[SPEED])
        with pytest.raises(ConnectionClosedError, match="1008"):
            await stranger.event()
        assert "data" in await app.ask("get", path=PATHS[SPEED])


async def test_a_client_that_does_not_read_costs_itself_alone(api):
    async with api.client(version="VISSv2") as slow, api.client(version="VISSv2") as app:
        await slow.ask("subscribe", path=PATHS[VIN])
        slow.socket.transport.pause_reading()
        for count in range(6000):
            text = f"{count:04}" * 1000
            said = one(VIN, text, is_number=False, time_ns=NOW + count, source_ns=0)
            api.data.publish(said, provider=0, now_ns=count + 1)
            await asyncio.sleep(0)
        (waiting,) = [
            member for group in api.data.subscriptions._groups.values() for member in group.members
        ]
        assert 0 < len(waiting) < 10
        assert (await app.ask("get", path=PATHS[VIN]))["data"]["dp"]["value"].startswith("5999")
        slow.socket.transport.resume_reading()
        values = [(await slow.event())["data"]["dp"]["value"][:4]]
        while values[-1] != "5999":
            values.append((await slow.event())["data"]["dp"]["value"][:4])
    assert values == sorted(values)
    assert len(values) < 6000


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"viss": "127.0.0.1:0"}, "plain = true"),
        ({"viss": "192.168.1.1:0", "plain": True}, "plain = true"),
        ({"viss": "nowhere", "plain": True}, "onboard.viss is"),
    ],
)
def test_an_address_without_tls_is_refused_unless_it_is_of_this_machine(
    tmp_path, settings, sentence
):
    issuer = Issuer(tmp_path / "issuer")
    with pytest.raises(BadInput, match=sentence):
        open_door(
            Onboard(keys=(issuer.public,), **settings), tmp_path / "spool", SystemClock(), vehicle()
        )


async def test_both_doors_open_or_neither(tmp_path):
    issuer, port = Issuer(tmp_path / "issuer"), free_port()
    settings = Onboard(
        keys=(issuer.public,),
        listen=f"unix:{tmp_path}/run/x.sock",
        viss=f"127.0.0.1:{port}",
        plain=True,
    )
    first = open_door(settings, tmp_path / "spool", SystemClock(), vehicle())
    assert await first.start() == f"unix:{tmp_path}/run/x.sock"
    other = replace(settings, listen=f"unix:{tmp_path}/run/y.sock")
    with pytest.raises(Unavailable, match="cannot listen for VISS on"):
        await open_door(other, tmp_path / "spool", SystemClock(), vehicle()).start()
    assert not (tmp_path / "run" / "y.sock").exists()
    await first.stop()


async def test_with_an_authority_of_apps_a_client_shows_a_certificate_too(tmp_path):
    authority = Authority(tmp_path / "pki")
    server, app = authority.server(), authority.vehicle("app")
    tls = Tls(server.certificate, server.key, client_ca=authority.ca)
    data = vehicle()
    take(data, [(SPEED, NOW, 7.5)])

    async with served_by_viss(tmp_path, data, tls=tls) as api:
        where = f"wss://localhost:{api.where.rpartition(':')[2]}"
        for certificate in (None, app):
            context = ssl.create_default_context(cafile=authority.ca)
            if certificate is not None:
                context.load_cert_chain(certificate.certificate, certificate.key)
            try:
                async with connect(where, ssl=context, proxy=None) as socket:
                    said = await Client(socket, api.issuer.token()).ask("get", path=PATHS[SPEED])
            except (OSError, WebSocketException):
                assert certificate is None
            else:
                assert certificate is app
                assert said["data"]["dp"]["value"] == "7.5"
    with pytest.raises(BadInput, match="no certificates for VISS"):
        VissDoor(Listen("tls", host="127.0.0.1"), api_less(data), Tls(server.certificate, app.key))


def api_less(data: VehicleData) -> Viss:
    """Return what serves nobody."""
    clock = SystemClock()
    verifier = Verifier((), Expected(frozenset({"kuksa.val"})), clock)
    return Viss(Service(data, clock), verifier, OnboardCounts())


def test_its_libraries_stay_out_unless_it_is_configured():
    code = (
        "import sys, edge_agent.app, edge_agent.adapters.kuksa; "
        "print({'uvicorn', 'websockets'} & {*sys.modules})"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"get"', "9" * 5000, "[" * 60_000, '{"action": 1, "requestId": true}',
     '{"action": "get", "requestId": "1"}', '{"action": "fly", "requestId": 1, "path": "Vehicle"}',
     '{"action": "get", "path": "Vehicle..Speed", "requestId": "1"}',
     '{"action": "get", "path": "Vehicle.Speed", "requestId": "1", "filter": [1, 2, 3]}',
     '{"action": "set", "path": "Vehicle.Speed", "requestId": "1", "value": NaN}'],
)  # fmt: skip
async def test_garbage_is_refused_and_the_connection_goes_on(api, text):
    take(api.data, [(SPEED, NOW, 7.5)])

    async with api.client() as app:
        assert error(await app.send(text)) == (400, "bad_request")
        assert "data" in await app.ask("get", path=PATHS[SPEED])


async def test_a_subscription_ends_with_its_token_or_its_provider(api):
    provider = api.data.providers.open("speedometer", None)
    api.data.claim(provider, {SPEED: 0})
    take(api.data, [(GEAR, NOW, 3)])

    async with api.client(seconds=3, version="VISSv2") as app:
        await app.ask("subscribe", path=PATHS[SPEED])
        await app.ask("subscribe", path=PATHS[GEAR])
        assert await app.values(1) == ["3"]
        api.data.leave(provider)
        assert error(await app.event()) == (503, "service_unavailable")
        assert error(await app.event()) == (401, "token_expired")
        await asyncio.sleep(0)
        assert not len(api.data.subscriptions)
