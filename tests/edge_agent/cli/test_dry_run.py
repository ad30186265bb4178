"""`edge-agent campaign dry-run`: what people and machines are told of campaigns on recorded drives."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli import main
from tests.edge_agent.agents import DBC, drive, write_log

FAST = {
    "name": "fast",
    "collectionScheme": {
        "conditionBasedCollectionScheme": {
            "expression": "$variable.`can0.MOTION.Speed` > 300",
            "minimumTriggerIntervalMs": 1000,
        }
    },
    "signalsToCollect": [{"name": "can0.MOTION.Speed"}],
}
BY_FUNCTION = FAST | {
    "name": "by-function",
    "collectionScheme": {
        "conditionBasedCollectionScheme": {
            "expression": "custom_function('python', 'fast', $variable.`can0.MOTION.Speed`)",
            "minimumTriggerIntervalMs": 1000,
        }
    },
    "fairway": {
        "functions": [
            {"name": "fast", "source": "def invoke(v):\n    return v is not None and v > 300\n"}
        ]
    },
}
SETTINGS = """
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
databases = ["car.dbc"]
source = "socketcan:can0"
[telemetry]
collect = "{collect}"
[spool]
dir = "spool"
[uplink]
url = "mqtts://nowhere"
{more}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database, settings and a drive of 20 s; what is said of them names no folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "car.dbc").write_text(DBC)
    write_log(tmp_path / "drive.log", drive(4000))
    settings(tmp_path)
    campaign(tmp_path, FAST)
    return tmp_path


def settings(folder: Path, collect: str = "none", more: str = "") -> None:
    (folder / "agent.toml").write_text(SETTINGS.format(collect=collect, more=more))


def campaign(folder: Path, document: Any) -> str:
    name = f"{document['name']}.json"
    (folder / name).write_text(json.dumps(document))
    return name


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str, files: tuple[str, ...] = ("fast.json",)
) -> tuple[int, str, str]:
    chosen = [part for name in files for part in ("--campaign", name)]
    given = arguments or ("--config", "agent.toml")
    log = () if "--log" in given else ("--log", "drive.log")
    code = main(["campaign", "dry-run", *chosen, *log, *given])
    said = capsys.readouterr()
    return code, said.out, said.err


def predictions(
    capsys: pytest.CaptureFixture[str], *arguments: str, files: tuple[str, ...] = ("fast.json",)
) -> list[dict[str, Any]]:
    given = arguments or ("--config", "agent.toml")
    code, out, _ = run(capsys, *given, "--json", files=files)
    assert code == 0
    found = json.loads(out)
    assert isinstance(found, list)
    return found


@pytest.mark.usefixtures("folder")
def test_people_are_told_of_the_drive_and_of_a_month(capsys: pytest.CaptureFixture[str]):
    code, out, err = run(capsys, "--config", "agent.toml", "--price-per-mb", "0.5")

    assert code == 0
    name, drive_line, month = out.splitlines()
    assert name == "fast"
    assert drive_line.startswith("  on 1 drive (0.00555 h): ")
    assert " triggers, " in drive_line
    assert month.startswith("  a vehicle-month of 30 h: ")
    assert ", costs " in month
    assert err == "drive 1 of 1: drive.log\n"


@pytest.mark.usefixtures("folder")
def test_machines_are_told_the_same_as_json(capsys: pytest.CaptureFixture[str]):
    (found,) = predictions(capsys)

    assert found["triggers"] == len(found["trigger_times_ns"]) > 10
    assert found["bytes"] == found["partitions"][""]["sent_bytes"] > found["batches"] > 0
    assert (found["refused"], found["drives"]) == (None, 1)


@pytest.mark.usefixtures("folder")
def test_settings_and_databases_say_the_same(capsys: pytest.CaptureFixture[str]):
    (by_settings,) = predictions(capsys)
    (by_database,) = predictions(capsys, "--dbc", "can0=car.dbc")

    for name in ("triggers", "samples", "batches", "trigger_times_ns"):
        assert by_database[name] == by_settings[name], name


@pytest.mark.usefixtures("folder")
def test_several_drives_are_driven_one_after_the_other(capsys: pytest.CaptureFixture[str]):
    (one,) = predictions(capsys)
    code, out, err = run(
        capsys, "--config", "agent.toml", "--json", "--log", "drive.log", "drive.log"
    )

    assert code == 0
    assert json.loads(out)[0]["triggers"] == 2 * one["triggers"]
    assert err.splitlines() == ["drive 1 of 2: drive.log", "drive 2 of 2: drive.log"]


def test_a_campaign_that_cannot_run_is_a_failure_and_the_others_are_tried(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    scheme = {"conditionBasedCollectionScheme": {"expression": "custom_function('nobody', 1)"}}
    odd = campaign(folder, FAST | {"name": "odd", "collectionScheme": scheme})

    code, out, _ = run(capsys, files=("fast.json", odd))

    assert code == 1
    fast, refused = out.split("odd\n")
    assert "triggers" in fast
    assert refused.startswith("  refused: odd: character 1: this vehicle has no custom function")


def test_signals_that_the_vehicle_has_not_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    campaign(folder, FAST | {"signalsToCollect": [{"name": "can0.MOTION.Height"}]})

    assert "note: can0.MOTION.Height cannot be collected" in run(capsys)[1]


@pytest.mark.parametrize("collect", ["none", "all"])
def test_what_an_agent_of_these_settings_can_collect_is_collected(
    folder: Path, capsys: pytest.CaptureFixture[str], collect: str
):
    settings(folder, collect)

    assert predictions(capsys)[0]["triggers"] > 10


def test_the_limits_of_the_settings_hold(folder: Path, capsys: pytest.CaptureFixture[str]):
    settings(folder, more="[campaigns]\nmemory_max_bytes = 65536")
    large = campaign(
        folder,
        FAST | {"name": "large", "signalsToCollect": [{"name": "can0.*", "maxSampleCount": 9000}]},
    )

    code, out, _ = run(capsys, files=(large,))

    assert code == 1
    assert "more than 65536; lower maxSampleCount" in out


@pytest.mark.slow
def test_functions_in_python_run_as_in_the_vehicle(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    by_function = campaign(folder, BY_FUNCTION)

    plain, called = predictions(capsys, files=("fast.json", by_function))

    # What has a function is looked at by a timer too, so it may trigger some milliseconds sooner.
    assert called["triggers"] == pytest.approx(plain["triggers"], abs=1)
    assert called["samples"] == pytest.approx(plain["samples"], rel=0.1)
    assert not any("failed" in note for note in called["notes"])


@pytest.mark.slow
def test_functions_that_fail_say_so(folder: Path, capsys: pytest.CaptureFixture[str]):
    functions = [{"name": "fast", "source": "def invoke(v):\n    return v / 0\n"}]
    failing = campaign(folder, BY_FUNCTION | {"fairway": {"functions": functions}})

    (found,) = predictions(capsys, files=(failing,))

    assert found["triggers"] == 0
    assert any("division by zero" in note for note in found["notes"])


def test_functions_do_not_run_where_the_settings_forbid_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    settings(folder, more="[functions]\nenabled = false")
    by_function = campaign(folder, BY_FUNCTION)

    code, out, _ = run(capsys, files=(by_function,))

    assert code == 1
    assert "no custom function 'python'" in out


@pytest.mark.parametrize(
    ("arguments", "files", "sentence"),
    [
        (
            ("--config", "agent.toml"),
            ("none.json",),
            "the campaign none.json cannot be read: No such file",
        ),
        (("--config", "agent.toml"), ("car.dbc",), "car.dbc: "),
        (("--config", "agent.toml", "--log", "none.log"), ("fast.json",), "none.log"),
        (("--log", "drive.log"), ("fast.json",), "give the agent's settings with --config, or"),
        (
            ("--config", "agent.toml", "--dbc", "can0=car.dbc"),
            ("fast.json",),
            "give the agent's settings with --config, or",
        ),
        (("--config", "none.toml"), ("fast.json",), "none.toml"),
        (("--dbc", "can0=none.dbc"), ("fast.json",), "none.dbc"),
        (("--config", "agent.toml", "--hours-per-month", "0"), ("fast.json",), "--hours-per-month"),
        (("--config", "agent.toml", "--price-per-mb", "-1"), ("fast.json",), "--price-per-mb"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    files: tuple[str, ...],
    sentence: str,
):
    code, out, err = run(capsys, *arguments, files=files)

    assert (code, out) == (1, "")
    assert sentence in err.splitlines()[-1]
