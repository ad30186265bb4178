"""What each vehicle is to install, in SQL, and what vehicles say of it.

Rule 1: what is said twice, late, or of somebody else's order changes nothing: events have their number as key,
and a vehicle's row follows those of its own order alone (rollouts/following.py).
Rule 2: who says something is worth a record in the same transaction, and so is what follows from it.
Rule 3: many vehicles are heard in one transaction; one vehicle is many with one in it.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import BadInput
from fairway.identity import Scope
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_offering import ecu_of, fit_of
from fleet_cloud.adapters.registry_records import SqlRecords
from fleet_cloud.adapters.registry_rollout_tables import (
    ecu_wishes,
    ecus,
    rollout_vehicles,
    rollouts,
    update_bad,
    update_events,
)
from fleet_cloud.adapters.registry_rollouts import kept_of, vehicle_of, vehicle_values
from fleet_cloud.adapters.registry_sql import Database, chunks, many
from fleet_cloud.adapters.rollout_images import RepositoryImages
from fleet_cloud.rollouts.following import followed, settled
from fleet_cloud.rollouts.model import Kept, VehicleKept, rollout_of
from fleet_cloud.rollouts.offers import Standing, offered
from fleet_cloud.rollouts.ports import Offer
from fleet_cloud.rollouts.records import Fact
from fleet_cloud.rollouts.solver import EcuKnown, Fit

# An installation that tells of each per cent of each of five ECUs; what ends it is always kept.
EVENTS_MAX = 1_000
SENTENCE_MAX_CHARACTERS = 500
LOG_MAX_CHARACTERS = 16 * 1024
SEQUENCE_MAX = 2**62
_KEPT_MAX = 256

Said = tuple[str, Sequence[UpdateEvent]]


@dataclass(slots=True)
class _Heard:
    """What becomes of what was said about one rollout."""

    kept: Kept
    changed: dict[str, VehicleKept] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    bad: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    safety: str = ""


class SqlOffers:
    """Offers of a region."""

    def __init__(
        self, database: Database, region: str, records: SqlRecords, images: RepositoryImages
    ) -> None:
        self._database, self._region = database, region
        self._records, self._images = records, images
        self._parsed: OrderedDict[tuple[str, str, int, str], Kept] = OrderedDict()
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._keep_event = insert(update_events).on_conflict_do_nothing()
        self._keep_bad = insert(update_bad).on_conflict_do_nothing()

    def offer(self, tenant: str, vehicle: str, now_ns: int) -> Offer | None:
        standing = self.standing(tenant, vehicle)
        return None if standing is None else offered(standing, now_ns)

    def standing(self, tenant: str, vehicle: str) -> Standing | None:
        """Return the order that a vehicle holds, and what it is made of.  Raises Unavailable."""
        scope, c = Scope(self._region, tenant), rollout_vehicles.c
        wanted = registry_scope.chosen(
            rollout_vehicles, scope, c.vehicle == vehicle, c.standing == "open"
        )
        with self._database.reading() as connection:
            row = connection.execute(wanted.order_by(c.offered_time_ns, c.rollout).limit(1)).first()
            if row is None:
                return None
            one = vehicle_of(row)
            kept = self._kept(connection, scope, one.rollout)
            of = _ecus(connection, scope, vehicle)
            is_waiting = _is_waiting(connection, scope, vehicle)
        if kept is None:
            return None
        listed = self._images.listed(tenant)
        images = listed.of(kept)
        fit = fit_of(kept, of, images, listed.by_sha256)
        if is_waiting:
            fit = Fit((), "its ECUs have to be accepted first")
        return Standing(kept, one, fit, images)

    def tell(self, tenant: str, vehicle: str, events: Sequence[UpdateEvent], now_ns: int) -> None:
        self.tell_many(tenant, [(vehicle, events)], now_ns)

    def tell_many(self, tenant: str, said: Sequence[Said], now_ns: int) -> None:
        """Take what vehicles say, all of it or nothing.  Raises BadInput, Unavailable."""
        scope = Scope(self._region, tenant)
        by_rollout: dict[str, dict[str, list[UpdateEvent]]] = {}
        for vehicle, events in said:
            for event in events:
                rollout, _ = rollout_of(event.action)
                if rollout:
                    _check(event)
                    by_rollout.setdefault(rollout, {}).setdefault(vehicle, []).append(event)
        if not by_rollout:
            return
        with self._database.writing() as connection:
            for rollout in sorted(by_rollout):
                self._hear(connection, scope, rollout, by_rollout[rollout], now_ns)

    def history(self, tenant: str, vehicle: str, action: str) -> tuple[UpdateEvent, ...]:
        c = update_events.c
        wanted = registry_scope.chosen(
            update_events, Scope(self._region, tenant), c.vehicle == vehicle, c.action == action
        )
        with self._database.reading() as connection:
            return tuple(_event(row) for row in connection.execute(wanted.order_by(c.sequence)))

    def changed(self, after: int, until: int) -> list[tuple[str, str]]:
        c = rollout_vehicles.c
        wanted = registry_scope.in_region(
            rollout_vehicles, self._region, c.revision > after, c.revision <= until
        )
        with self._database.reading() as connection:
            rows = connection.execute(wanted.with_only_columns(c.tenant, c.vehicle))
            return [(row.tenant, row.vehicle) for row in rows]

    def holding(self, tenant: str, vehicles: Collection[str]) -> set[str]:
        c, scope = rollout_vehicles.c, Scope(self._region, tenant)
        found: set[str] = set()
        with self._database.reading() as connection:
            for some in chunks(sorted(vehicles)):
                wanted = registry_scope.chosen(
                    rollout_vehicles, scope, c.vehicle.in_(some), c.standing == "open"
                )
                found |= set(connection.execute(wanted.with_only_columns(c.vehicle)).scalars())
        return found

    @staticmethod
    def knows(connection: Connection, scope: Scope, rollout: str) -> bool:
        """Whether there is such a rollout, in a transaction that is under way."""
        wanted = registry_scope.chosen(rollouts, scope, rollouts.c.id == rollout)
        return connection.execute(wanted).first() is not None

    def _hear(
        self,
        connection: Connection,
        scope: Scope,
        rollout: str,
        said: Mapping[str, list[UpdateEvent]],
        now_ns: int,
    ) -> None:
        kept = self._kept(connection, scope, rollout)
        if kept is None:
            return
        names = sorted(said)
        rows = self._rows(connection, scope, rollout, names)
        known = self._known(connection, scope, said)
        heard = _Heard(kept)
        for row in rows:
            one = vehicle_of(row)
            fresh = _fresh(said[one.vehicle], one, known.get(one.vehicle, {}))
            self._follow(heard, one, fresh, now_ns)
            heard.events += [_event_row(scope, one.vehicle, event, now_ns) for event in fresh]
        self._write(connection, scope, heard, now_ns)

    def _follow(
        self, heard: _Heard, one: VehicleKept, events: Iterable[UpdateEvent], now_ns: int
    ) -> None:
        kept, may_retry = heard.kept, not heard.kept.state.is_over
        faulty: list[str] = []
        for event in events:
            if event.ecu and event.fault is not None:
                faulty.append(event.ecu)
            if event.fault is Fault.SAFETY and not heard.safety:
                heard.safety = f"{one.vehicle}: {event.sentence or 'a safety failure'}"[:500]
            to = followed(one, event, now_ns)
            if to is None:
                continue
            outcome = settled(to, kept.wish.retries, now_ns, may_retry=may_retry)
            heard.facts.append(Fact(one.vehicle, event.stage.value, _said_of(event, outcome.kept)))
            if outcome.is_bad:
                heard.bad.append(
                    {"vehicle": one.vehicle, "ecus": tuple(faulty), "sentence": event.sentence}
                )
            one = heard.changed[one.vehicle] = outcome.kept

    def _write(self, connection: Connection, scope: Scope, heard: _Heard, now_ns: int) -> None:
        kept, c = heard.kept, rollout_vehicles.c
        if heard.safety and not kept.safety:
            it = registry_scope.changed(
                rollouts, scope, rollouts.c.id == kept.id, rollouts.c.safety == ""
            )
            connection.execute(it.values(safety=heard.safety))
        if heard.events:
            many(connection, self._keep_event, heard.events)
        if heard.changed:
            rows = [
                {"of_vehicle": name, **{f"new_{k}": v for k, v in vehicle_values(one).items()}}
                for name, one in sorted(heard.changed.items())
            ]
            it = registry_scope.changed(
                rollout_vehicles, scope, c.rollout == kept.id, c.vehicle == bindparam("of_vehicle")
            )
            columns = [name.removeprefix("new_") for name in rows[0] if name != "of_vehicle"]
            many(connection, it.values({n: bindparam(f"new_{n}") for n in columns}), rows)
        for one in heard.bad:
            self._mark_bad(connection, scope, heard, one, now_ns)
        self._records.write(connection, scope, kept.id, heard.facts, now_ns)

    def _mark_bad(
        self, connection: Connection, scope: Scope, heard: _Heard, one: dict[str, Any], now_ns: int
    ) -> None:
        kept, vehicle = heard.kept, one["vehicle"]
        bad = [(kept.content.bundle_sha256, kept.wish.bundle)]
        if one["ecus"]:
            hardware = {
                ecu.hardware_id
                for ecu in _ecus(connection, scope, vehicle)
                if ecu.serial in one["ecus"]
            }
            listed = self._images.listed(scope.tenant).of(kept) or ()
            bad += [
                (image.sha256, image.path) for image in listed if hardware & set(image.hardware_ids)
            ]
        rows = [
            registry_scope.row(
                scope,
                vehicle=vehicle,
                sha256=sha256,
                path=path,
                rollout=kept.id,
                time_ns=now_ns,
                sentence=one["sentence"][:SENTENCE_MAX_CHARACTERS],
            )
            for sha256, path in bad
        ]
        connection.execute(self._keep_bad, rows)
        details = {"never_again": [list(each) for each in bad]}
        heard.facts.append(Fact(vehicle, "bad", details))

    def _rows(
        self, connection: Connection, scope: Scope, rollout: str, names: Sequence[str]
    ) -> list[Row[Any]]:
        c = rollout_vehicles.c
        found: list[Row[Any]] = []
        for some in chunks(names):
            wanted = registry_scope.chosen(
                rollout_vehicles, scope, c.rollout == rollout, c.vehicle.in_(some)
            )
            found += connection.execute(wanted.order_by(c.vehicle).with_for_update())
        return found

    def _known(
        self, connection: Connection, scope: Scope, said: Mapping[str, list[UpdateEvent]]
    ) -> dict[str, dict[str, set[int]]]:
        """Return the numbers of events that are kept already, of each vehicle's orders."""
        c = update_events.c
        actions = sorted({event.action for events in said.values() for event in events})
        found: dict[str, dict[str, set[int]]] = {}
        for some in chunks(sorted(said)):
            wanted = registry_scope.chosen(
                update_events, scope, c.vehicle.in_(some), c.action.in_(actions)
            )
            rows = connection.execute(wanted.with_only_columns(c.vehicle, c.action, c.sequence))
            for row in rows:
                found.setdefault(row.vehicle, {}).setdefault(row.action, set()).add(row.sequence)
        return found

    def _kept(self, connection: Connection, scope: Scope, rollout: str) -> Kept | None:
        wanted = registry_scope.chosen(rollouts, scope, rollouts.c.id == rollout)
        row = connection.execute(wanted).first()
        if row is None:
            return None
        key = (scope.tenant, rollout, row.version, row.safety)
        kept = self._parsed.get(key)
        if kept is None:
            kept = self._parsed[key] = kept_of(row)
            while len(self._parsed) > _KEPT_MAX:
                self._parsed.popitem(last=False)
        return kept


def _check(event: UpdateEvent) -> None:
    if not 0 <= event.sequence <= SEQUENCE_MAX or not 0 <= event.time_ns <= SEQUENCE_MAX * 2 - 1:
        raise BadInput(f"an event has number {event.sequence} and time {event.time_ns}")


def _fresh(
    events: Iterable[UpdateEvent], one: VehicleKept, known: Mapping[str, set[int]]
) -> list[UpdateEvent]:
    """Return those that were not kept before, of orders that this vehicle has or had, in order of number."""
    found: dict[tuple[str, int], UpdateEvent] = {}
    counts = {action: len(numbers) for action, numbers in known.items()}
    for event in events:
        _, attempt = rollout_of(event.action)
        is_theirs = 1 <= attempt <= one.attempt and not (
            attempt == one.attempt and one.stage is Stage.PLANNED
        )
        if not is_theirs or event.sequence in known.get(event.action, ()):
            continue
        counts[event.action] = counts.get(event.action, 0) + 1
        if counts[event.action] <= EVENTS_MAX or event.stage.is_final:
            found.setdefault((event.action, event.sequence), event)
    return [found[key] for key in sorted(found)]


def _said_of(event: UpdateEvent, to: VehicleKept) -> dict[str, Any]:
    details: dict[str, Any] = {
        "action": event.action,
        "sequence": event.sequence,
        "vehicle_time_ns": event.time_ns,
        "by": "vehicle",
    }
    if event.fault is not None:
        details["fault"] = event.fault.value
    if event.sentence:
        details["sentence"] = _text(event.sentence, SENTENCE_MAX_CHARACTERS)
    if to.stage is Stage.PLANNED:
        details["again_ns"] = to.not_before_ns
    return details


def _event_row(scope: Scope, vehicle: str, event: UpdateEvent, now_ns: int) -> dict[str, Any]:
    return registry_scope.row(
        scope,
        vehicle=vehicle,
        action=event.action,
        sequence=event.sequence,
        time_ns=event.time_ns,
        received_time_ns=now_ns,
        stage=event.stage.value,
        ecu=_text(event.ecu, 128),
        percent=event.percent,
        fault=event.fault.value if event.fault else "",
        sentence=_text(event.sentence, SENTENCE_MAX_CHARACTERS),
        log=_text(event.log, LOG_MAX_CHARACTERS),
    )


def _event(row: Row[Any]) -> UpdateEvent:
    fault = Fault(row.fault) if row.fault else None
    return UpdateEvent(
        row.action,
        row.sequence,
        row.time_ns,
        Stage(row.stage),
        row.ecu,
        row.percent,
        fault,
        row.sentence,
        row.log,
    )


def _text(text: str, most: int) -> str:
    """Return what every database keeps: no NUL, no lone surrogate, not too much of it."""
    return text.replace("\0", "\\0").encode("utf-8", "replace").decode()[:most]


def _ecus(connection: Connection, scope: Scope, vehicle: str) -> list[EcuKnown]:
    wanted = registry_scope.chosen(ecus, scope, ecus.c.vehicle == vehicle)
    return [ecu_of(row) for row in connection.execute(wanted.order_by(ecus.c.serial))]


def _is_waiting(connection: Connection, scope: Scope, vehicle: str) -> bool:
    wanted = registry_scope.chosen(ecu_wishes, scope, ecu_wishes.c.vehicle == vehicle)
    return connection.execute(wanted).first() is not None
