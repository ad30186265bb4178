"""Images on their way through a vehicle, with the programs that people use: built, loaded, run, collected."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import run, until
from tests.e2e.services_site import ServiceVehicle, digest_of, vehicle
from tests.images import Made, file, layer, layout

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

MANIFEST = """\
name: sleeper
version: 1.0.0
image: docker.io/alpine:latest
command: [/bin/busybox, sh, -c, "trap 'exit 0' TERM; /bin/busybox sleep 1000 & wait"]
"""


@pytest.fixture
def car(tmp_path: Path) -> Iterator[ServiceVehicle]:
    log = tmp_path / "drive.log"
    run("vehicle-sim", "drive", "--cycle", "us06", "--seconds", "2", "--to", f"log:{log}")
    with vehicle(tmp_path, log, speed=0.01) as made:
        yield made


def listed(car: ServiceVehicle) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(car.services("images", "list", "--json").stdout)
    return found


def test_an_image_is_loaded_run_by_its_name_kept_while_it_is_needed_and_then_collected(
    car: ServiceVehicle, busybox: Path
):
    assert json.loads(car.services("images", "load", busybox, "--json").stdout) == [
        digest_of(busybox)
    ]
    (held,) = listed(car)
    assert (held["digest"], held["names"]) == (digest_of(busybox), ["docker.io/alpine:latest"])
    manifest = car.folder / "sleeper.yaml"
    manifest.write_text(MANIFEST)
    car.services("apply", manifest)
    car.until("sleeper", "Running")

    car.services("images", "collect")
    assert [one["digest"] for one in listed(car)] == [digest_of(busybox)]
    assert car.statuses()["sleeper"]["state"] == "Running"

    car.services("remove", "sleeper")
    until("the end of it", lambda: "sleeper" not in car.statuses())
    car.services("images", "collect")
    assert listed(car) == []


def test_an_image_that_is_out_to_harm_is_refused_in_one_sentence(car: ServiceVehicle):
    bad = layout(car.folder / "bad", Made([layer(file("../../etc/cron.d/mine"))]))

    said = car.services("images", "load", bad, check=False)

    assert said.returncode == 1
    assert said.stderr.splitlines()[-1].startswith("edge-agent: '../../etc/cron.d/mine' leads up")
    assert listed(car) == []
