"""What was done with the real programs is in the log, and whoever touches the log is found out."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.programs import run

pytestmark = pytest.mark.slow


def audit(data: Path, *arguments: str | Path, check: bool = True):
    return run("fleet-cloud", "audit", *arguments, "--data", data, check=check)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A cloud's directory, and what an operator did to it."""
    config = tmp_path / "cloud.toml"
    config.write_text(
        'region = "eu"\n[grpc]\nlisten = "127.0.0.1:18443"\n[broker]\nmode = "none"\n'
    )
    data = tmp_path / "cloud"
    where = ("--config", config, "--data", data)
    run("fleet-cloud", "pki", "init", "--root", tmp_path / "root", *where)
    for vin in ("VIN1", "VIN2"):
        run("fleet-cloud", "vehicle", "add", vin, "--out", tmp_path / vin, *where)
    run("fleet-cloud", "vehicle", "revoke", "VIN1", "--reason", "stolen", *where)
    run("fleet-cloud", "vehicle", "remove", "VIN2", *where)
    run(
        "fleet-cloud",
        "key",
        "create",
        "ci",
        "--role",
        "release-author",
        "--out",
        tmp_path / "k",
        *where,
    )
    return data


@pytest.fixture
def config(data: Path) -> Path:
    return data.parent / "cloud.toml"


def test_every_act_is_there_with_who_did_it_and_no_secret(data: Path, config: Path):
    lines = audit(data, "list", "--json", "--config", config).stdout
    acts = [json.loads(line) for line in lines.splitlines()]

    assert [(act["action"], act["object"].partition(":")[0]) for act in reversed(acts)] == [
        ("pki.init", "region"),
        ("vehicle.add", "vehicle"),
        ("vehicle.add", "vehicle"),
        ("vehicle.revoke", "vehicle"),
        ("vehicle.remove", "vehicle"),
        ("key.create", "key"),
    ]
    assert {act["actor"].partition(":")[0] for act in acts} == {"cli"}
    assert acts[2]["details"]["reason"] == "stolen"
    secret = (data.parent / "k").read_text().strip().rpartition("_")[2]
    assert secret not in lines
    assert "PRIVATE" not in lines


def test_an_export_is_verified_by_somebody_who_has_the_public_key_alone(
    data: Path, config: Path, tmp_path: Path
):
    export, key = tmp_path / "export.jsonl", tmp_path / "key.pem"
    audit(data, "export", "--out", export, "--config", config)
    key.write_text(audit(data, "key", "--config", config).stdout)
    elsewhere = tmp_path / "elsewhere"

    proved = audit(elsewhere, "verify", export, "--key", key).stdout
    assert "eu/default" in proved
    content = bytearray(export.read_bytes())
    content[len(content) // 3] ^= 1
    export.write_bytes(content)
    refused = audit(elsewhere, "verify", export, "--key", key, check=False)

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "Traceback" not in refused.stderr


def test_a_database_that_somebody_changed_is_found_out(data: Path, config: Path, tmp_path: Path):
    export = tmp_path / "export.jsonl"
    audit(data, "export", "--out", export, "--config", config)
    assert "entries verified" in audit(data, "verify", "--kept", export, "--config", config).stdout

    database = sqlite3.connect(data / "registry.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        database.execute("UPDATE audit SET actor = 'cli:nobody'")
    database.execute("DROP TRIGGER audit_no_UPDATE")
    database.execute("UPDATE audit SET details = '{}' WHERE action = 'vehicle.revoke'")
    database.commit()
    database.close()
    refused = audit(data, "verify", "--config", config, check=False)

    assert refused.returncode == 1
    assert "was changed after it was written" in refused.stderr
