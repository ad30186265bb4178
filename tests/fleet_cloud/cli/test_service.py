"""`fleet-cloud service` and `image` on a registry of their own, without a running cloud."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import fleet_cloud.cli
from fairway.clock import SystemClock
from fairway.control import ServiceStatus
from fairway.services.states import State, Sub
from fleet_cloud.adapters.fleet_files import open_artifacts, open_fleet
from fleet_cloud.cli import service
from fleet_cloud.config import Config
from fleet_cloud.control.ports import Vehicle
from fleet_cloud.control.targets import Facts
from fleet_cloud.services.model import Said
from fleet_cloud.vehicles.registry import Vehicle as RegisteredVehicle
from fleet_cloud.vehicles.registry import VehicleState
from tests.small_image import small_image, write_layout

IMAGE = small_image(b"#!/bin/sh\n")
NOW = SystemClock().now_ns()
VIN1 = Vehicle("default", "VIN1")
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one vehicle, to be copied: its keys and tables take longest."""
    folder = tmp_path_factory.mktemp("made") / "data"
    with open_fleet(Config(data_dir=folder)) as fleet:
        active = VehicleState.ACTIVE
        fleet.registry.vehicles.add(RegisteredVehicle("VIN1", "default", active, NOW, None))
        fleet.registry.plan.put_facts(VIN1, Facts({}, frozenset({"north", "east"})))
    return folder


@pytest.fixture
def config(made: Path, tmp_path: Path) -> Config:
    shutil.copytree(made, tmp_path / "data")
    return Config(data_dir=tmp_path / "data")


@pytest.fixture
def run(tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command, and returns its status and what it said."""
    assert config.folder.exists()
    (tmp_path / "cloud.toml").write_text("")
    manifest(tmp_path)

    def run(*words: str | Path) -> tuple[int, str]:
        where = ["--config", str(tmp_path / "cloud.toml"), "--data", str(tmp_path / "data")]
        status = fleet_cloud.cli.main([*map(str, words), *where])
        said = capsys.readouterr()
        return status, (said.out + said.err).strip()

    return run


def manifest(folder: Path, version: str = "1.2.0") -> Path:
    file = folder / "watch.yaml"
    file.write_text(f"name: tyre-watch\nversion: {version}\nimage: {IMAGE.digest}\n")
    return file


def test_a_service_goes_from_a_file_to_its_end(run: Run, tmp_path: Path):
    status, said = run("service", "apply", tmp_path / "watch.yaml", "--fleet", "north")
    assert status == 0
    assert "tyre-watch 1.2.0 is in force for fleet north" in said
    assert "not here yet: fleet-cloud image push LAYOUT" in said
    id_ = said.split(":")[0]

    assert run("service", "list")[1].startswith(f"{id_}  tyre-watch")
    (listed,) = json.loads(run("service", "list", "--json")[1])
    assert listed["in_force"]["manifest"]["image"] == IMAGE.digest
    assert run("service", "remove", id_[:6]) == (0, "tyre-watch of fleet north is REMOVED")
    assert run("service", "list")[1].startswith("no services yet")


def test_where_approval_is_demanded_somebody_else_gives_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cloud.toml").write_text('[services]\napproval = ["default"]\n')
    said = run("service", "apply", tmp_path / "watch.yaml", "--vehicle", "VIN1")[1]
    assert "waits for approval" in said
    id_ = said.split(":")[0]

    status, said = run("service", "approve", id_)
    assert status == 1
    assert "somebody else approves it" in said
    monkeypatch.setattr(service, "actor", lambda: "cli:bob")
    assert run("service", "approve", id_) == (0, "tyre-watch of vehicle VIN1 is IN_FORCE")
    run("service", "apply", manifest(tmp_path, "1.3.0"), "--vehicle", "VIN1")
    assert "1.2.0, 1.3.0 waits for approval" in run("service", "list")[1]
    assert run("service", "withdraw", id_)[0] == 0
    assert "waits" not in run("service", "list")[1]


def test_what_a_vehicle_is_to_run_and_says_is_shown_with_conflicts(
    run: Run, tmp_path: Path, config: Config
):
    run("service", "apply", manifest(tmp_path, "1.0.0"), "--fleet", "north")
    run("service", "apply", manifest(tmp_path, "2.0.0"), "--fleet", "east")
    said = run("service", "status", "VIN1")[1]
    assert "desired  tyre-watch 1.0.0  by fleet north" in said
    assert "conflict: tyre-watch 1.0.0 of fleet north holds" in said
    assert "VIN1 has not said that it runs services" in said

    told = ServiceStatus(
        "tyre-watch", "1.0.0", State.PENDING, Sub.STARTING, "it waits", bad=("2.0.0",)
    )
    with open_fleet(config) as fleet:
        fleet.registry.service_statuses.note_services([Said(VIN1, 3, (told,), NOW)], ())
    line = "tyre-watch 1.0.0 Pending(Starting)  bad: 2.0.0; it waits"
    assert line in run("service", "status", "VIN1")[1]
    asked = json.loads(run("service", "status", "VIN1", "--json")[1])
    assert asked["services"][0]["state"] == "Pending"
    id_ = run("service", "list")[1].split()[0]
    assert run("service", "vehicles", id_)[1].endswith(line)


def test_nobody_is_asked_who_runs_no_services_or_is_not_there(run: Run):
    for verb in ("logs", "why", "restart", "stop"):
        status, said = run("service", verb, "VIN1", "tyre-watch")
        assert (status, "has not said that it runs services" in said) == (1, True)
    assert "no vehicle is called VIN9" in run("service", "logs", "VIN9", "tyre-watch")[1]


def test_a_vehicle_that_does_not_answer_is_said(
    run: Run, config: Config, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "ANSWER_WAIT_S", 0.05)
    with open_fleet(config) as fleet:
        fleet.registry.service_statuses.note_services([Said(VIN1, 0, (), NOW)], ())

    status, said = run("service", "logs", "VIN1", "tyre-watch", "--lines", "5")

    assert (status, "it may be away" in said) == (1, True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: [", "watch.yaml"),
        ("name: tyre-watch\nversion: '1'\nimage: latest\n", "name it by digest"),
        ("name: tyre-watch\nversion: '1'\nholograms: true\n", "holograms"),
    ],
)
def test_a_manifest_that_no_vehicle_could_run_goes_nowhere(
    run: Run, tmp_path: Path, text: str, sentence: str
):
    (tmp_path / "watch.yaml").write_text(text)

    status, said = run("service", "apply", tmp_path / "watch.yaml", "--fleet", "north")

    assert (status, sentence in said) == (1, True)
    assert run("service", "list")[1].startswith("no services yet")


def test_a_service_is_for_one_target(run: Run, tmp_path: Path):
    for more in ([], ["--fleet", "north", "--vehicle", "VIN1"]):
        status, said = run("service", "apply", tmp_path / "watch.yaml", *more)
        assert (status, "whom is it for?" in said) == (1, True)


def test_an_image_is_pushed_and_then_known(run: Run, tmp_path: Path, config: Config):
    layout = write_layout(tmp_path / "layout", IMAGE, "tyre-watch:1.2.0")
    status, said = run("image", "push", layout)
    assert status == 0, said
    assert said.startswith(IMAGE.digest)
    assert said.endswith("tyre-watch:1.2.0")
    artifacts = open_artifacts(config)
    assert {digest: artifacts.read(digest, 0, 10**6) for digest in IMAGE.blobs} == IMAGE.blobs

    assert run("image", "push", layout)[0] == 0  # again
    assert IMAGE.digest in run("image", "list")[1]
    (listed,) = json.loads(run("image", "list", "--json")[1])
    assert len(listed["parts"]) == 2
    applied = run("service", "apply", tmp_path / "watch.yaml", "--fleet", "north")[1]
    assert "not here yet" not in applied


@pytest.mark.parametrize("damage", ["layer", "config", "manifest", "missing"])
def test_an_image_that_is_not_what_it_says_is_not_kept(run: Run, tmp_path: Path, damage: str):
    layout = write_layout(tmp_path / "layout", IMAGE)
    (layer,) = IMAGE.layers
    (config,) = set(IMAGE.blobs) - {layer, IMAGE.digest}
    named = {"layer": layer, "config": config, "manifest": IMAGE.digest, "missing": layer}[damage]
    blob = layout / "blobs" / "sha256" / named.removeprefix("sha256:")
    if damage == "missing":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:-1] + b"!")

    status, said = run("image", "push", layout)

    assert status == 1, said
    assert named.removeprefix("sha256:") in said
    assert run("image", "list")[1].startswith("no images yet")
