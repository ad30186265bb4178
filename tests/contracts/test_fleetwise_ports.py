"""What the door of FleetWise's agents may rely on: manifests, campaigns, states, from every keeper of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fairway.campaign.model import Campaign, TimeBased
from fairway.clock import SystemClock
from fairway.control import (
    Answer,
    AnswerState,
    CampaignList,
    CampaignOrder,
    Catalogue,
    CatalogueWanted,
    CheckIn,
    Command,
    FromVehicle,
    SnapshotState,
    StateReport,
    StateTemplate,
    StateTemplateList,
)
from fairway.errors import BadInput, Unavailable
from fairway.samples import Signal, SignalTable
from fairway.wire.control import from_vehicle_from_bytes, to_vehicle_to_bytes
from fairway.wire.telemetry import dictionary_of
from fleet_cloud.adapters.fleetwise_control import Doors, FleetWiseControl
from fleet_cloud.adapters.fleetwise_manifests import ManifestFiles, Model
from fleet_cloud.adapters.memory_fleetwise import MemoryCampaigns, MemoryManifests, MemoryStates
from fleet_cloud.fleetwise.ports import Campaigns, Manifests, NamedManifest, States

TENANTS = {"V1": "a", "V2": "a", "W1": "b"}
ORDER = CampaignOrder("beat@1", Campaign("beat", TimeBased(1000)))
TEMPLATES = StateTemplateList(4, (StateTemplate("drive", ("Vehicle.A",)),))
CATALOGUE = dictionary_of(SignalTable((Signal("Vehicle.A"),)))


def document(name: str, *signals: str) -> dict[str, object]:
    decoders = [
        {
            "fullyQualifiedName": signal,
            "interfaceId": "X",
            "type": "CUSTOM_DECODING_SIGNAL",
            "customDecodingSignal": {"id": signal},
        }
        for signal in signals
    ]
    return {"name": name, "decoders": decoders, "nodes": []}


def model(said: Any) -> Model:
    return Model(said["name"], json.dumps(said), lambda: (said["decoders"], said["nodes"]))


Give = Callable[[str, dict[str, object]], None]


def _memory(_folder: Path) -> tuple[Manifests, Give]:
    manifests = MemoryManifests()

    def give(vehicle, said):
        made = ManifestFiles(_folder, lambda: TENANTS, lambda _vehicle: model(said))
        found = made.of_vehicle(vehicle)
        assert found is not None
        manifests.give(vehicle, found)

    return manifests, give


def _files(folder: Path) -> tuple[Manifests, Give]:
    def give(vehicle, said):
        (folder / f"{vehicle}.json").write_text(json.dumps(said))

    return ManifestFiles(folder, lambda: TENANTS), give


def _models(folder: Path) -> tuple[Manifests, Give]:
    models: dict[str, Model] = {}

    def give(vehicle, said):
        models[vehicle] = model(said)

    return ManifestFiles(folder, lambda: TENANTS, models.get), give


@pytest.fixture(params=[_memory, _files, _models])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Manifests, Give]:
    made: tuple[Manifests, Give] = request.param(tmp_path)
    return made


def of(manifests: Manifests, vehicle: str) -> NamedManifest:
    found = manifests.of_vehicle(vehicle)
    assert found is not None
    return found


def test_a_vehicle_has_the_manifest_that_it_was_given_last(keeper: tuple[Manifests, Give]):
    manifests, give = keeper
    assert manifests.of_vehicle("V1") is None

    give("V1", document("car", "Vehicle.A"))
    first = of(manifests, "V1")
    give("V1", document("car", "Vehicle.A", "Vehicle.B"))
    second = of(manifests, "V1")

    assert first.manifest.sync_id != second.manifest.sync_id
    assert second.names.id("Vehicle.B") == 2
    assert manifests.of_vehicle("V2") is None


def test_a_manifest_that_was_replaced_is_known_as_long_as_events_of_it_may_come(
    keeper: tuple[Manifests, Give],
):
    manifests, give = keeper
    give("V1", document("car", "Vehicle.A"))
    sync_id = of(manifests, "V1").manifest.sync_id
    give("V1", document("car", "Vehicle.B"))
    of(manifests, "V1")

    found = manifests.called("V1", sync_id)

    assert found is not None
    assert found.names.id("Vehicle.A") == 1
    assert manifests.called("V1", "car@nobody") is None
    assert manifests.called("W1", sync_id) is None  # of another tenant


def test_manifests_outlive_the_process(tmp_path: Path):
    manifests, give = _files(tmp_path)
    give("V1", document("car", "Vehicle.A"))
    sync_id = of(manifests, "V1").manifest.sync_id
    (tmp_path / "V1.json").unlink()

    found = ManifestFiles(tmp_path, lambda: TENANTS).called("V1", sync_id)

    assert found is not None
    assert found.manifest.sync_id == sync_id


@pytest.mark.parametrize("content", ["{", "[]", '{"name": 1}', '{"name": "a", "decoders": [{}]}'])
def test_a_file_that_says_nothing_is_named(tmp_path: Path, content: str):
    (tmp_path / "default.json").write_text(content)

    with pytest.raises(BadInput):
        ManifestFiles(tmp_path, lambda: TENANTS).of_vehicle("V1")


@dataclass
class Thread:
    """Stands where the control thread stands, and notes what it is offered."""

    said: list[FromVehicle] = field(default_factory=list)
    is_full: bool = False

    def offer(self, vehicle, data, door):
        if self.is_full:
            return False
        self.said.append(from_vehicle_from_bytes(data))
        return True


@dataclass
class Agents:
    """Stands where the door stands."""

    told: list[str] = field(default_factory=list)
    refuses: str = ""

    def changed(self, vehicles):
        self.told += vehicles

    def command(self, vehicle, command):
        if self.refuses:
            raise BadInput(self.refuses)
        self.told.append(command.id)


def beside() -> tuple[FleetWiseControl, Thread, Agents]:
    thread, agents = Thread(), Agents()
    control = FleetWiseControl(thread, SystemClock())
    control.serve(agents)
    return control, thread, agents


def _memory_states() -> tuple[Campaigns, States, Callable[[], None]]:
    campaigns, states = MemoryCampaigns(), MemoryStates()

    def tell():
        campaigns.order("V1", ORDER)
        states.give("V1", TEMPLATES)

    return campaigns, states, tell


def _control_states() -> tuple[Campaigns, States, Callable[[], None]]:
    control, _, _ = beside()

    def tell():
        control.checked_in("V1", CheckIn("1", 1), CATALOGUE)
        for noun in (CampaignList(3, (ORDER,)), TEMPLATES):
            assert control.send_control("V1", to_vehicle_to_bytes(noun))

    return control, control, tell


@pytest.mark.parametrize("make", [_memory_states, _control_states])
def test_a_vehicle_is_to_have_what_it_was_told_and_may_say_what_it_likes(make):
    campaigns, states, tell = make()
    tell()

    assert list(campaigns.orders("V1")) == [ORDER]
    assert states.templates("V1") == TEMPLATES
    campaigns.checked_in("V1", CheckIn("1", 1), CATALOGUE)
    states.heard("V1", StateReport("drive", ()))
    states.heard("V1", Answer("c1", AnswerState.SUCCEEDED))
    assert not campaigns.orders("V2")


def test_the_control_thread_hears_of_an_agent_as_of_any_vehicle():
    control, thread, agents = beside()
    assert control.orders("V1") is None
    assert not control.send_control("V1", to_vehicle_to_bytes(TEMPLATES))  # never heard of

    control.checked_in("V1", CheckIn("1", 1), CATALOGUE)
    control.send_control("V1", to_vehicle_to_bytes(CatalogueWanted()))
    control.send_control("V1", to_vehicle_to_bytes(CampaignList(3, (ORDER,))))
    control.checked_in("V1", CheckIn("1", 2), CATALOGUE)

    first, catalogue, second = thread.said
    assert isinstance(first, CheckIn)
    assert isinstance(catalogue, Catalogue)
    assert isinstance(second, CheckIn)
    assert (first.campaigns_revision, second.campaigns_revision) == (0, 3)
    assert first.catalogue_id == catalogue.dictionary.id == CATALOGUE.id
    assert agents.told == ["V1"]


def test_a_command_that_agents_cannot_do_is_answered_in_their_place():
    control, thread, agents = beside()
    control.checked_in("V1", CheckIn("1", 1), None)
    command = to_vehicle_to_bytes(Command("c1", 1, SnapshotState("drive")))

    control.send_control("V1", command)
    agents.refuses = "nobody can"
    control.send_control("V1", command)

    assert agents.told == ["c1"]
    assert thread.said[1:] == [Answer("c1", AnswerState.FAILED, 8, "nobody can")]


def test_a_thread_that_is_full_is_unavailable():
    control, thread, _ = beside()
    thread.is_full = True

    with pytest.raises(Unavailable):
        control.checked_in("V1", CheckIn("1", 1), None)


def test_the_first_door_that_has_a_vehicle_takes_what_it_is_told():
    control, _, agents = beside()
    control.checked_in("V1", CheckIn("1", 1), None)
    doors = Doors(beside()[0], control)

    assert doors.send_control("V1", to_vehicle_to_bytes(TEMPLATES))
    assert not doors.send_control("V2", to_vehicle_to_bytes(TEMPLATES))
    assert agents.told == ["V1"]
