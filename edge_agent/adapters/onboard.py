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

# Where apps find the agent unless it was told a place: beside the spool, which is the agent's own.
SOCKET_NAME = "onboard.sock"


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
    door: Door
    actuators: Acting | None


def open_onboard(
    config: Config, mapping: Mapping, plan: Plan, catalog: Catalog, clock: Clock
) -> Opened | None:
    """Return what the settings want, None where there is to be no door.  Raises BadInput or Unavailable."""
    settings = config.onboard
    if settings is None:
        return None
    from edge_agent.adapters.acting import open_acting  # noqa: PLC0415 - gRPC comes with it

    history = HistoryLimits(
        settings.history_count, settings.history_age_s, settings.history_max_bytes
    )
    data = data_of(catalog, mapping.table, history, clock)
    actuators = open_acting(config.outbound, config.actuation, plan, catalog, data, clock)
    door = open_door(settings, config.spool.dir, clock, data, actuators)
    return Opened(Feed(mapping, data, clock), door, actuators)


def open_door(
    settings: Onboard,
    spool_dir: Path,
    clock: Clock,
    data: VehicleData | None = None,
    actuators: Any = None,
) -> Door:
    """Return the door, not yet listening, that serves `data` and the Actuators, where there are some.

    Raises BadInput or Unavailable for what can never be opened.
    """
    from edge_agent.adapters.kuksa import services_of  # noqa: PLC0415
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
    return OnboardDoor(
        listen,
        verifier,
        tls=tls,
        group=settings.group,
        is_socket_trusted=settings.trust_socket,
        services=() if data is None else services_of(data, clock, actuators),
    )
