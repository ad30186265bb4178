"""What the REST API stands on: everything it may ask, and nothing it may change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry

from fairway.clock import Clock
from fairway.errors import BadInput
from fairway.ids import vehicle_id
from fleet_cloud.ingest.ports import LiveFeed, Quarantine
from fleet_cloud.ingest.status import IngestStatus
from fleet_cloud.vehicles.registry import Vehicle, VehicleReader
from fleet_cloud.vehicles.telemetry import TelemetryReader, TelemetryStatistics


class Telemetry(TelemetryReader, TelemetryStatistics, Protocol):
    """The readable half of the telemetry store."""


class NotFound(BadInput):
    """Nothing is called that; the API answers 404."""


class NotAcceptable(BadInput):
    """None of the media types asked for can be given; the API answers 406."""


@dataclass(frozen=True, slots=True)
class ApiPorts:
    """What the routes are given."""

    telemetry: Telemetry
    vehicles: VehicleReader
    quarantine: Quarantine
    ingest_status: Callable[[], IngestStatus]
    feed: LiveFeed
    metrics: CollectorRegistry
    clock: Clock


def known_vehicle(vehicles: VehicleReader, name: str) -> Vehicle:
    """Return the vehicle called `name`.  Raises NotFound, Unavailable."""
    try:
        found = vehicles.vehicle(vehicle_id(name))
    except BadInput as error:
        raise NotFound(f"no vehicle is called {name[:80]!r}: {error}") from error
    if found is None:
        raise NotFound(f"no vehicle is called {name!r}: see /v1/vehicles")
    return found
