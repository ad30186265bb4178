"""The client of people before agents of today and of before, and before nobody."""

import asyncio
from pathlib import Path

import pytest

from edge_agent.adapters.kuksa_service import Service
from edge_agent.adapters.kuksa_v2 import KuksaV2
from edge_agent.adapters.onboard_grpc import OnboardDoor
from edge_agent.adapters.onboard_listen import Listen
from edge_agent.adapters.signals_client import Access, Change, SignalsClient
from edge_agent.adapters.tokens import Verifier, load_keys
from edge_agent.broker.claims import Expected
from fairway.clock import SystemClock
from fairway.errors import BadInput, Denied, Unavailable
from tests.edge_agent.vehicle_api import PATHS, POSITION, SPEED, acts_on, served, take, vehicle
from tests.onboard_apps import Issuer


def ordered(where: str, token: str) -> list[Change]:
    with SignalsClient(Access(where, token)) as client:
        return list(client.set({PATHS[POSITION]: 40}, deadline_ms=0))


async def test_an_actuator_of_an_app_gets_its_target_and_is_said_to_be_forwarded(tmp_path: Path):
    async with served(tmp_path) as api, api.app("provide actuate") as app:
        provider = app.provider()
        await provider.write(acts_on(PATHS[POSITION]))
        await provider.read()
        (change,) = await asyncio.to_thread(ordered, api.where, api.issuer.token("actuate"))
        assert (change.path, change.state) == (PATHS[POSITION], "forwarded")
        asked = (await provider.read()).batch_actuate_stream_request.actuate_requests
        assert [one.value.uint32 for one in asked] == [40]
        provider.cancel()


async def test_an_agent_of_before_orders_is_asked_by_kuksas_interface_and_told_to_be_too_old(
    tmp_path: Path,
):
    issuer, clock, data = Issuer(tmp_path / "issuer"), SystemClock(), vehicle()
    verifier = Verifier(load_keys([issuer.public]), Expected(frozenset({"kuksa.val"})), clock)
    listen = Listen("unix", path=tmp_path / "run" / "onboard.sock")
    door = OnboardDoor(
        listen, verifier, is_socket_trusted=False, services=[KuksaV2(Service(data, clock)).add]
    )
    where, token = await door.start(), issuer.token("actuate read")
    try:
        with pytest.raises(Unavailable, match="nobody provides"):
            await asyncio.to_thread(ordered, where, token)
        with (
            SignalsClient(Access(where, token)) as client,
            pytest.raises(BadInput, match="too old"),
        ):
            await asyncio.to_thread(client.get, [PATHS[SPEED]])
    finally:
        await door.stop()


async def test_values_and_refusals_are_told_and_a_bad_token_is_denied(tmp_path: Path):
    data = vehicle()
    take(data, [(SPEED, 5_000_000_000, 12.5)])
    async with served(tmp_path, data) as api:
        with SignalsClient(Access(api.where, api.issuer.token("read"))) as client:
            told, refused = await asyncio.to_thread(client.get, [PATHS[SPEED], "Vehicle.Gone"])
            assert [(one.value, one.quality, one.time_ns) for one in told] == [
                (12.5, "valid", 5_000_000_000)
            ]
            assert list(refused) == ["Vehicle.Gone"]
            past = await asyncio.to_thread(
                lambda: client.history(PATHS[SPEED], since_ns=0, count=0)
            )
            assert [one.value for one in past] == [12.5]
        with SignalsClient(Access(api.where, "a.b.c")) as client, pytest.raises(Denied):
            await asyncio.to_thread(client.get, [PATHS[SPEED]])


async def test_where_nobody_listens_is_a_sentence(tmp_path: Path):
    with (
        SignalsClient(Access(f"unix:{tmp_path}/none.sock")) as client,
        pytest.raises(Unavailable, match="nobody answers at unix:.*none.sock"),
    ):
        await asyncio.to_thread(client.get, [PATHS[SPEED]])
