"""What a manifest does not say is denied inside a real container, and people see it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.adapters.edge_audit import read
from tests.containers import need
from tests.e2e.programs import run, until
from tests.e2e.services_site import ServiceVehicle, digest_of, vehicle
from tests.shared_data import ROOT

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

SERVICE = Path(__file__).with_name("denied_service.py")
VIN = "Vehicle.VehicleIdentification.VIN"
MANIFEST = """\
name: {name}
version: 1.0.0
image: {image}
command: [/usr/bin/python3, /app/denied_service.py, {name}]
resources: {{memory_max: 64MiB, cpu_max: 1.0}}
signals: {{read: [Vehicle.Speed]}}
"""
OFFERS = "offers: [{name: battery.health, version: 1.2.0, socket: health.sock, to: [trip-log]}]\n"
USES = "uses: [{name: battery.health, version: ^1.2}]\n"


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceVehicle]:
    """A vehicle in which battery, trip-log and nosy run."""
    need("runc")
    folder = tmp_path_factory.mktemp("denied")
    app = folder / "app"
    app.mkdir()
    (app / SERVICE.name).write_bytes(SERVICE.read_bytes())
    run(
        "fairway", "image", "build", "--python", "--package", "grpcio", "--package", "protobuf",
        "--layer", f"{ROOT}/fairway/foreign/kuksa:app/fairway/foreign/kuksa", "--layer", f"{app}:app",
        "--entrypoint", "/usr/bin/python3 /app/denied_service.py", "--env", "PYTHONPATH=/app",
        "--name", "denied:1.0.0", "--output", folder / "image",
    )  # fmt: skip
    log = folder / "drive.log"
    run("vehicle-sim", "drive", "--cycle", "us06", "--seconds", "5", "--to", f"log:{log}")
    with vehicle(folder, log, speed=0.01) as made:
        made.services("images", "load", folder / "image")
        for name, more in {"battery": OFFERS, "trip-log": USES, "nosy": USES}.items():
            manifest = folder / f"{name}.yaml"
            manifest.write_text(
                MANIFEST.format(name=name, image=digest_of(folder / "image")) + more
            )
            made.services("apply", manifest)
        yield made


def seen(car: ServiceVehicle, name: str) -> dict[str, Any]:
    """Return what a service says that it reached."""

    def said() -> list[str]:
        lines = car.services("logs", name).stdout.splitlines()
        return [line[line.index("{") :] for line in lines if '{"offer"' in line]

    until(f"{name} says something", lambda: bool(said()), within_s=120)
    found: dict[str, Any] = json.loads(said()[0])
    return found


def test_a_signal_outside_the_manifest_is_denied_and_the_denial_is_visible(car: ServiceVehicle):
    told = seen(car, "nosy")

    assert told["speed"][0] == "OK"
    assert told["vin"] == [
        "PERMISSION_DENIED",
        f"the manifest of nosy does not say that it may read {VIN}",
    ]
    (denied,) = [one for one in denials(car, "nosy") if one["what"] == VIN]
    assert (denied["action"], denied["count"]) == ("read", 1)
    audit = car.folder / "services" / "audit.jsonl"
    until("the audit", lambda: VIN in audit.read_text())
    (line,) = [
        one for one in read(audit) if one["object"] == VIN and one["actor"] == "service:nosy"
    ]
    assert (line["action"], line["outcome"]) == ("signal.read", "denied")
    assert oct(audit.stat().st_mode)[-3:] == "600"


def test_one_service_calls_another_where_both_manifests_agree(car: ServiceVehicle):
    told = seen(car, "trip-log")

    assert told["offer"] == "97.5"
    assert told["uses"] == ["battery.health"]


def test_and_not_where_one_does_not(car: ServiceVehicle):
    told = seen(car, "nosy")

    assert told["offer"] == "FileNotFoundError"
    assert told["uses"] == []
    assert told["sockets"] == ["agent.sock", "keys.jwks", "token", "uses"]
    until("nosy's call", lambda: any(one["action"] == "call" for one in denials(car, "nosy")))
    (call,) = [one for one in denials(car, "nosy") if one["action"] == "call"]
    assert call["what"] == "battery.health"
    assert "not to nosy" in call["why"]
    assert not any(one["action"] == "call" for one in denials(car, "trip-log"))


def denials(car: ServiceVehicle, name: str) -> list[dict[str, Any]]:
    why = json.loads(car.services("why", name, "--json").stdout)
    found: list[dict[str, Any]] = why["denied"]
    return found
