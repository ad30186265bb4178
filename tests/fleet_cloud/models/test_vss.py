"""Trees of the Vehicle Signal Specification become catalogs: the releases whole, and garbage never."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import BadInput
from fleet_cloud.api.compat.fleetwise_shapes import faults, shape
from fleet_cloud.models.catalog import counts, created
from fleet_cloud.models.vss import nodes_of_vss
from tests.shared_data import shared

TREE = {
    "Vehicle": {
        "type": "branch",
        "description": "A vehicle",
        "children": {
            "Speed": {"type": "sensor", "datatype": "float", "unit": "km/h", "min": 0, "description": "fast"},
            "Doors": {"type": "actuator", "datatype": "string[]", "allowed": ["OPEN", "SHUT"]},
            "Wheels": {"type": "attribute", "datatype": "uint8", "default": 4, "deprecation": "v9"},
        },
    }
}  # fmt: skip


def test_a_tree_becomes_nodes_with_branches_first():
    assert nodes_of_vss(json.dumps(TREE)) == [
        {"branch": {"fullyQualifiedName": "Vehicle", "description": "A vehicle"}},
        {
            "sensor": {
                "fullyQualifiedName": "Vehicle.Speed", "dataType": "FLOAT", "unit": "km/h", "min": 0.0,
                "description": "fast",
            }
        },
        {
            "actuator": {
                "fullyQualifiedName": "Vehicle.Doors", "dataType": "STRING_ARRAY",
                "allowedValues": ["OPEN", "SHUT"],
            }
        },
        {
            "attribute": {
                "fullyQualifiedName": "Vehicle.Wheels", "dataType": "UINT8", "defaultValue": "4",
                "deprecationMessage": "v9",
            }
        },
    ]  # fmt: skip


def branches_of(node: Any) -> int:
    """How many branches a tree has, counted another way."""
    below = node.get("children", {})
    return (node.get("type") == "branch") + sum(branches_of(one) for one in below.values())


@pytest.mark.parametrize(("release", "leaves"), [("4.0", 910), ("5.1", 1321), ("6.0", 1263)])
def test_each_release_becomes_a_catalog_of_its_size(release: str, leaves: int):
    text = shared(f"edge/vss/vss_release_{release}.json").read_text()
    branches = branches_of({"children": json.loads(text)})
    nodes = nodes_of_vss(text)
    found = counts(created(nodes))

    assert found["totalNodes"] - found["totalBranches"] == leaves
    assert found["totalBranches"] == branches
    assert [fault for node in nodes for fault in faults(shape("Node"), node)] == []


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({}, "no leaf"),
        ({"V": {"type": "branch", "children": {}}}, "no leaf"),
        ({"V": {"S": {"type": "sensor", "datatype": "Types.Point"}}}, "datatype"),
        ({"V": {"S": {"type": "sensor"}}}, "datatype"),
        ([], "must be a table"),
    ],
)
def test_what_is_odd_is_refused_with_the_reason(tree: object, why: str):
    with pytest.raises(BadInput, match=why):
        nodes_of_vss(json.dumps(tree))


WORDS = st.sampled_from(["V", "S", "type", "children", "datatype", "min", "a.b", ""])
TREES = st.recursive(
    st.none()
    | st.text(max_size=5)
    | st.integers()
    | st.sampled_from(["branch", "sensor", "float"]),
    lambda inner: st.dictionaries(WORDS, inner, max_size=4),
)


@given(TREES)
def test_garbage_is_refused_or_becomes_nodes(tree: object):
    try:
        nodes = nodes_of_vss(json.dumps(tree))
    except BadInput:
        return
    assert created(nodes)


def test_what_is_no_json_is_refused():
    with pytest.raises(BadInput, match="JSON"):
        nodes_of_vss("{")
