"""A vehicle whose services run at a container engine: an Ankaios manifest, from import to an agent's end."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import until
from tests.e2e.services_site import ServiceVehicle, digest_of, vehicle
from tests.e2e.test_services.test_imports import imported
from tests.engines import PodmanService, podman
from tests.shared_data import shared


@pytest.fixture
def engine() -> Iterator[PodmanService]:
    with podman() as service:
        yield service


def has_said(car: ServiceVehicle, name: str, words: str) -> bool:
    return words in car.services("logs", name).stdout


def test_workloads_of_ankaios_run_at_podman_and_outlive_the_agent(
    busybox: Path, engine: PodmanService, tmp_path: Path
):
    theirs = shared("edge/ankaios/mutating_hooks.manifest.yaml")
    image = f"docker.io/alpine:latest={digest_of(busybox)}"
    ours = imported("ankaios", theirs, tmp_path / "ours", "--image", image)
    more = f'runtime = "engine"\nengine_socket = "{engine.socket}"\n'

    with vehicle(tmp_path, drive(tmp_path / "drive.log", seconds=60), more=more) as car:
        car.services("images", "load", busybox)
        car.services("apply", *ours, "--wait")

        names = [path.stem for path in ours]
        assert {car.statuses()[name]["state"] for name in names} == {"Running"}
        assert all(car.statuses()[name]["is_isolated"] for name in names)
        for name in names:
            said = f"{name.replace('-', '_')} running"
            until(said, partial(has_said, car, name, said))

        before = {name: car.statuses()[name]["instance"] for name in names}
        car.agent.kill()
        car.agent.start()
        until("the desk", lambda: car.services("list", check=False).returncode == 0)
        until(
            "the same services",
            lambda: (
                {name: car.statuses().get(name, {}).get("state") for name in names}
                == dict.fromkeys(names, "Running")
            ),
        )
        assert {name: car.statuses()[name]["instance"] for name in names} == before
        assert {car.statuses()[name]["restarts"] for name in names} == {0}

        for name in names:
            car.services("stop", name)
        until(
            "the end",
            lambda: not any(car.statuses()[name]["state"] == "Running" for name in names),
        )
