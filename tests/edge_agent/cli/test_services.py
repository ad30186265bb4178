"""The commands without a runtime: files, an agent's desk over a supervisor in memory, and what is printed."""

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.runtime_memory import Script
from edge_agent.adapters.service_desk import SOCKET_NAME
from edge_agent.cli import main
from edge_agent.cli.services_orders import is_settled
from edge_agent.cli.services_text import explained, news
from edge_agent.services.records import instance_id
from edge_agent.services.runtime import Exit
from fairway.errors import BadInput, Conflict
from fairway.services.manifest import service_from_yaml, service_to_yaml
from fairway.services.model import Restart
from tests.edge_agent.adapters.services_rig import service
from tests.edge_agent.adapters.test_service_desk import Desk, desk_in
from tests.shared_data import ROOT, shared

SETTINGS = """\
[vehicle]
id = "CAR-1"
[[bus]]
name = "can0"
source = "socketcan:can0"
databases = []
[spool]
dir = "spool"
"""
SAMPLES = ROOT / "edge_agent" / "samples"


@contextmanager
def agent_in(folder: Path, scripts: dict[str, Script] | None = None) -> Iterator[Desk]:
    """Run a desk in another thread, as an agent would in another process."""
    (folder / "spool").mkdir()
    (folder / "agent.toml").write_text(SETTINGS)
    started, found = threading.Event(), list[Desk]()
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    async def run() -> None:
        async with desk_in(folder / "spool") as desk:
            desk.vehicle.runtime.scripts.update(scripts or {})
            found.append(desk)
            started.set()
            await ending.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert started.wait(20)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(20)
        loop.close()


def command(*arguments: object) -> int:
    return main(["services", *map(str, arguments)])


def test_the_samples_manifests_can_run(capsys):
    assert command("check", *sorted(SAMPLES.glob("*/manifest.yaml"))) == 0

    said = capsys.readouterr().out
    assert "battery-health 1.0.0 can run; apply makes battery-health:1.0.0 a digest" in said
    assert "tyre-watch 1.0.0 can run" in said


def test_a_manifest_with_a_mistake_is_told_with_its_place_and_the_others_are_checked(
    tmp_path, capsys
):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nversion: '1'\nimage: y\nrestrat: NEVER\n")

    assert command("check", bad, SAMPLES / "tyre_pressure" / "manifest.yaml", "--json") == 1

    wrong, good = json.loads(capsys.readouterr().out)
    assert "restrat: there is no such key; did you mean restart?" in wrong["error"]
    assert good["name"] == "tyre-watch"


def test_apply_waits_until_the_service_is_ready(tmp_path, capsys):
    manifest = tmp_path / "one.yaml"
    manifest.write_text(service_to_yaml(service()).replace(service().image, "one:1"))
    with agent_in(tmp_path):
        config = ("--config", tmp_path / "agent.toml")
        assert command("apply", manifest, "--wait", *config) == 0
        told = capsys.readouterr()
        assert "one 1 Running(Ok)" in told.out
        assert "image one:1 is sha256:aaaa" in told.err

        assert command("list", *config) == 0
        assert "not isolated" in capsys.readouterr().out
        assert command("why", "one", *config) == 0
        assert "one is Running(Ok), ready" in capsys.readouterr().out
        assert command("stop", "one", *config) == 0
        assert command("why", "nobody", *config) == 1
        assert "there is no service 'nobody'" in capsys.readouterr().err


def test_apply_of_a_version_that_fails_here_ends_with_1_and_says_what_is_in_force(tmp_path, capsys):
    config = ("--config", tmp_path / "agent.toml")
    with agent_in(tmp_path, {"one 2": Script(refuses=BadInput("it has no command"))}):
        for version in ("1", "2"):
            (tmp_path / f"{version}.yaml").write_text(service_to_yaml(service(version=version)))
        assert command("apply", tmp_path / "1.yaml", "--wait", *config) == 0
        assert command("apply", tmp_path / "2.yaml", "--wait", *config) == 1

    said = capsys.readouterr().err
    assert "one 2 failed here" in said
    assert "1 is in force" in said


def test_waiting_says_a_thing_once_while_only_its_seconds_count_down(tmp_path, capsys):
    config = ("--config", tmp_path / "agent.toml")
    (tmp_path / "1.yaml").write_text(service_to_yaml(service(restart=Restart.ALWAYS)))
    with agent_in(tmp_path, {"one 1": Script(ends_after_s=0.01, exit=Exit(3))}) as desk:
        desk.vehicle.prober.answers["one"] = "not yet"
        waits = ("--wait", "--timeout-s", "2.5")
        assert command("apply", tmp_path / "1.yaml", *waits, *config) == 1

    said = [re.sub(r"[0-9.]+ s", "", line) for line in capsys.readouterr().err.splitlines()]
    assert any("it is started again in" in line for line in said)
    assert all(one != other for one, other in itertools.pairwise(said)), said


def test_logs_are_printed_and_no_line_of_a_stranger_reaches_the_terminal_as_a_command(
    tmp_path, capsys
):
    config = ("--config", tmp_path / "agent.toml")
    (tmp_path / "1.yaml").write_text(service_to_yaml(service()))
    with agent_in(tmp_path) as desk:
        assert command("apply", tmp_path / "1.yaml", "--wait", *config) == 0
        desk.vehicle.logs.said[instance_id(service())] = ["t stdout hi", "t stderr \x1b[2J"]
        capsys.readouterr()
        assert command("logs", "one", "--last", 2, *config) == 0

    assert capsys.readouterr().out == "t stdout hi\nt stderr \\u001b[2J\n"


def test_images_of_the_vehicle_are_loaded_and_listed(tmp_path, capsys):
    config = ("--config", tmp_path / "agent.toml")
    with agent_in(tmp_path) as desk:
        assert command("images", "load", tmp_path / "layout", *config) == 0
        assert command("images", "list", *config) == 0
        assert command("images", "collect", "--json", *config) == 0

    assert desk.shelf.taken == [(tmp_path / "layout", None)]
    assert "one:1" in capsys.readouterr().out


def test_without_an_agent_each_order_says_so(tmp_path, capsys):
    (tmp_path / "agent.toml").write_text(SETTINGS)

    for order in (["list"], ["why", "x"], ["stop", "x"], ["logs", "x"], ["images", "list"]):
        assert command(*order, "--config", tmp_path / "agent.toml") == 1
        assert SOCKET_NAME in capsys.readouterr().err


def test_a_wrong_command_line_is_2(capsys):
    with pytest.raises(SystemExit) as ended:
        command("apply")

    assert ended.value.code == 2


def test_an_ankaios_manifest_becomes_ours(tmp_path, capsys):
    manifest = shared("edge/ankaios/python_sdk_hello.manifest.yaml")
    names = [line.split()[-1] for line in manifest.read_text().splitlines() if "image:" in line]
    images = [part for name in names for part in ("--image", f"{name}=sha256:{'b' * 64}")]

    assert command("import", "ankaios", manifest, *images, "--out", tmp_path / "ours") == 0

    made = sorted((tmp_path / "ours").glob("*.yaml"))
    assert made
    assert {service_from_yaml(path.read_text()).image for path in made} == {f"sha256:{'b' * 64}"}
    assert command("check", *made) == 0


def test_a_greengrass_recipe_becomes_processes(capsys):
    recipe = shared("edge/greengrass/CustomerApp-1.0.0.yaml")

    assert command("import", "greengrass", recipe, "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert [service_from_yaml(one["manifest"]).runner for one in told["services"]] == ["process"]


def test_an_image_that_is_not_said_is_asked_for(capsys):
    manifest = shared("edge/ankaios/python_sdk_hello.manifest.yaml")

    assert command("import", "ankaios", manifest) == 1

    assert "give --image" in capsys.readouterr().err


def test_what_is_wanted_in_force_and_ready_is_settled():
    good = {
        "name": "x", "state": "Running(Ok)", "why": "", "ready": True, "change": None, "bad": [],
        "wanted": {"instance": "x.1", "version": "1"}, "in_force": {"instance": "x.1"}, "instances": {},
    }  # fmt: skip

    assert is_settled(good)
    assert not is_settled(good | {"change": {"to": "1", "phase": "prove"}})
    assert not is_settled(good | {"ready": False})
    assert is_settled(good | {"ready": False, "state": "Succeeded(Ok)"})
    with pytest.raises(Conflict, match="x failed: code 3"):
        is_settled(good | {"ready": False, "state": "Failed(ExecFailed)", "why": "code 3"})
    with pytest.raises(Conflict, match="not wanted any more"):
        is_settled(good | {"wanted": None})


def test_an_explanation_says_what_was_denied():
    why = {"name": "x", "state": "Running(Ok)", "why": "", "ready": True,
           "denied": [
               {"action": "read", "what": "Vehicle.Speed", "count": 3, "why": "it does not say so",
                "first_ns": 1_769_860_800_000_000_000, "last_ns": 1_769_860_801_500_000_000},
               {"action": "call", "what": "x", "count": 1, "why": "",
                "first_ns": 1_769_860_800_000_000_000, "last_ns": 1_769_860_800_000_000_000},
           ]}  # fmt: skip

    said = list(explained(why))
    assert (
        "  denied: read Vehicle.Speed, 3 times, first 2026-01-31 12:00:00.000, "
        "last 2026-01-31 12:00:01.500: it does not say so" in said
    )
    assert "  denied: call x, once, 2026-01-31 12:00:00.000" in said


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(0, 12), st.integers(1, 12))
def test_news_of_a_log_are_the_lines_that_were_not_there(log: list[str], seen: int, window: int):
    """Unique lines, as stamps make them: of a window that moves over a log."""
    lines = [f"{number} {text}" for number, text in enumerate(log)]
    seen = min(seen, len(lines))
    before, after = lines[:seen][-window:], lines[-window:]

    fresh = news(before, after)

    assert fresh == [line for line in after if line not in before]
