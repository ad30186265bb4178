"""Opens the door for on-board apps as the settings describe it; where there is none, its libraries stay out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edge_agent.broker.claims import Expected
from edge_agent.broker.counts import OnboardCounts
from edge_agent.broker.feed import Feed, HistoryLimits, data_of
from edge_agent.broker.vehicle import VehicleData
from edge_agent.canbus.mapping import Mapping
from edge_agent.canbus.plan import Plan
from edge_agent.config import Config, Onboard
from fairway.catalog.model import Catalog
from fairway.clock import Clock
from fairway.errors import BadInput, FairwayError

# Where apps find the agent unless it was told a place: beside the spool, which is the agent's own.
SOCKET_NAME = "onboard.sock"
# A hundred services with some subscriptions each, and apps beside them.
SERVICES_SUBSCRIPTIONS_MAX = 1024


class Door(Protocol):
    """What the agent knows of the door: it opens, counts and closes."""

    @property
    def counts(self) -> OnboardCounts:
        """What apps asked for, and what they were refused."""
        ...

    async def start(self) -> str:
        """Listen, and return where.  Raises BadInput, Conflict or Unavailable."""
        ...

    async def stop(self) -> None:
        """Close."""
        ...


class Acting(Protocol):
    """What the agent knows of what acts on the vehicle."""

    def connect(self, bus: int, source: object) -> None:
        """Send on a bus by way of its source, if anything may be sent there.  Raises BadInput."""
        ...

    async def run(self) -> None:
        """Act until cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """The door, what feeds the data behind it, and what acts on the vehicle where something may."""

    feed: Feed
    door: Door | None  # None: there is none for apps, only those of services
    actuators: Acting | None
    serving: tuple[Any, ...] = ()  # what doors add to their servers, the same for all of them


def open_onboard(
    config: Config,
    mapping: Mapping,
    plan: Plan,
    catalog: Catalog,
    clock: Clock,
    *,
    is_for_services: bool = False,
) -> Opened | None:
    """Return what the settings want, None where there is to be no door.  Raises BadInput or Unavailable.

    Services (virtual ECUs) have doors of their own over the same data: for them it is there without [onboard].
    """
    settings = config.onboard
    if settings is None and not is_for_services:
        return None
    from edge_agent.adapters.acting import open_acting  # noqa: PLC0415 - gRPC comes with it
    from edge_agent.adapters.kuksa import services_of  # noqa: PLC0415
    from edge_agent.adapters.kuksa_service import Service  # noqa: PLC0415

    kept = settings or Onboard(trust_socket=True)  # its history, nothing else
    history = HistoryLimits(kept.history_count, kept.history_age_s, kept.history_max_bytes)
    data = data_of(catalog, mapping.table, history, clock)
    actuators = open_acting(config.outbound, config.actuation, plan, catalog, data, clock)
    room = {"subscriptions_max": SERVICES_SUBSCRIPTIONS_MAX} if is_for_services else {}
    service = Service(data, clock, **room)
    door = None
    if settings is not None:
        door = open_door(settings, config.spool.dir, clock, data, actuators, service)
    serving = services_of(data, clock, actuators, service)
    return Opened(Feed(mapping, data, clock), door, actuators, serving)


def open_door(
    settings: Onboard,
    spool_dir: Path,
    clock: Clock,
    data: VehicleData | None = None,
    actuators: Any = None,
    service: Any = None,
) -> Door:
    """Return the door, not yet listening, that serves `data` and the Actuators, where there are some.

    `service` is the kuksa_service.Service that other doors have too.

    Raises BadInput or Unavailable for what can never be opened.
    """
    from edge_agent.adapters.kuksa import services_of  # noqa: PLC0415
    from edge_agent.adapters.kuksa_service import Service  # noqa: PLC0415
    from edge_agent.adapters.onboard_grpc import OnboardDoor, Tls  # noqa: PLC0415
    from edge_agent.adapters.onboard_listen import listen_at  # noqa: PLC0415
    from edge_agent.adapters.tokens import Verifier, load_keys  # noqa: PLC0415

    beside_spool = (spool_dir.parent / SOCKET_NAME).absolute()
    listen = listen_at(settings.listen or f"unix:{beside_spool}", plain=settings.plain)
    expected = Expected(frozenset(settings.audience), settings.issuer)
    verifier = Verifier(load_keys(settings.keys), expected, clock, revoked=settings.revoked)
    tls = None
    if settings.certificate is not None and settings.key is not None:
        tls = Tls(settings.certificate, settings.key, settings.client_ca)
    if service is None and data is not None:
        service = Service(data, clock)
    door = OnboardDoor(
        listen,
        verifier,
        tls=tls if listen.scheme == "tls" or not settings.viss else None,
        group=settings.group,
        is_socket_trusted=settings.trust_socket,
        services=(() if service is None else services_of(service.data, clock, actuators, service)),
    )
    if not settings.viss or service is None:
        return door
    return _with_viss(door, settings, tls, service, verifier)


class _Doors:
    """The door, and beside it that of VISS: one opens when the other has, or neither does."""

    def __init__(self, door: Door, viss: Any) -> None:
        self._door, self._viss = door, viss

    @property
    def counts(self) -> OnboardCounts:
        """What apps asked for at both, and what they were refused."""
        return self._door.counts

    async def start(self) -> str:
        """Listen, and return where.  Raises BadInput, Conflict or Unavailable."""
        where = await self._door.start()
        try:
            await self._viss.start()
        except FairwayError:
            await self._door.stop()
            raise
        return where

    async def stop(self) -> None:
        """Close."""
        await self._viss.stop()
        await self._door.stop()


def _with_viss(door: Door, settings: Onboard, tls: Any, service: Any, verifier: Any) -> Door:
    """Return the door with that of VISS.  Raises BadInput."""
    from edge_agent.adapters.onboard_listen import listen_at  # noqa: PLC0415

    try:
        from edge_agent.adapters.viss_http import VissDoor  # noqa: PLC0415
        from edge_agent.adapters.viss_service import Viss  # noqa: PLC0415
    except ImportError as error:
        raise BadInput(
            f"onboard.viss needs the extra edge-viss ({error.name} is not installed)"
        ) from error
    scheme = "tls" if tls is not None else "tcp"
    listen = listen_at(f"{scheme}://{settings.viss}", plain=settings.plain, name="onboard.viss")
    return _Doors(door, VissDoor(listen, Viss(service, verifier, door.counts), tls))
