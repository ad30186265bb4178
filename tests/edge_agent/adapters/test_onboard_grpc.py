"""The on-board door on real sockets: a good token is served what it may have, others get a sentence."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from edge_agent.adapters.onboard_calls import NOBODY, current_grant
from edge_agent.adapters.onboard_grpc import CALLS_PER_CONNECTION_MAX
from tests import onboard_apps
from tests.edge_agent.adapters.onboard_doors import (
    ALL_SERVICES,
    SERVICE,
    Opened,
    asked,
    getting,
    issuer_of_tokens,  # noqa: F401 - a fixture
    opened_doors,  # noqa: F401 - a fixture
    refused,
    until,
)
from tests.onboard_apps import Issuer, bearer, health

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


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
