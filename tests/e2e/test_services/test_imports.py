"""Show 7: manifests of Ankaios and Greengrass, as others wrote them, become ours and run."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import run, until
from tests.e2e.services_site import ServiceVehicle, digest_of, vehicle
from tests.shared_data import shared

RECIPE = "edge/greengrass/com.amazon.aws.IoTFleetWise-1.0.0.json"


def imported(system: str, file: Path, to: Path, *more: object) -> list[Path]:
    words = [str(one) for one in more]
    run("edge-agent", "services", "import", system, file, "--out", to, *words)
    return sorted(to.glob("*.yaml"))


def until_said(car: ServiceVehicle, name: str, words: str) -> None:
    until(words, lambda: car.has_said(name, words))


def test_an_ankaios_manifest_runs(busybox: Path, tmp_path: Path):
    theirs = shared("edge/ankaios/mutating_hooks.manifest.yaml")
    image = f"docker.io/alpine:latest={digest_of(busybox)}"
    ours = imported("ankaios", theirs, tmp_path / "ours", "--image", image)

    with vehicle(tmp_path, drive(tmp_path / "drive.log", seconds=60)) as car:
        car.services("images", "load", busybox)
        car.services("apply", *ours, "--wait")

        names = [path.stem for path in ours]
        assert len(names) == 3
        assert {car.statuses()[name]["state"] for name in names} == {"Running"}
        for name in names:
            until_said(car, name, f"{name.replace('-', '_')} running")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter: a process has a user of its own, and sees the vehicle's files."""
    folder = Path(tempfile.mkdtemp(prefix="fwp-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_greengrass_recipe_runs_as_a_process(open_folder: Path):
    root = open_folder / "greengrass"
    (made,) = imported("greengrass", shared(RECIPE), open_folder / "ours", "--root", root)
    program = next(
        Path(word) for word in made.read_text().split() if word.endswith("aws-iot-fleetwise-edge")
    )
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "with $1 and $RMW_IMPLEMENTATION"\nexec sleep 3600\n')
    program.chmod(0o755)

    log = drive(open_folder / "drive.log", seconds=60)
    with vehicle(open_folder, log, processes=(made.stem,)) as car:
        car.services("apply", made, "--wait", "--timeout-s", "60")

        assert car.statuses()[made.stem]["is_isolated"] is False
        until_said(car, made.stem, "config-0.json and rmw_cyclonedds_cpp")
        assert "not isolated" in car.services("list").stdout


def test_a_process_that_the_vehicle_does_not_allow_is_refused(tmp_path: Path):
    (made,) = imported("greengrass", shared(RECIPE), tmp_path / "ours")

    with vehicle(tmp_path, drive(tmp_path / "drive.log", seconds=60)) as car:
        refused = car.services("apply", made, check=False)

        assert refused.returncode == 1
        assert made.stem in refused.stderr
        assert car.statuses() == {}
