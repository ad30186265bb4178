"""Documents about models in SQL: what each says as JSON, and beside it which others it refers to.

Rule 1: the row of a tenant's revision is moved on first, and stays locked until the commit: of two that read at
the same revision one moves it, and the other finds it moved.
"""

import json
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_
from sqlalchemy.dialects import postgresql, sqlite

from fairway.errors import Conflict
from fairway.identity import Scope
from fleet_cloud.adapters.registry_schema import model_references, model_revisions, models
from fleet_cloud.adapters.registry_scope import changed, chosen, removed, row
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.models.documents import (
    DOCUMENTS_MAX_PAGE,
    Changes,
    Document,
    Kind,
    Reference,
)


class SqlDocuments:
    """Keeps documents in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def revision(self, tenant: str) -> int:
        wanted = chosen(model_revisions, self._scope(tenant))
        with self._database.reading() as connection:
            found = connection.execute(wanted.with_only_columns(model_revisions.c.value)).scalar()
        return 0 if found is None else int(found)

    def document(self, tenant: str, reference: Reference) -> Document | None:
        scope = self._scope(tenant)
        wanted = chosen(models, scope, _is(models, reference))
        with self._database.reading() as connection:
            found = connection.execute(wanted).first()
            if found is None:
                return None
            return self._read(connection, scope, reference.kind, [found])[0]

    def listed(
        self,
        tenant: str,
        kind: Kind,
        *,
        of: Reference | None = None,
        after: str = "",
        limit: int,
    ) -> list[Document]:
        scope = self._scope(tenant)
        wanted = (
            self._meant(scope, kind, of)
            .where(models.c.name > after)
            .order_by(models.c.name)
            .limit(min(limit, DOCUMENTS_MAX_PAGE))
        )
        with self._database.reading() as connection:
            return self._read(connection, scope, kind, list(connection.execute(wanted)))

    def count(self, tenant: str, kind: Kind, of: Reference | None = None) -> int:
        wanted = self._meant(self._scope(tenant), kind, of).with_only_columns(func.count())
        with self._database.reading() as connection:
            return int(connection.execute(wanted).scalar_one())

    def _meant(self, scope: Scope, kind: Kind, of: Reference | None) -> Select[Any]:
        wanted = chosen(models, scope, models.c.kind == kind.value)
        if of is None:
            return wanted
        c = model_references.c
        referring = chosen(
            model_references,
            scope,
            c.kind == kind.value,
            c.of_kind == of.kind.value,
            c.of_name == of.name,
        )
        return wanted.where(models.c.name.in_(referring.with_only_columns(c.name)))

    def commit(self, tenant: str, changes: Changes, at_revision: int) -> None:
        scope = self._scope(tenant)
        with self._database.writing() as connection:
            self._move_on(connection, scope, at_revision)
            gone = [*changes.drops, *(document.reference for document in changes.puts)]
            for some in chunks(gone, 100):
                for table in (models, model_references):
                    meant = or_(*(_is(table, reference) for reference in some))
                    connection.execute(removed(table, scope, meant))
            for document in changes.puts:
                connection.execute(self._insert(models).values(_values(scope, document)))
                refers = [_referring(scope, document, one) for one in document.refers]
                if refers:
                    connection.execute(self._insert(model_references).values(refers))

    def _move_on(self, connection: Connection, scope: Scope, at_revision: int) -> None:
        if at_revision == 0:
            first = row(scope, value=1)
            moved = connection.execute(
                self._insert(model_revisions)
                .values(first)
                .on_conflict_do_nothing()
                .returning(model_revisions.c.value)
            ).first()
        else:
            moved = connection.execute(
                changed(model_revisions, scope, model_revisions.c.value == at_revision)
                .values(value=at_revision + 1)
                .returning(model_revisions.c.value)
            ).first()
        if moved is None:
            raise Conflict(f"the models of {scope.tenant} have changed: read them again")

    def _read(
        self, connection: Connection, scope: Scope, kind: Kind, rows: list[Row[Any]]
    ) -> list[Document]:
        refers: dict[str, set[Reference]] = {}
        c = model_references.c
        for some in chunks([found.name for found in rows]):
            meant = chosen(model_references, scope, c.kind == kind.value, c.name.in_(some))
            for found in connection.execute(meant):
                refers.setdefault(found.name, set()).add(
                    Reference(Kind(found.of_kind), found.of_name)
                )
        return [
            Document(
                kind,
                found.name,
                json.loads(found.content),
                found.created_time_ns,
                found.changed_time_ns,
                frozenset(refers.get(found.name, ())),
            )
            for found in rows
        ]

    def _scope(self, tenant: str) -> Scope:
        return Scope(self._region, tenant)


def _is(table: Any, reference: Reference) -> Any:
    return and_(table.c.kind == reference.kind.value, table.c.name == reference.name)


def _values(scope: Scope, document: Document) -> dict[str, Any]:
    return row(
        scope,
        kind=document.kind.value,
        name=document.name,
        content=json.dumps(document.content, separators=(",", ":"), allow_nan=False),
        created_time_ns=document.created_time_ns,
        changed_time_ns=document.changed_time_ns,
    )


def _referring(scope: Scope, document: Document, to: Reference) -> dict[str, Any]:
    return row(
        scope,
        kind=document.kind.value,
        name=document.name,
        of_kind=to.kind.value,
        of_name=to.name,
    )
