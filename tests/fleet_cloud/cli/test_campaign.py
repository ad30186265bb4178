"""`fleet-cloud campaign` and `vehicle set` on a registry of their own, without a running cloud."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fleet_cloud.cli
from fairway.clock import SystemClock
from fairway.control import CampaignState, CampaignStatus, CheckIn
from fairway.samples import Signal, SignalTable
from fairway.wire.telemetry import dictionary_of
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.fleet_files import open_fleet
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.cli import campaign
from fleet_cloud.config import Config
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.vehicles.registry import Vehicle as RegisteredVehicle
from fleet_cloud.vehicles.registry import VehicleState

DOCUMENT = {
    "name": "speed",
    "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
    "signalsToCollect": [{"name": "Vehicle.Speed"}, {"name": "Vehicle.Gear"}],
}
NOW = SystemClock().now_ns()
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command, and returns its status and what it said."""
    (tmp_path / "cloud.toml").write_text("[campaigns]\nself_approval = true\n")
    (tmp_path / "speed.json").write_text(json.dumps(DOCUMENT))
    with open_fleet(Config(data_dir=tmp_path / "data")) as fleet:
        active = VehicleState.ACTIVE
        fleet.registry.vehicles.add(RegisteredVehicle("VIN1", "default", active, NOW, None))

    def run(*words: str | Path) -> tuple[int, str]:
        where = ["--config", str(tmp_path / "cloud.toml"), "--data", str(tmp_path / "data")]
        status = fleet_cloud.cli.main([*map(str, words), *where])
        said = capsys.readouterr()
        return status, (said.out + said.err).strip()

    return run


def test_a_campaign_goes_from_a_file_to_its_end(run: Run, tmp_path: Path):
    added = run("campaign", "add", tmp_path / "speed.json", "--vehicle", "VIN1")
    assert added[1].startswith("speed waits for approval")
    assert run("campaign", "start", "speed")[0] == 1
    states = [
        run("campaign", verb, "speed")[1] for verb in ("approve", "start", "suspend", "resume")
    ]
    listed = json.loads(run("campaign", "list", "--json")[1])
    deleted = run("campaign", "delete", "speed")

    assert states == [
        "speed is APPROVED",
        "speed is RUNNING, 100 % of its targets",
        "speed is SUSPENDED, 100 % of its targets",
        "speed is RUNNING, 100 % of its targets",
    ]
    assert [(one["name"], one["state"], one["campaign"]) for one in listed] == [
        ("speed", "RUNNING", DOCUMENT)
    ]
    assert deleted == (0, "speed is DELETED")
    assert run("campaign", "list") == (0, "no campaigns yet: fleet-cloud campaign add FILE")


def test_a_campaign_is_shown_with_what_vehicles_say_of_it(run: Run, tmp_path: Path):
    run("vehicle", "set", "VIN1", "--attributes", "model=ID.4", "year=2024", "--fleets", "north")
    run("campaign", "add", tmp_path / "speed.json", "--query", 'model == "ID.4" and year == 2024')
    catalogue = dictionary_of(SignalTable((Signal("Vehicle.Speed"),)))
    with open_fleet(Config(data_dir=tmp_path / "data")) as fleet:
        kept = fleet.registry.plan.campaign("default", "speed")
        assert kept is not None
        KeptCatalogues(fleet.registry.dictionaries).keep_catalogue("default", catalogue)
        status = CampaignStatus(kept.sync_id, CampaignState.REFUSED, "too many", ("budget",))
        said = CheckIn("1.0", NOW, campaigns=(status,), catalogue_id=catalogue.id)
        fleet.registry.said.note([CheckedIn(Vehicle("default", "VIN1"), said, NOW)])

    checked = run("campaign", "check", "speed")[1].splitlines()
    shown = run("campaign", "show", "speed")[1].splitlines()
    assert checked == [
        "speed is for 1 vehicles: 0 whole, 1 partly, 0 not, 0 unknown",
        "  1 lack Vehicle.Gear",
    ]
    assert json.loads(run("campaign", "check", "speed", "--json")[1])["counts"]["partly"] == 1
    assert shown[2:] == ["vehicles: 1 refused", "brought: 0 events, 0 samples, 0 bytes"]
    assert json.loads(run("campaign", "show", "speed", "--json")[1])["vehicles"] == {"refused": 1}
    (line,) = run("campaign", "vehicles", "speed")[1].splitlines()
    assert line.split() == ["VIN1", "refused", "0", "triggers", "too", "many;", "budget"]
    (row,) = json.loads(run("campaign", "vehicles", "speed", "--json")[1])
    assert (row["vehicle"], row["reason"]) == ("VIN1", "too many")


def test_what_cannot_be_is_said_in_a_sentence(run: Run, tmp_path: Path):
    (tmp_path / "broken.json").write_text("{")
    wrong = [
        run("campaign", "add", tmp_path / "broken.json"),
        run("campaign", "add", tmp_path / "none.json"),
        run("campaign", "add", tmp_path / "speed.json"),
        run("campaign", "add", tmp_path / "speed.json", "--vehicle", "A", "--fleet", "B"),
        run("campaign", "show", "none"),
        run("vehicle", "set", "none"),
        run("vehicle", "set", "VIN1", "--attributes", "year"),
    ]

    assert [status for status, _ in wrong] == [1] * 7
    sentences = [said.removeprefix("fleet-cloud: ") for _, said in wrong]
    assert "broken.json is no JSON: Expecting property name" in sentences[0]
    assert "cannot read" in sentences[1]
    assert sentences[2].startswith("target: whom is it for?")
    assert sentences[3].startswith("give one of --vehicle")
    assert sentences[4].startswith("no campaign is called none")
    assert sentences[5].startswith("no vehicle called none")
    assert sentences[6].startswith("'year' is no attribute")


def test_a_staged_campaign_is_raised_by_hand(run: Run, tmp_path: Path):
    staged = {"campaign": DOCUMENT, "stages": [{"percent": 5}, {"percent": 50, "after_s": 9}]}
    (tmp_path / "staged.json").write_text(json.dumps(staged))
    run("campaign", "add", tmp_path / "staged.json", "--fleet", "north")
    for verb in ("approve", "start"):
        run("campaign", verb, "speed")

    assert run("campaign", "stage", "speed", "25")[1] == "speed is RUNNING, 25 % of its targets"
    assert run("campaign", "stage", "speed", "10")[0] == 1


def test_a_vehicle_that_is_away_does_not_say_why(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(campaign, "WHY_WAIT_S", 0.2)
    run("campaign", "add", tmp_path / "speed.json", "--vehicle", "VIN1")
    status, said = run("campaign", "why", "speed", "VIN1")

    assert (status, "has not answered" in said) == (1, True)
