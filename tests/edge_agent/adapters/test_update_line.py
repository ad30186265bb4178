"""Servers that are none of ours, or mean no good: endless data, other places, other authorities, refusals."""

import contextlib
from pathlib import Path

import pytest

from edge_agent.adapters.update_http import door_of, update_server
from edge_agent.adapters.uplink_tls import Address
from edge_agent.telemetry.guard import Guard
from edge_agent.updates.fetching import Attacked
from fairway.clock import SystemClock
from fairway.errors import BadInput, Unavailable
from ota.manifest import Blob
from ota.trust.model import Attack, Repository, Wanted
from tests.certificates import Authority
from tests.edge_agent.adapters.update_rig import CHUNKED, IMAGE, LIST, WHOLE, Rig, rig
from tests.fault_server import Call, fault_server
from tests.update_place import QUICK

__all__ = ["rig"]  # a fixture

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture(params=["chunks", "whole"])
def blob(request: pytest.FixtureRequest) -> Blob:
    return CHUNKED if request.param == "chunks" else WHOLE


# Endless data: no more is read than was signed.


async def test_endless_metadata_is_read_to_its_cap(rig: Rig):
    def act(call: Call) -> None:
        call.head(200, Connection="close")
        while not call.server.over.is_set():
            call.write(bytes(16384))

    server = rig.serve(act)
    with pytest.raises(Attacked, match="more than 1000 bytes"):
        await rig.reach(server).metadata.get(Wanted(Repository.IMAGE, "root.json", 1000))


async def test_a_blob_without_end_is_read_to_its_end(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        call.head(200, Connection="close")
        with contextlib.suppress(OSError):
            call.write(IMAGE)
            while not call.server.over.is_set():
                call.write(bytes(16384))

    await rig.fetch(act, blob)


async def test_a_file_that_announces_more_than_was_signed_is_not_read(rig: Rig, blob: Blob):
    with pytest.raises(Attacked) as caught:
        await rig.fetch(lambda call: call.part(IMAGE + b"x"), blob)
    assert caught.value.attack is Attack.ENDLESS_DATA


async def test_a_head_without_end_is_not_read_for_ever(rig: Rig):
    def act(call: Call) -> None:
        with contextlib.suppress(OSError):
            call.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not call.server.over.is_set():
                call.handler.wfile.write(b"X-More: " + bytes(1000).replace(b"\0", b"a") + b"\r\n")

    server = rig.serve(act)
    with pytest.raises(Unavailable, match="did not answer"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)


# Sent elsewhere: https only, no credentials, one step, and hosts of the region.


async def test_the_place_that_the_cloud_names_is_fetched_from_without_our_certificate(
    rig: Rig, blob: Blob
):
    storage = rig.stack.enter_context(
        fault_server(
            rig.server_keys,
            rig.authority.ca,
            lambda call: call.part(IMAGE, most=900_000 if call.number == 0 else None),
        )
    )
    place = f"{storage.url}/bucket/{WHOLE.sha256}?X-Amz-Signature=abc"

    server = await rig.fetch(lambda call: call.send(302, Location=place), blob)

    asked = [call for call in server.calls if call.path != LIST]
    assert all(call.has_certificate for call in asked)
    assert [call.has_certificate for call in storage.calls] == [False, False]
    assert [call.first for call in storage.calls] == [0, 900_000]
    assert storage.calls[0].path.endswith("?X-Amz-Signature=abc")
    assert {"authorization", "cookie", "if-range"} & set(storage.calls[1].headers) == set()


async def test_an_address_that_is_over_is_asked_for_anew(rig: Rig):
    storage = rig.stack.enter_context(
        fault_server(
            rig.server_keys,
            rig.authority.ca,
            lambda call: call.send(403) if call.path == "/old" else call.part(IMAGE),
        )
    )

    def act(call: Call) -> None:
        call.send(302, Location=f"{storage.url}/{'old' if call.number == 0 else 'new'}")

    await rig.fetch(act, WHOLE)


async def test_that_place_may_not_send_us_on(rig: Rig):
    further = rig.serve(lambda call: call.part(IMAGE))
    storage = rig.stack.enter_context(
        fault_server(
            rig.server_keys,
            rig.authority.ca,
            lambda call: call.send(302, Location=f"{further.url}/x"),
        )
    )
    with pytest.raises(Unavailable, match="302 for"):
        await rig.fetch(lambda call: call.send(302, Location=f"{storage.url}/x"), WHOLE)
    assert further.calls == []


@pytest.mark.parametrize(
    "place", ["http://localhost:1/x", "ftp://localhost/x", "", "//localhost/x"]
)
async def test_nothing_but_https_is_followed(rig: Rig, place: str):
    with pytest.raises(Unavailable, match="302 for"):
        await rig.fetch(lambda call: call.send(302, Location=place), WHOLE)


async def test_a_place_outside_of_the_region_is_not_asked(rig: Rig):
    server = rig.serve(lambda call: call.send(302, Location="https://storage.elsewhere.example/x"))
    guard = Guard("eu", is_told=True, hosts=("localhost",))

    with pytest.raises(BadInput, match="not a host of this vehicle's region"):
        await rig.reach(server, guard=guard).content.fetch(WHOLE, rig.image, most_bytes=None)


async def test_sent_in_circles_it_ends(rig: Rig):
    storage_busy = rig.serve(lambda call: call.send(503))
    server = rig.serve(lambda call: call.send(302, Location=f"{storage_busy.url}/x"))
    with pytest.raises(Unavailable, match="that was try 4"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)
    assert len(storage_busy.calls) == QUICK.tries_max


# Whom we talk to.


async def test_a_server_of_another_authority_is_told_nothing(rig: Rig, tmp_path: Path):
    other = Authority(tmp_path / "other")
    server = rig.stack.enter_context(
        fault_server(other.server(), other.ca, lambda call: call.send(200))
    )
    with pytest.raises(Unavailable, match="cannot be reached"):
        await rig.reach(server).reports.report(b"{}")
    assert server.calls == []


async def test_a_key_in_a_token_is_said_to_be_of_no_use(rig: Rig):
    address = Address("https", "-", 0, rig.authority.ca, rig.vehicle.certificate, None, "pkcs11:x")
    vehicle = update_server(lambda: door_of("https://localhost:1", address), SystemClock(), QUICK)

    with pytest.raises(BadInput, match="lies in a token"):
        await vehicle.reports.report(b"{}")
    vehicle.close()


@pytest.mark.parametrize(
    "url",
    ["http://localhost", "https://", "localhost:8444", "https://h:x", "https://u@h", "https://h?q"],
)
def test_what_is_no_address_is_said(rig: Rig, url: str):
    with pytest.raises(BadInput, match="address"):
        door_of(url, Address("https", "-", 0))


# Reports: nothing is lost, nothing is said for ever.


async def test_a_report_is_tried_until_the_cloud_takes_it(rig: Rig):
    server = rig.serve(lambda call: call.send(503 if call.number < 2 else 204))

    await rig.reach(server).reports.report(b'{"signed": 1}')

    assert [call.body for call in server.calls] == [b'{"signed": 1}'] * 3


@pytest.mark.parametrize(
    ("status", "error"), [(400, BadInput), (413, BadInput), (403, Unavailable), (409, Unavailable)]
)
async def test_a_report_that_is_refused_is_said_once(rig: Rig, status: int, error: type[Exception]):
    server = rig.serve(lambda call: call.send(status, b'{"detail": "the counter\\n is old"}'))

    with pytest.raises(error, match="the counter is old"):
        await rig.reach(server).reports.report(b"{}")
    assert len(server.calls) == 1
