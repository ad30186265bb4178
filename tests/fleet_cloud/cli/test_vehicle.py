"""`fleet-cloud vehicle add` before the cloud has run."""

from pathlib import Path

import pytest

import fleet_cloud.cli


def add(folder: Path, listen: str, more: str = "") -> tuple[int, Path]:
    config = folder / "cloud.toml"
    config.write_text(f'[broker]\nlisten = "{listen}"\n[grpc]\nlisten = "{listen}"\n{more}')
    out = folder / "VIN1"
    arguments = ["vehicle", "add", "VIN1", "--out", out, "--config", config, "--data", folder / "d"]
    return fleet_cloud.cli.main([str(one) for one in arguments]), out


def test_a_vehicle_is_given_an_address_that_is_one(tmp_path: Path):
    done, out = add(tmp_path, "0.0.0.0:8883", '[tls]\nnames = ["cloud.example"]\n')

    assert done == 0
    fragment = (out / "agent.toml").read_text()
    assert '"mqtts://cloud.example:8883"' in fragment
    assert "0.0.0.0" not in fragment


def test_a_port_that_nobody_knows_yet_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    done, out = add(tmp_path, "127.0.0.1:0")

    assert done == 1
    assert "start fleet-cloud once" in capsys.readouterr().err
    assert not out.exists()
