"""A broker, the door of FleetWise's agents, and ingest behind it, for tests."""

import time
from pathlib import Path

from fairway.campaign.document import sync_id
from fairway.campaign.model import Campaign, ConditionBased, SignalToCollect
from fairway.clock import SystemClock
from fairway.control import CampaignOrder, CheckIn
from fairway.fleetwise.decoders import CanSignal, CustomSignal, DecoderManifest, Primitive
from fairway.fleetwise.names import names_of
from fairway.fleetwise.topics import Prefixes
from fleet_cloud.adapters.addresses import BrokerAddress
from fleet_cloud.adapters.broker_child import BrokerPlace, find_program, make_broker
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.adapters.fleetwise_mqtt import FleetWiseDoor
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.memory_fleetwise import MemoryCampaigns, MemoryManifests, MemoryStates
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.worker import Limits, Worker
from fleet_cloud.fleetwise.ports import Fleet, NamedManifest
from tests.e2e.fleetwise_agent import FleetWiseAgent
from tests.fleet_cloud.ingest.desk import Desk
from tests.issued import keys_of
from tests.ports import free_port

CLOCK = SystemClock()
VIN = "VIN1"
CALLED = {7: "Vehicle.Speed", 8: "Vehicle.Gear", 9: "Vehicle.Brake"}


def manifest(name: str = "manifest-1") -> NamedManifest:
    found = DecoderManifest(
        name,
        can=(
            CanSignal(7, "1", 0x123, 0, 16, factor=0.01, primitive=Primitive.FLOAT64),
            CanSignal(9, "1", 0x123, 16, 1, primitive=Primitive.BOOL),
        ),
        custom=(CustomSignal(8, "NAMED", "Vehicle.Gear", Primitive.STRING),),
    )
    return NamedManifest(found, names_of(found, CALLED))


BRAKE = Campaign(
    "brake",
    ConditionBased("$variable.`Vehicle.Speed` > 50 && $variable.`Vehicle.Brake` == 1"),
    (SignalToCollect("Vehicle.Speed"), SignalToCollect("Vehicle.Gear")),
)
BRAKE_ID = sync_id(BRAKE)


def order(campaign: Campaign, *, is_suspended: bool = False) -> CampaignOrder:
    return CampaignOrder(sync_id(campaign), campaign, is_suspended)


class Site:
    """A broker, the door, and ingest behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.pki = FilePki(folder / "pki")
        self.pki.ensure([], CLOCK.now_ns())
        self.keys = keys_of(self.pki, folder, VIN)
        place = BrokerPlace(folder / "broker", "127.0.0.1", self.port, self.pki, Prefixes())
        find_program("mosquitto")
        self.broker = make_broker("mosquitto", place, CLOCK)
        self.desk = Desk()
        self.tenants = {VIN: "default"}
        self.intake = Intake(64 * 1024 * 1024)
        self.died: list[BaseException] = []
        self.worker = Worker(
            intake=self.intake,
            groups=self.desk.groups,
            tenants=lambda: self.tenants,
            vehicles=self.desk.registry.vehicles,
            feed=Feed(),
            clock=CLOCK,
            limits=Limits(group_max_samples=1000, group_max_age_ms=10),
            failed=self.died.append,
        )
        self.manifests, self.campaigns, self.states = (
            MemoryManifests(),
            MemoryCampaigns(),
            MemoryStates(),
        )
        self.door = self.made_door()

    def made_door(self) -> FleetWiseDoor:
        address = BrokerAddress(
            f"mqtts://127.0.0.1:{self.port}",
            self.pki.ca,
            self.pki.fleetwise,
            self.pki.fleetwise_key,
        )
        return FleetWiseDoor(
            address,
            prefixes=Prefixes(),
            fleet=Fleet(self.manifests, self.campaigns, self.states),
            intake=self.intake,
            quarantine=self.desk.registry.quarantine,
            tenants=lambda: self.tenants,
            clock=CLOCK,
            failed=self.died.append,
        )

    def agent(self) -> FleetWiseAgent:
        keys = self.keys
        return FleetWiseAgent(
            self.port, vehicle=VIN, ca=keys.ca, certificate=keys.certificate, key=keys.key
        )

    def noted(self) -> CheckIn:
        found = self.campaigns.check_in(VIN)
        return found[0] if found else CheckIn("", 0)

    def rows(self) -> list[tuple[str, int, float | bool | str]]:
        batches = self.desk.store.batches.values()
        return [row for batch in batches for row in batch.block.rows()]

    def until(self, is_so, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)
