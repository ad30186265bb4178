"""The control thread between real stores in memory and doors that keep what they are given."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from fairway.campaign.document import campaign_of, sync_id
from fairway.clock import SystemClock
from fairway.control import CampaignList, CheckIn, ToVehicle
from fairway.errors import Unavailable
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_from_bytes
from fleet_cloud.adapters import control as control_module
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.control import Control
from fleet_cloud.adapters.conversation import Conversation
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.memory_campaigns import MemoryCheckIns
from fleet_cloud.campaigns.desk import Desk, Stores
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.ports import CheckedIn
from fleet_cloud.control.targets import (
    Target,
    TargetKind,
)
from fleet_cloud.services.desk import ServiceDesk, ServiceStores

TENANTS = {f"VIN{number}": "acme" for number in range(1200)}
CHECK_IN = from_vehicle_to_bytes(CheckIn("1.0", 1))
SCHEME = {"timeBasedCollectionScheme": {"periodMs": 1000}}


class Shelf:
    """A door that keeps what it is given, for the vehicles that it holds (None: for all)."""

    def __init__(self, holds: set[str] | None = None) -> None:
        self.holds = holds
        self.is_crowded = False
        self.sent: list[tuple[str, ToVehicle]] = []

    def send_control(self, vehicle: str, data: bytes) -> bool:
        if self.holds is not None and vehicle not in self.holds:
            return False
        self.sent.append((vehicle, to_vehicle_from_bytes(data)))
        return True


class WilfulCheckIns(MemoryCheckIns):
    """Keeps check-ins, unless told to fail."""

    fails = False

    def note(self, checked_in: Sequence[CheckedIn]) -> None:
        if self.fails:
            raise Unavailable("the disk is full")
        super().note(checked_in)


class House:
    """A control thread, and what it stands between."""

    def __init__(self) -> None:
        self.registry = memory_registry()
        self.said = WilfulCheckIns()
        stores = Stores(
            self.registry.plan,
            self.registry.lists,
            self.said,
            self.said,
            self.registry.commands,
            KeptCatalogues(self.registry.dictionaries),
        )
        desk = Desk(stores, lambda: TENANTS)
        services = ServiceStores(
            self.registry.services,
            self.registry.lists,
            self.registry.service_statuses,
            self.registry.commands,
            MemoryAudit(),
        )
        self.died: list[BaseException] = []
        self.ticks: list[int] = []
        self.streams, self.broker = Shelf(set()), Shelf()
        self.control = Control(
            desk=Conversation(desk, ServiceDesk(services, desk.fleets, lambda: "")),
            tenants=lambda: TENANTS,
            tick=self.ticks.append,
            clock=SystemClock(),
            failed=self.died.append,
        )

    def start(self) -> None:
        self.control.start(streams=self.streams, broker=self.broker)

    def run_campaign(self, kind: TargetKind, text: str) -> None:
        campaign = campaign_of({"name": "c", "collectionScheme": SCHEME})
        target = Target(kind, text)
        kept = Kept("acme", campaign, sync_id(campaign), target, State.RUNNING, "user:x", 1, 1)
        self.registry.plan.add(kept)
        self.control.poke()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.control.stop()
    assert house.died == []


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_check_in_is_answered_through_the_door_it_came_by(house: House):
    house.start()
    house.run_campaign(TargetKind.VEHICLE, "VIN1")
    until(lambda: house.broker.sent)
    door = Shelf()
    assert house.control.offer("VIN1", CHECK_IN, door)
    until(lambda: door.sent)

    assert door.sent == house.broker.sent
    assert isinstance(door.sent[0][1], CampaignList)


def test_a_change_reaches_a_whole_fleet_through_streams_where_there_are_any(house: House):
    house.streams.holds = {"VIN3", "VIN900"}
    house.start()
    house.run_campaign(TargetKind.QUERY, 'not id == ""')
    until(lambda: len(house.broker.sent) + len(house.streams.sent) == len(TENANTS))

    assert {vehicle for vehicle, _ in house.streams.sent} == house.streams.holds
    assert {vehicle for vehicle, _ in house.broker.sent} == TENANTS.keys() - house.streams.holds


def test_a_crowded_broker_is_waited_for_while_check_ins_are_answered(house: House):
    house.broker.is_crowded = True
    house.start()
    house.run_campaign(TargetKind.QUERY, 'not id == ""')
    door = Shelf()
    until(lambda: house.control.offer("VIN1", CHECK_IN, door) and door.sent)
    assert house.broker.sent == []

    house.broker.is_crowded = False
    until(lambda: len(house.broker.sent) >= len(TENANTS) - 1)


def test_strangers_and_garbage_are_left_unanswered_and_hold_up_nobody(house: House):
    house.start()
    door = Shelf()
    for vehicle, data in (("STRANGER", CHECK_IN), ("VIN1", b"\xff\xff"), ("VIN2", CHECK_IN)):
        assert house.control.offer(vehicle, data, door)
    until(lambda: any(one.name == "VIN2" for one in house.said._kept))

    assert {one.name for one in house.said._kept} == {"VIN2"}
    assert door.sent == []


def test_a_registry_that_does_not_answer_loses_nothing_that_is_said_again(house: House):
    house.said.fails = True
    house.start()
    house.control.offer("VIN1", CHECK_IN, Shelf())
    until(lambda: not house.control._is_reachable)
    house.said.fails = False
    house.control.offer("VIN1", CHECK_IN, Shelf())

    until(lambda: house.said._kept)
    assert house.control._is_reachable or house.died == []


def test_what_goes_by_schedule_is_looked_after(house: House):
    house.start()
    until(lambda: house.ticks)

    assert house.ticks[0] > 1_700_000_000_000_000_000


def test_more_than_can_wait_is_turned_away(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(control_module, "QUEUE_MAX_MESSAGES", 3)
    taken = [house.control.offer("VIN1", CHECK_IN, Shelf()) for _ in range(5)]

    assert taken == [True, True, True, False, False]
    house.start()
    until(lambda: house.control.offer("VIN1", CHECK_IN, Shelf()))


def test_an_error_that_nobody_understood_ends_the_program():
    house = House()
    wrong = threading.Event()

    def tick(_now_ns: int) -> None:
        wrong.set()
        raise RuntimeError("a defect")

    house.control._tick = tick
    house.start()
    until(lambda: house.died)
    house.control.stop()

    assert wrong.is_set()
    assert [str(error) for error in house.died] == ["a defect"]


def test_the_fleets_of_a_vehicle_are_those_that_were_said(house: House):
    fleets = house.control._desk.fleets
    assert house.control.fleets_of("acme", "VIN1") == ("default",)

    fleets.put("acme", "VIN1", replace(fleets.facts("acme", "VIN1"), fleets=frozenset({"north"})))
    assert house.control.fleets_of("acme", "VIN1") == {"north"}
