"""Doors to vehicles that are put together from several features.

registry, fleet, artifacts, Director, offers --> the device door (updates)
registry, fleet, certificates --> enrolment
"""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from fairway import log as logs
from fairway.clock import Clock
from fairway.errors import Unavailable
from fleet_cloud.adapters import addresses
from fleet_cloud.adapters.data_dir import DataDir, listening
from fleet_cloud.adapters.fleet import Fleet
from fleet_cloud.adapters.grpc_enrolment import EnrolmentDoor
from fleet_cloud.adapters.handing_out import place_of
from fleet_cloud.adapters.peer_certificates import vehicle_shown
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.pki_issuer import PkiIssuer
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.adapters.updates import Updates as Kept
from fleet_cloud.api.device.metrics import DoorCollector
from fleet_cloud.api.device.ports import DevicePorts, DoorNumbers, Places
from fleet_cloud.api.device.server import DoorTls, door
from fleet_cloud.api.device.service import device_app
from fleet_cloud.artifacts.ports import Artifacts, Holdings
from fleet_cloud.audit.acts import Audit
from fleet_cloud.config import Config, endpoint
from fleet_cloud.enrolment.desk import Desk
from fleet_cloud.features import open_places
from fleet_cloud.releasing import open_repository, repository_keeper
from fleet_cloud.rollouts.ports import Director, Ecus, ImageRepository, Offers

log = logs.get("fleet_cloud.updates")

# A timestamp lives a day, and is signed anew when half of that is over.
RENEW_LOOK_S = 600.0


@dataclass(frozen=True, slots=True)
class Updates:
    """What the device door is given of updates."""

    director: Director
    offers: Offers
    ecus: Ecus
    repository: ImageRepository
    artifacts: Artifacts
    holdings: Holdings
    places: Places | None = None
    renew: Callable[[], object] = lambda: None  # signs metadata anew that is about to expire
    beside: Callable[[DevicePorts], Sequence[APIRouter]] = lambda _: ()  # foreign protocols


@dataclass(frozen=True, slots=True)
class Site:
    """Where the door stands."""

    config: Config
    clock: Clock
    data: DataDir
    pki: FilePki
    fleet: Fleet
    metrics: CollectorRegistry
    urls: dict[str, str]
    ended: Callable[[], None]


def enrolment_door(site: Site, registry: Registry, audit: Audit) -> EnrolmentDoor:
    """Return the door at which vehicles get their certificates."""
    config = site.config
    desk = Desk(
        enrolments=registry.enrolments,
        vehicles=registry.vehicles,
        certificates=registry.certificates,
        issuer=PkiIssuer(site.pki, config.pki.vehicle_days),
        audit=audit,
        new_id=lambda: secrets.token_hex(16),
        place=lambda: place_of(config, site.pki, site.urls),
    )
    return EnrolmentDoor(
        desk=desk,
        clock=site.clock,
        region=config.region,
        members=lambda: site.fleet.members,
    )


@asynccontextmanager
async def update_door(site: Site, updates: Updates) -> AsyncIterator[None]:
    """Open the device door while the body runs, and note where it is reached.  Raises BadInput, Unavailable."""
    config, pki = site.config, site.pki
    where = endpoint(config.updates.listen)
    opened = listening(where.host, site.data.port("updates", where.host, where.port))
    port = opened.getsockname()[1]
    reached = f"https://{addresses.reached(config, where.host, port)}"
    site.urls["updates"] = config.updates.url or reached
    ports = DevicePorts(
        director=updates.director,
        offers=updates.offers,
        ecus=updates.ecus,
        repository=updates.repository,
        artifacts=updates.artifacts,
        holdings=updates.holdings,
        members=lambda: site.fleet.members,
        shown=lambda der: _shown(der, config.region),
        clock=site.clock,
        numbers=DoorNumbers(),
        places=updates.places,
    )
    site.metrics.register(DoorCollector(ports.numbers))
    tls = DoorTls(pki.server, pki.server_key, pki.anchors)
    app = device_app(ports, updates.beside(ports))
    async with door(app, opened, tls=tls, numbers=ports.numbers, ended=site.ended):
        renewing = asyncio.create_task(_renewing(updates.renew))
        try:
            yield
        finally:
            renewing.cancel()


async def _renewing(renew: Callable[[], object]) -> None:
    while True:
        try:
            await asyncio.to_thread(renew)
        except Unavailable as error:  # and again in a while: half of its life is left
            log.error("metadata_not_renewed", reason=str(error))  # noqa: TRY400 - the reason says it
        await asyncio.sleep(RENEW_LOOK_S)


def updates_of(
    config: Config, registry: Registry, artifacts: Artifacts, kept: Kept, clock: Clock
) -> Updates:
    """Return what the device door is given, over one registry."""
    keeper = repository_keeper(config, open_repository(config, registry), clock)
    return Updates(
        kept.director,
        kept.offers,
        kept.ecus,
        kept.repository,
        artifacts,
        registry.holdings,
        open_places(config, clock),
        renew=keeper.renew,
    )


def _shown(der: bytes, region: str) -> tuple[str, str]:
    return vehicle_shown(ssl.DER_cert_to_PEM_cert(der).encode(), region=region)
