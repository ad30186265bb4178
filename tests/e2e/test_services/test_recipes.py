"""Greengrass components in a real vehicle: steps in their order, startup and shutdown, what is refused."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import run, until
from tests.e2e.services_site import vehicle
from tests.e2e.test_services.test_imports import imported
from tests.shared_data import missing, shared


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a folder that a service's own user can pass."""
    if os.geteuid() != 0:
        missing("processes get a user of their own from root alone")
    with tempfile.TemporaryDirectory(prefix="recipes-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_customer_app_waits_for_what_it_depends_on_and_says_hello(place: Path):
    theirs = shared("edge/greengrass/CustomerApp-1.0.0.yaml")
    (app,) = imported("greengrass", theirs, place / "ours")
    for name in ("mosquitto", "classservice"):
        (place / f"{name}.yaml").write_text(
            f"name: {name}\nversion: 1.0.0\nrunner: process\ncommand: [/bin/sleep, '1000']\n"
        )
    names = ("customerapp", "mosquitto", "classservice")

    with vehicle(place, drive(place / "drive.log", seconds=60), processes=names) as car:
        refused = car.services("apply", app, check=False)
        assert refused.returncode == 1
        assert "which is not declared" in refused.stderr

        car.services("apply", app, place / "mosquitto.yaml", place / "classservice.yaml")
        car.until("customerapp", "Succeeded")
        assert car.statuses()["mosquitto"]["state"] == "Running"
        assert "Hello Greengrass. This is a test" in car.services("logs", "customerapp").stdout


def test_steps_run_one_after_the_other_and_shutdown_at_the_end(place: Path):
    (place / "lamp.yaml").write_text("""\
RecipeFormatVersion: '2020-01-25'
ComponentName: Lamp
ComponentVersion: 1.0.0
Manifests:
  - Lifecycle:
      install: echo "installing as $(id -u)"
      startup: echo "starting"
      shutdown: echo "stopping"
""")
    ours = imported("greengrass", place / "lamp.yaml", place / "ours")
    names = tuple(path.stem for path in ours)
    assert names == ("lamp-install", "lamp")

    with vehicle(place, drive(place / "drive.log", seconds=60), processes=names) as car:
        car.services("apply", *ours)
        car.until("lamp", "Running")
        assert car.statuses()["lamp-install"]["state"] == "Succeeded"
        said = car.services("logs", "lamp-install").stdout
        assert "installing as" in said
        assert "installing as 0" not in said

        car.services("stop", "lamp")
        until("stopping", lambda: "stopping" in car.services("logs", "lamp").stdout)
        assert "starting" in car.services("logs", "lamp").stdout


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ("CustomerAppStartupShutdown-1.0.0.yaml", "RequiresPrivilege would run it as root"),
        ("HelloWorld-1.0.0.yaml", "there is nothing to run"),
        ("ComponentWithCircularDependency-1.0.0.yaml", "it depends on itself"),
    ],
)
def test_a_recipe_that_cannot_run_here_is_refused_with_one_sentence(recipe: str, reason: str):
    refused = run(
        "edge-agent",
        "services",
        "import",
        "greengrass",
        shared(f"edge/greengrass/{recipe}"),
        check=False,
    )

    assert refused.returncode == 1
    assert reason in refused.stderr
    assert refused.stdout == ""
