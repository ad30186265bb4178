"""Which nodes a model has, and when a manifest stops to change."""

import pytest

from fleet_cloud.models.catalog import created
from fleet_cloud.models.manifests import Status, decoded, status_after, with_nodes
from fleet_cloud.models.refusals import BadField, BadSignals, InTheWay
from tests.fleet_cloud.api.compat.small import NODES, PATHS

CATALOG = created(NODES)


def test_a_model_has_nodes_of_its_catalog_in_order_and_each_once():
    assert with_nodes((), ["Vehicle.Speed", "Vehicle.Horn", "Vehicle.Speed"], (), CATALOG) == [
        "Vehicle.Horn",
        "Vehicle.Speed",
    ]
    assert with_nodes(PATHS, ["Vehicle.Unused"], ["Vehicle.Horn"], CATALOG) == [
        "Vehicle.Colour",
        "Vehicle.Speed",
        "Vehicle.Unused",
    ]


def test_what_is_not_in_the_catalog_or_in_the_model_is_told_by_name():
    with pytest.raises(BadSignals, match=r"not in the signal catalog: Vehicle\.Heat") as refused:
        with_nodes((), ["Vehicle.Heat", "Vehicle.Speed", "Vehicle.Rain"], (), CATALOG)
    assert [name for name, _ in refused.value.signals] == ["Vehicle.Heat", "Vehicle.Rain"]
    with pytest.raises(BadSignals, match="not in the model"):
        with_nodes(PATHS, (), ["Vehicle.Unused"], CATALOG)
    with pytest.raises(BadField, match="to be added as well"):
        with_nodes(PATHS, ["Vehicle.Speed"], ["Vehicle.Speed"], CATALOG)


def test_sensors_and_actuators_need_a_decoder_and_attributes_do_not():
    assert decoded(["Vehicle", *PATHS], CATALOG) == ["Vehicle.Horn", "Vehicle.Speed"]


def test_a_draft_changes_and_becomes_active():
    assert status_after("model-manifest", "car", "DRAFT", None, changes=True) is Status.DRAFT
    assert status_after("model-manifest", "car", "DRAFT", "ACTIVE", changes=True) is Status.ACTIVE
    assert status_after("model-manifest", "car", "ACTIVE", "ACTIVE", changes=False) is Status.ACTIVE


@pytest.mark.parametrize(("wanted", "changes"), [(None, True), ("ACTIVE", True), ("DRAFT", False)])
def test_what_is_active_does_not_change_any_more(wanted: str | None, *, changes: bool):
    with pytest.raises(InTheWay, match="ACTIVE, and does not change"):
        status_after("model-manifest", "car", "ACTIVE", wanted, changes=changes)


@pytest.mark.parametrize("wanted", ["INVALID", "VALIDATING"])
def test_what_a_check_comes_to_cannot_be_asked_for(wanted: str):
    with pytest.raises(BadField, match="what a check comes to"):
        status_after("model-manifest", "car", "DRAFT", wanted, changes=False)
