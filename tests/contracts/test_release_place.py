"""What every place promises that releases are published to: memory, a folder, a bucket, a fleet-cloud."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, MetaFile, Root, Timestamp

from fairway.errors import Denied, Unavailable
from ota.manifest import Blob
from ota.release.places.cloud import Access, CloudPlace
from ota.release.places.folder import FolderPlace
from ota.release.places.memory import MemoryPlace
from ota.release.places.opening import open_place
from ota.release.places.s3 import S3Place
from ota.release.ports import Place
from tests.release_doors import KEY, served

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture(params=["memory", "folder", "bucket", "cloud"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    match request.param:
        case "memory":
            yield MemoryPlace()
        case "folder":
            yield FolderPlace(tmp_path / "public")
        case "bucket":
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
            with served("bucket") as (url, _server):
                yield S3Place(f"s3://releases/fleet?region=eu-central-1&endpoint={url}")
        case _:
            with served("cloud") as (url, _server):
                yield CloudPlace(url, Access(KEY))


def blob(path: Path, data: bytes) -> Blob:
    path.write_bytes(data)
    return Blob(hashlib.sha256(data).hexdigest(), len(data))


def test_bytes_are_there_once_they_were_sent(place: Place, tmp_path: Path):
    one = blob(tmp_path / "one", b"some bytes" * 1000)

    assert not place.holds(one)
    place.send(one, tmp_path / "one")
    place.send(one, tmp_path / "one")

    assert place.holds(one)
    assert not place.holds(Blob("0" * 64, one.length))


def test_no_bytes_at_all_can_be_sent(place: Place, tmp_path: Path):
    one = blob(tmp_path / "one", b"")

    place.send(one, tmp_path / "one")

    assert place.holds(one)


def stamp(version: int) -> bytes:
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    return Metadata(Timestamp(version, expires=ends, snapshot_meta=MetaFile(version))).to_bytes()


def test_files_are_as_they_were_published(place: Place):
    assert place.file("timestamp.json") is None

    place.publish({"timestamp.json": stamp(1), "1.root.json": Metadata(Root()).to_bytes()})
    place.publish({"timestamp.json": stamp(2)})

    assert place.file("1.root.json") is not None
    assert place.file("timestamp.json") == stamp(2)


def test_a_bucket_takes_large_bytes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    one = blob(tmp_path / "one", bytes(range(256)) * (11 << 12))
    with served("bucket") as (url, server):
        bucket = S3Place(f"s3://releases?region=eu-central-1&endpoint={url}", part_bytes=5 << 20)
        bucket.send(one, tmp_path / "one")

        assert bucket.holds(one)
        assert len(server.parts["upload-0"]) == 3
        assert (
            server.kept[f"releases/sha256/{one.sha256[:2]}/{one.sha256}"]
            == (tmp_path / "one").read_bytes()
        )


def test_a_cloud_that_does_not_know_the_key_says_so():
    with served("cloud") as (url, _server):
        stranger = CloudPlace(url, Access("another key"))

        with pytest.raises(Denied, match="this key is not known"):
            stranger.file("timestamp.json")


def test_a_line_that_is_cut_may_work_later(tmp_path: Path):
    one = blob(tmp_path / "one", bytes(3 << 20))
    with served("cloud") as (url, server):
        cloud = CloudPlace(url, Access(KEY))
        server.fails_after = 1 << 20
        with pytest.raises(Unavailable, match="publish again, it goes on where it was"):
            cloud.send(one, tmp_path / "one")
        assert not cloud.holds(one)

        server.fails_after = None
        cloud.send(one, tmp_path / "one")
        assert cloud.holds(one)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ftp://host/x", "is no place"),
        ("https://host", "name --token-file"),
        ("http://example.com", "would show the key to the network"),
        ("s3://", "is no bucket"),
    ],
)
def test_what_is_no_place_is_one_sentence(name: str, why: str):
    access = None if name == "https://host" else Access(KEY)

    with pytest.raises(Exception, match=why) as refused:
        open_place(name, access)
    assert "\n" not in str(refused.value)
