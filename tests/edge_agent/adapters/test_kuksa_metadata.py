"""Metadata of whole standard catalogues, in both versions of KUKSA's API."""

import pytest

from edge_agent.adapters.kuksa_entries import V1Entries
from edge_agent.adapters.kuksa_metadata import metadata
from edge_agent.adapters.kuksa_values import member_of, read
from edge_agent.broker.signals import signals_of
from fairway.catalog.load import load_catalog
from fairway.catalog.model import Leaf
from fairway.foreign.kuksa.val.v1 import types_pb2 as v1
from fairway.foreign.kuksa.val.v2 import types_pb2 as v2
from fairway.samples import SignalTable
from tests.edge_agent.vehicle_api import vehicle
from tests.shared_data import ROOT, shared

OURS = "dbc/fairway_vss.json"


@pytest.mark.parametrize("release", ["4.0", "5.1", "6.0", OURS])
def test_every_leaf_of_a_release_has_metadata_that_says_the_same_in_both_versions(release):
    path = ROOT / OURS if release == OURS else shared(f"edge/vss/vss_release_{release}.json")
    leaves = load_catalog([path]).leaves
    data = vehicle(signals_of(leaves, SignalTable(())).leaves)
    entries = V1Entries(data, [member_of(leaf.datatype) for leaf in data.signals])

    assert len(data.signals) == len(leaves) > 500
    for number, leaf in enumerate(data.signals):
        new = metadata(data, number)
        old = entries.entry(number, {v1.FIELD_METADATA}).metadata
        assert (new.path, new.unit, new.description) == (leaf.path, leaf.unit, leaf.description)
        assert (old.unit, old.description) == (leaf.unit, leaf.description)
        assert int(new.data_type) == int(old.data_type)
        assert int(new.entry_type) == int(old.entry_type)
        kind = v2.DataType.Name(new.data_type)
        assert kind.removeprefix("DATA_TYPE_").removesuffix("_ARRAY").lower() == (
            leaf.datatype.removesuffix("[]")
        )
        low = read(new.min, "typed_value")[1]
        assert (low is None) == (leaf.min is None)
        if leaf.allowed:
            allowed = read(new.allowed_values, "typed_value")[1]
            assert allowed == leaf.allowed


ODD = [
    Leaf("A", "uint8", "sensor", min=-5, max=1e9, allowed=("x", 3, 999)),
    Leaf("A", "boolean", "sensor", min=0, max=1, allowed=(True,)),
    Leaf("A", "string[]", "sensor", min=1, allowed=(1, "a")),
    Leaf("A", "float", "attribute", min=1e308, allowed=(1,)),
    Leaf("A", "int64", "actuator", min=-(2.0**70), max=2.0**70),
]


@pytest.mark.parametrize("leaf", ODD, ids=lambda leaf: leaf.datatype)
def test_limits_that_a_data_type_cannot_have_are_left_out(leaf):
    data = vehicle([leaf])
    entries = V1Entries(data, [member_of(leaf.datatype)])

    metadata(data, 0).SerializeToString()
    entries.entry(0, {v1.FIELD_METADATA}).SerializeToString()
