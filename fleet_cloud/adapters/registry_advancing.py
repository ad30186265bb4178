"""Rollouts moved on in SQL: leases, waves, and what becomes of many vehicles at once.

Rule 1: every act is one transaction, or one for each slice of vehicles, and looks first whether the rollout is
still the one that was decided about: whoever is killed between two leaves nothing half done.
Rule 2: vehicles are taken in order of their turn, by an index that has where they stand.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, Row, or_
from sqlalchemy.dialects import postgresql, sqlite

from fairway.clock import NS_PER_S
from fairway.errors import Conflict
from fairway.identity import Scope
from fairway.update import Fault, Stage
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaigns import PLAN_REVISION, moved_on
from fleet_cloud.adapters.registry_offering import Offering
from fleet_cloud.adapters.registry_records import SqlRecords
from fleet_cloud.adapters.registry_rollout_tables import rollout_vehicles, rollouts
from fleet_cloud.adapters.registry_rollouts import (
    SqlRollouts,
    counts_in,
    kept_of,
    vehicle_of,
    vehicle_values,
    waves_in,
)
from fleet_cloud.adapters.registry_scanning import Scanning
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.rollout_images import RepositoryImages
from fleet_cloud.rollouts.decide import Act, Do, Facts
from fleet_cloud.rollouts.following import SILENT, settled
from fleet_cloud.rollouts.keeping import FleetPages, Lease
from fleet_cloud.rollouts.life import Move, State, WaveMove, moved, wave_moved
from fleet_cloud.rollouts.model import Kept, WaveKept
from fleet_cloud.rollouts.records import Fact

SYSTEM = "system"
# Vehicles of one transaction: some tenths of a second of a database that others write to as well.
SLICE_VEHICLES = 5_000

_WAVE_MOVES = {
    Do.OPEN: WaveMove.OPEN,
    Do.SOAK: WaveMove.SOAK,
    Do.PASS: WaveMove.PASS,
    Do.FAIL: WaveMove.FAIL,
}
_MOVES = {Do.START: Move.START, Do.STOP: Move.STOP, Do.FINISH: Move.FINISH, Do.FAIL: Move.PAUSE}


class SqlAdvancing:
    """Moves rollouts of a region on."""

    def __init__(
        self,
        database: Database,
        region: str,
        kept: SqlRollouts,
        records: SqlRecords,
        images: RepositoryImages,
        fleet: FleetPages,
    ) -> None:
        self._database, self._region = database, region
        self._kept, self._records = kept, records
        self._offering = Offering(region, records, images)
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._scanning = Scanning(region, records, fleet, insert(rollout_vehicles))

    def claim(self, lease: Lease, now_ns: int) -> Kept | None:
        c = rollouts.c
        is_free = or_(c.lease_owner == lease.owner, c.lease_until_ns < now_ns)
        states = [State.READY.value, State.RUNNING.value, State.PAUSED.value]
        wanted = registry_scope.in_region(rollouts, self._region, c.state.in_(states), is_free)
        oldest = wanted.order_by(c.lease_until_ns, c.tenant, c.id).limit(1)
        with self._database.reading() as connection:
            if connection.execute(oldest).first() is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute(oldest.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            scope = Scope(self._region, row.tenant)
            taken = registry_scope.changed(rollouts, scope, c.id == row.id)
            connection.execute(taken.values(lease_owner=lease.owner, lease_until_ns=lease.until_ns))
            return kept_of(row)

    def facts(self, kept: Kept, now_ns: int) -> Facts:
        scope, c = Scope(self._region, kept.tenant), rollout_vehicles.c
        before_ns = now_ns - kept.wish.silent_max_s * NS_PER_S
        silent = registry_scope.chosen(
            rollout_vehicles,
            scope,
            c.rollout == kept.id,
            c.standing == "open",
            c.changed_time_ns < before_ns,
        )
        with self._database.reading() as connection:
            counts = counts_in(connection, scope, kept.id)
            is_silent = any(one.open for one in counts.values()) and (
                connection.execute(silent.limit(1)).first() is not None
            )
        return Facts(counts, is_silent=is_silent)

    def act(self, kept: Kept, act: Act, lease: Lease, now_ns: int) -> Sequence[str]:
        match act.do:
            case Do.SCAN:
                with self._database.writing() as connection:
                    self._hold(connection, kept, lease)
                    self._scanning.page(connection, kept, now_ns)
                return ()
            case Do.OFFER:
                return self._offer(kept, act, lease, now_ns)
            case Do.TIME_OUT:
                return self._end_orders(kept, lease, now_ns, is_over=False)
            case Do.FINISH:
                while told := self._end_orders(kept, lease, now_ns, is_over=True):
                    if len(told) < SLICE_VEHICLES:
                        break
        return self._move(kept, act, lease, now_ns)

    def _offer(self, kept: Kept, act: Act, lease: Lease, now_ns: int) -> Sequence[str]:
        count = SLICE_VEHICLES if act.count is None else min(act.count, SLICE_VEHICLES)
        with self._database.writing() as connection:
            revision = moved_on(connection, self._region, PLAN_REVISION)
            self._hold(connection, kept, lease)
            told = self._offering.slice(connection, kept, act.wave, count, revision, now_ns)
            if act.count is not None and told.taken:
                self._pace(connection, kept, act, told.taken)
        return told.vehicles

    def _pace(self, connection: Connection, kept: Kept, act: Act, taken: int) -> None:
        """Use up of the wave's rate what was used of it."""
        scope = Scope(self._region, kept.tenant)
        one = waves_in(connection, scope, kept.id)[act.wave]
        since_ns = max(one.paced_time_ns or one.opened_time_ns, act.paced_time_ns - 60 * NS_PER_S)
        assert act.count
        used_ns = (act.paced_time_ns - since_ns) * taken // act.count
        paced = replace(one, paced_time_ns=since_ns + used_ns)
        self._kept.put_waves(connection, scope, kept.id, [paced])

    def _end_orders(self, kept: Kept, lease: Lease, now_ns: int, *, is_over: bool) -> Sequence[str]:
        """Give orders up: those of which nothing is heard, or (`is_over`) all."""
        scope, c = Scope(self._region, kept.tenant), rollout_vehicles.c
        wanted = registry_scope.chosen(
            rollout_vehicles, scope, c.rollout == kept.id, c.standing == "open"
        )
        if not is_over:
            before_ns = now_ns - kept.wish.silent_max_s * NS_PER_S
            wanted = wanted.where(c.changed_time_ns < before_ns)
        told, facts = [], []
        with self._database.writing() as connection:
            revision = moved_on(connection, self._region, PLAN_REVISION)
            self._hold(connection, kept, lease)
            rows = connection.execute(wanted.limit(SLICE_VEHICLES).with_for_update()).all()
            for row in rows:
                fact = self._given_up(connection, scope, kept, row, revision, now_ns, is_over)
                facts.append(fact)
                told.append(row.vehicle)
            self._records.write(connection, scope, kept.id, facts, now_ns)
        return told

    def _given_up(  # noqa: PLR0913, PLR0917 - one step of the loop above
        self,
        connection: Connection,
        scope: Scope,
        kept: Kept,
        row: "Row[tuple[object, ...]]",
        revision: int,
        now_ns: int,
        is_over: bool,  # noqa: FBT001
    ) -> Fact:
        one = vehicle_of(row)
        stage = Stage.EXPIRED if is_over else Stage.FAILED
        sentence = "the rollout is over" if is_over else SILENT
        fault = None if is_over else Fault.TIME
        ended = replace(one, stage=stage, fault=fault, sentence=sentence, changed_time_ns=now_ns)
        outcome = settled(ended, kept.wish.retries, now_ns, may_retry=not is_over)
        c = rollout_vehicles.c
        it = registry_scope.changed(
            rollout_vehicles, scope, c.rollout == kept.id, c.vehicle == one.vehicle
        )
        connection.execute(it.values(**vehicle_values(outcome.kept), revision=revision))
        details = {"action": one.action, "sentence": sentence, "by": SYSTEM}
        return Fact(one.vehicle, stage.value, details)

    def _move(self, kept: Kept, act: Act, lease: Lease, now_ns: int) -> Sequence[str]:
        """Move the rollout, one of its waves, or both."""
        facts, waves = [], []
        to = replace(kept, changed_time_ns=now_ns, version=kept.version + 1)
        subject, by = f"rollout:{kept.id}", {"by": SYSTEM, "why": act.why}
        if act.do in _WAVE_MOVES:
            one = self._wave_moved(kept, act, now_ns)
            waves.append(one)
            name = kept.wish.waves[act.wave].name
            facts.append(Fact(subject, f"wave_{act.do}", {"wave": act.wave, "name": name, **by}))
        move = _MOVES.get(act.do)
        if move is not None:
            to = replace(to, state=moved(kept.name, kept.state, move), why=act.why)
            if move is Move.START:
                to = replace(to, started_time_ns=now_ns)
            facts.append(Fact(subject, move.value, by))
        with self._database.writing() as connection:
            moved_on(connection, self._region, PLAN_REVISION)
            self._hold(connection, kept, lease)
            if not self._kept.change_in(connection, to, facts, waves):
                raise Conflict(f"somebody else has just changed the rollout {kept.name}")
        return ()

    def _wave_moved(self, kept: Kept, act: Act, now_ns: int) -> WaveKept:
        one = self._kept.waves(kept)[act.wave]
        state = wave_moved(act.wave, one.state, _WAVE_MOVES[act.do])
        to = replace(one, state=state, why=act.why)
        match act.do:
            case Do.OPEN:
                return replace(to, opened_time_ns=now_ns)
            case Do.SOAK:
                return replace(to, soaking_time_ns=now_ns)
            case _:
                return replace(to, ended_time_ns=now_ns)

    def _hold(self, connection: Connection, kept: Kept, lease: Lease) -> None:
        """Lock the rollout.  Raises Conflict when it is another's now, or not the one decided about."""
        c = rollouts.c
        wanted = registry_scope.chosen(
            rollouts,
            Scope(self._region, kept.tenant),
            c.id == kept.id,
            c.version == kept.version,
            c.lease_owner == lease.owner,
            c.safety == kept.safety,
        )
        if connection.execute(wanted.with_for_update()).first() is None:
            raise Conflict(f"the rollout {kept.name} has changed: look at it again")
