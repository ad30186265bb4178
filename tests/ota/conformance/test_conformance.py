"""A TUF client seen from outside: exit codes, files, requests; cases after the public conformance suite's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from tuf.api.metadata import Metadata

from tests.ota.conformance.repository import Client, Served, Simulated, served
from tests.ota.repository_simulator import new_key
from tests.shared_data import shared

pytestmark = [pytest.mark.usefixtures("socket_enabled"), pytest.mark.net, pytest.mark.slow]

TOP = ["root.json", "snapshot.json", "targets.json", "timestamp.json"]


@pytest.fixture
def simulated() -> Simulated:
    return Simulated()


@pytest.fixture
def server(simulated: Simulated) -> Iterator[Served]:
    with served(simulated.files) as server:
        yield server


@pytest.fixture
def client(simulated: Simulated, server: Served, tmp_path: Path) -> Client:
    client = Client(tmp_path, server)
    assert client.init(simulated.root) == 0
    assert server.asked == []
    return client


def version(client: Client, role: str) -> int:
    signed = Metadata.from_bytes((client.metadata / f"{role}.json").read_bytes()).signed
    return signed.version


def test_basic_refresh_requests_and_trusted_data(
    client: Client, server: Served, simulated: Simulated
):
    assert client.refresh() == 0

    assert server.asked == [
        "metadata/2.root.json",
        "metadata/timestamp.json",
        "metadata/1.snapshot.json",
        "metadata/1.targets.json",
    ]
    for name in TOP:
        assert (client.metadata / name).read_bytes() == simulated.repository.files[name]


def test_implicit_refresh(client: Client):
    assert client.download("nonexistent") == 1

    assert client.trusted() == TOP
    assert "lists no target 'nonexistent'" in client.said


@pytest.mark.parametrize("root", [b"", b"{}", b"not json"])
def test_invalid_initial_root(server: Served, tmp_path: Path, root: bytes):
    client = Client(tmp_path, server)
    client.init(root)

    assert client.refresh() == 1
    assert server.asked == []
    assert client.said.count("\n") == 1


@pytest.mark.parametrize(
    ("role", "trusted"),
    [
        ("root", {"root": 1}),
        ("timestamp", {"root": 1}),
        ("snapshot", {"root": 1, "timestamp": 2}),
        ("targets", {"root": 1, "timestamp": 2, "snapshot": 2}),
    ],
)
def test_unsigned_metadata(
    client: Client, simulated: Simulated, role: str, trusted: dict[str, int]
):
    thief = new_key()
    simulated.repository.signers[role] = {thief.public_key.keyid: thief}
    simulated.repository.changed_roots = role == "root"
    simulated.publish()

    assert client.refresh() == 1
    assert {name.removesuffix(".json") for name in client.trusted()} == set(trusted)
    assert {one: version(client, one) for one in trusted} == trusted


def test_new_timestamp_version_rollback(client: Client, simulated: Simulated):
    simulated.publish()
    assert client.refresh() == 0
    simulated.repository.timestamp.version = 0
    simulated.repository.publish_timestamp()
    simulated.lay()

    assert client.refresh() == 1
    assert version(client, "timestamp") == 2


def test_timestamp_expired(client: Client, simulated: Simulated):
    assert client.refresh() == 0
    simulated.repository.timestamp.expires = datetime.now(UTC) - timedelta(days=5)
    simulated.publish()

    assert client.refresh() == 1
    assert version(client, "timestamp") == 1


def test_faketime(client: Client, simulated: Simulated):
    simulated.repository.root.expires = datetime.now(UTC) + timedelta(days=7)
    simulated.repository.changed_roots = True
    simulated.publish()
    assert client.refresh() == 0

    client.time = f"{datetime.now(UTC) + timedelta(days=8)}"
    assert client.refresh() == 1
    assert "root.json: it expired" in client.said


def test_new_timestamp_fast_forward_recovery(client: Client, simulated: Simulated):
    simulated.repository.timestamp.version = 99
    simulated.publish()
    assert client.refresh() == 0
    simulated.repository.rotate("timestamp")
    simulated.repository.timestamp.version = 0
    simulated.publish()

    assert client.refresh() == 0
    assert version(client, "timestamp") == 1


def test_metadata_bytes_match(client: Client, simulated: Simulated):
    simulated.files["metadata/timestamp.json"] += b" "

    assert client.refresh() == 0
    assert (client.metadata / "timestamp.json").read_bytes().endswith(b" ")


def test_snapshot_404(client: Client, simulated: Simulated):
    del simulated.files["metadata/1.snapshot.json"]

    assert client.refresh() == 1
    assert client.trusted() == ["root.json", "timestamp.json"]


def test_client_downloads_expected_file_in_sub_dir_once(
    client: Client, server: Served, simulated: Simulated
):
    simulated.put_target("path/to/a/target.txt", b"content")
    simulated.publish()

    assert client.download("path/to/a/target.txt") == 0
    assert client.download("path/to/a/target.txt") == 0
    assert client.downloaded() == [b"content"]
    assert len([one for one in server.asked if one.startswith("targets/")]) == 1


def test_repository_substitutes_target_file(client: Client, simulated: Simulated):
    simulated.put_target("a.txt", b"content")
    simulated.publish()
    name = next(one for one in simulated.files if one.startswith("targets/"))
    simulated.files[name] = b"evil!!!"

    assert client.download("a.txt") == 1
    assert client.downloaded() == []


@pytest.mark.parametrize("role", ["?", "#", "/delegatedrole", "../delegatedrole"])
def test_unusual_role_name(client: Client, server: Served, simulated: Simulated, role: str):
    simulated.repository.delegate("targets", role, ["*"])
    simulated.publish()

    assert client.download("nonexistent") == 1
    assert len(client.trusted()) == 5
    assert f"metadata/1.{quote(role, safe='')}.json" in server.asked


def test_cached_role_is_verified_against_current_delegator(client: Client, simulated: Simulated):
    """The case that the reference client is expected to fail."""
    repository = simulated.repository
    for parent in ("a", "b"):
        repository.delegate("targets", parent, [f"{parent}/*"])
        repository.delegate(parent, "release", [f"{parent}/*"])
    simulated.put_target("a/x", b"trusted", "release")
    simulated.put_target("b/x", b"malicious", "release")
    delegations = repository.roles["b"].delegations
    assert delegations is not None
    assert delegations.roles is not None
    del repository.signers["release"][delegations.roles["release"].keyids[0]]
    simulated.publish()

    assert client.download("a/x", "b/x") == 1
    assert client.downloaded() == [b"trusted"]


def test_an_address_that_is_none_is_one_sentence(client: Client, server: Served):
    server.address = "ftp://127.0.0.1"

    assert client.refresh() == 1
    assert "is no address: begin it with http:// or https://" in client.said
    assert client.said.count("\n") == 1


@pytest.mark.parametrize("name", ["sigstore-root-signing", "tuf-on-ci-0.11"])
def test_static_repository(name: str, tmp_path: Path):
    """Repositories that others' tools have made."""
    folder = shared(f"ota/tuf-conformance-static/{name}")
    time = (folder / "faketime").read_text().strip()
    path = (folder / "targetpath").read_text().strip()
    with served(folder) as server:
        client = Client(tmp_path, server, time=time)

        assert client.init((folder / "initial_root.json").read_bytes()) == 0
        assert client.refresh() == 0, client.said
        assert client.download(path) == 0, client.said
    assert len(client.downloaded()) == 1
