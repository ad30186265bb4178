"""`fleet-cloud serve` with the device door: a release published by REST, and fetched by a vehicle."""

import asyncio
import base64
import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from edge_agent.adapters.update_http import UpdateServer, door_of, update_server
from edge_agent.adapters.uplink_tls import Address
from edge_agent.updates.fetching import Patience
from fairway.clock import SystemClock
from fairway.update import Stage, UpdateEvent
from ota.custom import bundle_to_json, image_to_target, own_blob
from ota.manifest import Bundle, Kind
from ota.trust.model import Repository, Wanted
from ota.tuf_library import TargetFile
from tests.fleet_cloud.cli.test_serve import Cloud
from tests.ota.repository_simulator import RepositorySimulator, image

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

FIRMWARE = b"firmware" * 100_000
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), "mosquitto")
    config = cloud.folder / "cloud.toml"
    config.write_text(config.read_text() + '[updates]\nenabled = true\nlisten = "127.0.0.1:0"\n')
    try:
        cloud.start()
        cloud.add("VIN1")
        yield cloud
    finally:
        cloud.program.close()


def vehicle_of(cloud: Cloud, name: str) -> UpdateServer:
    keys = cloud.folder / name
    shown = Address("https", "-", 0, keys / "ca.pem", keys / "certificate.pem", keys / "key.pem")
    return update_server(lambda: door_of(cloud.url("updates"), shown), CLOCK, Patience())


def put(cloud: Cloud, data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest()
    url = f"{cloud.url('api')}/v1/artifacts/sha256:{name}"
    assert httpx.put(url, content=data, headers=cloud.shown(), timeout=60).status_code == 201
    return name


def publish(cloud: Cloud, theirs: RepositorySimulator) -> httpx.Response:
    files = {name: base64.b64encode(data).decode() for name, data in theirs.files.items()}
    return httpx.post(
        f"{cloud.url('api')}/v1/releases/repository",
        json={"files": files},
        headers=cloud.shown(),
        timeout=60,
    )


def test_a_release_goes_from_its_publisher_to_a_vehicle(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    theirs = RepositorySimulator(
        Repository.IMAGE, now=dt.datetime.now(dt.UTC).replace(microsecond=0)
    )
    firmware = image("bms/2.bin", "bms", 2, "bms-1", FIRMWARE)
    document = bundle_to_json(Bundle("winter", "2026.48", ("bms/2.bin",), purpose="Longer range."))
    bundle = image("releases/2026.48.json", "winter", 1, "any", document, kind=Kind.BUNDLE)
    bundle = replace(bundle, version="2026.48")
    for one in (firmware, bundle):
        theirs.targets.targets[one.path] = TargetFile.from_dict(image_to_target(one), one.path)
    theirs.publish()

    early = publish(cloud, theirs)
    assert early.status_code == 400
    assert "put artifacts before metadata" in early.json()["detail"]
    put(cloud, FIRMWARE), put(cloud, document)
    assert publish(cloud, theirs).status_code == 201
    assert publish(cloud, theirs).status_code == 409

    (shown,) = cloud.get("/v1/releases").json()["releases"]
    assert (shown["name"], shown["version"], shown["images"]) == (
        "winter",
        "2026.48",
        ["bms/2.bin"],
    )
    capsys.readouterr()
    assert cloud.command("release", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["path"] == "releases/2026.48.json"
    assert cloud.command("release", "show", "releases/2026.48.json") == 0
    assert "bms/2.bin  uds_ecu  counter 2  for bms-1" in capsys.readouterr().out
    assert cloud.command("release", "show", "nothing") == 1

    async def as_a_vehicle() -> None:
        server = vehicle_of(cloud, "VIN1")
        wanted = Wanted(Repository.IMAGE, "timestamp.json", 16_384)
        assert await server.metadata.get(wanted) == theirs.files["timestamp.json"]
        assert await server.metadata.get(Wanted(Repository.IMAGE, "9.root.json", 9999)) is None
        took = await server.content.fetch(own_blob(firmware), tmp_path / "bms", most_bytes=None)
        assert took == len(FIRMWARE)
        await server.reports.tell([UpdateEvent("unknown", 1, 1, Stage.DOWNLOADING)])
        server.close()

    asyncio.run(as_a_vehicle())
    assert (tmp_path / "bms").read_bytes() == FIRMWARE
    metrics = cloud.get("/metrics").text
    assert 'fairway_updates_requests_total{route="/blobs/{sha256}",status="200"} 1.0' in metrics


def test_the_key_that_keeps_metadata_fresh_is_made_once(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
):
    capsys.readouterr()
    assert cloud.command("release", "key", "--tenant", "acme") == 0
    first = capsys.readouterr().out
    assert cloud.command("release", "key", "--tenant", "acme") == 0

    assert first.startswith("-----BEGIN PUBLIC KEY-----")
    assert capsys.readouterr().out == first
    assert cloud.command("release", "renew") == 0
    assert "signed anew for 0 tenants" in capsys.readouterr().out
