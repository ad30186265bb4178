"""What foreign clients need, in SQL.

Rule 1: a region's numbers come from one counter, whose row stays locked until the transaction ends: two never
        give one number twice, and a name that two number at once has one.
"""

import json
from typing import Any

from sqlalchemy import Row
from sqlalchemy.dialects import postgresql, sqlite

from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaigns import moved_on
from fleet_cloud.adapters.registry_foreign_tables import foreign_documents, foreign_numbers
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.rollouts.foreign.ports import DOCUMENTS_MAX, Document, Kind

_COUNTER = "foreign"


class SqlForeign:
    """Keeps documents and numbers in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database, self._region = database, region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def document(self, tenant: str, kind: Kind, name: str) -> Document | None:
        c = foreign_documents.c
        wanted = registry_scope.chosen(
            foreign_documents, self._scope(tenant), c.kind == kind.value, c.name == name
        )
        with self._database.reading() as connection:
            found = connection.execute(wanted).first()
        return None if found is None else _document(found)

    def listed(
        self, tenant: str, kind: Kind, group: str = "", *, limit: int = DOCUMENTS_MAX
    ) -> list[Document]:
        c = foreign_documents.c
        wanted = registry_scope.chosen(foreign_documents, self._scope(tenant), c.kind == kind.value)
        if group:
            wanted = wanted.where(c.listed_under == group)
        ordered = wanted.order_by(c.made.desc()).limit(min(limit, DOCUMENTS_MAX))
        with self._database.reading() as connection:
            return [_document(found) for found in connection.execute(ordered)]

    def put(self, tenant: str, document: Document) -> bool:
        c, scope = foreign_documents.c, self._scope(tenant)
        says = {
            "listed_under": document.group,
            "revision": document.revision + 1,
            "content": json.dumps(document.content, separators=(",", ":"), allow_nan=False),
        }
        is_it = (c.kind == document.kind.value, c.name == document.name)
        with self._database.writing() as connection:
            if document.revision:
                meant = (*is_it, c.revision == document.revision)
                changed = registry_scope.changed(foreign_documents, scope, *meant).values(**says)
                return bool(connection.execute(changed).rowcount)
            made = moved_on(connection, self._region, _COUNTER)
            key = {"kind": document.kind.value, "name": document.name, "made": made}
            added = connection.execute(
                self._insert(foreign_documents)
                .values(registry_scope.row(scope, **key, **says))
                .on_conflict_do_nothing()
                .returning(c.made)
            ).first()
            return added is not None

    def drop(self, tenant: str, kind: Kind, name: str) -> bool:
        c = foreign_documents.c
        dropped = registry_scope.removed(
            foreign_documents, self._scope(tenant), c.kind == kind.value, c.name == name
        )
        with self._database.writing() as connection:
            return bool(connection.execute(dropped).rowcount)

    def number(self, tenant: str, kind: Kind, name: str) -> int:
        c, scope = foreign_numbers.c, self._scope(tenant)
        wanted = registry_scope.chosen(
            foreign_numbers, scope, c.kind == kind.value, c.name == name
        ).with_only_columns(c.number)
        with self._database.reading() as connection:
            known = connection.execute(wanted).scalar()
        if known is not None:
            return int(known)
        with self._database.writing() as connection:
            fresh = moved_on(connection, self._region, _COUNTER)
            values = registry_scope.row(scope, kind=kind.value, number=fresh, name=name)
            connection.execute(
                self._insert(foreign_numbers).values(values).on_conflict_do_nothing()
            )
            return int(connection.execute(wanted).scalar_one())

    def name(self, tenant: str, kind: Kind, number: int) -> str | None:
        c = foreign_numbers.c
        wanted = registry_scope.chosen(
            foreign_numbers, self._scope(tenant), c.kind == kind.value, c.number == number
        ).with_only_columns(c.name)
        with self._database.reading() as connection:
            found = connection.execute(wanted).scalar()
        return None if found is None else str(found)

    def _scope(self, tenant: str) -> Scope:
        return Scope(self._region, tenant)


def _document(found: Row[Any]) -> Document:
    return Document(
        Kind(found.kind), found.name, json.loads(found.content), found.revision, found.listed_under
    )
