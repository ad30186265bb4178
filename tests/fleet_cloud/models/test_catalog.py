"""A catalog is a tree, and stays one, whatever is asked of it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_cloud.models.catalog import Update, counts, created, kind_of, path_of, updated
from fleet_cloud.models.refusals import BadField, BadNodes, BadSignals, InTheWay, TooMany

NOBODY = frozenset[str]()


def node(kind: str, path: str, **more: Any) -> dict[str, Any]:
    typed = {} if kind in ("branch", "struct") else {"dataType": "DOUBLE"}
    return {kind: {"fullyQualifiedName": path, **typed, **more}}


VEHICLE, CABIN = node("branch", "Vehicle"), node("branch", "Vehicle.Cabin")
SPEED, DOOR = node("sensor", "Vehicle.Speed"), node("actuator", "Vehicle.Cabin.Door")
POINT, POINT_X = node("struct", "Vehicle.Point"), node("property", "Vehicle.Point.X")
PLACE = node("sensor", "Vehicle.Place", dataType="STRUCT", structFullyQualifiedName="Vehicle.Point")
ALL = [VEHICLE, CABIN, SPEED, DOOR, POINT, POINT_X, PLACE]


def test_a_catalog_holds_its_nodes_by_path_and_counts_them():
    nodes = created(ALL)

    assert {path: path_of(node) for path, node in nodes.items()} == {path: path for path in nodes}
    assert counts(nodes) == {
        "totalNodes": 7, "totalBranches": 2, "totalSensors": 2, "totalAttributes": 0, "totalActuators": 1,
        "totalStructs": 1, "totalProperties": 1,
    }  # fmt: skip


@given(st.permutations(ALL))
def test_the_order_of_a_request_does_not_matter(nodes: Sequence[dict[str, Any]]):
    assert created(nodes) == created(ALL)


@pytest.mark.parametrize(
    ("misfit", "why"),
    [
        (node("sensor", "Vehicle..Speed"), "a part of the path is empty"),
        (node("sensor", ".Speed"), "a part of the path is empty"),
        (node("sensor", "Vehicle."), "a part of the path is empty"),
        (node("sensor", "Speed"), "a sensor stands below a branch"),
        (node("sensor", "Truck.Speed"), "a sensor stands below a branch"),
        (node("branch", "Vehicle.Speed.Raw"), "a branch stands below a branch"),
        (node("property", "Vehicle.X"), "a property stands below a struct"),
        (node("sensor", "Vehicle.Heat", min=2.0, max=1.0), "min is above max"),
        (node("sensor", "Vehicle.At", dataType="STRUCT"), "go together"),
        (node("sensor", "Vehicle.At", structFullyQualifiedName="Vehicle.Point"), "go together"),
        (
            node(
                "sensor", "Vehicle.At", dataType="STRUCT_ARRAY", structFullyQualifiedName="Vehicle"
            ),
            "no struct Vehicle",
        ),
    ],
)
def test_a_node_that_does_not_fit_is_refused_with_the_reason(misfit: Any, why: str):
    with pytest.raises(BadNodes, match=why) as refused:
        created([*ALL, misfit])

    assert refused.value.nodes == (misfit,)


def test_a_node_that_is_named_twice_or_there_already_is_refused():
    with pytest.raises(BadField, match=r"Vehicle\.Speed is named twice"):
        created([*ALL, SPEED])
    with pytest.raises(BadField, match="named twice"):
        updated(created(ALL), Update(update=[SPEED], remove=["Vehicle.Speed"]), NOBODY)
    with pytest.raises(InTheWay, match=r"has a node Vehicle\.Speed already"):
        updated(created(ALL), Update(add=[SPEED]), NOBODY)


def test_an_update_puts_a_node_whether_or_not_it_is_there():
    heat = node("sensor", "Vehicle.Heat")
    faster = node("sensor", "Vehicle.Speed", max=400.0)
    after = updated(created(ALL), Update(update=[heat, faster]), NOBODY)

    assert after == {**created(ALL), "Vehicle.Heat": heat, "Vehicle.Speed": faster}


def test_what_is_in_use_is_not_removed_and_stays_of_its_type():
    used = {"Vehicle.Speed"}
    with pytest.raises(InTheWay, match="in use"):
        updated(created(ALL), Update(remove=["Vehicle.Speed"]), used)
    for changed in (
        node("sensor", "Vehicle.Speed", dataType="INT8"),
        node("actuator", "Vehicle.Speed"),
    ):
        with pytest.raises(BadSignals, match="stays of its type") as refused:
            updated(created(ALL), Update(update=[changed]), used)
        assert [name for name, _ in refused.value.signals] == ["Vehicle.Speed"]

    described = node("sensor", "Vehicle.Speed", description="over ground")
    assert updated(created(ALL), Update(update=[described]), used)["Vehicle.Speed"] == described


def test_what_is_removed_was_there_and_leaves_nothing_hanging():
    with pytest.raises(BadSignals, match="not in the catalog"):
        updated(created(ALL), Update(remove=["Vehicle.Heat"]), NOBODY)
    for path in ("Vehicle.Cabin", "Vehicle.Point", "Vehicle"):
        with pytest.raises(BadNodes, match="stands below a|has no struct"):
            updated(created(ALL), Update(remove=[path]), NOBODY)

    with pytest.raises(BadNodes, match=r"Vehicle\.Cabin\.Door: "):
        updated(created(ALL), Update(update=[node("sensor", "Vehicle.Cabin")]), NOBODY)

    both = Update(remove=["Vehicle.Cabin", "Vehicle.Cabin.Door"])
    assert set(updated(created(ALL), both, NOBODY)) == set(created(ALL)) - set(both.remove)


def test_a_catalog_has_20_000_nodes_at_most():
    many = [VEHICLE, *(node("sensor", f"Vehicle.S{number}") for number in range(20_000))]

    assert len(created(many[:-1])) == 20_000
    with pytest.raises(TooMany, match="20000 nodes at most"):
        created(many)


PATHS = st.lists(st.sampled_from("ABC"), min_size=1, max_size=3).map(".".join)
NODES = st.builds(node, st.sampled_from(["branch", "sensor", "struct", "property"]), PATHS)
UPDATES = st.builds(
    Update,
    st.lists(NODES, max_size=5),
    st.lists(NODES, max_size=5),
    st.lists(PATHS, max_size=3),
)


@given(st.lists(UPDATES, max_size=8), st.sets(PATHS))
def test_whatever_is_asked_the_catalog_is_a_tree_in_which_what_is_used_stays(
    updates: list[Update], used: set[str]
):
    nodes: Any = {}
    for update in updates:
        before = dict(nodes)
        try:
            nodes = updated(before, update, used & before.keys())
        except (BadField, BadNodes, BadSignals, InTheWay):
            continue
        assert used & before.keys() <= nodes.keys()
        for path, one in nodes.items():
            parent = path.rpartition(".")[0]
            wanted = "struct" if kind_of(one) == "property" else "branch"
            is_root = not parent and kind_of(one) in ("branch", "struct")
            assert is_root or kind_of(nodes[parent]) == wanted
