"""The data directory."""

import socket
from pathlib import Path

import pytest

from fairway.errors import BadInput, Conflict, Unavailable
from fleet_cloud.adapters.data_dir import DataDir, listening

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


def test_one_cloud_at_a_time_lives_in_a_directory(data: DataDir):
    with data.locked(), pytest.raises(Conflict, match="another fleet-cloud serve"), data.locked():
        pass
    with data.locked():
        pass


def test_a_directory_keeps_its_name(data: DataDir, tmp_path: Path):
    assert data.identity() == DataDir(tmp_path / "data").identity()
    assert data.identity() != DataDir(tmp_path / "other").identity()


def test_any_port_is_the_same_port_after_a_restart(data: DataDir):
    port = data.port("mqtt", "127.0.0.1", 0)
    data.write_endpoints({"mqtt": f"mqtts://127.0.0.1:{port}"})

    assert data.port("mqtt", "127.0.0.1", 0) == port
    assert data.port("mqtt", "127.0.0.1", 4711) == 4711
    with listening("127.0.0.1", port):
        assert data.port("mqtt", "127.0.0.1", 0) != port


def test_endpoints_that_cannot_be_read_are_none(data: DataDir):
    (data.folder / "endpoints.json").write_text("{")

    assert data.endpoints() == {}


def test_an_address_in_use_is_named():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}"):
            listening("127.0.0.1", port)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="cannot make the data directory"):
        DataDir(tmp_path / "file" / "data")


@pytest.mark.parametrize("name", ["lock", "identity", "endpoints.json"])
def test_a_file_that_cannot_be_used_is_named(data: DataDir, name: str):
    (data.folder / name).mkdir()
    uses = {
        "lock": lambda: data.locked().__enter__(),
        "identity": data.identity,
        "endpoints.json": lambda: data.write_endpoints({}),
    }

    with pytest.raises(Unavailable, match=f"cannot use .*{name}: "):
        uses[name]()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"../../x"])
def test_a_damaged_name_is_not_taken_for_one(data: DataDir, content: bytes):
    (data.folder / "identity").write_bytes(content)

    with pytest.raises(BadInput, match="restore it"):
        data.identity()


def test_what_is_kept_is_for_its_owner_only(data: DataDir):
    assert data.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70])
def test_a_host_that_is_none_of_ours_is_told(host: str):
    with pytest.raises(Unavailable, match=f"cannot listen on {host}:1: [A-Za-z]"):
        listening(host, 1)
