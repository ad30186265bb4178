"""What every store of artifacts promises, and whoever knows whose they are."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairway.errors import BadInput, Tampered, Unavailable
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.artifacts_fs import STALE_S, FileArtifacts
from fleet_cloud.adapters.artifacts_s3 import S3Artifacts, bucket_of, s3_client
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.artifacts.tidying import Store
from tests.postgres import postgres  # noqa: F401 - a fixture
from tests.s3_server import KEY_ID, REGION, SECRET, S3Server, s3_server

CONTENT = b"a layer, or a partition" * 100


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


NAME = digest(CONTENT)


def in_bucket(server: S3Server, part_bytes: int) -> S3Artifacts:
    client = s3_client(
        server.url,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )
    return S3Artifacts(bucket_of("s3://bucket/a/prefix"), client, part_bytes=part_bytes)


@pytest.fixture(params=["memory", "files", "s3", "s3 in parts"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryArtifacts()
    elif request.param == "files":
        yield FileArtifacts(tmp_path / "artifacts")
    else:
        request.getfixturevalue("socket_enabled")
        with s3_server() as server:
            yield in_bucket(server, 1000 if "parts" in request.param else 1 << 20)
            assert server.uploads == {}  # nothing is left half done


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    if request.param == "memory":
        yield memory_registry()
        return
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    opened = open_registry(url, "eu")
    yield opened
    opened.close()


def put(store: Artifacts, data: bytes, name: str = "") -> int:
    receiving = store.receive(name or digest(data))
    for at in range(0, len(data), 100):
        receiving.write(data[at : at + 100])
    return receiving.finish()


def test_what_was_put_is_read_from_any_byte(store: Artifacts):
    assert store.size(NAME) is None
    assert put(store, CONTENT) == len(CONTENT)

    assert store.size(NAME) == len(CONTENT)
    assert store.read(NAME, 0, 10**6) == CONTENT
    assert store.read(NAME, 1000, 500) == CONTENT[1000:1500]
    assert store.read(NAME, len(CONTENT), 10) == b""


def test_what_is_removed_is_gone_and_may_come_again(store: Store):
    put(store, CONTENT)
    store.remove(NAME)
    store.remove(NAME)

    assert store.size(NAME) is None
    put(store, CONTENT)
    assert store.read(NAME, 0, 10**6) == CONTENT


def test_nothing_is_an_artifact_too(store: Artifacts):
    assert put(store, b"") == 0
    assert store.size(digest(b"")) == 0


def test_what_is_not_what_it_is_called_is_not_kept(store: Artifacts):
    with pytest.raises(Tampered, match="is sha256:"):
        put(store, b"another", NAME)

    assert store.size(NAME) is None
    put(store, CONTENT)
    assert store.read(NAME, 0, 10**6) == CONTENT


def test_what_is_being_written_is_not_there_yet_and_leaves_nothing_when_abandoned(
    store: Artifacts,
):
    receiving = store.receive(NAME)
    receiving.write(CONTENT[:100])
    assert store.size(NAME) is None
    receiving.abandon()
    receiving.abandon()

    assert store.size(NAME) is None


def test_abandoning_what_is_finished_changes_nothing(store: Artifacts):
    receiving = store.receive(NAME)
    receiving.write(CONTENT)
    receiving.finish()
    receiving.abandon()

    assert store.read(NAME, 0, 10**6) == CONTENT


def test_two_may_write_the_same_at_once(store: Artifacts):
    one, other = store.receive(NAME), store.receive(NAME)
    for receiving in (one, other):
        receiving.write(CONTENT)
    one.finish()
    other.finish()

    assert store.read(NAME, 0, 10**6) == CONTENT


def test_more_than_is_allowed_is_refused(store: Artifacts):
    receiving = store.receive(NAME, 1000)
    receiving.write(CONTENT[:1000])
    with pytest.raises(BadInput, match="more than 1000 bytes"):
        receiving.write(b"x")
    receiving.abandon()


@pytest.mark.parametrize(
    "name", ["", "sha256:", "sha256:" + "A" * 64, "sha512:" + "a" * 64, "../../etc/passwd"]
)
def test_what_is_no_digest_is_refused_everywhere(store: Artifacts, name: str):
    for act in (store.receive, store.size, lambda one: store.read(one, 0, 1)):
        with pytest.raises(BadInput, match="no digest"):
            act(name)


def test_reading_what_is_not_there_is_said(store: Artifacts):
    with pytest.raises(BadInput, match="not kept here"):
        store.read(NAME, 0, 1)


def test_files_outlive_the_process_and_rests_are_swept(tmp_path: Path):
    folder = tmp_path / "artifacts"
    store = FileArtifacts(folder)
    put(store, CONTENT)
    left = store.receive(digest(b"x"))
    left.write(b"half")
    (rest,) = (folder / "incoming").iterdir()

    FileArtifacts(folder)  # another process begins: what is being written is not its
    assert rest.exists()
    old_s = rest.stat().st_mtime - STALE_S - 10
    os.utime(rest, (old_s, old_s))
    again = FileArtifacts(folder)

    assert not rest.exists()
    assert again.read(NAME, 0, 10**6) == CONTENT
    left.abandon()


def test_a_disk_that_is_nearly_full_takes_no_artifacts(tmp_path: Path):
    store = FileArtifacts(tmp_path / "artifacts", room_kept_bytes=2**60)

    with pytest.raises(Unavailable, match="no room for artifacts"):
        store.receive(NAME)
    assert list((tmp_path / "artifacts" / "incoming").iterdir()) == []


def test_a_tenant_has_what_it_brought_and_nothing_else(registry: Registry):
    holdings: Any = registry.holdings
    holdings.hold("acme", NAME, 7, 1)
    holdings.hold("acme", NAME, 7, 2)  # again changes nothing

    assert holdings.held("acme", NAME) == 7
    assert holdings.held("other", NAME) is None
    assert holdings.held("acme", digest(b"x")) is None
