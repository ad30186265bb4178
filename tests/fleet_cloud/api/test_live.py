"""The live feed: stored batches become events, and what is lost is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from fleet_cloud.access.grants import Grant
from fleet_cloud.access.keys import fresh_key
from fleet_cloud.access.roles import Role
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.api import live
from fleet_cloud.api.service import make_api
from tests.fleet_cloud.api.conftest import START_NS, Cloud, batch, bearer

Read = Callable[[], Any]


@asynccontextmanager
async def listening(app: FastAPI, query: str = "", *, credential: str = "") -> AsyncIterator[Read]:
    """Open /v1/live as a server would, and lend a function that returns its next piece."""
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    hang_up = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await hang_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            pieces.put_nowait(message["body"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/live",
        "query_string": query.encode(),
        "headers": [(b"authorization", shown.encode()) for shown in bearer(credential).values()],
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
    }
    task = asyncio.create_task(app(scope, receive, send))  # type: ignore[arg-type]

    async def read() -> bytes:
        return await asyncio.wait_for(pieces.get(), 10)

    try:
        yield read
    finally:
        hang_up.set()
        await asyncio.wait_for(task, 10)


def event(piece: bytes) -> tuple[str, Any]:
    name, data = piece.decode().strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_a_stored_batch_is_an_event(cloud: Cloud):
    async with listening(make_api(cloud.ports()), credential=cloud.key()) as read:
        assert await read() == b"retry: 5000\n\n"
        cloud.feed.publish([batch("VIN1", (0, 1, 10.0), (1, 1, 3.0), (2, 1, 1.0))])
        name, told = event(await read())

    assert name == "samples"
    assert (told["vehicle"], told["left_out"]) == ("VIN1", 0)
    assert told["samples"] == [
        {"signal": "Vehicle.Speed", "time_ns": START_NS + 10**9, "value": 10.0},
        {"signal": "Vehicle.Gear", "time_ns": START_NS + 10**9, "value": "D"},
        {"signal": "Vehicle.Belt", "time_ns": START_NS + 10**9, "value": True},
    ]


async def test_a_listener_hears_the_vehicles_and_signals_it_chose(cloud: Cloud):
    async with listening(
        make_api(cloud.ports()), "vehicle=VIN2&signal=*.Speed", credential=cloud.key()
    ) as read:
        await read()
        cloud.feed.publish(
            [
                batch("VIN1", (0, 1, 1.0)),
                batch("VIN2", (1, 1, 0.0)),
                batch("VIN2", (1, 1, 0.0), (0, 1, 2.0)),
            ]
        )
        _, told = event(await read())

    assert (told["vehicle"], [sample["value"] for sample in told["samples"]]) == ("VIN2", [2.0])


async def test_a_quiet_line_is_kept_open(cloud: Cloud):
    async with listening(make_api(cloud.ports(), heartbeat_s=0.01), credential=cloud.key()) as read:
        await read()
        assert await read() == b": still here\n\n"


async def test_what_a_slow_listener_loses_is_told(cloud: Cloud):
    cloud.feed = Feed(batches_max=2)
    async with listening(make_api(cloud.ports()), credential=cloud.key()) as read:
        await read()
        cloud.feed.publish([batch("VIN1", (0, n, float(n)), sequence=n + 1) for n in range(5)])
        first = event(await read())
        rest = [event(await read())[1]["samples"][0]["value"] for _ in range(2)]

    assert (first, rest) == (("dropped", {"batches": 3}), [3.0, 4.0])


async def test_of_a_long_batch_the_newest_samples_are_told(cloud: Cloud):
    rows = [(0, n, float(n)) for n in range(live.EVENT_MAX_SAMPLES + 5)]
    async with listening(make_api(cloud.ports()), credential=cloud.key()) as read:
        await read()
        cloud.feed.publish([batch("VIN1", *rows)])
        _, told = event(await read())

    assert (len(told["samples"]), told["left_out"]) == (live.EVENT_MAX_SAMPLES, 5)
    assert told["samples"][-1]["value"] == float(live.EVENT_MAX_SAMPLES + 4)


async def test_numbers_without_a_json_word_are_null(cloud: Cloud):
    async with listening(make_api(cloud.ports()), credential=cloud.key()) as read:
        await read()
        cloud.feed.publish([batch("VIN1", (0, 1, float("nan")))])
        _, told = event(await read())

    assert told["samples"][0]["value"] is None


async def test_a_listener_hears_of_its_own_tenant_whatever_it_asks_for(cloud: Cloud):
    theirs = replace(batch("OTHER", (0, 1, 1.0)), tenant="umbrella")
    for query in ("", "vehicle=OTHER&vehicle=VIN1"):
        shown = cloud.key("viewer", "default")
        async with listening(make_api(cloud.ports()), query, credential=shown) as read:
            await read()
            cloud.feed.publish([theirs, batch("VIN1", (0, 1, 2.0))])
            _, told = event(await read())
        assert told["vehicle"] == "VIN1"


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_feed_ends_with_the_key_it_was_opened_with(cloud: Cloud, how: str):
    grant = Grant(Role.VIEWER, "default")
    soon_ns = cloud.clock.now_ns() + 60 * 10**9
    kept, shown = fresh_key("ends", grant, 1, expires_time_ns=soon_ns)
    cloud.keys.add(kept)
    app = make_api(cloud.ports(), review_s=0.01)
    async with listening(app, credential=shown) as read:
        await read()
        cloud.feed.publish([batch("VIN1", (0, 1, 2.0))])
        assert event(await read())[0] == "samples"
        if how == "revoked":
            cloud.keys.revoke(kept.id, cloud.clock.now_ns())
        else:
            cloud.clock.advance(60 * 10**9)
        while cloud.feed._listeners:
            await asyncio.sleep(0)


async def test_who_hangs_up_is_forgotten(cloud: Cloud):
    app = make_api(cloud.ports())
    for _ in range(3):
        async with listening(app, credential=cloud.key()) as read:
            await read()

    assert cloud.feed._listeners == ()


async def test_a_service_that_stops_hangs_up(cloud: Cloud):
    app = make_api(cloud.ports())
    async with listening(app, credential=cloud.key()) as read:
        await read()
        app.state.hang_up()
        while cloud.feed._listeners:
            await asyncio.sleep(0)

    assert cloud.feed._listeners == ()


async def test_too_many_listeners_are_turned_away(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "LISTENERS_MAX", 1)
    app = make_api(cloud.ports())
    async with listening(app, credential=cloud.key()) as first:
        await first()
        async with listening(app, credential=cloud.key()) as second:
            problem = json.loads(await second())

    assert (problem["status"], "listen already" in problem["detail"]) == (503, True)
