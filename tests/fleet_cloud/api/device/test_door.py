"""The device door over mutual TLS: who is let in, what they get, and what they do not."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairway.identity import Kind
from fleet_cloud.access.limits import Limit
from fleet_cloud.api.device import server
from fleet_cloud.api.device.ports import FETCHES_MAX
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from ota.manifest import Image
from ota.manifest import Kind as ImageKind
from tests.certificates import Authority
from tests.issued import Keys, keys_of
from tests.update_place import CLOCK, TENANT, VEHICLE, UpdatePlace, sha256, update_place
from tests.waiting import until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

DATA = bytes(range(256)) * 8192  # two pieces


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[UpdatePlace]:
    async with update_place(tmp_path / "cloud") as made:
        yield made


def client(place: UpdatePlace, keys: Keys | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=place.context(keys), base_url=place.url, trust_env=False)


async def get(place: UpdatePlace, path: str, keys: Keys | None = None, **headers: str) -> Any:
    async with client(place, keys or place.keys) as http:
        return await http.get(path, headers={n.replace("_", "-"): v for n, v in headers.items()})


async def test_a_vehicle_has_its_own_director_and_no_others(place: UpdatePlace, tmp_path: Path):
    place.director.put(TENANT, VEHICLE, {"timestamp.json": b"{}"})
    place.registry.vehicles.add(Vehicle("VIN2", TENANT, VehicleState.ACTIVE, 1, None))
    other = keys_of(place.pki, tmp_path, "VIN2", tenant=TENANT)
    place.registry.certificates.record(other.record)
    place.fleet.refresh()

    found = await get(place, "/director/timestamp.json")

    assert (found.status_code, found.content) == (200, b"{}")
    assert found.headers["cache-control"] == "no-store"
    assert (await get(place, "/director/timestamp.json", other)).status_code == 404


async def test_without_a_certificate_nothing_is_told(place: UpdatePlace):
    place.put(DATA)
    async with client(place, None) as http:
        for path in ("/director/root.json", "/repo/root.json", f"/blobs/{sha256(DATA)}"):
            answer = await http.get(path)
            assert answer.status_code == 403
            assert "show the certificate" in answer.json()["detail"]
        assert (await http.post("/events", content=b"[]")).status_code == 403
        assert (await http.put("/director/manifest", content=b"{}")).status_code == 403


async def test_a_certificate_of_another_authority_ends_the_handshake(
    place: UpdatePlace, tmp_path: Path
):
    stranger = Authority(tmp_path / "other").vehicle(VEHICLE)
    context = ssl.create_default_context(cafile=str(place.pki.ca))
    context.load_cert_chain(stranger.certificate, stranger.key)

    async with httpx.AsyncClient(verify=context, base_url=place.url, trust_env=False) as http:
        with pytest.raises(httpx.TransportError):
            await http.get("/director/root.json")


async def test_a_certificate_that_is_no_vehicles_is_denied(place: UpdatePlace, tmp_path: Path):
    cloud = keys_of(place.pki, tmp_path, "somebody", kind=Kind.CLOUD, tenant=TENANT)

    answer = await get(place, "/director/root.json", cloud)

    assert answer.status_code == 403
    assert "not of a vehicle" in answer.json()["detail"]


async def test_a_revoked_vehicle_is_let_in_no_more(place: UpdatePlace):
    assert (await get(place, "/director/root.json")).status_code == 404
    place.registry.certificates.revoke(VEHICLE, CLOCK.now_ns(), "lost")
    place.fleet.refresh()

    answer = await get(place, "/director/root.json")

    assert answer.status_code == 403
    assert "not with this certificate" in answer.json()["detail"]


async def test_a_vehicle_that_is_revoked_while_it_fetches_is_cut_off(place: UpdatePlace):
    name = place.put(bytes(64 << 20))
    async with client(place, place.keys) as http, http.stream("GET", f"/blobs/{name}") as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        place.registry.certificates.revoke(VEHICLE, CLOCK.now_ns(), "lost")
        place.fleet.refresh()
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in pieces:
                pass
    await until(lambda: not place.ports.numbers.fetching)


async def test_what_another_tenant_has_is_not_there(place: UpdatePlace):
    name = place.put(DATA, tenant="other")

    assert (await get(place, f"/blobs/{name}")).status_code == 404
    assert (await get(place, f"/blobs/{sha256(b'no')}")).status_code == 404
    assert (await get(place, "/blobs/nonsense")).status_code == 400


async def test_a_blob_is_had_whole_in_part_or_not_again(place: UpdatePlace):
    name = place.put(DATA)
    path, tag = f"/blobs/{name}", f'"{name}"'

    whole = await get(place, path)
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, DATA, tag)
    assert whole.headers["accept-ranges"] == "bytes"

    part = await get(place, path, Range="bytes=1048570-1048580", If_Range=tag)
    assert (part.status_code, part.content) == (206, DATA[1048570:1048581])
    assert part.headers["content-range"] == f"bytes 1048570-1048580/{len(DATA)}"

    other = await get(place, path, Range="bytes=5-", If_Range='"other"')
    assert (other.status_code, len(other.content)) == (200, len(DATA))

    beyond = await get(place, path, Range=f"bytes={len(DATA)}-")
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(DATA)}"

    assert (await get(place, path, If_None_Match=tag)).status_code == 304
    async with client(place, place.keys) as http:
        head = await http.head(path)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(DATA)))


async def test_a_target_is_had_by_its_name_or_by_its_hash(place: UpdatePlace):
    name = place.put(DATA)
    image = Image("app/1.0.json", len(DATA), name, ImageKind.FILE, "app", "1.0", 1, ("gw",))
    place.repository.put(TENANT, image)

    assert (await get(place, "/repo/targets/app/1.0.json")).content == DATA
    assert (await get(place, f"/repo/targets/app/{name}.1.0.json")).content == DATA
    assert (await get(place, "/repo/targets/app/2.0.json")).status_code == 404


async def test_metadata_has_the_names_that_metadata_has(place: UpdatePlace):
    place.repository.publish(TENANT, {"3.supplier.json": b"{}", "root.json": b"{}"}, 1)

    for path in ("/repo/3.supplier.json", "/repo/delegations/3.supplier.json", "/repo/root.json"):
        assert (await get(place, path)).status_code == 200
    for path in ("/repo/..%2Froot.json", "/repo/.json", "/director/3.supplier.json", "/repo/x"):
        assert (await get(place, path)).status_code == 404


async def test_who_asks_too_often_waits(tmp_path: Path):
    def few(ports):
        return replace(ports, vehicle_limit=Limit(0.001, 3), address_limit=Limit(0.001, 1))

    async with update_place(tmp_path / "cloud", change=few) as place:
        async with client(place, place.keys) as http:
            found = [(await http.get("/repo/root.json")).status_code for _ in range(4)]
            late = await http.get("/repo/root.json")
        async with client(place, None) as http:
            nobody = [(await http.get("/repo/root.json")).status_code for _ in range(2)]

    assert found == [404, 404, 404, 429]
    assert int(late.headers["retry-after"]) > 1
    assert nobody == [403, 429]


async def test_who_fetches_much_at_once_waits(place: UpdatePlace):
    name = place.put(bytes(32 << 20))
    async with client(place, place.keys) as http, contextlib.AsyncExitStack() as stack:
        fetches = []
        for _ in range(FETCHES_MAX):
            answer = await stack.enter_async_context(http.stream("GET", f"/blobs/{name}"))
            fetches.append(answer.aiter_raw())
            await anext(fetches[-1])
        more = await http.get(f"/blobs/{name}")

    assert more.status_code == 429
    assert "retry-after" in more.headers


async def test_too_much_is_not_read(place: UpdatePlace):
    async with client(place, place.keys) as http:
        answer = await http.put("/director/manifest", content=bytes(1 << 21))

    assert answer.status_code == 413


async def test_answers_are_counted_by_route(place: UpdatePlace):
    place.put(DATA)
    await get(place, f"/blobs/{sha256(DATA)}")
    await get(place, "/director/root.json")
    await get(place, "/nothing/of/ours")

    numbers = place.ports.numbers
    assert numbers.requests == {
        ("/blobs/{sha256}", 200): 1,
        ("/director/{name}", 404): 1,
        ("none", 404): 1,
    }
    assert numbers.sent_bytes == len(DATA)


async def test_a_report_whose_answer_was_lost_is_taken_once(place: UpdatePlace):
    async with client(place, place.keys) as http:
        for signed in (b'{"signed": 1}', b'{"signed": 1}', b'{"signed": 2}'):
            assert (await http.put("/director/manifest", content=signed)).status_code == 204

    assert [signed for _, _, signed in place.director.reports] == [
        b'{"signed": 1}',
        b'{"signed": 2}',
    ]


async def test_garbage_for_words_is_refused(place: UpdatePlace):
    async with client(place, place.keys) as http:
        for body in (b"", b"{}", b"[1]", b'[{"stage": "nowhere"}]', b"\xff", b"[" * 5000):
            assert (await http.post("/events", content=body)).status_code == 400
            assert (await http.post("/director/ecus", content=body)).status_code == 400
        assert (await http.put("/director/manifest", content=b"\x00")).status_code == 400


async def test_who_says_nothing_is_hung_up_on(place: UpdatePlace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "_HEAD_TIMEOUT_S", 0.2)
    context = place.context(place.keys)
    host, port = place.url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)

    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


async def test_who_does_not_read_is_hung_up_on(place: UpdatePlace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "_STALL_TIMEOUT_S", 0.2)
    name = place.put(bytes(64 << 20))
    host, port = place.url.removeprefix("https://").split(":")

    def ask() -> Any:
        opened = socket.create_connection((host, int(port)))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        used = place.context(place.keys).wrap_socket(opened, server_hostname=host)
        used.sendall(f"GET /blobs/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return used

    used = await asyncio.to_thread(ask)
    await until(lambda: place.ports.numbers.fetching.total() == 1)
    await until(lambda: not place.ports.numbers.fetching)
    used.close()


async def test_a_tenant_that_is_added_is_let_in_without_a_restart(
    place: UpdatePlace, tmp_path: Path
):
    place.pki.add_tenant("later", CLOCK.now_ns())
    place.registry.vehicles.add(Vehicle("VIN9", "later", VehicleState.ACTIVE, 1, None))
    keys = keys_of(place.pki, tmp_path, "VIN9", tenant="later")
    place.registry.certificates.record(keys.record)
    place.fleet.refresh()

    assert (await get(place, "/director/root.json", keys)).status_code == 404


async def test_tls_of_before_1_2_is_not_spoken(place: UpdatePlace):
    context = place.context(place.keys)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    async with httpx.AsyncClient(verify=context, base_url=place.url, trust_env=False) as http:
        with pytest.raises(httpx.TransportError):
            await http.get("/")
