"""How rollouts and ECUs are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fairway.update import UpdateEvent
from fleet_cloud.api.parameters import iso
from fleet_cloud.rollouts.ecus import EcuState, Waiting
from fleet_cloud.rollouts.model import Counts, Kept, VehicleKept, WaveKept
from fleet_cloud.rollouts.wishes import wish_to_json


@dataclass(frozen=True, slots=True)
class WaveView:
    """A wave: how it stands, and how many of its vehicles stand where."""

    number: int
    name: str
    state: str
    opened: str | None
    soaking: str | None
    ended: str | None
    why: str | None
    vehicles: dict[str, int]


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout; `why` says why it stands where it stands, `waves` is null in lists."""

    id: str
    tenant: str
    name: str
    state: str
    why: str | None
    bundle: str
    version: str
    sha256: str
    author: str
    approved_by: str | None
    created: str
    changed: str
    started: str | None
    ends: str | None
    wish: dict[str, Any]
    rxswin: list[str]
    waves: list[WaveView] | None


@dataclass(frozen=True, slots=True)
class RolloutPage:
    """Some rollouts, newest first; `next` is the `after` of the next page, null on the last."""

    rollouts: list[RolloutView]
    next: str | None


@dataclass(frozen=True, slots=True)
class RolloutVehicle:
    """How the update stands in a vehicle; `why` says what holds it up, or how it ended."""

    vehicle: str
    wave: int
    stage: str
    action: str
    attempt: int
    again: str | None
    offered: str | None
    changed: str
    fault: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class RolloutVehicles:
    """Some vehicles of a rollout, in order of id."""

    vehicles: list[RolloutVehicle]
    next: str | None


@dataclass(frozen=True, slots=True)
class Retried:
    """How many vehicles are offered it again."""

    vehicles: int


@dataclass(frozen=True, slots=True)
class EventView:
    """What a vehicle said of an order."""

    sequence: int
    time: str
    stage: str
    ecu: str | None
    percent: int | None
    fault: str | None
    sentence: str | None
    log: str | None


@dataclass(frozen=True, slots=True)
class VehicleUpdate:
    """A rollout that a vehicle is or was in, and what the vehicle said of its last order."""

    rollout: str
    name: str
    state: str
    bundle: str
    version: str
    standing: RolloutVehicle
    events: list[EventView]


@dataclass(frozen=True, slots=True)
class VehicleUpdates:
    """The updates of a vehicle, newest first, and the RXSWINs that it reported last."""

    vehicle: str
    updates: list[VehicleUpdate]
    rxswin: dict[str, str]


@dataclass(frozen=True, slots=True)
class EcuView:
    """An ECU and what it holds, as it was reported last."""

    serial: str
    hardware_id: str
    is_primary: bool
    has_key: bool
    image: str | None
    sha256: str | None
    release_counter: int | None
    attacks: list[str]


@dataclass(frozen=True, slots=True)
class WaitingView:
    """ECUs of a vehicle that wait to be accepted."""

    tenant: str
    vehicle: str
    asked: str
    ecus: list[EcuView]


@dataclass(frozen=True, slots=True)
class EcuPage:
    """The ECUs of the vehicle that was asked for, and what waits to be accepted."""

    ecus: list[EcuView]
    waiting: list[WaitingView]


@dataclass(frozen=True, slots=True)
class RxswinCount:
    """How many vehicles hold an RXSWIN in a version."""

    rxswin: str
    version: str
    vehicles: int


@dataclass(frozen=True, slots=True)
class RxswinType:
    """The RXSWINs of a type of vehicle."""

    type: str
    held: list[RxswinCount]


@dataclass(frozen=True, slots=True)
class RxswinReport:
    """RXSWINs by type of vehicle."""

    by: str
    types: list[RxswinType]


def rollout_view(
    kept: Kept, waves: Sequence[WaveKept] | None = None, counts: Mapping[int, Counts] | None = None
) -> RolloutView:
    """Return a rollout as the API tells it."""
    ends_ns = kept.ends_time_ns
    shown = None
    if waves is not None:
        shown = [_wave(kept, one, (counts or {}).get(one.number, Counts())) for one in waves]
    return RolloutView(
        id=kept.id,
        tenant=kept.tenant,
        name=kept.name,
        state=kept.state.value,
        why=kept.why or None,
        bundle=kept.wish.bundle,
        version=kept.content.bundle.version,
        sha256=kept.content.bundle_sha256,
        author=kept.author,
        approved_by=kept.approved_by or None,
        created=iso(kept.created_time_ns),
        changed=iso(kept.changed_time_ns),
        started=_when(kept.started_time_ns or 0),
        ends=_when(ends_ns or 0),
        wish=wish_to_json(kept.wish),
        rxswin=list(kept.content.rxswin),
        waves=shown,
    )


def vehicle_view(one: VehicleKept) -> RolloutVehicle:
    """Return how an update stands as the API tells it."""
    return RolloutVehicle(
        vehicle=one.vehicle,
        wave=one.wave,
        stage=one.stage.value,
        action=one.action,
        attempt=one.attempt,
        again=_when(one.not_before_ns),
        offered=_when(one.offered_time_ns),
        changed=iso(one.changed_time_ns),
        fault=one.fault.value if one.fault else None,
        why=one.held or one.sentence or None,
    )


def event_view(event: UpdateEvent) -> EventView:
    """Return what a vehicle said as the API tells it."""
    return EventView(
        sequence=event.sequence,
        time=iso(event.time_ns),
        stage=event.stage.value,
        ecu=event.ecu or None,
        percent=event.percent,
        fault=event.fault.value if event.fault else None,
        sentence=event.sentence or None,
        log=event.log or None,
    )


def ecu_view(state: EcuState) -> EcuView:
    """Return an ECU as the API tells it."""
    held = state.installed
    return EcuView(
        serial=state.known.serial,
        hardware_id=state.known.hardware_id,
        is_primary=state.known.is_primary,
        has_key=bool(state.known.public_key),
        image=held.path if held else None,
        sha256=held.sha256 if held else None,
        release_counter=held.release_counter if held else None,
        attacks=list(state.attacks),
    )


def waiting_view(waiting: Waiting) -> WaitingView:
    """Return ECUs that wait as the API tells it."""
    some = [ecu_view(EcuState(waiting.vehicle, one, None, -1, ())) for one in waiting.ecus]
    return WaitingView(waiting.tenant, waiting.vehicle, iso(waiting.time_ns), some)


def _wave(kept: Kept, one: WaveKept, counts: Counts) -> WaveView:
    return WaveView(
        number=one.number,
        name=kept.wish.waves[one.number].name,
        state=one.state.value,
        opened=_when(one.opened_time_ns),
        soaking=_when(one.soaking_time_ns),
        ended=_when(one.ended_time_ns),
        why=one.why or None,
        vehicles=asdict(counts),
    )


def _when(time_ns: int) -> str | None:
    return iso(time_ns) if time_ns else None
