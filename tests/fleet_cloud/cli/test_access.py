"""Keys, users and tokens beside a running cloud, and what the cloud says of them."""

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import fleet_cloud.cli
from fairway.clock import SystemClock
from fleet_cloud.adapters.pki_files import FilePki
from tests.e2e.programs import until
from tests.fleet_cloud.cli.test_serve import Cloud

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), "mosquitto")
    config = cloud.folder / "cloud.toml"
    text = config.read_text().replace("[api]\n", "[api]\nsign_in = true\n")
    config.write_text(text.replace('program = "mosquitto"', 'mode = "none"'))
    cloud.start()
    yield cloud
    cloud.program.stop()


def said(cloud: Cloud, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    capsys.readouterr()
    assert cloud.command(*arguments) == 0
    return capsys.readouterr().out


def status(cloud: Cloud, path: str, credential: str) -> int:
    shown = {"Authorization": f"Bearer {credential}"} if credential else {}
    return httpx.get(cloud.url("api") + path, headers=shown).status_code


def test_the_first_start_writes_a_key_for_its_owner_and_says_only_where(cloud: Cloud):
    path = cloud.data / "admin-key"
    key = path.read_text().strip()

    assert path.stat().st_mode & 0o777 == 0o600
    assert status(cloud, "/v1/ingest", key) == 200
    assert status(cloud, "/v1/ingest", "") == 401
    assert key not in (cloud.folder / "log").read_text()


def test_a_key_is_made_listed_and_revoked(cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    made = said(cloud, capsys, "key", "create", "night ci", "--role", "viewer").strip()
    assert status(cloud, "/v1/vehicles", made) == 200
    assert status(cloud, "/metrics", made) == 403

    (listed,) = [
        key
        for key in json.loads(said(cloud, capsys, "key", "list", "--json"))
        if key["name"] == "night ci"
    ]
    assert listed["id"] in said(cloud, capsys, "key", "list")
    assert listed["used_time_ns"] is not None
    assert made.split("_")[2] not in str(listed)

    said(cloud, capsys, "key", "revoke", listed["id"])
    assert status(cloud, "/v1/vehicles", made) == 401
    assert cloud.command("key", "revoke", listed["id"]) == 1
    assert cloud.command("key", "create", "x", "--role", "viewer", "--days", "0") == 1
    assert cloud.command("key", "create", "x", "--role", "viewer", "--tenant", "../x") == 1


def test_a_live_feed_ends_when_its_key_is_revoked(cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    made = said(cloud, capsys, "key", "create", "listener", "--role", "viewer").strip()
    shown = {"Authorization": f"Bearer {made}"}
    with httpx.stream("GET", cloud.url("api") + "/v1/live", headers=shown, timeout=20) as feed:
        pieces = feed.iter_bytes()
        assert next(pieces) == b"retry: 5000\n\n"
        said(cloud, capsys, "key", "revoke", made.split("_")[1])
        begun = time.monotonic()
        rest = b"".join(pieces)

    assert time.monotonic() - begun < 10
    assert b"samples" not in rest


def test_a_user_gets_a_token_without_a_browser_until_removed(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
):
    (cloud.folder / "password").write_text("correct horse battery\n")
    where = ["--password-file", str(cloud.folder / "password")]
    said(cloud, capsys, "user", "add", "ann", "--role", "viewer", *where)
    assert cloud.command("user", "add", "ann", "--role", "admin", *where) == 1
    assert "viewer@default" in said(cloud, capsys, "user", "list")
    shown = said(cloud, capsys, "token", "ann").strip()
    assert status(cloud, "/v1/vehicles", shown) == 200
    assert status(cloud, "/v1/ingest", shown) == 403
    about = httpx.get(cloud.url("api") + "/.well-known/openid-configuration").json()
    assert about["issuer"] == cloud.url("api")

    said(cloud, capsys, "user", "remove", "ann")
    assert status(cloud, "/v1/vehicles", shown) == 401
    assert cloud.command("token", "ann") == 1
    assert cloud.command("user", "remove", "ann") == 1
    assert "nobody yet" in said(cloud, capsys, "user", "list")


def test_a_token_without_an_issuer_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert fleet_cloud.cli.main(["token", "ann", "--data", str(tmp_path)]) == 1
    assert "sign_in = true" in capsys.readouterr().err


def test_a_certificate_makes_the_api_speak_tls(tmp_path: Path):
    pki = FilePki(tmp_path / "data" / "pki")
    pki.ensure([], SystemClock().now_ns())
    cloud = Cloud(tmp_path, "mosquitto")
    config = tmp_path / "cloud.toml"
    tls = f'[api]\ncertificate = "{pki.server}"\nkey = "{pki.server_key}"\n'
    text = config.read_text().replace("[api]\n", tls)
    config.write_text(text.replace('program = "mosquitto"', 'mode = "none"'))
    cloud.program.start()
    try:
        until("the cloud", (cloud.data / "endpoints.json").exists)
        trust = ssl.create_default_context(cafile=str(pki.ca))
        url = cloud.url("api")
        answer = httpx.get(f"{url}/healthz", verify=trust)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz")
    finally:
        cloud.program.stop()

    assert url.startswith("https://")
    assert answer.json() == {"status": "ok"}
