"""`fleet-cloud rollout` at a data directory, beside no cloud."""

import json
from pathlib import Path

import pytest

from fleet_cloud.adapters.fleet_files import open_artifacts, open_fleet
from fleet_cloud.cli import main
from fleet_cloud.config import Config
from fleet_cloud.rollouts.records import Fact
from fleet_cloud.updating import open_updates


def run(folder: Path, *words: str) -> int:
    return main(["rollout", *words, "--data", str(folder)])


def test_a_director_is_made_once_and_its_next_root_follows(tmp_path, capsys):
    assert run(tmp_path, "init") == 0
    assert "root 1, signed by 3 keys" in capsys.readouterr().out
    assert run(tmp_path, "init") == 0
    assert "root 2" in capsys.readouterr().out
    assert run(tmp_path, "root") == 0
    assert json.loads(capsys.readouterr().out)["signed"]["version"] == 2
    assert run(tmp_path, "root", "--tenant", "other") == 1
    assert "other has no Director yet: fleet-cloud rollout init" in capsys.readouterr().err
    other = [word for n in (7, 8) for word in ("--root-key", str(tmp_path / f"other-{n}.pem"))]
    assert run(tmp_path, "init", *other) == 1
    assert "cannot read the key" in capsys.readouterr().err
    assert run(tmp_path, "init", "--threshold", "4") == 1
    assert "a threshold of 4 with 3 root keys" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "director" / "default").iterdir()) == [
        "root-1.pem", "root-2.pem", "root-3.pem", "snapshot.pem", "targets.pem", "timestamp.pem",
    ]  # fmt: skip


def test_records_are_exported_and_proved_and_a_touched_one_is_missed(tmp_path, capsys):
    config = Config(data_dir=tmp_path)
    with open_fleet(config) as fleet:
        updates = open_updates(config, fleet.registry, open_artifacts(config))
        assert fleet.registry.database is not None
        from fairway.identity import Scope  # noqa: PLC0415

        with fleet.registry.database.writing() as connection:
            fact = Fact("VIN1", "installed", {"ecus": []})
            updates.records.write(connection, Scope("local", "default"), "reports", [fact], 1)
    out = tmp_path / "records"
    assert run(tmp_path, "records", "--out", str(out)) == 0
    assert run(tmp_path, "verify", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out)["records"] == 1
    out.write_bytes(out.read_bytes().replace(b"VIN1", b"VIN2"))

    assert run(tmp_path, "verify", str(out)) == 1
    assert "was changed after it was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "abc"], "no rollout has an id 'abc'"),
        (["records", "--rollout", "abc"], "there is no rollout 'abc'"),
        (["create", "/nowhere.json"], "cannot read /nowhere.json"),
        (["ecus", "--accept", "VIN1"], "no ECUs of VIN1 wait"),
        (["verify", "/nowhere"], "cannot read /nowhere"),
        (["vehicles", "abc", "--stage", "gone"], "--stage gone: choose from planned"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(tmp_path, capsys, words, said):
    assert run(tmp_path, *words) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["list"], ["rxswin"], ["ecus"], ["why", "VIN1"]])
def test_nothing_is_there_yet(tmp_path, capsys, words):
    assert run(tmp_path, *words) == 0
    assert capsys.readouterr().out
