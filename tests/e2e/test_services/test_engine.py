"""A vehicle whose services run at a container engine: an Ankaios manifest, from import to an agent's end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import until
from tests.e2e.services_site import digest_of, vehicle
from tests.e2e.test_services.test_imports import imported
from tests.engines import PodmanService, podman
from tests.shared_data import shared


@pytest.fixture
def engine() -> Iterator[PodmanService]:
    with podman() as service:
        yield service


def test_a_workload_of_ankaios_runs_at_podman_and_outlives_the_agent(
    busybox: Path, engine: PodmanService, tmp_path: Path
):
    theirs = shared("edge/ankaios/mutating_hooks.manifest.yaml")
    image = f"docker.io/alpine:latest={digest_of(busybox)}"
    normal = imported("ankaios", theirs, tmp_path / "ours", "--image", image)[0]
    assert normal.stem == "workload-normal"
    more = f'runtime = "engine"\nengine_socket = "{engine.socket}"\n'

    with vehicle(tmp_path, drive(tmp_path / "drive.log", seconds=60), more=more) as car:
        car.services("images", "load", busybox)
        car.services("apply", normal, "--wait")

        before = car.statuses()["workload-normal"]
        assert (before["state"], before["is_isolated"]) == ("Running", True)
        words = "workload_normal running"
        until(words, lambda: car.has_said("workload-normal", words))

        car.agent.kill()
        car.agent.start()
        until("the desk", lambda: car.services("list", check=False).returncode == 0)
        car.until("workload-normal", "Running")
        after = car.statuses()["workload-normal"]
        assert (after["instance"], after["restarts"]) == (before["instance"], 0)

        car.services("stop", "workload-normal")
        until("its end", lambda: car.statuses()["workload-normal"]["state"] != "Running")


def test_an_engine_that_is_started_after_the_agent_is_found(
    busybox: Path, engine: PodmanService, tmp_path: Path
):
    engine.kill()
    engine.socket.unlink(missing_ok=True)
    manifest = tmp_path / "sleeper.yaml"
    manifest.write_text(
        f"name: sleeper\nversion: 1.0.0\nimage: {digest_of(busybox)}\n"
        'command: ["/bin/sh", "-c", "echo awake; while :; do sleep 0.1; done"]\n'
    )
    more = f'runtime = "engine"\nengine_socket = "{engine.socket}"\n'

    with vehicle(tmp_path, drive(tmp_path / "drive.log", seconds=60), more=more) as car:
        car.services("images", "load", busybox)
        car.services("apply", manifest)
        listed = car.services("list").stdout
        assert "NotScheduled" in listed
        assert f"the container engine is not at {engine.socket}" in listed

        engine.start()
        car.until("sleeper", "Running")
        until("its words", lambda: car.has_said("sleeper", "awake"))

        layers = tmp_path / "services" / "images" / "layers"
        assert [path for path in layers.iterdir() if path.is_dir()] == []
        car.services("stop", "sleeper")
        until("its end", lambda: car.statuses()["sleeper"]["state"] != "Running")
