"""Rollouts in SQL: what people wish, and how far it is.

Rule 1: a change names the version that it was made from; whoever is second changes nothing.
Rule 2: counts are asked of the vehicles' rows: nobody is counted twice, whatever is told how often.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from fairway.errors import Conflict
from fairway.identity import Scope
from fairway.update import Fault, Stage
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaigns import PLAN_REVISION, moved_on, revision_of
from fleet_cloud.adapters.registry_records import SqlRecords
from fleet_cloud.adapters.registry_rollout_tables import (
    rollout_vehicles,
    rollout_waves,
    rollouts,
)
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.rollouts.following import BAD, DECLINED
from fleet_cloud.rollouts.life import OPEN_STAGES, State, WaveState
from fleet_cloud.rollouts.model import Content, Counts, Kept, VehicleKept, WaveKept
from fleet_cloud.rollouts.records import Fact
from fleet_cloud.rollouts.wishes import wish_of, wish_to_json
from ota.custom import bundle_from_json, bundle_to_json

_WAVE_COLUMNS = (
    "state",
    "opened_time_ns",
    "soaking_time_ns",
    "ended_time_ns",
    "paced_time_ns",
    "why",
    "forgiven_done",
    "forgiven_failed",
    "is_forgiven",
)


class SqlRollouts:
    """Keeps rollouts in the registry database."""

    def __init__(self, database: Database, region: str, records: SqlRecords) -> None:
        self._database, self._region, self._records = database, region, records
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        put = insert(rollout_waves)
        self._put_waves = put.on_conflict_do_update(
            index_elements=["region", "tenant", "rollout", "number"],
            set_={name: getattr(put.excluded, name) for name in _WAVE_COLUMNS},
        )

    def add(self, kept: Kept, facts: Sequence[Fact]) -> None:
        scope = Scope(self._region, kept.tenant)
        waves = [WaveKept(number) for number in range(len(kept.wish.waves))]
        with self._database.writing() as connection:
            try:
                connection.execute(rollouts.insert().values(kept_row(scope, kept)))
            except IntegrityError as error:
                raise Conflict(f"there is a rollout {kept.id} already") from error
            self.put_waves(connection, scope, kept.id, waves)
            self._records.write(connection, scope, kept.id, facts, kept.changed_time_ns)

    def change(self, kept: Kept, facts: Sequence[Fact], waves: Sequence[WaveKept] = ()) -> bool:
        with self._database.writing() as connection:
            moved_on(connection, self._region, PLAN_REVISION)
            return self.change_in(connection, kept, facts, waves)

    def change_in(
        self, connection: Connection, kept: Kept, facts: Sequence[Fact], waves: Sequence[WaveKept]
    ) -> bool:
        """Do what `change` does, in a transaction that is under way."""
        scope = Scope(self._region, kept.tenant)
        row = kept_row(scope, kept)
        for name in ("region", "tenant", "id", "safety", "lease_owner", "lease_until_ns"):
            del row[name]
        is_it = (rollouts.c.id == kept.id, rollouts.c.version == kept.version - 1)
        done = connection.execute(registry_scope.changed(rollouts, scope, *is_it).values(**row))
        if not done.rowcount:
            return False
        self.put_waves(connection, scope, kept.id, waves)
        if kept.state.is_over:
            self._end(connection, scope, kept)
        self._records.write(connection, scope, kept.id, facts, kept.changed_time_ns)
        return True

    def retry(self, kept: Kept, facts: Sequence[Fact]) -> int | None:
        """Do what `change` does, and plan again who failed or declined; None: somebody was quicker."""
        c, scope = rollout_vehicles.c, Scope(self._region, kept.tenant)
        of_it = (c.rollout == kept.id,)
        with self._database.writing() as connection:
            moved_on(connection, self._region, PLAN_REVISION)
            if not self.change_in(connection, kept, facts, ()):
                return None
            again = registry_scope.changed(
                rollout_vehicles,
                scope,
                *of_it,
                c.standing.in_(("failed", "declined")),
                c.fault.not_in([fault.value for fault in BAD]),
                c.stage != Stage.ROLLED_BACK.value,
            )
            done = connection.execute(
                again.values(
                    standing="planned",
                    stage=Stage.PLANNED.value,
                    attempt=c.attempt + 1,
                    not_before_ns=kept.changed_time_ns,
                    sequence=-1,
                )
            )
            self.let_go(connection, scope, kept.id)
            return done.rowcount

    def let_go(self, connection: Connection, scope: Scope, rollout: str) -> None:
        """Look anew at vehicles that nothing could be offered to."""
        c = rollout_vehicles.c
        held = registry_scope.changed(
            rollout_vehicles, scope, c.rollout == rollout, c.standing == "held"
        )
        connection.execute(held.values(standing="planned", held=""))

    def _end(self, connection: Connection, scope: Scope, kept: Kept) -> None:
        """Have nobody wait for it any more; who holds an order is told to give it up."""
        c = rollout_vehicles.c
        waiting = registry_scope.changed(
            rollout_vehicles, scope, c.rollout == kept.id, c.standing.in_(("planned", "held"))
        )
        over = {"standing": "expired", "stage": Stage.EXPIRED.value}
        connection.execute(waiting.values(**over, changed_time_ns=kept.changed_time_ns))
        holding = registry_scope.changed(
            rollout_vehicles, scope, c.rollout == kept.id, c.standing == "open"
        )
        revision = revision_of(connection, self._region, PLAN_REVISION)
        connection.execute(holding.values(revision=revision))

    def put_waves(
        self, connection: Connection, scope: Scope, rollout: str, waves: Sequence[WaveKept]
    ) -> None:
        """Keep waves as they are now, in a transaction that is under way."""
        rows = [wave_row(scope, rollout, one) for one in waves]
        if rows:
            connection.execute(self._put_waves, rows)

    def rollout(self, tenants: Collection[str] | None, id_: str) -> Kept | None:
        wanted = registry_scope.in_region(rollouts, self._region, rollouts.c.id == id_)
        if tenants is not None:
            wanted = wanted.where(rollouts.c.tenant.in_(sorted(tenants)))
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else kept_of(row)

    def rollouts(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[Kept]:
        c = rollouts.c
        wanted = registry_scope.in_region(rollouts, self._region)
        if tenants is not None:
            wanted = wanted.where(c.tenant.in_(sorted(tenants)))
        if after:
            time_ns, _, id_ = after.partition("/")
            wanted = wanted.where(tuple_(c.created_time_ns, c.id) < (int(time_ns), id_))
        ordered = wanted.order_by(c.created_time_ns.desc(), c.id.desc()).limit(min(limit, PAGE_MAX))
        with self._database.reading() as connection:
            return [kept_of(row) for row in connection.execute(ordered)]

    def waves(self, kept: Kept) -> tuple[WaveKept, ...]:
        with self._database.reading() as connection:
            return waves_in(connection, Scope(self._region, kept.tenant), kept.id)

    def counts(self, kept: Kept) -> Mapping[int, Counts]:
        with self._database.reading() as connection:
            return counts_in(connection, Scope(self._region, kept.tenant), kept.id)

    def vehicles(
        self,
        kept: Kept,
        *,
        after: str = "",
        stage: Stage | None = None,
        wave: int | None = None,
        limit: int = PAGE_MAX,
    ) -> list[VehicleKept]:
        c = rollout_vehicles.c
        wanted = registry_scope.chosen(
            rollout_vehicles,
            Scope(self._region, kept.tenant),
            c.rollout == kept.id,
            c.vehicle > after,
        )
        if stage is not None:
            wanted = wanted.where(c.stage == stage.value)
        if wave is not None:
            wanted = wanted.where(c.wave == wave)
        ordered = wanted.order_by(c.vehicle).limit(min(limit, PAGE_MAX))
        with self._database.reading() as connection:
            return [vehicle_of(row) for row in connection.execute(ordered)]

    def of_vehicle(
        self, tenant: str, vehicle: str, *, limit: int = PAGE_MAX
    ) -> list[tuple[Kept, VehicleKept]]:
        scope = Scope(self._region, tenant)
        wanted = registry_scope.chosen(
            rollout_vehicles, scope, rollout_vehicles.c.vehicle == vehicle
        )
        found: dict[str, VehicleKept] = {}
        kept: list[Kept] = []
        with self._database.reading() as connection:
            for row in connection.execute(wanted):
                found[row.rollout] = vehicle_of(row)
            for some in chunks(sorted(found)):
                of_them = registry_scope.chosen(rollouts, scope, rollouts.c.id.in_(some))
                kept += [kept_of(row) for row in connection.execute(of_them)]
        kept.sort(key=lambda one: (one.created_time_ns, one.id), reverse=True)
        return [(one, found[one.id]) for one in kept[:limit]]


def waves_in(connection: Connection, scope: Scope, rollout: str) -> tuple[WaveKept, ...]:
    """Return the waves of a rollout, in order."""
    wanted = registry_scope.chosen(rollout_waves, scope, rollout_waves.c.rollout == rollout)
    rows = connection.execute(wanted.order_by(rollout_waves.c.number))
    return tuple(_wave(row) for row in rows)


def counts_in(connection: Connection, scope: Scope, rollout: str) -> dict[int, Counts]:
    """Return how many vehicles of each wave stand where."""
    c = rollout_vehicles.c
    wanted = registry_scope.chosen(rollout_vehicles, scope, c.rollout == rollout)
    grouped = wanted.with_only_columns(c.wave, c.standing, func.count()).group_by(
        c.standing, c.wave
    )
    by_wave: dict[int, dict[str, int]] = {}
    for wave, standing, count in connection.execute(grouped):
        by_wave.setdefault(wave, {})[standing] = count
    return {wave: Counts(**counts) for wave, counts in by_wave.items()}


def standing_of(kept: VehicleKept) -> str:
    """Return where a vehicle counts: the name of a field of Counts."""
    if kept.stage in OPEN_STAGES:
        return "open"
    match kept.stage:
        case Stage.PLANNED:
            return "held" if kept.held else "planned"
        case Stage.COMMITTED | Stage.EXPIRED:
            return kept.stage.value
        case _:
            return "declined" if kept.fault in DECLINED else "failed"


def kept_row(scope: Scope, kept: Kept) -> dict[str, Any]:
    """Return a rollout as its row."""
    content = kept.content
    said = {
        "bundle": bundle_to_json(content.bundle).decode(),
        "bundle_sha256": content.bundle_sha256,
        "images": [list(image) for image in content.images],
        "rxswin": list(content.rxswin),
    }
    return registry_scope.row(
        scope,
        id=kept.id,
        name=kept.name,
        state=kept.state.value,
        wish=json.dumps(wish_to_json(kept.wish), ensure_ascii=False),
        content=json.dumps(said, ensure_ascii=False),
        author=kept.author,
        approved_by=kept.approved_by,
        created_time_ns=kept.created_time_ns,
        changed_time_ns=kept.changed_time_ns,
        started_time_ns=kept.started_time_ns,
        why=kept.why,
        safety="",
        version=kept.version,
        scanned_after=kept.scanned_after,
        scanned_time_ns=kept.scanned_time_ns,
        lease_owner="",
        lease_until_ns=0,
    )


def kept_of(row: Row[Any]) -> Kept:
    """Return the rollout that a row is."""
    said = json.loads(row.content)
    content = Content(
        bundle_from_json(said["bundle"].encode()),
        said["bundle_sha256"],
        tuple((path, sha256) for path, sha256 in said["images"]),
        tuple(said["rxswin"]),
    )
    return Kept(
        id=row.id,
        tenant=row.tenant,
        wish=wish_of(json.loads(row.wish)),
        content=content,
        state=State(row.state),
        author=row.author,
        created_time_ns=row.created_time_ns,
        changed_time_ns=row.changed_time_ns,
        approved_by=row.approved_by,
        started_time_ns=row.started_time_ns,
        why=row.why,
        version=row.version,
        scanned_after=row.scanned_after,
        scanned_time_ns=row.scanned_time_ns,
        safety=row.safety,
    )


def wave_row(scope: Scope, rollout: str, one: WaveKept) -> dict[str, Any]:
    """Return a wave as its row."""
    values = {name: getattr(one, name) for name in _WAVE_COLUMNS}
    values["state"] = one.state.value
    return registry_scope.row(scope, rollout=rollout, number=one.number, **values)


def _wave(row: Row[Any]) -> WaveKept:
    values = {name: getattr(row, name) for name in _WAVE_COLUMNS}
    return WaveKept(row.number, **{**values, "state": WaveState(row.state)})


def vehicle_of(row: Row[Any]) -> VehicleKept:
    """Return how a vehicle stands, of its row."""
    return VehicleKept(
        vehicle=row.vehicle,
        rollout=row.rollout,
        wave=row.wave,
        stage=Stage(row.stage),
        attempt=row.attempt,
        not_before_ns=row.not_before_ns,
        offered_time_ns=row.offered_time_ns,
        changed_time_ns=row.changed_time_ns,
        sequence=row.sequence,
        fault=Fault(row.fault) if row.fault else None,
        sentence=row.sentence,
        held=row.held,
    )


def vehicle_values(kept: VehicleKept) -> dict[str, Any]:
    """Return what of a vehicle's row can change."""
    return {
        "standing": standing_of(kept),
        "stage": kept.stage.value,
        "attempt": kept.attempt,
        "not_before_ns": kept.not_before_ns,
        "offered_time_ns": kept.offered_time_ns,
        "changed_time_ns": kept.changed_time_ns,
        "sequence": kept.sequence,
        "fault": kept.fault.value if kept.fault else "",
        "sentence": kept.sentence,
        "held": kept.held,
    }
