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
