"""A release goes to a real fleet-cloud by its API: whole, once, and never with CI's signature alone."""

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ota.release.keys import opened
from ota.release.plan import RELEASES, SNAPSHOT, TIMESTAMP
from tests.fleet_cloud.cli.test_serve import Cloud
from tests.ota.release_kit import Kit, built, inputs, release

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), "mosquitto")
    config = cloud.folder / "cloud.toml"
    config.write_text(config.read_text() + '[updates]\nenabled = true\nlisten = "127.0.0.1:0"\n')
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.program.close()


def place(cloud: Cloud) -> tuple[str, ...]:
    return cloud.url("api"), "--token-file", str(cloud.data / "admin-key")


def test_a_release_is_published_by_the_api_and_nothing_of_it_twice(cloud: Cloud, tmp_path: Path):
    with built(tmp_path) as kit:
        bytes_only = kit.must("publish", *place(cloud), "--bytes-only", "--json").json
        kit.sign_all()
        whole = kit.must("publish", *place(cloud), "--json").json
        again = kit.must("publish", *place(cloud), "--json").json
        kit.must("verify", "--place", *place(cloud))
        ci_alone(cloud, kit)
        inputs(tmp_path, seed=2)
        kit.must("build", kit.write(release("1.1.0")))
        kit.must("sign", "--key", kit.key("ci"))
        kit.must("cosign", "--key", kit.key("owner-2"))
        url, *access = place(cloud)
        kit.stamp("--place", url, *access)
        kit.must("publish", *place(cloud))

    assert bytes_only["files"] == []
    assert whole["blobs_sent"] == 1  # the envelope, which came with CI's signature
    assert (again["blobs_sent"], again["files"]) == (0, [])
    listed = cloud.get("/v1/releases").json()["releases"]
    assert [(one["name"], one["version"]) for one in listed] == [
        ("head-unit", "1.0.0"),
        ("head-unit", "1.1.0"),
    ]
    assert listed[0]["purpose"] == "closes a hole in the radio"


def ci_alone(cloud: Cloud, kit: Kit) -> None:
    """With the key of CI, both online keys and an API key of the cloud: it takes nothing."""
    folder = kit.open()
    evil = folder.need(RELEASES)
    evil.signed.version += 1
    evil.signed.targets.pop("brake/1.0.0.bin")
    evil.sign(opened(kit.key("ci")))
    snapshot, stamp = folder.need(SNAPSHOT), folder.need(TIMESTAMP)
    snapshot.signed.version += 1
    snapshot.signed.meta[f"{RELEASES}.json"].version = evil.signed.version
    stamp.signed.version += 1
    stamp.signed.snapshot_meta.version = snapshot.signed.version
    snapshot.sign(opened(kit.key("snapshot-1")))
    stamp.sign(opened(kit.key("timestamp-1")))
    files = {
        f"{evil.signed.version}.{RELEASES}.json": evil,
        f"{snapshot.signed.version}.{SNAPSHOT}.json": snapshot,
        "timestamp.json": stamp,
    }
    said = {name: base64.b64encode(one.to_bytes()).decode() for name, one in files.items()}
    url = f"{cloud.url('api')}/v1/releases/repository"

    answer = httpx.post(url, json={"files": said}, headers=cloud.shown(), timeout=60)

    assert answer.status_code in {400, 409, 422}
    assert "releases" in answer.json()["detail"]
    assert len(cloud.get("/v1/releases/images").json()["images"]) == 5
