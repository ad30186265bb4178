"""Puts the fleet cloud together, top to bottom in the order data flows.

    broker child --> MQTT door --+--> intake --> groups --> telemetry store, registry --> API
                                 |
                   gRPC door ----+--> control <--> registry
                                 +--> artifacts

`serve` is all of it in one process; `ingest` is the doors and the stores, as often as needed, beside a broker
and stores that are shared.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock, SystemClock
from fairway.errors import BadInput
from fleet_cloud.adapters import addresses
from fleet_cloud.adapters.broker_child import BrokerPlace, MosquittoBroker, NatsBroker, make_broker
from fleet_cloud.adapters.clickhouse_http import INSERT_MAX_S
from fleet_cloud.adapters.control import Control
from fleet_cloud.adapters.controlling import make_control
from fleet_cloud.adapters.data_dir import DataDir, listening
from fleet_cloud.adapters.ending import Ending, ending
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.adapters.first_key import ensure_first_key
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.fleet_files import FleetFiles, open_artifacts, open_fleet
from fleet_cloud.adapters.fleetwise import Surroundings, serve_agents
from fleet_cloud.adapters.fleetwise_control import Doors
from fleet_cloud.adapters.fleetwise_plane import KeptModels, control_plane
from fleet_cloud.adapters.grpc import GrpcDoor
from fleet_cloud.adapters.grpc_artifacts import ArtifactDoor
from fleet_cloud.adapters.grpc_control import ControlDoor
from fleet_cloud.adapters.housekeeping import following
from fleet_cloud.adapters.ingest_metrics import IngestCollector
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.issuers import tokens_of
from fleet_cloud.adapters.jobs_mqtt import JobsDoor
from fleet_cloud.adapters.mqtt import MqttDoor
from fleet_cloud.adapters.own_issuer import OwnIssuer, own_signer
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.adapters.registry_audit import SqlAudit
from fleet_cloud.adapters.telemetry_store import open_store
from fleet_cloud.adapters.updates import Updates
from fleet_cloud.adapters.worker import Limits, Worker
from fleet_cloud.api.ports import ApiPorts, SignIn, Telemetry
from fleet_cloud.api.server import serving, tls_of
from fleet_cloud.api.service import make_api
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.config import Config, Endpoint, endpoint
from fleet_cloud.doors import Site, enrolment_door, update_door, updates_of
from fleet_cloud.doors import Updates as Given
from fleet_cloud.features import campaign_ports, service_ports
from fleet_cloud.foreign_doors import Around, with_foreign
from fleet_cloud.ingest.groups import Groups
from fleet_cloud.ingest.ports import TelemetryStore
from fleet_cloud.ingest.records import Claimant
from fleet_cloud.ingest.status import IngestStatus
from fleet_cloud.ingest.watch import Watch
from fleet_cloud.releasing import release_ports
from fleet_cloud.updating import notice_desk, open_updates, rolling, update_ports
from fleet_cloud.vehicles.registry import CLOUD_NAME

log = logs.get("fleet_cloud")

# Others believe a claim for so long.  A group waits for a quarter of it at most, and is three inserts at most,
# of INSERT_MAX_S each: whoever takes a claim over finds all or nothing of the batch in the store.
LEASE_S = 4 * INSERT_MAX_S
# How long a thread that computes may keep the interpreter from a door that has a message: in Python's own 5 ms
# ten batches could have come in.
SWITCH_INTERVAL_S = 0.0002
# An insert that a process sent to a server and did not live to see the end of is over by then.
REMOTE_GRACE_S = 5

Ready = Callable[[Mapping[str, str]], None]


@dataclass(slots=True)
class _Cloud:
    """What has been put together so far."""

    config: Config
    clock: Clock
    end: Ending
    data: DataDir
    pki: FilePki
    registry: Registry
    fleet: Fleet
    audit: SqlAudit
    control: Control
    artifacts: Artifacts
    updates: Updates
    given: Given  # of updates, to the device door
    jobs: JobsDoor | None
    feed: Feed = field(default_factory=Feed)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    urls: dict[str, str] = field(default_factory=dict)


def serve(config: Config, ready: Ready) -> None:
    """Run the whole cloud until SIGTERM or SIGINT; `ready` is told where it is reached."""
    asyncio.run(_run(config, ready, whole=True))


def ingest(config: Config, ready: Ready) -> None:
    """Run ingest alone, beside others that do the same.  Raises BadInput for what only `serve` can do."""
    if config.broker.mode == "embedded":
        raise BadInput(
            'ingest has no broker of its own: set [broker] mode = "external" and url, or mode = "none"'
        )
    if addresses.store_is_embedded(config):
        raise BadInput(
            "the embedded store serves one process: name a shared one, [store] url = [...]"
        )
    asyncio.run(_run(config, ready, whole=False))


async def _run(config: Config, ready: Ready, *, whole: bool) -> None:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with AsyncExitStack() as stack:
        end = stack.enter_context(ending())
        if whole:
            stack.enter_context(DataDir(config.folder).locked())
        files = stack.enter_context(open_fleet(config))
        cloud = _put_together(config, files, end)
        registry, pki, data, clock, fleet = (
            cloud.registry, cloud.pki, cloud.data, cloud.clock, cloud.fleet
        )  # fmt: skip
        if whole:
            ensure_first_key(registry.keys, data.folder, files.audit, clock.now_ns())
        fleet.refresh()
        pki.write_revocations(fleet.certificates, clock.now_ns())
        if pki.authorities.root_key_is_here:
            log.warning("root_key_online", move_away=str(pki.authorities.offline))
        broker = address = None
        if config.broker.mode == "embedded":
            broker = await stack.enter_async_context(_broker(cloud))
            address = addresses.embedded_broker(config, pki, broker.port)
        elif config.broker.mode == "external":
            address = addresses.external_broker(config.broker)
            cloud.urls["mqtt"] = address.url
        store = open_store(config.store.url, data.folder, region=config.region)
        stack.callback(store.close)
        owner = config.ingest.name or data.owner(whole=whole)
        status, grpc = await stack.enter_async_context(_ingest(cloud, store, address, owner))
        cloud.metrics.register(IngestCollector(status))
        await stack.enter_async_context(_updates(cloud))
        poke = stack.enter_context(rolling(cloud.updates, store, owner, clock, end.fail))
        listen = config.api.listen if whole else config.metrics.listen
        if listen:
            await stack.enter_async_context(_api(cloud, listen, store, status, poke))
        if whole:
            data.write_endpoints(cloud.urls)
        stack.enter_context(
            following(pki, fleet, clock, end, broker, grpc.review if grpc else None)
        )
        log.info("ready", owner=owner, vehicles=len(cloud.fleet.tenants), **cloud.urls)
        ready(cloud.urls)
        await end.wait()
        log.info("stopping")
    end.check()


def _put_together(config: Config, files: FleetFiles, end: Ending) -> _Cloud:
    registry, clock, urls = files.registry, SystemClock(), dict[str, str]()
    fleet = Fleet(registry.vehicles, registry.certificates, clock)

    def artifacts_url() -> str:
        # With a broker of its own this process is the only one: several would each tell another address.
        is_alone = config.broker.mode == "embedded"
        return config.artifacts.url or (urls.get("grpc", "") if is_alone else "")

    artifacts = open_artifacts(config)
    updates = open_updates(config, registry, artifacts)
    notices = notice_desk(updates, lambda: urls.get("updates", config.updates.url))
    control = make_control(registry, fleet, files.audit, clock, end.fail, artifacts_url, notices)
    around = Around(config, files, fleet, clock, urls, end.fail)
    given, jobs = with_foreign(around, updates_of(config, registry, artifacts, updates, clock))
    return _Cloud(
        config=config,
        clock=clock,
        end=end,
        data=files.data,
        pki=files.pki,
        registry=registry,
        fleet=fleet,
        audit=files.audit,
        control=control,
        artifacts=artifacts,
        updates=updates,
        given=given,
        jobs=jobs,
        urls=urls,
    )


@asynccontextmanager
async def _broker(cloud: _Cloud) -> AsyncIterator[MosquittoBroker | NatsBroker]:
    settings = cloud.config.broker
    where = endpoint(settings.listen)
    port = cloud.data.port("mqtt", where.host, where.port)
    agents = cloud.config.fleetwise.prefixes
    jobs = cloud.config.jobs.enabled
    place = BrokerPlace(cloud.data.folder / "broker", where.host, port, cloud.pki, agents, jobs)
    broker = make_broker(settings.program, place, cloud.clock)
    await broker.start(cloud.fleet.members)
    cloud.urls["mqtt"] = f"mqtts://{addresses.reached(cloud.config, where.host, port)}"
    try:
        yield broker
    finally:
        await broker.stop()


@asynccontextmanager
async def _ingest(
    cloud: _Cloud, store: TelemetryStore, address: addresses.BrokerAddress | None, owner: str
) -> AsyncIterator[tuple[Callable[[], IngestStatus], GrpcDoor | None]]:
    config, control = cloud.config, cloud.control
    grace_ns = 0 if addresses.store_is_embedded(config) else REMOTE_GRACE_S * NS_PER_S
    intake = Intake(config.ingest.queue_max_bytes)
    folder, tenants = cloud.data.folder / "fleetwise", lambda: cloud.fleet.tenants
    watch = Watch()
    groups = Groups(
        store=store,
        ledger=cloud.registry.ledger,
        dictionaries=cloud.registry.dictionaries,
        quarantine=cloud.registry.quarantine,
        claims=lambda now_ns: Claimant(owner, now_ns, LEASE_S * NS_PER_S, grace_ns, watch),
    )
    worker = Worker(
        intake=intake,
        groups=groups,
        tenants=tenants,
        vehicles=cloud.registry.vehicles,
        feed=cloud.feed,
        clock=cloud.clock,
        limits=Limits(config.ingest.group_max_samples, config.ingest.group_max_age_ms),
        failed=cloud.end.fail,
    )
    name = f"{CLOUD_NAME}-{addresses.client_name(owner)}"
    mqtt = None
    if address is not None:
        mqtt = MqttDoor(
            address,
            client_id=name,
            intake=intake,
            clock=cloud.clock,
            count=worker.count,
            control=control,
            jobs=cloud.jobs,
        )
    streams = ControlDoor(
        control=control, members=lambda: cloud.fleet.members, region=config.region
    )
    grpc = await _grpc(cloud, intake, streams) if config.grpc.enabled else None

    def status() -> IngestStatus:
        return replace(
            worker.status(),
            mqtt_connected=mqtt.connected if mqtt else None,
            grpc_connections=grpc.connections if grpc else None,
        )

    kept = cloud.registry.quarantine
    models = KeptModels(cloud.registry.models, tenants)
    around = Surroundings(
        cloud.pki, folder, control, intake, kept, tenants, cloud.clock, cloud.end.fail, models
    )
    agents = serve_agents(config, address, around)
    worker.start()
    control.start(streams=Doors(streams, agents.control) if agents else streams, broker=mqtt)
    try:
        if mqtt is not None:
            mqtt.start()
        if agents is not None:
            agents.door.start()
        yield status, grpc
    finally:
        # What waits is stored and answered while the doors still carry receipts; new messages stay outside.
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(control.stop)
        if grpc is not None:
            await grpc.stop()
        if mqtt is not None:
            await asyncio.to_thread(mqtt.stop)
        if agents is not None:
            await asyncio.to_thread(agents.door.stop)


def _artifacts(cloud: _Cloud) -> ArtifactDoor:
    return ArtifactDoor(
        artifacts=cloud.artifacts,
        holdings=cloud.registry.holdings,
        members=lambda: cloud.fleet.members,
        region=cloud.config.region,
    )


async def _grpc(cloud: _Cloud, intake: Intake, streams: ControlDoor) -> GrpcDoor:
    enrolment = enrolment_door(_site(cloud), cloud.registry, cloud.audit)
    door = GrpcDoor(
        intake=intake,
        clock=cloud.clock,
        members=lambda: cloud.fleet.members,
        region=cloud.config.region,
        services=[enrolment.service(), _artifacts(cloud).service()],
        beside=streams,
    )
    where = endpoint(cloud.config.grpc.listen)
    port = cloud.data.port("grpc", where.host, where.port)
    pki = cloud.pki
    listening(
        where.host, port
    ).close()  # gRPC's own words for an address that is taken are no sentence
    await door.start(
        str(Endpoint(where.host, port)), ca=pki.anchors, certificate=pki.server, key=pki.server_key
    )
    cloud.urls["grpc"] = f"grpcs://{addresses.reached(cloud.config, where.host, port)}"
    return door


def _site(cloud: _Cloud) -> Site:
    return Site(
        cloud.config,
        cloud.clock,
        cloud.data,
        cloud.pki,
        cloud.fleet,
        cloud.metrics,
        cloud.urls,
        cloud.end.request,
    )


def _updates(cloud: _Cloud) -> AbstractAsyncContextManager[None]:
    is_open = cloud.config.updates.enabled
    return update_door(_site(cloud), cloud.given) if is_open else nullcontext()


@asynccontextmanager
async def _api(
    cloud: _Cloud,
    listen: str,
    telemetry: Telemetry,
    status: Callable[[], IngestStatus],
    poke: Callable[[], None],
) -> AsyncIterator[None]:
    where = endpoint(listen)
    tls = tls_of(cloud.config.api, where, cloud.pki.server, cloud.pki.server_key)
    opened = listening(where.host, cloud.data.port("api", where.host, where.port))
    port = opened.getsockname()[1]
    scheme = "https" if tls else "http"
    url = f"{scheme}://{addresses.reached(cloud.config, where.host, port)}"
    cloud.urls["api"] = url
    settings = cloud.config.api
    is_own = settings.sign_in and where.is_loopback
    own = OwnIssuer(url, own_signer(cloud.data.folder)) if is_own else None
    region, folder, registry = cloud.config.region, cloud.data.folder, cloud.registry
    users = registry.users
    campaigns = campaign_ports(cloud.config, registry, cloud.audit, cloud.control.poke)
    ports = ApiPorts(
        telemetry=telemetry,
        vehicles=registry.vehicles,
        quarantine=registry.quarantine,
        ingest_status=status,
        feed=cloud.feed,
        metrics=cloud.metrics,
        clock=cloud.clock,
        keys=registry.keys,
        tokens=tokens_of(settings.oidc, own.believed(users) if own else None, cloud.clock),
        audit=cloud.audit,
        acts=cloud.audit,
        campaigns=campaigns,
        services=service_ports(cloud.config, registry, cloud.audit, cloud.artifacts),
        fleets_of=cloud.control.fleets_of,
        releases=release_ports(cloud.config, registry, cloud.artifacts),
        sign_in=SignIn(own, users) if own else None,
        updates=update_ports(cloud.config, cloud.updates, cloud.audit, poke),
        fleetwise=control_plane(region, folder, registry, campaigns.service, campaigns.poke),
    )
    api = make_api(ports)
    async with serving(api, opened, tls=tls, proxies=settings.proxies, ended=cloud.end.request):
        yield
