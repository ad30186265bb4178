"""The audit log in SQL: rows are only ever added, which triggers hold, and each commit moves its chain's head.

Rule 1: the head's row is locked first, so two processes never continue the chain at the same entry.
Rule 2: entry and head are one transaction: the head never says more or less than there is.
"""

import json
import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql, sqlite

from fairway.clock import Clock, SteadyClock
from fairway.crypto import Signer
from fairway.errors import Tampered
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_schema import audit, audit_heads
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.audit.acts import Act, Outcome
from fleet_cloud.audit.chain import Entry, Head, head_of, next_entry, signed
from fleet_cloud.audit.folding import Folding
from fleet_cloud.audit.ports import Wanted

# Rows read at once while a chain is followed: some 1 MB.
PAGE_ROWS = 2_000


class SqlAudit:
    """Keeps and reads the audit log of a region in the registry database."""

    def __init__(self, database: Database, region: str, signer: Signer, clock: Clock) -> None:
        self._database = database
        self._region = region
        self._signer = signer
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._folding = Folding()
        self._lock = threading.Lock()
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        self._open_head = insert(audit_heads).on_conflict_do_nothing()
        moved = insert(audit_heads)
        self._move_head = moved.on_conflict_do_update(
            index_elements=["region", "tenant"],
            set_={
                name: getattr(moved.excluded, name)
                for name in ("number", "hash", "time_ns", "key", "signature")
            },
        )

    def write(self, act: Act) -> None:
        if act.outcome is not Outcome.DONE:
            with self._lock:
                folded = self._folding.fold(act, self._steady.now_ns())
            if folded is None:
                return
            act = folded
        scope = Scope(self._region, act.tenant)
        with self._database.writing() as connection:
            head = self._head(connection, scope)
            entry = next_entry(head, scope, act, self._clock.now_ns())
            connection.execute(audit.insert().values(_entry_row(entry)))
            connection.execute(self._move_head, _head_row(signed(head_of(entry), self._signer)))

    def newest(
        self, wanted: Wanted, *, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        conditions = [audit.c.time_ns >= wanted.from_ns, audit.c.time_ns < wanted.to_ns]
        if wanted.tenants is not None:
            conditions.append(audit.c.tenant.in_(sorted(wanted.tenants)))
        for column, text in ((audit.c.actor, wanted.actor), (audit.c.object, wanted.object)):
            if text:
                conditions.append(column == text)
        if wanted.action:
            conditions.append(audit.c.action.startswith(wanted.action, autoescape=True))
        if before is not None:
            conditions.append(audit.c.id < before)
        rows = registry_scope.in_region(audit, self._region, *conditions)
        with self._database.reading() as connection:
            found = connection.execute(rows.order_by(audit.c.id.desc()).limit(limit)).all()
        return [(row.id, _entry(row)) for row in found]

    def chain(self, tenant: str, after: int = 0) -> Iterator[Entry]:
        scope = Scope(self._region, tenant)
        while True:
            page = (
                registry_scope.chosen(audit, scope, audit.c.number > after)
                .order_by(audit.c.number)
                .limit(PAGE_ROWS)
            )
            with self._database.reading() as connection:
                rows = connection.execute(page).all()
            yield from (_entry(row) for row in rows)
            if len(rows) < PAGE_ROWS:
                return
            after = rows[-1].number

    def heads(self) -> list[Head]:
        wanted = registry_scope.in_region(audit_heads, self._region).order_by(audit_heads.c.tenant)
        with self._database.reading() as connection:
            return [_head(row) for row in connection.execute(wanted)]

    def tenants(self) -> list[str]:
        wanted = registry_scope.in_region(audit, self._region).with_only_columns(audit.c.tenant)
        with self._database.reading() as connection:
            return sorted(connection.execute(wanted.distinct()).scalars())

    def _head(self, connection: Connection, scope: Scope) -> Head | None:
        if not self._database.is_sqlite:
            # The row must exist to be locked; SQLite has one writer and needs no lock.
            blank = Head(scope, 0, "", 0)
            connection.execute(self._open_head, _head_row(blank))
        wanted = registry_scope.chosen(audit_heads, scope)
        row = connection.execute(wanted.with_for_update()).first()
        return None if row is None or row.number == 0 else _head(row)


def _entry_row(entry: Entry) -> dict[str, Any]:
    return registry_scope.row(
        entry.scope,
        number=entry.number,
        time_ns=entry.time_ns,
        actor=entry.act.actor,
        action=entry.act.action,
        object=entry.act.object,
        outcome=entry.act.outcome.value,
        details=json.dumps(dict(entry.act.details), sort_keys=True, ensure_ascii=False),
        previous=entry.previous,
        hash=entry.hash,
    )


def _entry(row: Row[Any]) -> Entry:
    try:
        details = json.loads(row.details)
        act = Act(
            action=row.action,
            actor=row.actor,
            object=row.object,
            tenant=row.tenant,
            outcome=Outcome(row.outcome),
            details={str(name): str(text) for name, text in details.items()},
        )
    except (ValueError, AttributeError) as error:
        raise Tampered(
            f"entry {row.number} of {row.region}/{row.tenant} is not as it was written"
        ) from error
    scope = Scope(row.region, row.tenant)
    return Entry(scope, row.number, row.time_ns, act, row.previous, row.hash)


def _head_row(head: Head) -> dict[str, Any]:
    return registry_scope.row(
        head.scope,
        number=head.number,
        hash=head.hash,
        time_ns=head.time_ns,
        key=head.key,
        signature=head.signature,
    )


def _head(row: Row[Any]) -> Head:
    scope = Scope(row.region, row.tenant)
    return Head(scope, row.number, row.hash, row.time_ns, row.key, row.signature)
