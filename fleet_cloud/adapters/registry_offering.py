"""Orders given to many vehicles at once, each to those in whose configuration the release fits.

    planned, in turn > waiting ECUs? failed before? does it fit? > offered, held back, or there already

Rule 1: the solver is asked once for each configuration, not for each vehicle (UN R156, 7.1.1.7).
Rule 2: a vehicle has one order at a time, whatever number of rollouts mean it.
Rule 3: who is held back is told why, and looked at again when its report says something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, exists

from fairway.identity import Scope
from fairway.update import Stage
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_records import SqlRecords
from fleet_cloud.adapters.registry_rollout_tables import (
    ecu_wishes,
    ecus,
    rollout_vehicles,
    update_bad,
    update_vehicles,
)
from fleet_cloud.adapters.registry_sql import chunks
from fleet_cloud.adapters.rollout_images import Listed, RepositoryImages
from fleet_cloud.rollouts.model import Kept, action_of
from fleet_cloud.rollouts.records import Fact
from fleet_cloud.rollouts.solver import HAS_ALL, EcuKnown, Fit, fit
from ota.manifest import Image, Kind
from ota.report import Installed


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a slice of vehicles."""

    vehicles: list[str]  # that hold a new order
    taken: int  # of the wave's rate


@dataclass(slots=True)
class _Slice:
    """Vehicles in turn, and what is known of them."""

    attempts: dict[str, int]
    ecus: dict[str, list[EcuKnown]] = field(default_factory=dict)
    configurations: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    bad: dict[str, set[str]] = field(default_factory=dict)


class Offering:
    """Gives orders."""

    def __init__(self, region: str, records: SqlRecords, images: RepositoryImages) -> None:
        self._region, self._records, self._images = region, records, images

    def slice(
        self,
        connection: Connection,
        kept: Kept,
        wave: int,
        count: int,
        revision: int,
        now_ns: int,
    ) -> Told:
        """Give orders to the next of a wave, in a transaction that is under way."""
        scope = Scope(self._region, kept.tenant)
        due = self._due(connection, scope, kept, wave, count, now_ns)
        if not due.attempts:
            return Told([], 0)
        listed = self._images.listed(kept.tenant)
        told, held = [], dict[str, list[str]]()
        facts, fits = [], dict[str, Fit]()
        images = listed.of(kept)
        for vehicle, attempt in due.attempts.items():
            found = _fit(kept, due, vehicle, images, listed, fits)
            why = _why_not(kept, due, vehicle, found)
            if why:
                held.setdefault(why, []).append(vehicle)
                continue
            told.append(vehicle)
            details = _details(kept, wave, attempt, due.ecus.get(vehicle, ()), found)
            facts.append(Fact(vehicle, "offered", details))
        done = held.pop(HAS_ALL, [])
        details = {"action": "", "sentence": HAS_ALL, "by": "system"}
        facts += [Fact(vehicle, Stage.COMMITTED.value, details) for vehicle in done]
        self._put(connection, scope, kept, told, standing="open", stage=Stage.OFFERED.value,
                  offered_time_ns=now_ns, changed_time_ns=now_ns, revision=revision, sequence=-1,
                  fault="", sentence="")  # fmt: skip
        self._put(connection, scope, kept, done, standing="committed", sentence=HAS_ALL,
                  stage=Stage.COMMITTED.value, changed_time_ns=now_ns)  # fmt: skip
        for why, vehicles in held.items():
            self._put(connection, scope, kept, vehicles, standing="held", held=why)
        self._records.write(connection, scope, kept.id, facts, now_ns)
        return Told(told, len(told))

    def _due(
        self,
        connection: Connection,
        scope: Scope,
        kept: Kept,
        wave: int,
        count: int,
        now_ns: int,
    ) -> _Slice:
        c, other = rollout_vehicles.c, rollout_vehicles.alias()
        has_order = exists().where(
            other.c.region == c.region,
            other.c.tenant == c.tenant,
            other.c.vehicle == c.vehicle,
            other.c.standing == "open",
        )
        wanted = registry_scope.chosen(
            rollout_vehicles,
            scope,
            c.rollout == kept.id,
            c.standing == "planned",
            c.wave == wave,
            c.not_before_ns <= now_ns,
            ~has_order,
        )
        ordered = wanted.with_only_columns(c.vehicle, c.attempt).order_by(c.turn).limit(count)
        due = _Slice({row.vehicle: row.attempt for row in connection.execute(ordered)})
        names = sorted(due.attempts)
        for row in _of(connection, scope, ecus, names):
            due.ecus.setdefault(row.vehicle, []).append(ecu_of(row))
        for row in _of(connection, scope, update_vehicles, names):
            due.configurations[row.vehicle] = row.configuration
        due.waiting = {row.vehicle for row in _of(connection, scope, ecu_wishes, names)}
        hashes = [kept.content.bundle_sha256, *(sha256 for _, sha256 in kept.content.images)]
        for row in _of(connection, scope, update_bad, names, update_bad.c.sha256.in_(hashes)):
            due.bad.setdefault(row.vehicle, set()).add(row.sha256)
        return due

    @staticmethod
    def _put(
        connection: Connection, scope: Scope, kept: Kept, vehicles: Sequence[str], **values: Any
    ) -> None:
        c = rollout_vehicles.c
        for some in chunks(vehicles):
            them = registry_scope.changed(
                rollout_vehicles, scope, c.rollout == kept.id, c.vehicle.in_(some)
            )
            connection.execute(them.values(**values))


def ecu_of(row: Row[Any]) -> EcuKnown:
    """Return an ECU as it was reported last."""
    held = Installed(row.path, row.length, row.sha256, row.release_counter) if row.sha256 else None
    return EcuKnown(row.serial, row.hardware_id, held)


def _of(
    connection: Connection,
    scope: Scope,
    table: Table,
    names: Sequence[str],
    *more: ColumnElement[bool],
) -> Iterator[Row[Any]]:
    for some in chunks(names):
        wanted = registry_scope.chosen(table, scope, table.c.vehicle.in_(some), *more)
        yield from connection.execute(wanted)


def fit_of(
    kept: Kept,
    of: Sequence[EcuKnown],
    images: Sequence[Image] | None,
    known: Mapping[str, Image],
) -> Fit:
    """Return what a vehicle with these ECUs would be given of a rollout."""
    if images is None:
        return Fit((), "an image of the release is not in the repository any more")
    if not of:
        if kept.wish.takes_unknown:
            return Fit(())
        return Fit((), "it has not told of its ECUs yet, so nobody knows whether it fits")
    return fit(images, of, known, is_downgrade=kept.wish.is_downgrade)


def _fit(
    kept: Kept,
    due: _Slice,
    vehicle: str,
    images: Sequence[Image] | None,
    listed: Listed,
    fits: dict[str, Fit],
) -> Fit:
    name = due.configurations.get(vehicle, "")
    of = due.ecus.get(vehicle, [])
    if name and name in fits:
        return fits[name]
    found = fit_of(kept, of, images, listed.by_sha256)
    if name:
        fits[name] = found
    return found


def _why_not(kept: Kept, due: _Slice, vehicle: str, found: Fit) -> str:
    if vehicle in due.waiting:
        return "it has told of other ECUs than before, and nobody has accepted them yet"
    bad = due.bad.get(vehicle)
    if bad and (
        kept.content.bundle_sha256 in bad or {image.sha256 for image in found.images} & bad
    ):
        return "this version failed in it before, and is never offered to it again"
    return found.why


def _details(
    kept: Kept, wave: int, attempt: int, of: Sequence[EcuKnown], found: Fit
) -> dict[str, Any]:
    """What UN R156 wants to be known of an update: versions and hashes before and after."""
    after = {
        (one.ecu.hardware_id, one.image.path, one.image.sha256, one.image.release_counter)
        for one in found.given
        if one.image.kind is not Kind.BUNDLE
    }
    before = [
        [ecu.serial, ecu.hardware_id, ecu.installed.path, ecu.installed.sha256]
        for ecu in of
        if ecu.installed
    ]
    return {
        "action": action_of(kept.id, attempt),
        "wave": wave,
        "before": sorted(before),
        "after": [list(one) for one in sorted(after)],
    }
