"""A small fleet with releases to roll out, over any database, and a worker that is called by hand."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fairway.clock import NS_PER_S
from fairway.signers import file
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.adapters.memory import MemoryVehicles
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.memory_campaigns import MemoryCampaigns
from fleet_cloud.adapters.memory_rollouts import MemoryImageRepository
from fleet_cloud.adapters.memory_updates import MemoryDatabase
from fleet_cloud.adapters.registry_fleet_pages import FleetPagesOf
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.rollout_worker import Advancer
from fleet_cloud.adapters.updates import Updates, make_updates
from fleet_cloud.audit.acts import Audit
from fleet_cloud.control.ports import Vehicle as VehicleOf
from fleet_cloud.control.query import Value
from fleet_cloud.control.targets import Facts
from fleet_cloud.rollouts.desk import Desk
from fleet_cloud.rollouts.director import OnlineKeys, role_key
from fleet_cloud.rollouts.model import Kept
from fleet_cloud.rollouts.ports import RegisteredEcu
from fleet_cloud.rollouts.wishes import wish_of
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from ota.custom import bundle_to_json
from ota.manifest import Bundle, Image, Kind
from ota.report import EcuReport, Installed, VehicleReport
from ota.report_json import report_to_signed

NOW = 1_780_000_000 * NS_PER_S
TENANT = "acme"
REGION = "eu"
BUNDLE = "bundles/winter/2026.1.json"
OLD, NEW = "aa" * 32, "bb" * 32
VEHICLE_KEY = file.fresh()


@dataclass
class Values:
    """Last values that are put here by hand."""

    known: dict[str, dict[str, Value]] = field(default_factory=dict)

    def last(self, tenant: str, vehicle: str, since_ns: int) -> Mapping[str, Value]:
        return self.known.get(vehicle, {})


def image(name: str = "brake", counter: int = 2, sha256: str = NEW, **more: Any) -> Image:
    return Image(
        path=f"{name}/{counter}.bin",
        length=1000 + counter,
        sha256=sha256,
        kind=more.pop("kind", Kind.FIRMWARE),
        name=name,
        version=f"{counter}.0",
        release_counter=counter,
        hardware_ids=more.pop("hardware_ids", (f"{name}-hw",)),
        **more,
    )


class Kit:
    """Updates over a database, and what stands around them."""

    def __init__(self, database: Database | None = None) -> None:
        self.now = NOW
        self.vehicles, self.facts = MemoryVehicles(), MemoryCampaigns()
        self.repository, self.artifacts = MemoryImageRepository(), MemoryArtifacts()
        self.audit, self.values = MemoryAudit(), Values()
        self.signer = file.fresh()
        self.keys = OnlineKeys(*(role_key(file.fresh()) for _ in range(3)))
        self.numbers = itertools.count(1)
        self.told: list[str] = []
        self.database = database or MemoryDatabase()
        self.updates: Updates = make_updates(
            self.database,
            REGION,
            self.signer,
            self.repository,
            self.artifacts,
            FleetPagesOf(self.vehicles, self.facts),
            lambda _tenant: self.keys,
        )
        self.desk = self.desk_of()
        self.worker = self.worker_of("one")

    def desk_of(self, audit: Audit | None = None, *, self_approval: bool = False) -> Desk:
        updates = self.updates
        return Desk(
            updates.rollouts,
            updates.rollouts,
            updates.images,
            audit or self.audit,
            lambda: f"{next(self.numbers):016x}",
            self_approval=self_approval,
        )

    def worker_of(self, owner: str) -> Advancer:
        updates = self.updates
        return Advancer(
            updates.advancing,
            updates.rollouts,
            updates.rollouts,
            self.values,
            owner,
            told=lambda _tenant, vehicles: self.told.extend(vehicles),
        )

    def vehicle(
        self, name: str, *, fleet: str = "north", ecus: bool = True, **known: Value
    ) -> None:
        """Add a vehicle with a brake ECU that holds the old image."""
        self.vehicles.add(Vehicle(name, TENANT, VehicleState.ACTIVE, NOW, None))
        self.facts.put_facts(VehicleOf(TENANT, name), Facts(known, frozenset({fleet})))
        if ecus:
            primary = RegisteredEcu(f"{name}-gw", "gateway-hw", is_primary=True)
            brake = RegisteredEcu(f"{name}-b", "brake-hw")
            self.updates.ecus.register(TENANT, name, [primary, brake], self.now)
            self.report(name, OLD, 1)

    def report(self, name: str, sha256: str, counter: int, *, action: str = "") -> bytes:
        """Have a vehicle report what its brake ECU holds."""
        signed = self.signed(name, sha256, counter, action=action)
        self.updates.director.report(TENANT, name, signed, self.now, VEHICLE_KEY.public_key())
        return signed

    @staticmethod
    def signed(name: str, sha256: str, counter: int, *, action: str = "") -> bytes:
        release = 1 if sha256 == OLD else 2
        held = Installed(f"brake/{release}.bin", 1000 + release, sha256, release)
        report = VehicleReport(
            name,
            f"{name}-gw",
            (
                EcuReport(f"{name}-gw", "gateway-hw", None, counter, NOW),
                EcuReport(f"{name}-b", "brake-hw", held, counter, NOW),
            ),
            counter,
            action,
            rxswin={"R79": "v3"},
        )
        return report_to_signed(report, VEHICLE_KEY)

    def release(self, *images: Image, path: str = BUNDLE, tenant: str = TENANT, **more: Any) -> str:
        """Publish a bundle of images (one for the brake without)."""
        some = images or (image(rxswin=("R13H v2",)),)
        bundle = Bundle("winter", "2026.1", tuple(one.path for one in some), **more)
        document = bundle_to_json(bundle)
        sha256 = hashlib.sha256(document).hexdigest()
        receiving = self.artifacts.receive(f"sha256:{sha256}")
        receiving.write(document)
        receiving.finish()
        listed = image("winter", 1, sha256, kind=Kind.BUNDLE, hardware_ids=())
        self.repository.put(
            tenant,
            image(counter=1, sha256=OLD),
            *some,
            replace(listed, path=path, length=len(document)),
        )
        return path

    def rollout(self, *, state: str = "RUNNING", tenant: str = TENANT, **wish: Any) -> Kept:
        """Make a rollout, and take it so far."""
        is_draft = state == "DRAFT"
        said = {"name": "winter", "bundle": BUNDLE, "target": {"fleet": "north"}, **wish}
        kept = self.desk.create(
            tenant, wish_of(said), actor="user:ann", now_ns=self.now, is_draft=is_draft
        )
        if state in ("DRAFT", "AWAITING_APPROVAL"):
            return kept
        kept = self.desk.approve(kept, actor="user:bob", now_ns=self.now)
        if state == "READY":
            return kept
        kept = self.desk.start(kept, actor="user:bob", now_ns=self.now)
        if state == "RUNNING":
            return kept
        return self.desk.pause(kept, "a look", actor="user:bob", now_ns=self.now)

    def run(self, *, seconds: float = 0) -> int:
        """Let time pass, and the worker look."""
        self.now += int(seconds * NS_PER_S)
        return self.worker.turn(self.now)

    def again(self, kept: Kept) -> Kept:
        """Return a rollout as it is now."""
        found = self.updates.rollouts.rollout(None, kept.id)
        assert found is not None
        return found

    def offered(self, name: str) -> str:
        """Return the order that a vehicle is offered, "" for none."""
        offer = self.updates.offers.offer(TENANT, name, self.now)
        return offer.action if offer else ""

    def tell(
        self,
        name: str,
        stage: Stage,
        *,
        sequence: int = 10,
        fault: Fault | None = None,
        action: str = "",
        ecu: str = "",
    ) -> UpdateEvent:
        """Have a vehicle say something of the order that it holds."""
        action = action or self.offered(name)
        event = UpdateEvent(action, sequence, self.now, stage, ecu, fault=fault, sentence="so")
        self.updates.offers.tell(TENANT, name, [event], self.now)
        return event

    def stages(self, kept: Kept) -> dict[str, str]:
        """Return how each vehicle stands."""
        return {one.vehicle: one.stage.value for one in self.updates.rollouts.vehicles(kept)}

    def waves(self, kept: Kept) -> Sequence[str]:
        """Return how each wave stands."""
        return [one.state.value for one in self.updates.rollouts.waves(kept)]
