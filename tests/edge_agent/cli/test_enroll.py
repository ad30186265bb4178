"""`edge-agent enroll` at a terminal: wrong lines, wrong folders, and a cloud that is not there."""

from pathlib import Path

import pytest

import edge_agent.cli
from tests.certificates import Authority
from tests.ports import free_port

Capture = pytest.CaptureFixture[str]


def enrol(folder: Path, *words: str | Path) -> int:
    where = ("--folder", folder / "identity")
    return edge_agent.cli.main(["enroll", *map(str, words), *map(str, where)])


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    """A claim's folder, of an authority that nobody knows."""
    authority = Authority(tmp_path / "claim")
    files = authority.vehicle("line-4")
    files.certificate.rename(tmp_path / "claim" / "certificate.pem")
    files.key.rename(tmp_path / "claim" / "key.pem")
    return tmp_path / "claim"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--vehicle", "VIN1"),
        ("--vehicle", "VIN1", "--claim", "c", "--csr-out", "f"),
        ("--vehicle", "VIN1", "--certificate", "c", "--csr-out", "f"),
    ],
)
def test_one_way_must_be_chosen(tmp_path: Path, words: tuple[str, ...]):
    with pytest.raises(SystemExit) as ended:
        enrol(tmp_path, *words)

    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--csr-out", "f"), "say which vehicle"),
        (("--vehicle", "a/b", "--csr-out", "f"), "not a vehicle id"),
        (("--vehicle", "VIN1", "--claim", "nowhere"), "has no endpoints.json"),
        (("--vehicle", "VIN1", "--claim", "nowhere", "--url", "grpcs://127.0.0.1:1"), "nowhere"),
        (("--vehicle", "VIN1", "--claim", "CLAIM", "--url", "mqtts://127.0.0.1:1"), "write grpcs"),
        (("--vehicle", "VIN1", "--claim", "CLAIM", "--url", "127.0.0.1"), "not the URL"),
        (("--vehicle", "VIN1", "--certificate", "f"), "no identity in"),
        (("--vehicle", "VIN1", "--csr-out", "/nowhere/f"), "cannot write"),
        (("--vehicle", "VIN1", "--csr-out", "f", "--key", "pkcs11:token=t"), "pin-source="),
        (("--vehicle", "VIN1", "--csr-out", "f", "--config", "missing.toml"), "cannot read"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    tmp_path: Path,
    claim: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    why: str,
):
    monkeypatch.chdir(tmp_path)

    done = enrol(tmp_path, *(str(claim) if word == "CLAIM" else word for word in words))
    said = capsys.readouterr().err
    assert (done, len(said.splitlines())) == (1, 1)
    assert why in said
    assert not (tmp_path / "identity" / "certificate.pem").exists()


@pytest.mark.net
@pytest.mark.usefixtures("socket_enabled")
def test_a_cloud_that_is_not_there_is_asked_again_with_the_same_key(
    tmp_path: Path, claim: Path, capsys: Capture
):
    url = f"grpcs://127.0.0.1:{free_port()}"
    keys = []
    for _ in range(2):
        assert enrol(tmp_path, "--vehicle", "VIN1", "--claim", claim, "--url", url) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
        keys.append((tmp_path / "identity" / "key.pem").read_bytes())

    assert keys[0] == keys[1]


@pytest.mark.parametrize("content", ["", "[]", "\xff", '{"grpc_url": 7}'])
def test_endpoints_that_are_none_are_refused(
    tmp_path: Path, claim: Path, capsys: Capture, content: str
):
    (claim / "endpoints.json").write_text(content)

    assert enrol(tmp_path, "--vehicle", "VIN1", "--claim", claim) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
