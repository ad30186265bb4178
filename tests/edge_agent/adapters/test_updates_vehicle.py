"""What is known of the vehicle for updates, whether it is well, how it starts anew, and what it shows."""

import sys
from pathlib import Path

import pytest

from edge_agent.adapters.updates_open import slot_of
from edge_agent.adapters.updates_vehicle import (
    ShownProgress,
    ThisMachine,
    VehicleChecks,
    VehicleFacts,
)
from edge_agent.broker.feed import HistoryLimits, data_of
from edge_agent.broker.store import Quality
from edge_agent.broker.values import Value
from edge_agent.broker.vehicle import VehicleData, one
from edge_agent.config_updates import UpdateSignals
from edge_agent.updates.order import Done, Kept
from edge_agent.updates.ports import Health
from edge_agent.updates.progress_signals import BRANCH, leaves, values
from fairway.catalog.model import Catalog, Leaf
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput, Unavailable
from fairway.samples import SignalTable
from fairway.update import Stage

SIGNALS = UpdateSignals()
LIMITS = HistoryLimits(10, 60, 1 << 20)
CATALOG = Catalog(
    (
        Leaf(SIGNALS.speed, "float", "sensor"),
        Leaf(SIGNALS.parking_brake, "boolean", "sensor"),
        Leaf(SIGNALS.gear, "int8", "sensor"),
        Leaf(SIGNALS.ignition, "string", "sensor"),
        Leaf(SIGNALS.battery, "float", "sensor"),
        *leaves(),
    )
)


class Car:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.data: VehicleData = data_of(CATALOG, SignalTable(()), LIMITS, self.clock)
        self.facts = VehicleFacts(self.data, SIGNALS, self.clock)
        self.provider = self.data.providers.publisher("test")

    def says(self, path: str, value: Value) -> None:
        number = self.data.signals.find(path)
        assert number is not None
        arrived = one(
            number,
            value,
            is_number=bool(self.data.signals.is_number[number]),
            time_ns=self.clock.now_ns(),
            source_ns=0,
        )
        self.data.store.expect(arrived.ids, NS_PER_S)
        self.data.publish(arrived, provider=self.provider, now_ns=self.clock.monotonic_ns())


@pytest.fixture
def car() -> Car:
    return Car()


def test_what_the_buses_say_is_known(car: Car):
    car.says(SIGNALS.speed, 0.0)
    car.says(SIGNALS.parking_brake, value=True)
    car.says(SIGNALS.gear, 126)
    car.says(SIGNALS.ignition, "OFF")
    car.says(SIGNALS.battery, 12.5)

    facts = car.facts()

    assert (facts.speed_km_h, facts.is_brake_set, facts.gear) == (0.0, True, 126)
    assert (facts.is_ignition_on, facts.battery_v, facts.charge_percent) == (False, 12.5, None)


@pytest.mark.parametrize(
    ("said", "is_on"), [("ON", True), ("START", True), ("LOCK", False), ("UNDEFINED", None)]
)
def test_the_ignition_is_on_or_off_or_nobody_knows(car: Car, said: str, is_on: bool | None):  # noqa: FBT001
    car.says(SIGNALS.ignition, said)

    assert car.facts().is_ignition_on is is_on


def test_what_nobody_says_any_more_is_not_known(car: Car):
    car.says(SIGNALS.speed, 0.0)
    car.clock.advance(60 * NS_PER_S)

    assert car.facts().speed_km_h is None


def test_progress_is_shown_as_signals(car: Car):
    kept = Kept(done=(Done("a", 1, Stage.ROLLED_BACK, 0, sentence="it was ill"),))

    ShownProgress(car.data, car.clock).show(values(kept, ("one", "two"), asks=True))

    def shown(name: str) -> object:
        number = car.data.signals.find(f"{BRANCH}.{name}")
        assert number is not None
        state = car.data.store.state(number, now_ns=car.clock.monotonic_ns())
        assert state.quality is Quality.VALID
        return state.value

    assert shown("LastResult") == "rolled_back: it was ill"
    assert shown("WaitsFor") == "one; two"
    assert shown("NeedsConsent") is True
    assert shown("Percent") == 0


async def test_a_vehicle_is_well_when_its_services_signals_and_program_say_so():
    ready = {"good": ""}
    seen = {"Vehicle.Speed": 0.5}

    def checks(services: tuple[str, ...], signals: tuple[str, ...], code: int) -> VehicleChecks:
        def why(name: str) -> str:
            if name not in ready:
                raise BadInput(f"there is no service {name}")
            return ready[name]

        command = (sys.executable, "-c", f"raise SystemExit({code})")
        return VehicleChecks(why, seen.get, services=services, signals=signals, command=command)

    assert (await checks(("good",), ("Vehicle.Speed",), 0).look()).health is Health.WELL
    for ill, sentence in (
        (checks(("gone",), (), 0), "the service gone is not well: there is no service gone"),
        (checks((), ("Vehicle.Gone",), 0), "the signal Vehicle.Gone does not come"),
        (checks((), (), 3), "fails (3)"),
    ):
        verdict = await ill.look()
        assert verdict.health is Health.NOT_YET
        assert sentence in verdict.sentence


async def test_a_machine_has_a_name_for_each_boot_and_starts_anew_by_a_program(tmp_path: Path):
    mark = tmp_path / "started"
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("abc\n")

    assert ThisMachine(()).boot_id()
    assert ThisMachine((), boot_id).boot_id() == "abc"
    with pytest.raises(Unavailable, match="cannot be read"):
        ThisMachine((), tmp_path / "none").boot_id()
    with pytest.raises(Unavailable, match="cannot be run"):
        await ThisMachine(("/nowhere/reboot",)).restart()
    assert not mark.exists()


def test_the_slot_that_runs_stands_on_the_kernels_command_line():
    assert slot_of("quiet root=/dev/x fairway.slot=b ro", "gw") == "b"
    with pytest.raises(Unavailable, match="set booted of gw"):
        slot_of("quiet", "gw")
