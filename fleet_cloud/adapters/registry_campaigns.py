"""What is wanted of vehicles, in SQL: campaigns, what is known of vehicles, state templates; and their lists.

Rule 1: the plan's revision is moved first in a transaction, and its row stays locked: revisions become visible
in order, and of two who change the same campaign the second finds another version.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from fairway.campaign.document import campaign_document, campaign_from_json
from fairway.control import StateTemplate
from fairway.errors import Conflict
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaign_tables import (
    campaigns,
    state_templates,
    vehicle_facts,
    vehicle_lists,
)
from fleet_cloud.adapters.registry_schema import counters
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.ports import (
    Changes,
)
from fleet_cloud.campaigns.stages import Stage
from fleet_cloud.control.aims import (
    NOTHING,
)
from fleet_cloud.control.ports import (
    PAGE_MAX,
    REPORTED_MAX,
    ListKind,
    Revised,
    Vehicle,
    Wanted,
)
from fleet_cloud.control.targets import (
    Facts,
    Target,
    TargetKind,
)

PLAN_REVISION = "plan_revision"
LISTS_REVISION = "lists_revision"


class SqlCampaigns:
    """Keeps what is wanted of vehicles in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def add(self, kept: Kept) -> None:
        with self._database.writing() as connection:
            values = self._values(kept, moved_on(connection, self._region, PLAN_REVISION))
            again = {
                name: value for name, value in values.items() if name not in ("region", "name")
            }
            added = connection.execute(
                self._insert(campaigns)
                .values(values)
                .on_conflict_do_update(
                    index_elements=["region", "tenant", "name"],
                    set_=again,
                    where=campaigns.c.state == State.DELETED.value,
                )
                .returning(campaigns.c.name)
            ).first()
            if added is None:
                raise Conflict(
                    f"there is a campaign called {kept.name} already: choose another name"
                )

    def change(self, kept: Kept) -> bool:
        with self._database.writing() as connection:
            values = self._values(kept, moved_on(connection, self._region, PLAN_REVISION))
            done = connection.execute(
                registry_scope.changed(
                    campaigns,
                    Scope(self._region, kept.tenant),
                    campaigns.c.name == kept.name,
                    campaigns.c.version == kept.version - 1,
                    campaigns.c.state != State.DELETED.value,
                ).values(**values)
            )
            return bool(done.rowcount)

    def campaign(self, tenant: str, name: str) -> Kept | None:
        wanted = registry_scope.chosen(
            campaigns,
            Scope(self._region, tenant),
            campaigns.c.name == name,
            campaigns.c.state != State.DELETED.value,
        )
        with self._database.reading() as connection:
            found = connection.execute(wanted).first()
        return None if found is None else _kept(found)

    def campaigns(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[Kept]:
        wanted = registry_scope.in_region(
            campaigns, self._region, campaigns.c.state != State.DELETED.value
        )
        if tenants is not None:
            wanted = wanted.where(campaigns.c.tenant.in_(sorted(tenants)))
        if after:
            tenant, _, name = after.partition("/")
            wanted = wanted.where(tuple_(campaigns.c.tenant, campaigns.c.name) > (tenant, name))
        ordered = wanted.order_by(campaigns.c.tenant, campaigns.c.name).limit(min(limit, PAGE_MAX))
        with self._database.reading() as connection:
            return [_kept(one) for one in connection.execute(ordered)]

    def put_facts(self, vehicle: Vehicle, facts: Facts) -> None:
        with self._database.writing() as connection:
            values = {
                "attributes": json.dumps(dict(facts.attributes), sort_keys=True),
                "fleets": json.dumps(sorted(facts.fleets)),
                "revision": moved_on(connection, self._region, PLAN_REVISION),
            }
            of_it = registry_scope.row(
                Scope(self._region, vehicle.tenant), vehicle=vehicle.name, **values
            )
            connection.execute(
                self._insert(vehicle_facts)
                .values(of_it)
                .on_conflict_do_update(index_elements=["region", "tenant", "vehicle"], set_=values)
            )

    def facts(self, vehicle: Vehicle) -> Facts:
        wanted = registry_scope.chosen(
            vehicle_facts,
            Scope(self._region, vehicle.tenant),
            vehicle_facts.c.vehicle == vehicle.name,
        )
        with self._database.reading() as connection:
            found = connection.execute(wanted).first()
        return Facts() if found is None else _facts(found)

    def all_facts(self, tenant: str) -> dict[str, Facts]:
        wanted = registry_scope.chosen(vehicle_facts, Scope(self._region, tenant))
        with self._database.reading() as connection:
            return {one.vehicle: _facts(one) for one in connection.execute(wanted)}

    def put_template(self, tenant: str, template: StateTemplate) -> bool:
        known = {one.name for one in self.templates(tenant)}
        self._write_template(tenant, template, is_deleted=False)
        return template.name not in known

    def delete_template(self, tenant: str, name: str) -> bool:
        if name not in {one.name for one in self.templates(tenant)}:
            return False
        self._write_template(tenant, StateTemplate(name, ()), is_deleted=True)
        return True

    def templates(self, tenant: str) -> list[StateTemplate]:
        with self._database.reading() as connection:
            return self._templates_of(connection, tenant)

    def changes(self, after: int) -> Changes:
        with self._database.reading() as connection:
            newest = revision_of(connection, self._region, PLAN_REVISION)
            if newest == after:
                return Changes(after)
            kept = connection.execute(self._since(campaigns, after, newest)).all()
            facts = connection.execute(self._since(vehicle_facts, after, newest)).all()
            touched = connection.execute(self._since(state_templates, after, newest)).all()
            templates = {
                tenant: tuple(self._templates_of(connection, tenant))
                for tenant in sorted({one.tenant for one in touched})
            }
        return Changes(
            newest,
            tuple(_kept(one) for one in kept),
            tuple((Vehicle(one.tenant, one.vehicle), _facts(one)) for one in facts),
            templates,
        )

    def _since(self, table: Any, after: int, until: int) -> Any:
        return registry_scope.in_region(
            table, self._region, table.c.revision > after, table.c.revision <= until
        )

    def _templates_of(self, connection: Connection, tenant: str) -> list[StateTemplate]:
        wanted = registry_scope.chosen(
            state_templates, Scope(self._region, tenant), state_templates.c.is_deleted.is_(False)
        )
        return [
            StateTemplate(one.name, tuple(json.loads(one.signals)), one.period_ms)
            for one in connection.execute(wanted.order_by(state_templates.c.name))
        ]

    def _write_template(self, tenant: str, template: StateTemplate, *, is_deleted: bool) -> None:
        with self._database.writing() as connection:
            values = {
                "signals": json.dumps(template.signals),
                "period_ms": template.period_ms,
                "is_deleted": is_deleted,
                "revision": moved_on(connection, self._region, PLAN_REVISION),
            }
            of_it = registry_scope.row(Scope(self._region, tenant), name=template.name, **values)
            connection.execute(
                self._insert(state_templates)
                .values(of_it)
                .on_conflict_do_update(index_elements=["region", "tenant", "name"], set_=values)
            )

    def _values(self, kept: Kept, revision: int) -> dict[str, Any]:
        return registry_scope.row(
            Scope(self._region, kept.tenant),
            name=kept.name,
            sync_id=kept.sync_id,
            document=json.dumps(campaign_document(kept.campaign)),
            target_kind=kept.target.kind.value,
            target=kept.target.text,
            state=kept.state.value,
            author=kept.author,
            approved_by=kept.approved_by,
            created_time_ns=kept.created_time_ns,
            changed_time_ns=kept.changed_time_ns,
            started_time_ns=kept.started_time_ns,
            stages=json.dumps([[stage.percent, stage.after_s] for stage in kept.stages]),
            max_refused_percent=kept.max_refused_percent,
            percent=kept.percent,
            halted=kept.halted,
            version=kept.version,
            revision=revision,
        )


class SqlLists:
    """Numbers the lists of vehicles in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        insert = (sqlite.insert if database.is_sqlite else postgresql.insert)(vehicle_lists)
        self._write = insert.on_conflict_do_update(
            index_elements=["region", "tenant", "vehicle", "kind"],
            set_={name: getattr(insert.excluded, name) for name in ("revision", "digest", "basis")},
        )

    def revise(
        self, kind: ListKind, wanted: Sequence[Wanted], basis: int
    ) -> dict[Vehicle, Revised]:
        with self._database.reading() as connection:
            known = self._known(connection, kind, wanted)
        if not any(_is_outdated(one, known, basis) for one in wanted):
            return {one.vehicle: known.get(one.vehicle, _NONE)[0] for one in wanted}
        with self._database.writing() as connection:
            base = moved_on(connection, self._region, LISTS_REVISION)
            known = self._known(connection, kind, wanted)
            fresh = {
                one.vehicle: _renewed(one, known, base)
                for one in wanted
                if _is_outdated(one, known, basis)
            }
            rows = [
                registry_scope.row(
                    Scope(self._region, vehicle.tenant),
                    vehicle=vehicle.name,
                    kind=kind.value,
                    revision=fresh[vehicle].revision,
                    digest=fresh[vehicle].digest,
                    basis=basis,
                )
                for vehicle in sorted(fresh)
            ]
            if rows:
                connection.execute(self._write, rows)
        return {one.vehicle: known.get(one.vehicle, _NONE)[0] for one in wanted} | fresh

    def _known(
        self, connection: Connection, kind: ListKind, wanted: Sequence[Wanted]
    ) -> dict[Vehicle, tuple[Revised, int]]:
        found = {}
        names: dict[str, list[str]] = {}
        for one in wanted:
            names.setdefault(one.vehicle.tenant, []).append(one.vehicle.name)
        for tenant, of_it in names.items():
            for some in chunks(of_it):
                rows = registry_scope.chosen(
                    vehicle_lists,
                    Scope(self._region, tenant),
                    vehicle_lists.c.kind == kind.value,
                    vehicle_lists.c.vehicle.in_(some),
                ).with_only_columns(*(vehicle_lists.c[name] for name in _LIST_COLUMNS))
                for vehicle, revision, digest, basis in connection.execute(rows):
                    revised = Revised(revision, digest, is_new=False)
                    found[Vehicle(tenant, vehicle)] = (revised, basis)
        return found


_LIST_COLUMNS = ("vehicle", "revision", "digest", "basis")
_NONE = (Revised(0, NOTHING, is_new=False), 0)


def _is_outdated(wanted: Wanted, known: dict[Vehicle, tuple[Revised, int]], basis: int) -> bool:
    revised, of = known.get(wanted.vehicle, _NONE)
    is_ahead = min(wanted.reported, REPORTED_MAX) > revised.revision
    return of <= basis and (wanted.digest != revised.digest or is_ahead)


def _renewed(wanted: Wanted, known: dict[Vehicle, tuple[Revised, int]], base: int) -> Revised:
    before = known.get(wanted.vehicle, _NONE)[0].revision
    # What a vehicle reports is its own word: it moves its own numbers, and those of no other.
    reported = min(wanted.reported, REPORTED_MAX)
    return Revised(max(base, before + 1, reported + 1), wanted.digest, is_new=True)


def revision_of(connection: Connection, region: str, name: str) -> int:
    """Return a number that only grows."""
    found = connection.execute(
        select(counters.c.value).where(counters.c.region == region, counters.c.name == name)
    ).scalar()
    return int(found or 0)


def moved_on(connection: Connection, region: str, name: str) -> int:
    """Move such a number on, and return it; its row stays locked until the transaction ends."""
    is_it = (counters.c.region == region, counters.c.name == name)
    step = update(counters).where(*is_it).values(value=counters.c.value + 1)
    moved = connection.execute(step.returning(counters.c.value)).scalar()
    if moved is None:  # the first act of a region; somebody else may be doing it now
        insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert
        first = insert(counters).values(region=region, name=name, value=1)
        moved = connection.execute(
            first.on_conflict_do_update(
                index_elements=["region", "name"], set_={"value": counters.c.value + 1}
            ).returning(counters.c.value)
        ).scalar_one()
    return int(moved)


def _kept(found: Row[Any]) -> Kept:
    return Kept(
        tenant=found.tenant,
        campaign=campaign_from_json(found.document),
        sync_id=found.sync_id,
        target=Target(TargetKind(found.target_kind), found.target),
        state=State(found.state),
        author=found.author,
        approved_by=found.approved_by,
        created_time_ns=found.created_time_ns,
        changed_time_ns=found.changed_time_ns,
        started_time_ns=found.started_time_ns,
        stages=tuple(Stage(percent, after_s) for percent, after_s in json.loads(found.stages)),
        max_refused_percent=found.max_refused_percent,
        percent=found.percent,
        halted=found.halted,
        version=found.version,
    )


def _facts(found: Row[Any]) -> Facts:
    return Facts(json.loads(found.attributes), frozenset(json.loads(found.fleets)))
