"""What services are desired of vehicles, in SQL.

Rule 1: the plan's revision is moved first in a transaction, as for campaigns: registry_campaigns.py.
"""

import json
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import Conflict
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaigns import PLAN_REVISION, moved_on
from fleet_cloud.adapters.registry_service_tables import services
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.control.targets import Target, TargetKind
from fleet_cloud.services.life import State
from fleet_cloud.services.model import Content, Kept
from fleet_cloud.services.ports import Changes

_REMOVED = State.REMOVED.value


class SqlServices:
    """Keeps what is desired in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def add(self, kept: Kept) -> None:
        with self._database.writing() as connection:
            values = self._values(kept, moved_on(connection, self._region, PLAN_REVISION))
            again = {
                key: value for key, value in values.items() if key not in ("region", "tenant", "id")
            }
            added = connection.execute(
                self._insert(services)
                .values(values)
                .on_conflict_do_update(
                    index_elements=["region", "tenant", "id"],
                    set_=again,
                    where=services.c.state == _REMOVED,
                )
                .returning(services.c.id)
            ).first()
            if added is None:
                raise Conflict(
                    f"somebody else has just asked for {kept.name} there: look at it again"
                )

    def change(self, kept: Kept) -> bool:
        with self._database.writing() as connection:
            values = self._values(kept, moved_on(connection, self._region, PLAN_REVISION))
            done = connection.execute(
                registry_scope.changed(
                    services,
                    Scope(self._region, kept.tenant),
                    services.c.id == kept.id,
                    services.c.version == kept.version - 1,
                    services.c.state != _REMOVED,
                ).values(**values)
            )
            return bool(done.rowcount)

    def desired(self, tenants: Collection[str] | None, id_: str) -> Kept | None:
        wanted = registry_scope.in_region(
            services, self._region, services.c.id == id_, services.c.state != _REMOVED
        )
        if tenants is not None:
            wanted = wanted.where(services.c.tenant.in_(sorted(tenants)))
        with self._database.reading() as connection:
            found = connection.execute(wanted).first()
        return None if found is None else _kept(found)

    def all_desired(
        self,
        *,
        tenants: Collection[str] | None = None,
        name: str = "",
        after: str = "",
        limit: int = PAGE_MAX,
    ) -> list[Kept]:
        c = services.c
        wanted = registry_scope.in_region(services, self._region, c.state != _REMOVED)
        if tenants is not None:
            wanted = wanted.where(c.tenant.in_(sorted(tenants)))
        if name:
            wanted = wanted.where(c.name == name)
        if after:
            tenant, _, rest = after.partition("/")
            service, _, id_ = rest.partition("/")
            wanted = wanted.where(tuple_(c.tenant, c.name, c.id) > (tenant, service, id_))
        ordered = wanted.order_by(c.tenant, c.name, c.id).limit(min(limit, PAGE_MAX))
        with self._database.reading() as connection:
            return [_kept(one) for one in connection.execute(ordered)]

    def service_changes(self, after: int, until: int) -> Changes:
        wanted = registry_scope.in_region(
            services, self._region, services.c.revision > after, services.c.revision <= until
        )
        with self._database.reading() as connection:
            return Changes(tuple(_kept(one) for one in connection.execute(wanted)))

    def _values(self, kept: Kept, revision: int) -> dict[str, Any]:
        return registry_scope.row(
            Scope(self._region, kept.tenant),
            id=kept.id,
            name=kept.name,
            target_kind=kept.target.kind.value,
            target=kept.target.text,
            state=kept.state.value,
            in_force=_text(kept.in_force),
            proposed=_text(kept.proposed),
            created_time_ns=kept.created_time_ns,
            changed_time_ns=kept.changed_time_ns,
            version=kept.version,
            revision=revision,
        )


def _text(content: Content | None) -> str:
    return "" if content is None else json.dumps(asdict(content))


def _content(text: str) -> Content | None:
    return Content(**json.loads(text)) if text else None


def _kept(found: Row[Any]) -> Kept:
    return Kept(
        id=found.id,
        tenant=found.tenant,
        name=found.name,
        target=Target(TargetKind(found.target_kind), found.target),
        state=State(found.state),
        created_time_ns=found.created_time_ns,
        changed_time_ns=found.changed_time_ns,
        in_force=_content(found.in_force),
        proposed=_content(found.proposed),
        version=found.version,
    )
