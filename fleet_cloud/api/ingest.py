"""GET /v1/ingest and /v1/quarantine: how ingest is doing, and what it could not read.

Rule 1: ingest's counts are those of all tenants together, so they are for who may see all of them.
Rule 2: a misfit is there for who may see the vehicle that sent it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from fairway.errors import Unavailable
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import iso
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.visible import Caller
from fleet_cloud.ingest.records import QuarantineEntry
from fleet_cloud.ingest.status import Counts
from fleet_cloud.vehicles.telemetry import Statistics

# A person reads them; whoever wants all reads the registry.
ENTRIES_MAX = 1000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class IngestView:
    """What ingest has done since it started, what waits, and what went wrong last.

    `in_quarantine` and `stored` are null while the registry or the telemetry store does not answer.
    """

    healthy: bool
    counts: Counts
    queue_bytes: int
    queue_max_bytes: int
    store_latency_ms: float
    last_error: str | None
    last_error_time: str | None
    mqtt_connected: bool | None
    grpc_connections: int | None
    in_quarantine: int | None
    stored: Statistics | None


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """One message that could not be stored."""

    id: int
    vehicle: str
    reason: str
    received: str
    received_time_ns: int
    size_bytes: int
    batch: str | None


@dataclass(frozen=True, slots=True)
class QuarantineList:
    """The newest misfits, newest first, and how many are kept."""

    kept: int
    entries: list[QuarantineView]


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of ingest."""
    routes = APIRouter(prefix="/v1", tags=["ingest"])

    @routes.get("/ingest", responses=responses(401, 403, 429, 503))
    def show_ingest(
        _caller: Annotated[Caller, needs(Permission.INGEST_READ)],
    ) -> IngestView:
        """Show how ingest is doing."""
        status = ports.ingest_status()
        at_ns = status.last_error_time_ns
        return IngestView(
            healthy=status.healthy,
            counts=status.counts,
            queue_bytes=status.queue_bytes,
            queue_max_bytes=status.queue_max_bytes,
            store_latency_ms=status.store_latency_ms,
            last_error=status.last_error or None,
            last_error_time=None if at_ns is None else iso(at_ns),
            mqtt_connected=status.mqtt_connected,
            grpc_connections=status.grpc_connections,
            in_quarantine=_if_reached(ports.quarantine.count),
            stored=_if_reached(ports.telemetry.statistics),
        )

    @routes.get("/quarantine", responses=responses(400, 401, 403, 429, 503))
    def list_quarantine(
        caller: Annotated[Caller, needs(Permission.QUARANTINE_READ)],
        limit: Annotated[int, Query(ge=1, le=ENTRIES_MAX)] = 100,
    ) -> QuarantineList:
        """List the messages that could not be stored, newest first."""
        if caller.sees_all:
            entries = ports.quarantine.entries(limit=limit)
            return QuarantineList(ports.quarantine.count(), [_view(entry) for entry in entries])
        seen = _seen(ports, caller)
        return QuarantineList(len(seen), [_view(entry) for entry in seen[:limit]])

    @routes.get(
        "/quarantine/{entry}/payload",
        response_class=Response,
        responses={
            200: {"content": {"application/octet-stream": {}}},
            **responses(400, 401, 403, 404, 429, 503),
        },
    )
    def read_payload(
        caller: Annotated[Caller, needs(Permission.QUARANTINE_READ)],
        entry: Annotated[int, Path(ge=0, lt=2**63)],
    ) -> Response:
        """Read the bytes of a message that could not be stored."""
        known = caller.sees_all or any(one.id == entry for one in _seen(ports, caller))
        payload = ports.quarantine.payload(entry) if known else None
        if payload is None:
            raise NotFound(f"nothing in quarantine has the number {entry}: see /v1/quarantine")
        # Whoever sent it was no vehicle in its right mind: no browser is to find a meaning in it.
        headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
        return Response(payload, media_type="application/octet-stream", headers=headers)

    return routes


def _seen(ports: ApiPorts, caller: Caller) -> list[QuarantineEntry]:
    """Return the newest entries that are there for `caller`."""
    entries = ports.quarantine.entries(tenants=caller.tenants, limit=ENTRIES_MAX)
    return [entry for entry in entries if caller.sees(entry.tenant, entry.vehicle)]


def _if_reached(ask: Callable[[], _T]) -> _T | None:
    """Return the answer, or None: how ingest is doing is asked most when a store is gone."""
    try:
        return ask()
    except Unavailable:
        return None


def _view(entry: QuarantineEntry) -> QuarantineView:
    return QuarantineView(
        entry.id,
        entry.vehicle,
        entry.reason,
        iso(entry.received_time_ns),
        entry.received_time_ns,
        entry.size_bytes,
        None if entry.name is None else str(entry.name),
    )
