"""The sample services in real containers: tried on a drive, and run together in a vehicle."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.errors import Unavailable
from tests.e2e.drives_with_faults import drive
from tests.e2e.programs import run, until
from tests.e2e.services_site import DBC, OVERLAYS, SAMPLES, ServiceVehicle, digest_of, vehicle

AROUND = [
    "--dbc", f"can0={DBC}/fairway_ev.dbc", "--catalog", DBC / "fairway_vss.json",
    *(word for path in OVERLAYS for word in ("--overlay", path)),
]  # fmt: skip


def tried(manifest: Path, image: Path, log: Path, *more: object):
    """Run `edge-agent services try`, and return its exit code and what it says."""
    words = [str(one) for one in (*AROUND, *more)]
    done = run(
        "edge-agent", "services", "try", "--manifest", manifest, "--image", image, "--log", log,
        "--speed", "30", "--settle-s", "1", "--json", *words, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    return drive(folder / "drive.log", seconds=240, leaks_kpa_per_h={"Row2.Right": 400.0})


def test_the_image_that_goes_into_cars_is_tried_on_a_recorded_drive(images, leaking, tmp_path):
    expect = tmp_path / "expect.yaml"
    expect.write_text(
        "signals:\n"
        "  - {path: Vehicle.Private.TyreWatch.IsLeaking, last: true, count_min: 20}\n"
        "  - {path: Vehicle.Private.TyreWatch.Wheel, last: Row2.Right}\n"
        "  - {path: Vehicle.Private.TyreWatch.LeakRate, min: 0, max: 600}\n"
        "memory_max_bytes: 67108864\n"
    )
    manifest = SAMPLES / "tyre_pressure" / "manifest.yaml"

    code, told = tried(manifest, images["tyre-watch"], leaking, "--expect", expect)

    assert (code, told["findings"]) == (0, [])
    (ran,) = told["ran"]
    assert (ran["restarts"], ran["failures"], ran["was_ready"]) == (0, 0, True)
    assert 5_000_000 < ran["memory_peak_bytes"] < 67_108_864
    assert any("alarm" in line for line in told["logs"]["tyre-watch"])


def test_what_its_manifest_forgot_is_denied_and_told(images, leaking, tmp_path):
    manifest = tmp_path / "tyres.yaml"
    text = (SAMPLES / "tyre_pressure" / "manifest.yaml").read_text()
    manifest.write_text(text.replace("    - Vehicle.Chassis.Axle.*.Wheel.*.Tire.Temperature\n", ""))

    code, told = tried(manifest, images["tyre-watch"], leaking)

    assert code == 1
    assert any("was denied read Vehicle.Chassis.Axle" in one for one in told["findings"])
    assert any("crashed" in one for one in told["findings"])  # it says so, and ends


def test_an_expectation_that_is_not_met_fails(images, leaking, tmp_path):
    expect = tmp_path / "expect.yaml"
    expect.write_text("signals: [{path: Vehicle.Private.BatteryHealth.StateOfHealth}]\n")
    manifest = SAMPLES / "battery_health" / "manifest.yaml"

    code, told = tried(manifest, images["battery-health"], leaking, "--expect", expect)

    assert code == 1
    assert told["findings"] == ["Vehicle.Private.BatteryHealth.StateOfHealth was never published"]
    resistance = told["published"]["Vehicle.Private.BatteryHealth.InternalResistance"]
    assert abs(resistance["last"] - 85.0) < 6.0  # of the simulated pack, in mOhm


@pytest.fixture(scope="module")
def car(images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceVehicle]:
    folder = tmp_path_factory.mktemp("car")
    log = drive(folder / "drive.log", seconds=3600)
    with vehicle(folder, log, speed=10.0) as made:
        for image in images.values():
            made.services("images", "load", image)
        yield made


def test_both_run_in_a_vehicle_and_one_asks_the_other(car: ServiceVehicle, images):
    manifests = [SAMPLES / name / "manifest.yaml" for name in ("battery_health", "tyre_pressure")]

    said = car.services("apply", *manifests, "--wait")

    assert f"image tyre-watch:1.0.0 is {digest_of(images['tyre-watch'])}" in said.stderr
    assert {one["is_ready"] for one in car.statuses().values()} == {True}
    assert {one["is_isolated"] for one in car.statuses().values()} == {True}
    until(
        "an answer of battery-health",
        lambda: car.has_said("tyre-watch", "battery.health: parked for"),
    )
    assert car.asked("why", name="tyre-watch")["denied"] == []


def test_services_outlive_the_agent_and_the_next_one_adopts_them(car: ServiceVehicle):
    car.services("apply", SAMPLES / "battery_health" / "manifest.yaml", "--wait")
    before = car.asked("why", name="battery-health")

    car.agent.kill()
    car.agent.start()

    def adopted() -> bool:
        try:
            return bool(car.statuses()["battery-health"]["is_ready"])
        except Unavailable:
            return False

    until("the next agent", adopted, within_s=60)
    after = car.asked("why", name="battery-health")
    assert after["in_force"] == before["in_force"]
    assert (after["restarts"], after["failures"]) == (0, 0)
    assert car.services("logs", "battery-health").stdout.count("started") == 1


def test_a_service_is_stopped_and_its_data_outlives_it(car: ServiceVehicle):
    car.services("apply", SAMPLES / "battery_health" / "manifest.yaml", "--wait")

    car.services("stop", "battery-health")
    car.until("battery-health", "NotScheduled")

    (learned,) = (car.folder / "services" / "data" / "battery-health").rglob("learned.json")
    assert "resistance" in json.loads(learned.read_text())
