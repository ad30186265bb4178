"""What every keeper of campaigns promises to the FleetWise door: in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from fleet_cloud.adapters.memory_fleetwise_campaigns import MemoryCampaigns
from fleet_cloud.models.campaigns import Asker, Campaigns, Move
from fleet_cloud.models.refusals import InTheWay, NotThere

ANN = Asker("acme", "key:1", 1_000)
LATER = Asker("acme", "key:2", 2_000)
FLEET, CAR = "arn:aws:iotfleetwise:eu:1:fleet/all", "arn:aws:iotfleetwise:eu:1:vehicle/VIN1"


@pytest.fixture(params=[MemoryCampaigns])
def campaigns(request: pytest.FixtureRequest) -> Campaigns:
    make: Callable[[], Campaigns] = request.param
    return make()


def document(name: str, target: str = FLEET) -> dict[str, Any]:
    scheme = {"timeBasedCollectionScheme": {"periodMs": 10_000}}
    return {"name": name, "targetArn": target, "collectionScheme": scheme, "compression": "SNAPPY"}


def test_a_campaign_is_kept_as_it_was_said_and_waits_for_approval(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))

    found = campaigns.campaign("acme", "hot")
    assert found is not None
    assert (found.document, found.status) == (document("hot"), "WAITING_FOR_APPROVAL")
    assert (found.created_time_ns, found.changed_time_ns) == (1_000, 1_000)
    with pytest.raises(InTheWay, match="already"):
        campaigns.create(LATER, document("hot"))


def test_it_is_approved_suspended_and_resumed_and_nothing_else_in_between(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))
    for move, status in (
        (Move.APPROVE, "RUNNING"),
        (Move.SUSPEND, "SUSPENDED"),
        (Move.RESUME, "RUNNING"),
    ):
        assert campaigns.move(LATER, "hot", move, {}).status == status
    for move in (Move.APPROVE, Move.RESUME):
        with pytest.raises(InTheWay, match="RUNNING"):
            campaigns.move(LATER, "hot", move, {})

    found = campaigns.campaign("acme", "hot")
    assert found is not None
    assert found.changed_time_ns == 2_000


def test_an_update_changes_the_document_and_not_the_status(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))
    campaigns.move(LATER, "hot", Move.UPDATE, {"description": "warm"})

    found = campaigns.campaign("acme", "hot")
    assert found is not None
    assert found.document == {**document("hot"), "description": "warm"}
    assert found.status == "WAITING_FOR_APPROVAL"


def test_campaigns_are_listed_in_order_of_name_by_status(campaigns: Campaigns):
    for name in ("c", "a", "b"):
        campaigns.create(ANN, document(name))
    campaigns.move(LATER, "b", Move.APPROVE, {})

    assert [one.name for one in campaigns.listed("acme", limit=2)] == ["a", "b"]
    assert [one.name for one in campaigns.listed("acme", after="b", limit=2)] == ["c"]
    assert [one.name for one in campaigns.listed("acme", limit=9, status="RUNNING")] == ["b"]


def test_a_vehicle_has_those_that_it_or_its_fleet_is_the_target_of(campaigns: Campaigns):
    campaigns.create(ANN, document("a"))
    campaigns.create(ANN, document("b", CAR))
    campaigns.create(ANN, document("c", "arn:aws:iotfleetwise:eu:1:vehicle/VIN2"))

    found = campaigns.of_vehicle("acme", "VIN1", {FLEET, CAR}, limit=9)
    assert found == [("a", "CREATED"), ("b", "CREATED")]
    assert campaigns.of_vehicle("acme", "VIN1", {FLEET, CAR}, after="a", limit=9) == found[1:]
    assert campaigns.of_vehicle("acme", "VIN1", {FLEET, CAR}, limit=1) == found[:1]


def test_what_is_removed_is_gone_and_what_is_unknown_is_said_to_be(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))
    assert campaigns.remove(LATER, "hot").name == "hot"

    assert campaigns.campaign("acme", "hot") is None
    with pytest.raises(NotThere):
        campaigns.remove(LATER, "hot")
    with pytest.raises(NotThere):
        campaigns.move(LATER, "hot", Move.APPROVE, {})


def test_another_tenant_sees_nothing(campaigns: Campaigns):
    campaigns.create(ANN, document("hot"))

    assert campaigns.campaign("other", "hot") is None
    assert campaigns.listed("other", limit=9) == []
    assert campaigns.of_vehicle("other", "VIN1", {FLEET}, limit=9) == []
    with pytest.raises(NotThere):
        campaigns.move(Asker("other", "key:3", 3), "hot", Move.APPROVE, {})
