"""No statement about a tenant's rows forgets whose they are: each kind of store builds them in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Table

from fleet_cloud.adapters import clickhouse_sql, registry_schema

ADAPTERS = Path(clickhouse_sql.__file__).parent

# What belongs to a region as a whole: numbers that only grow, and who the tenants are.
REGIONAL = {"counters", "tenants"}


def tables() -> dict[str, Table]:
    return dict(registry_schema.metadata.tables)


def test_region_and_tenant_come_first_in_every_key():
    for name, table in tables().items():
        columns = [column.name for column in table.columns]
        if name in REGIONAL:
            assert columns[0] == "region", name
            continue
        assert {"region", "tenant"} <= set(columns), name
        keys = [[column.name for column in table.primary_key]]
        keys += [
            [column.name for column in index.columns] for index in table.indexes if index.unique
        ]
        assert any(key[:2] == ["region", "tenant"] for key in keys), (name, keys)


def statements(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The calls that begin a statement, and the table that each is about."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="select" | "update" | "delete" as verb), args=[first, *_]
            ):
                yield node.lineno, f"{verb} {ast.unparse(first)}"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=table), attr="select" | "update" | "delete")
            ):
                yield node.lineno, f"{table}"


def test_only_one_file_begins_statements_about_tenants_rows():
    scoped = set(tables()) - REGIONAL
    found = [
        f"{path.name}:{line}: {what}"
        for path in sorted(ADAPTERS.glob("*.py"))
        if path.name != "registry_scope.py"
        for line, what in statements(ast.parse(path.read_text("utf-8")))
        if scoped & set(re.findall(r"\w+", what))
    ]

    assert found == []


def test_every_question_about_samples_names_region_and_tenant():
    asked = {
        name: text
        for name, text in vars(clickhouse_sql).items()
        if name.isupper() and isinstance(text, str) and "SELECT" in text and "FROM samples" in text
    }
    assert {"LATEST", "SERIES", "BUCKETS", "COUNT", "STORED"} <= set(asked)
    del asked["CARRY_OVER"]  # from before there were regions

    for name, text in asked.items():
        questions = len(re.findall("FROM samples", text))
        assert text.count("region = {region} AND tenant = {tenant}") == questions, name


def test_samples_are_ordered_by_region_and_tenant_first():
    made = clickhouse_sql.create_samples(clickhouse_sql.abilities("26.1"), free_min_bytes=0)

    assert "ORDER BY (region, tenant, vehicle, signal, time_ns)" in made
