"""Our own databases in `dbc/`, their mappings and their catalogue fit together without a remark."""

from pathlib import Path

import pytest

from edge_agent.canbus import database
from edge_agent.canbus.mapping import compile_mapping
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.catalog.load import load_catalog

DBC = Path(__file__).parents[2] / "dbc"
CATALOGUE = DBC / "fairway_vss.json"
DATABASES = sorted(path.name for path in DBC.glob("*.dbc"))
OVERLAYS = sorted(path.name for path in DBC.glob("*.vspec"))


@pytest.mark.parametrize("name", DATABASES)
def test_a_database_loads_without_a_problem(name: str):
    loaded = database.load(DBC / name)

    assert loaded.messages
    assert [f"{name}:{problem.line}: {problem.text}" for problem in loaded.problems] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_mapping_names_signals_and_paths_that_exist(name: str):
    dbc = database.load((DBC / name).with_suffix(".dbc"))
    plan = compile_plan([BusDatabases("can0", (dbc,))])
    catalogue, overlay = load_catalog([CATALOGUE]), load_catalog([DBC / name])

    mapping = compile_mapping(plan, load_catalog([CATALOGUE, DBC / name]), unmapped=False)

    assert {leaf.path for leaf in overlay if catalogue.get(leaf.path) is None} == set()
    assert [str(problem) for problem in mapping.problems] == []
    assert len(mapping.table) > 0


def test_there_is_a_database_and_each_has_its_mapping():
    assert DATABASES
    assert [Path(name).stem for name in OVERLAYS] == [Path(name).stem for name in DATABASES]
