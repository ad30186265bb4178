"""Samples that were stored before there were regions, and what becomes of them."""

from pathlib import Path

import pytest

from fleet_cloud.adapters import clickhouse_sql
from fleet_cloud.adapters.clickhouse_chdb import ChdbEngine
from fleet_cloud.adapters.telemetry_store import open_store

STREAM = "00000000000000aa"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store as schema 1 left it: one vehicle, three samples."""
    engine = ChdbEngine(tmp_path / "telemetry")
    made = clickhouse_sql.create_samples(clickhouse_sql.abilities("26.1"), free_min_bytes=0)
    engine.execute(
        made.replace("region LowCardinality(String), ", "").replace(
            "ORDER BY (region, ", "ORDER BY ("
        )
    )
    for time_ns in (1, 2, 3):
        engine.execute(
            "INSERT INTO samples VALUES"
            f" ('acme', 'VIN1', 'Vehicle.Speed', {time_ns}, {time_ns}.5, '', 0, 'km/h', 170, 4, '2026-11-01')"
        )
    engine.execute(clickhouse_sql.CREATE_LAYOUT)
    engine.execute("INSERT INTO layout VALUES (1, 0, 1)")
    engine.close()
    return tmp_path


def held(folder: Path, region: str) -> tuple[int, set[int], list[float | bool | str]]:
    store = open_store((), folder, region=region)
    found = (
        store.count("acme", "VIN1"),
        store.stored("acme", "VIN1", STREAM, [3, 4]),
        [latest.value for latest in store.latest("acme", "VIN1")],
    )
    store.close()
    return found


def test_they_are_the_regions_from_then_on(folder: Path):
    assert held(folder, "eu") == (3, {4}, [3.5])
    assert held(folder, "eu") == (3, {4}, [3.5])
    assert held(folder, "cn") == (0, set(), [])


@pytest.mark.parametrize("steps", range(1, 6))
def test_whoever_dies_on_the_way_finishes_at_the_next_start(folder: Path, steps: int):
    engine = ChdbEngine(folder / "telemetry")
    carry = (
        clickhouse_sql.create_samples(
            clickhouse_sql.abilities("26.1"), free_min_bytes=0, name=clickhouse_sql.ASIDE
        ),
        clickhouse_sql.bound(clickhouse_sql.CARRY_OVER, region="eu"),
        clickhouse_sql.FORGET_LAYOUT,
        clickhouse_sql.PUT_AWAY,
        clickhouse_sql.PUT_IN_PLACE,
    )
    for statement in carry[:steps]:
        engine.execute(statement)
    engine.close()

    assert held(folder, "eu") == (3, {4}, [3.5])
