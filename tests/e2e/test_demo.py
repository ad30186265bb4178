"""`fairway demo`, as `make demo` runs it."""

import json

import pytest

from tests.e2e.programs import Program, run, until
from tests.ports import free_port

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.mark.parametrize("uplink", ["mqtt", "grpc"])
def test_the_demo_stores_every_sample_once(uplink: str, tmp_path):
    options = ("--seconds", "5", "--vehicles", "3", "--uplink", uplink, "--dir", tmp_path)
    done = run("fairway", "demo", *options, "--json", "--api", f"127.0.0.1:{free_port()}")

    summary = json.loads(done.stdout)
    assert summary["lost"] == summary["frames_dropped"] == 0
    assert summary["samples"] > 500
    assert summary["rows_stored"] == summary["samples"] + summary["campaign_samples"]
    # All stand for the first seconds: a second later they say so, and again each second.
    assert summary["campaign"]["vehicles"] == 3
    assert summary["campaign"]["events"] >= 3
    assert summary["campaign"]["samples"] == summary["campaign_samples"] > 0
    assert summary["frames"] > 5 * 1000
    assert 0 < summary["latency_p50_ms"] <= summary["latency_p99_ms"] < 30_000
    # The truck finds no speed limits of its own in the release, and goes back by itself.
    update = summary["update"]
    assert (update["vehicles"], update["committed"], update["rolled_back"]) == (3, 2, 1)
    assert update["state"] == "PAUSED"
    assert "1 of 3 vehicles of the fleet failed" in update["why"]
    assert update["sentence"].startswith("FWYTR")
    held = [
        path.parent.parent.parent.name[:5] for path in tmp_path.glob("FWY*/speed-limits/current/*")
    ]
    assert held == ["FWYEV", "FWYEV"]


def test_ctrl_c_while_it_starts_ends_it_at_once(tmp_path):
    out = tmp_path / "out.txt"
    demo = Program("fairway", "demo", "--api", f"127.0.0.1:{free_port()}", log=out).start()
    try:
        until("the cloud's start", lambda: "starting the cloud" in out.read_text())

        assert demo.stop(within_s=10) == 1
    finally:
        demo.kill()
    assert out.read_text() == "starting the cloud ...\nfairway: stopped before a vehicle drove\n"


def test_an_agent_that_cannot_start_is_one_sentence(tmp_path):
    tmp_path.joinpath("FWYEV000000010001").mkdir()
    tmp_path.joinpath("FWYEV000000010001", "spool").write_text("in the way")
    options = ("--seconds", "1", "--vehicles", "1", "--dir", tmp_path)
    done = run("fairway", "demo", *options, "--api", f"127.0.0.1:{free_port()}", check=False)

    assert done.returncode == 1
    assert "edge-agent of FWYEV000000010001 ended with 1; it said" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_may_have_quotes_in_its_name(tmp_path):
    options = ("--seconds", "1", "--vehicles", "1", "--dir", tmp_path / 'a "b')
    done = run("fairway", "demo", *options, "--json", "--api", f"127.0.0.1:{free_port()}")

    assert json.loads(done.stdout)["lost"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--seconds", "0"], 1, "--seconds 0 is out of range: 1 to 86400"),
        (["--vehicles", "99"], 1, "--vehicles 99 is out of range: 1 to 8"),
        (["--uplink", "pigeon"], 2, "invalid choice: 'pigeon'"),
        (["--api", "nowhere", "--seconds", "1"], 1, "'nowhere' is not an address"),
        (["--api", "127.0.0.1:0"], 1, "127.0.0.1:0 names no port"),
        (["--dir", __file__], 1, "Not a directory"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(arguments: list[str], code: int, sentence: str):
    done = run("fairway", "demo", *arguments, check=False)

    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
