"""Show 7: manifests of Ankaios and Greengrass, as others wrote them, become ours and run."""

from functools import partial
from pathlib import Path

from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import run, until
from tests.e2e.services_site import digest_of, vehicle
from tests.shared_data import shared


def imported(system: str, file: Path, to: Path, *more: object) -> list[Path]:
    words = [str(one) for one in more]
    run("edge-agent", "services", "import", system, file, "--out", to, *words)
    return sorted(to.glob("*.yaml"))


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
            said = f"{name.replace('-', '_')} running"
            until(said, partial(car.has_said, name, said))


def test_a_greengrass_recipe_runs_as_a_process(tmp_path: Path):
    theirs = shared("edge/greengrass/com.amazon.aws.IoTFleetWise-1.0.0.json")
    root = tmp_path / "greengrass"
    (made,) = imported("greengrass", theirs, tmp_path / "ours", "--root", root)
    program = next(
        Path(word) for word in made.read_text().split() if word.endswith("aws-iot-fleetwise-edge")
    )
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "with $1 and $RMW_IMPLEMENTATION"\nexec sleep 3600\n')
    program.chmod(0o755)
    for folder in (tmp_path, *program.parents):
        if folder.is_relative_to(tmp_path.parents[1]):
            folder.chmod(0o755)  # a service has a user of its own

    log = drive(tmp_path / "drive.log", seconds=60)
    with vehicle(tmp_path, log, processes=(made.stem,)) as car:
        car.services("apply", made, "--wait")

        assert car.statuses()[made.stem]["is_isolated"] is False
        until(
            "its words",
            lambda: (
                "config-0.json and rmw_cyclonedds_cpp" in car.services("logs", made.stem).stdout
            ),
        )
        assert "not isolated" in car.services("list").stdout


def test_a_process_that_the_vehicle_does_not_allow_is_refused(tmp_path: Path):
    theirs = shared("edge/greengrass/com.amazon.aws.IoTFleetWise-1.0.0.json")
    (made,) = imported("greengrass", theirs, tmp_path / "ours", "--root", tmp_path / "greengrass")

    with vehicle(tmp_path, drive(tmp_path / "drive.log", seconds=60)) as car:
        refused = car.services("apply", made, check=False)

        assert refused.returncode == 1
        assert made.stem in refused.stderr
        assert car.statuses() == {}
