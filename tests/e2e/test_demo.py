"""`fairway demo`, as `make demo` runs it."""

import json

import pytest

from tests.e2e.programs import free_port, run

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]


@pytest.mark.parametrize("uplink", ["mqtt", "grpc"])
def test_the_demo_stores_every_sample_once(uplink: str, tmp_path):
    options = ("--seconds", "5", "--vehicles", "3", "--uplink", uplink, "--dir", tmp_path)
    done = run("fairway", "demo", *options, "--json", "--api", f"127.0.0.1:{free_port()}")

    summary = json.loads(done.stdout)
    assert summary["lost"] == summary["frames_dropped"] == 0
    assert summary["rows_stored"] == summary["samples"] > 500
    assert summary["frames"] > 5 * 1000
    assert 0 < summary["latency_p50_ms"] <= summary["latency_p99_ms"] < 30_000


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--seconds", "0"], 1, "--seconds 0 is out of range: 1 to 86400"),
        (["--vehicles", "99"], 1, "--vehicles 99 is out of range: 1 to 8"),
        (["--uplink", "pigeon"], 2, "invalid choice: 'pigeon'"),
        (["--api", "nowhere", "--seconds", "1"], 1, "'nowhere' is not an address"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(arguments: list[str], code: int, sentence: str):
    done = run("fairway", "demo", *arguments, check=False)

    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
