"""Every statement about a tenant's rows begins here, so none can forget whose rows it means.

Rule 1: a table of tenants' rows has the columns `region` and `tenant`, first in its primary key.
Rule 2: no other file writes select, update or delete of such a table: tests/house/test_scopes.py looks.
Rule 3: `in_region` is for what serves all tenants of a region at once: access rules, ingest, housekeeping.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    select,
    update,
)

from fairway.identity import Scope


def of(table: Table, scope: Scope) -> ColumnElement[bool]:
    """Return the condition that a row belongs to `scope`."""
    return and_(table.c.region == scope.region, table.c.tenant == scope.tenant)


def row(scope: Scope, **values: Any) -> dict[str, Any]:
    """Return `values` as a row that belongs to `scope`."""
    return {"region": scope.region, "tenant": scope.tenant, **values}


def chosen(table: Table, scope: Scope, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the query for the rows of `scope` that fulfil all conditions."""
    return select(table).where(of(table, scope), *conditions)


def changed(table: Table, scope: Scope, *conditions: ColumnElement[bool]) -> Update:
    """Return the update of the rows of `scope` that fulfil all conditions; give it `.values(...)`."""
    return update(table).where(of(table, scope), *conditions)


def removed(table: Table, scope: Scope, *conditions: ColumnElement[bool]) -> Delete:
    """Return the deletion of the rows of `scope` that fulfil all conditions."""
    return delete(table).where(of(table, scope), *conditions)


def removed_each(table: Table, *conditions: ColumnElement[bool]) -> Delete:
    """Return the deletion of many rows, each given as `of_region`, `of_tenant` and what else is bound."""
    return delete(table).where(
        table.c.region == bindparam("of_region"),
        table.c.tenant == bindparam("of_tenant"),
        *conditions,
    )


def changed_each(table: Table, region: str, *conditions: ColumnElement[bool]) -> Update:
    """Return the update of many rows of `region` at once, whatever tenant they belong to."""
    return update(table).where(table.c.region == region, *conditions)


def removed_in_region(table: Table, region: str, *conditions: ColumnElement[bool]) -> Delete:
    """Return the deletion of the rows of all tenants of `region` that fulfil all conditions."""
    return delete(table).where(table.c.region == region, *conditions)


def in_region(table: Table, region: str, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the query for the rows of all tenants of `region` that fulfil all conditions."""
    return select(table).where(table.c.region == region, *conditions)
