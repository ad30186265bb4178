"""`vehicle-sim drive` writes logs that repeat to the byte, serves buses, and refuses garbage in a sentence."""

import json
from pathlib import Path

import pytest

from edge_agent.adapters.log_formats import open_log
from simulators.cli import main
from simulators.vehicle import Options, Vehicle
from tests.e2e.programs import Program, until
from tests.edge_agent.adapters.frames import frames_of


def drive(*arguments: str) -> int:
    return main(["drive", *arguments])


def test_the_same_arguments_give_the_same_log(tmp_path: Path):
    logs = [tmp_path / name for name in ("one.log", "two.log")]

    for log in logs:
        assert drive("--seconds", "3", "--seed", "7", "--to", f"log:{log}") == 0

    assert logs[0].read_bytes() == logs[1].read_bytes()
    assert logs[0].read_text().count("\n") == len(Vehicle(Options(seed=7)).advance(300))


@pytest.mark.parametrize("suffix", ["asc", "blf", "log.xz"])
def test_a_log_of_any_kind_holds_every_frame(tmp_path: Path, suffix: str):
    log = tmp_path / f"drive.{suffix}"

    drive("--seconds", "1", "--seed", "7", "--to", f"log:{log}")

    sent = list(Vehicle(Options(seed=7)).advance(100).frames())
    found = frames_of(open_log(log, {"can0": 0, "can1": 1}))
    assert [(f.can_id, f.data) for f in found] == [(f.can_id, f.data) for f in sent]


def test_the_summary_is_json_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = tmp_path / "truck.log"

    code = drive("--profile", "truck", "--seconds", "2", "--to", f"log:{log}", "--json")

    summary = json.loads(capsys.readouterr().out)
    assert code == 0
    assert summary["profile"] == "truck"
    assert summary["seconds"] == 2.0
    assert summary["frames"] == log.read_text().count("\n")
    assert summary["dropped"] == 0


def test_the_summary_is_a_sentence_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    vin = "WFWEV0123456789AB"

    drive("--vin", vin, "--seconds", "1", "--cycle", "us06", "--to", f"log:{tmp_path / 'a.log'}")

    said = capsys.readouterr().err
    assert said.startswith(f"{vin} drove the us06 for 1 s: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "0"], "--seconds 0.0 is not over 0"),
        (["--seconds", "nan"], "--seconds nan is not over 0"),
        (["--speed", "fast"], "--speed fast is not realtime, xN or max"),
        (["--speed", "x0"], "a speed of 0.0 is not over 0"),
        (["--vin", "123"], "'123' is no VIN"),
        (["--seed", "-1"], "whole numbers from 0 up"),
        (["--start", "-5"], "--start -5 is not a time"),
        (["--start", "5", "--speed", "realtime"], "time of day"),
        (["--to", "nowhere"], "'nowhere' is no way out of a bus"),
        (["--to", "log:two.log", "--to", "log:./two.log"], "two.log is named twice"),
        (["--to", "log:/nonexistent/a.log"], "cannot write the log"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    code = drive("--to", f"log:{tmp_path / 'a.log'}", "--seconds", "1", *arguments)

    told = capsys.readouterr().err
    assert code == 1
    assert said in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "arguments", [[], ["--to"], ["--profile", "boat"], ["--cycle", "nedc"], ["--seconds", "soon"]]
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], tmp_path: Path):
    log = ["--to", f"log:{tmp_path / 'a.log'}"] if arguments and arguments != ["--to"] else []

    with pytest.raises(SystemExit) as ended:
        drive(*log, *arguments)

    assert ended.value.code == 2


def test_a_live_bus_waits_for_its_listener_and_loses_nothing(tmp_path: Path):
    recorder = Program(
        *("vehicle-sim", "record", "--source", f"unix:{tmp_path}/bus"),
        *("--out", tmp_path / "heard.log"),
        log=tmp_path / "recorder.txt",
    ).start()

    driver = Program(
        *("vehicle-sim", "drive", "--profile", "truck", "--seconds", "2", "--speed", "x4"),
        *("--to", f"unix:{tmp_path}/bus", "--to", f"log:{tmp_path}/said.log", "--wait-for", "1"),
        log=tmp_path / "driver.txt",
    ).start()

    assert (driver.wait(30), recorder.wait(30)) == (0, 0)
    assert (tmp_path / "heard.log").read_text() == (tmp_path / "said.log").read_text()


def test_a_drive_that_is_interrupted_keeps_what_it_sent(tmp_path: Path):
    log, told = tmp_path / "long.log", tmp_path / "driver.txt"
    driver = Program(
        *("vehicle-sim", "drive", "--profile", "truck", "--speed", "x20", "--json"),
        *("--to", f"log:{log}"),
        log=told,
    ).start()
    try:
        until("a first piece", lambda: log.exists() and log.stat().st_size > 10_000)

        assert driver.stop() == 0
    finally:
        driver.kill()

    assert json.loads(told.read_text())["frames"] == log.read_text().count("\n")
