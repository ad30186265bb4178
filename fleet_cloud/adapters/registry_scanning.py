"""Looking through a fleet for the vehicles that a rollout means, a page for each transaction.

Rule 1: where the scan stands is kept with what it found: a cloud that is killed goes on behind the last page.
Rule 2: the first scan cuts shares when it has seen everybody; later ones put those that are new into the last
wave.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func

from fairway.identity import Scope
from fairway.update import Stage
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_records import SqlRecords
from fleet_cloud.adapters.registry_rollout_tables import rollout_vehicles, rollouts
from fleet_cloud.adapters.registry_sql import many
from fleet_cloud.control.aims import means
from fleet_cloud.control.query import parse
from fleet_cloud.control.targets import Facts, Target, TargetKind
from fleet_cloud.rollouts.keeping import FleetPages
from fleet_cloud.rollouts.model import Kept, turn_of
from fleet_cloud.rollouts.records import Fact
from fleet_cloud.rollouts.waves import UNCUT, cuts, sorter

PAGE_VEHICLES = 10_000


class Scanning:
    """Plans vehicles."""

    def __init__(self, region: str, records: SqlRecords, fleet: FleetPages, insert: Any) -> None:
        self._region, self._records, self._fleet = region, records, fleet
        self._insert = insert.on_conflict_do_nothing()

    def page(self, connection: Connection, kept: Kept, now_ns: int) -> None:
        """Plan the vehicles of the next page."""
        scope = Scope(self._region, kept.tenant)
        is_first = kept.scanned_time_ns == 0
        page = self._fleet.page(kept.tenant, kept.scanned_after, PAGE_VEHICLES)
        wave_of = sorter(kept.wish.waves, is_first_scan=is_first)
        rows = [
            _row(scope, kept, vehicle, wave_of({**facts.attributes, "id": vehicle}), now_ns)
            for vehicle, facts in _meant(kept.wish.target, page)
        ]
        if rows:
            many(connection, self._insert, rows)
        values: dict[str, object] = {"scanned_after": page[-1][0] if page else ""}
        if len(page) < PAGE_VEHICLES:
            values = {"scanned_after": "", "scanned_time_ns": now_ns}
            if is_first:
                self._cut(connection, scope, kept, now_ns)
        it = registry_scope.changed(rollouts, scope, rollouts.c.id == kept.id)
        connection.execute(it.values(**values))

    def _cut(self, connection: Connection, scope: Scope, kept: Kept, now_ns: int) -> None:
        c = rollout_vehicles.c
        uncut = (c.rollout == kept.id, c.standing == "planned", c.wave == UNCUT)
        all_of_them = registry_scope.chosen(rollout_vehicles, scope, *uncut)
        total = connection.execute(all_of_them.with_only_columns(func.count())).scalar() or 0
        shares = cuts(kept.wish.waves, total)
        for wave, count in shares[:-1]:
            if count:
                turns = all_of_them.with_only_columns(c.turn).order_by(c.turn)
                last = connection.execute(turns.offset(count - 1).limit(1)).scalar()
                share = registry_scope.changed(rollout_vehicles, scope, *uncut, c.turn <= last)
                connection.execute(share.values(wave=wave))
        if shares:
            rest = registry_scope.changed(rollout_vehicles, scope, *uncut)
            connection.execute(rest.values(wave=shares[-1][0]))
        details = {"by_share": total, "bundle": kept.content.bundle_sha256}
        fact = Fact(f"rollout:{kept.id}", "planned", details)
        self._records.write(connection, scope, kept.id, [fact], now_ns)


def _meant(target: Target, page: Sequence[tuple[str, Facts]]) -> list[tuple[str, Facts]]:
    if target.kind is TargetKind.QUERY:
        test = parse(target.text)
        return [one for one in page if test({**one[1].attributes, "id": one[0]})]
    return [one for one in page if means(target, *one)]


def _row(scope: Scope, kept: Kept, vehicle: str, wave: int, now_ns: int) -> dict[str, Any]:
    return registry_scope.row(
        scope,
        rollout=kept.id,
        vehicle=vehicle,
        wave=wave,
        turn=turn_of(kept.id, vehicle),
        standing="planned",
        stage=Stage.PLANNED.value,
        attempt=1,
        not_before_ns=0,
        offered_time_ns=0,
        changed_time_ns=now_ns,
        sequence=-1,
        fault="",
        sentence="",
        held="",
        revision=0,
    )
