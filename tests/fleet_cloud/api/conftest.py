"""An API over a small fleet in memory; the stores' own contract says that others answer alike."""

import asyncio
import itertools
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter

from fairway.campaign.document import campaign_of, sync_id
from fairway.clock import NS_PER_S, ManualClock
from fairway.identity import DEFAULT_TENANT
from fairway.ids import BatchName
from fairway.oci.model import CONFIG, Descriptor, ImageConfig, Manifest, digest_of
from fairway.oci.model import LAYER as OCI_LAYER
from fairway.oci.written import image_config_bytes, manifest_bytes
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.services.manifest import service_of
from fleet_cloud.access.grants import ALL, DEFAULT_FLEET, Grant
from fleet_cloud.access.keys import fresh_key
from fleet_cloud.access.roles import Role
from fleet_cloud.access.tokens import NoTokens
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.adapters.fleetwise_campaigns import ServiceCampaigns
from fleet_cloud.adapters.memory import (
    MemoryCertificates,
    MemoryQuarantine,
    MemoryVehicles,
    memory_registry,
)
from fleet_cloud.adapters.memory_access import MemoryKeys
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.memory_models import MemoryDocuments
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.adapters.telemetry_store_memory import MemoryTelemetryStore
from fleet_cloud.api.ports import (
    ApiPorts,
    CampaignPorts,
    ReleasePorts,
    ServicePorts,
    SignIn,
    UpdatePorts,
)
from fleet_cloud.api.service import make_api
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.service import Service
from fleet_cloud.control.commanding import Commanding
from fleet_cloud.control.ports import (
    Vehicle as VehicleOf,
)
from fleet_cloud.control.targets import (
    Target,
    TargetKind,
)
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.ingest.records import Misfit
from fleet_cloud.ingest.status import STARTING, IngestStatus
from fleet_cloud.models.control_plane import ControlPlane
from fleet_cloud.rollouts.model import Kept as Rollout
from fleet_cloud.services.images import Shelf
from fleet_cloud.services.model import Kept as Desire
from fleet_cloud.services.ordering import Ordering
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.rollouts_kit import Kit

START_NS = 1_700_000_000 * NS_PER_S  # 2023-11-14T22:13:20Z
STREAM = "00000000000000aa"
ROOT = bytes(range(32))

DOCUMENT = {
    "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 10_000}},
    "signalsToCollect": [{"name": "Vehicle.Speed"}],
}

# A small image: what is in its layer is nobody's business here.
LAYER_BYTES = b"a layer"
LAYER = digest_of(LAYER_BYTES)
CONFIG_BYTES = image_config_bytes(ImageConfig(diff_ids=(LAYER,), entrypoint=("/watch",)))
IMAGE_BYTES = manifest_bytes(
    Manifest(
        Descriptor(CONFIG, digest_of(CONFIG_BYTES), len(CONFIG_BYTES)),
        (Descriptor(OCI_LAYER, LAYER, len(LAYER_BYTES)),),
    )
)
IMAGE = digest_of(IMAGE_BYTES)
MANIFEST = {"name": "tyre-watch", "version": "1.2.0", "image": IMAGE}

SPEED = Signal("Vehicle.Speed", unit="km/h")
GEAR = Signal("Vehicle.Gear", Kind.TEXT)
BELT = Signal("Vehicle.Belt", Kind.BOOL)
ODD = Signal("PT.Motor/Temp é")
TABLE = SignalTable((SPEED, GEAR, BELT, ODD))


@dataclass
class Cloud:
    """What stands behind the API of a test."""

    telemetry: Any = field(default_factory=MemoryTelemetryStore)
    vehicles: MemoryVehicles = field(default_factory=MemoryVehicles)
    quarantine: MemoryQuarantine = field(default_factory=MemoryQuarantine)
    feed: Feed = field(default_factory=Feed)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Any = field(default_factory=ManualClock)
    status: IngestStatus = STARTING
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    tokens: Any = field(default_factory=NoTokens)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    registry: Registry = field(default_factory=memory_registry)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    poked: list[int] = field(default_factory=list)
    self_approval: bool = False
    price_per_mb: float = 0.0
    sign_in: SignIn | None = None
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    approval: bool = False
    updates: Kit = field(default_factory=Kit)

    def key(self, role: str = "admin", tenant: str = ALL, fleet: str = ALL) -> str:
        """Make a key, and return it."""
        kept, text = fresh_key("test", Grant(Role(role), tenant, fleet), self.clock.now_ns())
        self.keys.add(kept)
        return text

    def fleets_of(self, tenant: str, vehicle: str) -> Collection[str]:
        """The fleets of a vehicle."""
        return self.registry.plan.facts(VehicleOf(tenant, vehicle)).fleets or (DEFAULT_FLEET,)

    def campaign(self, state: str = "WAITING_FOR_APPROVAL", **more: Any) -> Kept:
        """Keep a campaign of somebody else's in `state`, and return it."""
        name = more.pop("name", f"campaign-{next(self.numbers)}")
        document = {**DOCUMENT, "name": name, **more.pop("document", {})}
        campaign = campaign_of(document)
        kept = Kept(
            tenant=more.pop("tenant", DEFAULT_TENANT),
            campaign=campaign,
            sync_id=sync_id(campaign),
            target=Target(TargetKind.VEHICLE, "VIN1"),
            state=State(state),
            author="user:author",
            created_time_ns=START_NS,
            changed_time_ns=START_NS,
            started_time_ns=START_NS if state in ("RUNNING", "SUSPENDED") else None,
        )
        kept = replace(kept, **more)
        self.registry.plan.add(kept)
        return kept

    def desired(
        self, *, waits: bool = False, tenant: str = DEFAULT_TENANT, **target: str
    ) -> Desire:
        """Desire a service of a target (VIN1 without), and return that; another's wish."""
        self.forget_desired()
        ((kind, text),) = (target or {"vehicle": "VIN1"}).items()
        ordering = Ordering(self.registry.services, MemoryAudit(), lambda _: waits)
        aim = Target(TargetKind(kind), text)
        service = service_of(MANIFEST)
        return ordering.apply(tenant, service, aim, actor="user:author", now_ns=START_NS)

    def rollout(self, state: str = "AWAITING_APPROVAL", **more: Any) -> Rollout:
        """Make a rollout of somebody else's for VIN1, and take it so far."""
        kit = self.updates
        kit.release(tenant=DEFAULT_TENANT)
        tenant = more.pop("tenant", DEFAULT_TENANT)
        if tenant != DEFAULT_TENANT:
            kit.release(tenant=tenant)
        return kit.rollout(state=state, tenant=tenant, target={"vehicle": "VIN1"}, **more)

    def forget_desired(self) -> None:
        """Desire nothing any more."""
        ordering = Ordering(self.registry.services, MemoryAudit())
        for kept in self.registry.services.all_desired():
            ordering.remove(kept, actor="user:author", now_ns=START_NS)

    def push_image(self, tenant: str = DEFAULT_TENANT) -> None:
        """Keep the parts of the small image."""
        for data in (LAYER_BYTES, CONFIG_BYTES, IMAGE_BYTES):
            receiving = self.artifacts.receive(digest_of(data))
            receiving.write(data)
            size = receiving.finish()
            self.registry.holdings.hold(tenant, digest_of(data), size, START_NS)

    def ports(self) -> ApiPorts:
        campaigns = CampaignPorts(
            service=Service(self.registry.plan, self.audit, self_approval=self.self_approval),
            commanding=Commanding(
                self.registry.commands, self.audit, lambda: f"c{next(self.numbers)}"
            ),
            plan=self.registry.plan,
            said=self.registry.said,
            commands=self.registry.commands,
            progress=self.registry.progress,
            catalogues=KeptCatalogues(self.registry.dictionaries),
            poke=lambda: self.poked.append(self.clock.now_ns()),
            price_per_mb=self.price_per_mb,
            currency="EUR",
        )
        return ApiPorts(
            telemetry=self.telemetry,
            vehicles=self.vehicles,
            quarantine=self.quarantine,
            ingest_status=lambda: self.status,
            feed=self.feed,
            metrics=self.metrics,
            clock=self.clock,
            keys=self.keys,
            tokens=self.tokens,
            audit=self.audit,
            acts=self.audit,
            campaigns=campaigns,
            services=ServicePorts(
                ordering=Ordering(
                    self.registry.services,
                    self.audit,
                    lambda _: self.approval,
                    self_approval=self.self_approval,
                ),
                desired=self.registry.services,
                statuses=self.registry.service_statuses,
                shelf=Shelf(
                    self.artifacts, self.registry.holdings, self.registry.images, self.audit
                ),
            ),
            fleets_of=self.fleets_of,
            sign_in=self.sign_in,
            releases=ReleasePorts(self.updates.repository, self.updates.artifacts),
            updates=UpdatePorts(
                desk=self.updates.desk_of(self.audit, self_approval=self.self_approval),
                rollouts=self.updates.updates.rollouts,
                standings=self.updates.updates.rollouts,
                offers=self.updates.updates.offers,
                records=self.updates.updates.records,
                ecus=self.updates.updates.ecus,
                rxswin=self.updates.updates.vehicles,
            ),
            fleetwise=ControlPlane(
                region="local",
                root=ROOT,
                documents=self.documents,
                vehicles=self.vehicles,
                certificates=MemoryCertificates(self.vehicles),
                campaigns=ServiceCampaigns(
                    campaigns.service, campaigns.plan, campaigns.said, campaigns.poke
                ),
            ),
        )


def batch(vehicle: str, *rows: tuple[int, float, float], sequence: int = 1) -> AcceptedBatch:
    """A batch of rows (signal, seconds since START_NS, value); texts are P, R, N, D."""
    signal, seconds, value = zip(*rows, strict=True)
    block = SampleBlock(
        TABLE,
        np.array(signal, np.int32),
        np.array([START_NS + int(at_s * NS_PER_S) for at_s in seconds], np.int64),
        np.array(value, np.float64),
        ("P", "R", "N", "D"),
    )
    return AcceptedBatch(DEFAULT_TENANT, BatchName(vehicle, STREAM, sequence), block, START_NS)


def small_fleet() -> Cloud:
    """Two vehicles, one of which has sent a few samples, and one misfit."""
    cloud = Cloud()
    for name in ("VIN1", "VIN2"):
        cloud.vehicles.add(
            Vehicle(name, DEFAULT_TENANT, VehicleState.ACTIVE, START_NS, None, "ab" * 32, None)
        )
    cloud.vehicles.seen([("VIN1", START_NS + 5)])
    cloud.telemetry.append(
        [
            batch("VIN1", (0, 0, 10.0), (0, 1, 20.0), (0, 2, 30.0), (0, 61, 7.5)),
            batch("VIN1", (1, 0, 0.0), (1, 3, 3.0), (2, 1, 1.0), (3, 1, -40.0), sequence=2),
        ]
    )
    cloud.quarantine.keep([Misfit("default", "VIN1", "not a batch", START_NS, b"\x00\xff")])
    Counter("fairway_probe", "A probe", registry=cloud.metrics).inc(3)
    return cloud


@pytest.fixture
def cloud() -> Cloud:
    return small_fleet()


class Client:
    """Asks an API in this process, one request after the other."""

    def __init__(self, runner: asyncio.Runner, http: httpx.AsyncClient) -> None:
        self._runner = runner
        self._http = http

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._http.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)


def bearer(credential: str) -> dict[str, str]:
    """The header that shows a credential; none for an empty one."""
    return {"Authorization": f"Bearer {credential}"} if credential else {}


@contextmanager
def client_of(
    cloud: Cloud, credential: str | None = None, *, is_ending: bool = False
) -> Iterator[Client]:
    """A client of `cloud`: an administrator, unless it shows something else.  One that ends ends live feeds."""
    headers = bearer(cloud.key() if credential is None else credential)
    api = make_api(cloud.ports())
    if is_ending:
        api.state.hang_up()
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    with asyncio.Runner() as runner:
        http = httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers)
        yield Client(runner, http)
        runner.run(http.aclose())


@pytest.fixture
def client(cloud: Cloud) -> Iterator[Client]:
    with client_of(cloud) as client:
        yield client
