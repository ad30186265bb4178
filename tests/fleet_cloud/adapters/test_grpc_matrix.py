"""Every gRPC route with everybody who may come to it, of two tenants: who is let in, whose the data then is.

Rule 1: the table is written by hand; a service in proto/ that is not in it fails a test here.
"""

import asyncio
import importlib
import pkgutil
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

import fairway.v1
from fairway.campaign.document import campaign_of, sync_id
from fairway.clock import SystemClock
from fairway.enrolment import Endpoints
from fairway.identity import Kind
from fleet_cloud.adapters.controlling import make_control
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.grpc import GrpcDoor
from fleet_cloud.adapters.grpc_artifacts import ArtifactDoor
from fleet_cloud.adapters.grpc_control import ControlDoor
from fleet_cloud.adapters.grpc_enrolment import EnrolmentDoor
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.memory_artifacts import MemoryArtifacts
from fleet_cloud.adapters.memory_audit import MemoryAudit
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.pki_issuer import PkiIssuer
from fleet_cloud.adapters.worker import Limits, Worker
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.control.targets import (
    Target,
    TargetKind,
)
from fleet_cloud.enrolment.desk import Desk as EnrolmentDesk
from fleet_cloud.enrolment.desk import Place as EnrolmentPlace
from fleet_cloud.enrolment.model import Claim
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.certificates import Authority
from tests.fleet_cloud.adapters.grpc_callers import (
    CONTROL,
    ENROL,
    FETCH,
    TELEMETRY,
    Place,
    Shown,
    answered,
    artifact_of,
)
from tests.fleet_cloud.ingest.desk import Desk
from tests.issued import keys_of

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CLOCK = SystemClock()
DENIED, SHUT_OUT = "PERMISSION_DENIED", "UNAVAILABLE"

ABSENT = "NOT_FOUND"

# Doors of the agent, where rights are scopes: the tests of onboard_states and vehicle_data in tests/edge_agent
# refuse each of these to who has none.  A call that is new there is named here once it is held there.
IN_THE_VEHICLE = {
    "/fairway.v1.OnboardService/GetStates",
    "/fairway.v1.OnboardService/GetHistory",
    "/fairway.v1.VehicleDataService/SubscribePartial",
    "/fairway.v1.VehicleDataService/Actuate",
    # By the socket that is a service's own, with its token: test_service_registry.
    "/fairway.v1.ServiceRegistryService/Whoami",
    "/fairway.v1.ServiceRegistryService/ListOffers",
    "/fairway.v1.ServiceRegistryService/WatchOffers",
    "/fairway.v1.ServiceRegistryService/Announce",
}

# Who comes, whose batch or request they bring, and what is said; a tenant: it is stored, or issued, as theirs.
TABLE = [
    (TELEMETRY, "vehicle A1 of tenant a", "A1", "a"),
    (TELEMETRY, "vehicle B1 of tenant b", "B1", "b"),
    (TELEMETRY, "vehicle A1 of tenant a", "B1", DENIED),
    (TELEMETRY, "vehicle B1 of tenant b", "A1", DENIED),
    (TELEMETRY, "A1 with a revoked certificate", "A1", DENIED),
    (TELEMETRY, "A1 with a certificate nobody noted", "A1", DENIED),
    (TELEMETRY, "a removed vehicle", "GONE", DENIED),
    (TELEMETRY, "a vehicle nobody registered", "NEW", DENIED),
    (TELEMETRY, "a claim of tenant a", "A1", DENIED),
    (TELEMETRY, "a claim nobody noted, called A1", "A1", DENIED),
    (TELEMETRY, "the cloud itself", "A1", DENIED),
    (TELEMETRY, "A1 of another region", "A1", SHUT_OUT),
    (TELEMETRY, "A1 of another authority", "A1", SHUT_OUT),
    (TELEMETRY, "nobody", "A1", SHUT_OUT),
    (CONTROL, "vehicle A1 of tenant a", "A1", "a"),
    (CONTROL, "vehicle B1 of tenant b", "B1", "b"),
    (CONTROL, "A1 with a revoked certificate", "A1", DENIED),
    (CONTROL, "A1 with a certificate nobody noted", "A1", DENIED),
    (CONTROL, "a removed vehicle", "GONE", DENIED),
    (CONTROL, "a vehicle nobody registered", "NEW", DENIED),
    (CONTROL, "a claim of tenant a", "A1", DENIED),
    (CONTROL, "a claim nobody noted, called A1", "A1", DENIED),
    (CONTROL, "the cloud itself", "A1", DENIED),
    (CONTROL, "A1 of another region", "A1", SHUT_OUT),
    (CONTROL, "A1 of another authority", "A1", SHUT_OUT),
    (CONTROL, "nobody", "A1", SHUT_OUT),
    # Here the third word is whose artifact is asked for.
    (FETCH, "vehicle A1 of tenant a", "a", "a"),
    (FETCH, "vehicle B1 of tenant b", "b", "b"),
    (FETCH, "vehicle A1 of tenant a", "b", ABSENT),
    (FETCH, "A1 with a revoked certificate", "a", DENIED),
    (FETCH, "A1 with a certificate nobody noted", "a", DENIED),
    (FETCH, "a removed vehicle", "a", DENIED),
    (FETCH, "a vehicle nobody registered", "a", DENIED),
    (FETCH, "a claim of tenant a", "a", DENIED),
    (FETCH, "a claim nobody noted, called A1", "a", DENIED),
    (FETCH, "the cloud itself", "a", DENIED),
    (FETCH, "A1 of another region", "a", SHUT_OUT),
    (FETCH, "A1 of another authority", "a", SHUT_OUT),
    (FETCH, "nobody", "a", SHUT_OUT),
    (ENROL, "vehicle A1 of tenant a", "A1", "a"),
    (ENROL, "vehicle B1 of tenant b", "B1", "b"),
    (ENROL, "vehicle A1 of tenant a", "B1", DENIED),
    (ENROL, "vehicle B1 of tenant b", "A1", DENIED),
    (ENROL, "A1 with a revoked certificate", "A1", DENIED),
    (ENROL, "A1 with a certificate nobody noted", "A1", DENIED),
    (ENROL, "a removed vehicle", "GONE", DENIED),
    (ENROL, "a vehicle nobody registered", "NEW", DENIED),
    (ENROL, "a claim of tenant a", "NEW", "a"),
    (ENROL, "a claim of tenant a", "OTHER", DENIED),
    (ENROL, "a claim of tenant a", "B1", DENIED),
    (ENROL, "a claim nobody noted, called A1", "A1", DENIED),
    (ENROL, "the cloud itself", "A1", DENIED),
    (ENROL, "A1 of another region", "A1", SHUT_OUT),
    (ENROL, "A1 of another authority", "A1", SHUT_OUT),
    (ENROL, "nobody", "A1", SHUT_OUT),
]


def everybody(folder: Path, pki: FilePki, desk: Desk) -> dict[str, Shown]:
    vehicles, certificates = desk.registry.vehicles, desk.registry.certificates
    now_ns = CLOCK.now_ns()

    def issued(name: str, tenant: str, kind: Kind = Kind.VEHICLE, *, noted: bool = True) -> Shown:
        keys = keys_of(pki, folder, name, kind=kind, tenant=tenant)
        if noted:
            certificates.record(keys.record)
        return Shown(keys.key.read_bytes(), keys.certificate.read_bytes())

    def claim() -> Shown:
        keys = keys_of(pki, folder, "line-4", kind=Kind.CLAIM, tenant="a")
        kept = Claim("a", "line-4", keys.record.sha256, "1f", now_ns, now_ns + 10**12)
        desk.registry.claims.create(kept, ["NEW"])
        return Shown(keys.key.read_bytes(), keys.certificate.read_bytes())

    for tenant in ("a", "b"):
        pki.add_tenant(tenant, now_ns)
    for name, tenant in (("A1", "a"), ("B1", "b"), ("GONE", "a")):
        vehicles.add(Vehicle(name, tenant, VehicleState.ACTIVE, now_ns, None))
    vehicles.remove("GONE")
    revoked = issued("A1", "a")
    certificates.revoke("A1", now_ns, "stolen")
    other = FilePki(folder / "there", region="cn")
    other.ensure([], now_ns)
    other.add_tenant("a", now_ns)
    theirs = keys_of(other, folder / "theirs", "A1", tenant="a")
    strange = Authority(folder / "strange").vehicle("A1")
    return {
        "A1 with a revoked certificate": revoked,
        "vehicle A1 of tenant a": issued("A1", "a"),
        "vehicle B1 of tenant b": issued("B1", "b"),
        "A1 with a certificate nobody noted": issued("A1", "a", noted=False),
        "a removed vehicle": issued("GONE", "a"),
        "a vehicle nobody registered": issued("NEW", "a", noted=False),
        "a claim of tenant a": claim(),
        "a claim nobody noted, called A1": issued("A1", "a", Kind.CLAIM, noted=False),
        "the cloud itself": Shown(pki.cloud_key.read_bytes(), pki.cloud.read_bytes()),
        "A1 of another region": Shown(theirs.key.read_bytes(), theirs.certificate.read_bytes()),
        "A1 of another authority": Shown(
            strange.key.read_bytes(), strange.certificate.read_bytes()
        ),
        "nobody": Shown(),
    }


def aimed_at_all(tenant: str) -> Kept:
    """A running campaign for every vehicle of a tenant."""
    scheme = {"timeBasedCollectionScheme": {"periodMs": 1000}}
    campaign = campaign_of({"name": f"of-{tenant}", "collectionScheme": scheme})
    target = Target(TargetKind.QUERY, 'not id == ""')
    return Kept(tenant, campaign, sync_id(campaign), target, State.RUNNING, "user:x", 1, 1)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    pki, desk = FilePki(tmp_path / "pki"), Desk()
    pki.ensure([], CLOCK.now_ns())
    shown = everybody(tmp_path, pki, desk)
    fleet = Fleet(desk.registry.vehicles, desk.registry.certificates, CLOCK)
    fleet.refresh()
    died: list[BaseException] = []
    intake = Intake(1_000_000)
    worker = Worker(
        intake=intake,
        groups=desk.groups,
        tenants=lambda: fleet.tenants,
        vehicles=desk.registry.vehicles,
        feed=Feed(),
        clock=CLOCK,
        limits=Limits(group_max_samples=100, group_max_age_ms=10),
        failed=died.append,
    )
    worker.start()
    registry = desk.registry

    def members() -> Mapping[str, Member]:
        fleet.refresh()
        return fleet.members

    enrolment = EnrolmentDoor(
        desk=EnrolmentDesk(
            enrolments=registry.enrolments,
            vehicles=registry.vehicles,
            certificates=registry.certificates,
            issuer=PkiIssuer(pki, 90),
            audit=MemoryAudit(),
            new_id=lambda: secrets.token_hex(16),
            place=lambda: EnrolmentPlace(
                pki.ca.read_bytes(), Endpoints("", "grpcs://c:1", "local")
            ),
        ),
        clock=CLOCK,
        region="local",
        members=members,
    )
    for tenant in ("a", "b"):
        registry.plan.add(aimed_at_all(tenant))
    control = make_control(registry, fleet, MemoryAudit(), CLOCK, died.append)
    artifacts = MemoryArtifacts()
    for tenant in ("a", "b"):
        receiving = artifacts.receive(artifact_of(tenant))
        receiving.write(tenant.encode())
        registry.holdings.hold(tenant, artifact_of(tenant), receiving.finish(), 1)
    fetching = ArtifactDoor(
        artifacts=artifacts, holdings=registry.holdings, members=lambda: fleet.members
    )
    streams = ControlDoor(control=control, members=lambda: fleet.members)
    door = GrpcDoor(
        intake=intake,
        clock=CLOCK,
        members=lambda: fleet.members,
        services=[enrolment.service(), fetching.service()],
        beside=streams,
    )
    control.start(streams=streams)
    port = await door.start(
        "127.0.0.1:0", ca=pki.anchors, certificate=pki.server, key=pki.server_key
    )
    yield Place(port, pki.ca.read_bytes(), desk, shown)
    await door.stop()
    await asyncio.to_thread(control.stop)
    await asyncio.to_thread(worker.stop)
    assert died == []


async def test_everybody_is_answered_as_the_table_says(place: Place):
    found = [
        (
            route,
            who,
            vehicle,
            await asyncio.to_thread(answered, place, route, place.shown[who], vehicle),
        )
        for route, who, vehicle, _ in TABLE
    ]

    assert found == TABLE
    assert {who for _, who, _, _ in TABLE} == place.shown.keys()


def test_the_table_has_every_route_of_every_service():
    routes = {
        f"/{service.full_name}/{method.name}"
        for module in pkgutil.iter_modules(fairway.v1.__path__)
        if module.name.endswith("_pb2")
        for service in importlib.import_module(
            f"fairway.v1.{module.name}"
        ).DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }

    assert {route for route, *_ in TABLE} | IN_THE_VEHICLE == routes
