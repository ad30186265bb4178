"""Our own databases are as large and as odd as real ones, and another reader takes them too."""

from pathlib import Path

import cantools
import pytest

from edge_agent.canbus import database
from fairway.catalog.load import load_catalog

DBC = Path(__file__).parents[2] / "dbc"
DATABASES = sorted(DBC.glob("*.dbc"))
CATALOGUE = DBC / "fairway_vss.json"


@pytest.mark.parametrize("path", DATABASES, ids=lambda path: path.stem)
def test_another_reader_takes_every_database_in_its_strict_mode(path: Path):
    ours, theirs = database.load(path), cantools.database.Database()
    theirs.add_dbc_file(path)

    assert {
        message.name: (message.length, message.is_fd, message.cycle_time, len(message.signals))
        for message in theirs.messages
    } == {
        message.name: (message.length, message.is_fd, message.cycle_time_ms, len(message.signals))
        for message in ours.messages
    }


def test_the_electric_car_is_as_large_and_as_odd_as_a_real_one():
    classic = database.load(DBC / "fairway_ev.dbc")
    fd = database.load(DBC / "fairway_ev_fd.dbc")
    signals = [signal for message in classic.messages for signal in message.signals]

    assert len(classic.messages) >= 60
    assert len(signals) >= 350
    assert sum(signal.multiplex is not None for signal in signals) >= 100
    assert sum(signal.byte_order.value == "big" for signal in signals) >= 40
    assert max(message.length for message in fd.messages if message.is_fd) == 64
    assert any(signal.is_multiplexer and signal.multiplex is not None for signal in signals)


def test_the_truck_speaks_j1939():
    truck = database.load(DBC / "fairway_truck.dbc")

    assert truck.is_j1939
    assert all(message.is_extended for message in truck.messages)


def test_most_of_the_electric_car_has_a_place_in_the_catalogue():
    overlays = [DBC / "fairway_ev.vspec", DBC / "fairway_ev_fd.vspec"]
    catalogue = load_catalog([CATALOGUE, *overlays])

    assert len(catalogue) >= 300
    assert len(catalogue.mapped) >= 150
    assert catalogue.problems == ()


def test_every_leaf_of_the_catalogue_is_described_in_a_sentence():
    unsaid = [leaf.path for leaf in load_catalog([CATALOGUE]) if not leaf.description.endswith(".")]

    assert unsaid == []
