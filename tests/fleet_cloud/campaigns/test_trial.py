"""A campaign tried on what a vehicle has sent: as exact as what is stored, and it says how exact that is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairway.campaign.document import campaign_of
from fairway.campaign.model import Campaign
from fairway.clock import NS_PER_S, ManualClock
from fairway.control import CheckIn
from fairway.dry_run import DryRun
from fairway.errors import BadInput
from fairway.ids import BatchName
from fairway.prediction import Assumptions
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.wire.telemetry import dictionary_of
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.telemetry_store_memory import MemoryTelemetryStore
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.campaigns.trial import NAMED_MAX, SPAN_MAX_DAYS, VEHICLES_MAX, Trials, TrialWish
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.ingest.ports import AcceptedBatch

START_NS = 1_700_000_000 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
TABLE = SignalTable(
    (
        Signal("Vehicle.Speed", unit="km/h", scale=0.1, group=1),
        Signal("Vehicle.Brake", Kind.BOOL, group=1),
        Signal("Vehicle.Gear", Kind.TEXT),
        Signal("Vehicle.Door", Kind.BOOL),
    )
)


def campaign(expression: str = "$variable.`Vehicle.Speed` > 50", **more: Any) -> Campaign:
    scheme = {"expression": expression, "minimumTriggerIntervalMs": 1000}
    document = {
        "name": "tried",
        "collectionScheme": {"conditionBasedCollectionScheme": scheme},
        "signalsToCollect": [{"name": "Vehicle.*"}],
    }
    return campaign_of(document | more)


def wish(**more: Any) -> TrialWish:
    return replace(TrialWish(("VIN1",), START_NS, START_NS + DAY_NS), **more)


class Stored:
    """A cloud in memory, of which one vehicle has driven for a minute."""

    def __init__(self) -> None:
        self.store, self.registry = MemoryTelemetryStore(), memory_registry()
        self.catalogues = KeptCatalogues(self.registry.dictionaries)
        self.trials = Trials(
            self.store,
            self.registry.said,
            self.catalogues,
            self.registry.progress,
            ManualClock(START_NS),
        )
        random = np.random.default_rng(1)
        count = 900
        signal = np.tile(np.array([0, 1, 2], np.int32), count // 3)
        time_ns = START_NS + np.repeat(np.arange(count // 3, dtype=np.int64) * 200_000_000, 3)
        value = random.integers(0, 2, count).astype(np.float64)
        value[::3] = np.round(60 * np.abs(np.sin(np.arange(count // 3) / 40)), 1)
        self.drive = SampleBlock(TABLE, signal, time_ns, value, ("P", "D"))
        name = BatchName("VIN1", "00000000000000aa", 1)
        self.store.append([AcceptedBatch("default", name, self.drive, START_NS)])

    def told(self) -> None:
        """Have the vehicle tell what it can collect."""
        catalogue = dictionary_of(TABLE)
        self.catalogues.keep_catalogue("default", catalogue)
        said = CheckIn("1", START_NS, catalogue_id=catalogue.id)
        self.registry.said.note([CheckedIn(Vehicle("default", "VIN1"), said, START_NS)])


@pytest.fixture
def stored() -> Stored:
    return Stored()


def test_what_was_stored_whole_is_predicted_as_on_the_drive_itself(stored: Stored):
    stored.told()

    (tried,) = stored.trials.run("default", campaign(), wish()).vehicles

    exact = DryRun(TABLE, [campaign()], vehicle="VIN1")
    exact.drive([stored.drive])
    (wanted,) = exact.predictions
    found = tried.prediction
    assert tried.rows == len(stored.drive)
    assert found.triggers > 10
    assert (found.triggers, found.samples, found.batches, found.trigger_times_ns) == (
        wanted.triggers,
        wanted.samples,
        wanted.batches,
        wanted.trigger_times_ns,
    )
    assert found.bytes == pytest.approx(wanted.bytes, rel=0.02)


def test_a_vehicle_that_has_told_no_catalogue_is_known_by_what_it_stored(stored: Stored):
    (tried,) = stored.trials.run("default", campaign(), wish()).vehicles

    assert tried.rows == len(stored.drive)
    assert tried.prediction.triggers > 10


def test_only_signals_that_the_campaign_needs_are_read(stored: Stored):
    speed = campaign(signalsToCollect=[{"name": "Vehicle.Speed"}])

    assert stored.trials.run("default", speed, wish()).vehicles[0].rows == len(stored.drive) // 3


def test_what_the_vehicle_could_collect_and_never_sent_is_named(stored: Stored):
    stored.told()

    notes = stored.trials.run("default", campaign(), wish()).prediction.notes

    assert "of VIN1 nothing was ever stored of Vehicle.Door" in notes


def test_many_such_signals_are_counted_after_the_first(stored: Stored):
    signals = [{"name": f"Nothing.N{number:02}"} for number in range(NAMED_MAX + 5)]
    notes = stored.trials.run(
        "default", campaign(signalsToCollect=signals), wish()
    ).prediction.notes

    (named,) = (note for note in notes if "ever stored" in note)
    assert named.endswith("Nothing.N19 and 5 more")


def test_what_a_campaign_would_fetch_is_not_called_missing(stored: Stored):
    fetch = {
        "fullyQualifiedName": "Vehicle.Codes",
        "signalFetchConfig": {"timeBased": {"executionFrequencyMs": 2000}},
        "actions": ["custom_function('DTC_QUERY', -1, 2, -1)"],
    }
    one = campaign(signalsToFetch=[fetch], signalsToCollect=[{"name": "Vehicle.Codes"}])

    found = stored.trials.run("default", one, wish()).prediction

    assert found.refused == ""
    assert found.fetches > 10
    assert not any("Vehicle.Codes" in note for note in found.notes)


def test_a_condition_that_does_not_fit_the_vehicle_is_refused(stored: Stored):
    found = stored.trials.run(
        "default", campaign("$variable.`Vehicle.Gear` > 5"), wish()
    ).prediction

    assert found.refused.startswith("tried: expression: ")


@pytest.mark.parametrize("name", ["python", "counter", "file_size"])
def test_functions_of_vehicles_are_refused(stored: Stored, name: str):
    one = campaign(f"custom_function('{name}', $variable.`Vehicle.Speed`)")

    found = stored.trials.run("default", one, wish()).prediction

    assert f"the cloud runs no custom function such as '{name}'" in found.refused


def test_the_functions_of_the_engine_itself_run(stored: Stored):
    edge = "custom_function('MULTI_RISING_EDGE_TRIGGER', 'fast', $variable.`Vehicle.Speed` > 50)"

    found = stored.trials.run("default", campaign(edge), wish()).prediction

    assert (found.refused, found.triggers > 0) == ("", True)


def test_an_expression_that_nobody_can_read_is_bad_input(stored: Stored):
    with pytest.raises(BadInput, match="expression"):
        stored.trials.run("default", campaign("1 +"), wish())


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"vehicles": ()}, "give 1 to 10 different ones"),
        ({"vehicles": tuple(f"V{n}" for n in range(VEHICLES_MAX + 1))}, "give 1 to 10"),
        ({"vehicles": ("V", "V")}, "different"),
        ({"to_ns": START_NS}, "from is not before to"),
        ({"to_ns": START_NS + SPAN_MAX_DAYS * DAY_NS + 1}, "more than 31 days"),
        ({"assumptions": Assumptions(0.0)}, "hoursPerMonth"),
        ({"assumptions": Assumptions(float("nan"))}, "hoursPerMonth"),
        ({"stream": "no"}, "stream"),
    ],
)
def test_a_wish_beyond_the_limits_is_bad_input(more: dict[str, Any], sentence: str):
    with pytest.raises(BadInput, match=sentence):
        wish(**more)
