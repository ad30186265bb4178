"""GET /v1/vehicles: the fleet, each vehicle, and the newest value of each of its signals."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import needs
from fleet_cloud.api.parameters import iso, signal_filter
from fleet_cloud.api.ports import ApiPorts
from fleet_cloud.api.problems import responses
from fleet_cloud.api.visible import Caller, known_vehicle, seen_vehicles
from fleet_cloud.vehicles.registry import VEHICLES_MAX_PAGE, Vehicle

VehicleName = Annotated[str, Path(description="A VIN, or the fleet's own name of the vehicle.")]


@dataclass(frozen=True, slots=True)
class VehicleView:
    """One vehicle as the API tells it."""

    id: str
    tenant: str
    state: str
    registered: str
    registered_time_ns: int
    last_seen: str | None
    last_seen_time_ns: int | None
    certificate_expires: str | None


@dataclass(frozen=True, slots=True)
class VehiclePage:
    """Some vehicles in order of id; `next` is the `after` of the next page, or null on the last."""

    vehicles: list[VehicleView]
    next: str | None


@dataclass(frozen=True, slots=True)
class VehicleDetail:
    """One vehicle, with how many of its samples are stored."""

    vehicle: VehicleView
    samples: int


@dataclass(frozen=True, slots=True)
class SignalView:
    """The newest sample of one signal; numbers that JSON has no word for are null."""

    signal: str
    value: float | bool | str | None
    unit: str
    time: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class SignalList:
    """The newest sample of every signal of a vehicle, in order of name."""

    vehicle: str
    signals: list[SignalView]


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of vehicles."""
    routes = APIRouter(prefix="/v1/vehicles", tags=["vehicles"])

    @routes.get("", responses=responses(400, 401, 403, 429, 503))
    def list_vehicles(
        caller: Annotated[Caller, needs(Permission.VEHICLES_READ)],
        after: Annotated[
            str,
            Query(description="The id to go on behind.", pattern=r"^[A-Za-z0-9._-]{0,64}$"),
        ] = "",
        limit: Annotated[int, Query(ge=1, le=VEHICLES_MAX_PAGE)] = 100,
    ) -> VehiclePage:
        """List the fleet in order of id, a page at a time, with when each was last heard of."""
        found = seen_vehicles(ports.vehicles, caller, after=after, limit=limit)
        more = found[-1].id if len(found) == limit else None
        return VehiclePage([_view(vehicle) for vehicle in found], more)

    @routes.get("/{vehicle}", responses=responses(401, 403, 404, 429, 503))
    def show_vehicle(
        caller: Annotated[Caller, needs(Permission.VEHICLES_READ)], vehicle: VehicleName
    ) -> VehicleDetail:
        """Show one vehicle."""
        found = known_vehicle(ports.vehicles, vehicle, caller)
        return VehicleDetail(_view(found), ports.telemetry.count(found.tenant, found.id))

    @routes.get("/{vehicle}/signals", responses=responses(400, 401, 403, 404, 429, 503))
    def list_signals(
        caller: Annotated[Caller, needs(Permission.TELEMETRY_READ)],
        vehicle: VehicleName,
        signal: Annotated[
            list[str],
            Query(
                default_factory=list,
                description="Only signals that fit one of these patterns, as in `*.Speed`.",
            ),
        ],
    ) -> SignalList:
        """List the newest value of every signal of a vehicle."""
        found = known_vehicle(ports.vehicles, vehicle, caller)
        fits = signal_filter(signal)
        return SignalList(
            found.id,
            [
                SignalView(
                    latest.signal,
                    _jsonable(latest.value),
                    latest.unit,
                    iso(latest.time_ns),
                    latest.time_ns,
                )
                for latest in ports.telemetry.latest(found.tenant, found.id)
                if fits(latest.signal)
            ],
        )

    return routes


def _view(vehicle: Vehicle) -> VehicleView:
    seen_ns, expires_ns = vehicle.last_seen_time_ns, vehicle.certificate_expires_time_ns
    return VehicleView(
        id=vehicle.id,
        tenant=vehicle.tenant,
        state=vehicle.state.value,
        registered=iso(vehicle.registered_time_ns),
        registered_time_ns=vehicle.registered_time_ns,
        last_seen=None if seen_ns is None else iso(seen_ns),
        last_seen_time_ns=seen_ns,
        certificate_expires=None if expires_ns is None else iso(expires_ns),
    )


def _jsonable(value: float | bool | str) -> float | bool | str | None:  # noqa: FBT001 - a value
    is_finite = not isinstance(value, float) or abs(value) < float("inf")
    return value if is_finite else None
