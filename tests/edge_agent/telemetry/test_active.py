"""Which campaigns run at a time of the wall clock, and what is left of those that do not."""

from typing import Any

from edge_agent.telemetry.active import Orders, plan_of, state_of, with_list
from edge_agent.telemetry.partitions import Key, terms_of
from fairway.campaign.document import campaign_of, sync_id
from fairway.clock import NS_PER_S
from fairway.control import CampaignList, CampaignOrder, CampaignState

NOON_NS = 1_700_000_000 * NS_PER_S


def order(name: str, *, is_suspended: bool = False, **more: Any) -> CampaignOrder:
    scheme = {"timeBasedCollectionScheme": {"periodMs": 1000}}
    document = {"name": name, "collectionScheme": scheme} | more
    campaign = campaign_of(document)
    return CampaignOrder(sync_id(campaign), campaign, is_suspended)


def gated(name: str, **more: Any) -> CampaignOrder:
    partition = {
        "id": "bulk",
        "storageOptions": {
            "maximumSize": {"unit": "MB", "value": 2},
            "storageLocation": "x",
            "minimumTimeToLive": {"unit": "HOURS", "value": 3},
        },
        "uploadOptions": {"expression": "$variable.`Wifi` == true"},
    }
    signals = [{"name": "Vehicle.Speed", "dataPartitionId": "bulk"}]
    return order(name, dataPartitions=[partition], signalsToCollect=signals, **more)


def test_a_campaign_is_ready_running_and_expired_by_the_wall_clock():
    one = order("one", startTime=1_700_000_100, expiryTime=1_700_000_200)

    states = [state_of(one, NOON_NS + s * NS_PER_S) for s in (0, 99, 100, 199, 200)]

    ready, running, expired = CampaignState.READY, CampaignState.RUNNING, CampaignState.EXPIRED
    assert states == [ready, ready, running, running, expired]


def test_the_next_change_is_the_nearest_start_or_expiry_to_come():
    orders = Orders(cloud=(order("one", startTime=1_700_000_100, expiryTime=1_700_000_200),))

    assert plan_of(orders, (), NOON_NS).next_change_ns == NOON_NS + 100 * NS_PER_S
    assert plan_of(orders, (), NOON_NS + 100 * NS_PER_S).next_change_ns == NOON_NS + 200 * NS_PER_S
    assert plan_of(orders, (), NOON_NS + 200 * NS_PER_S).next_change_ns is None


def test_a_list_replaces_the_list_before_and_leaves_our_own_documents():
    own = Orders(own=(order("own"),))

    first = with_list(own, CampaignList(1, (order("one"),), (("odd", "no JSON"),)))
    second = with_list(first, CampaignList(2, (order("two"),)))

    assert [one.campaign.name for one in first.all] == ["own", "one"]
    assert [one.campaign.name for one in second.all] == ["own", "two"]
    assert (second.revision, second.unreadable) == (2, ())
    assert second.by_name("two") == order("two")
    assert second.by_name(order("own").sync_id) == order("own")
    assert second.by_name("one") is None


def test_the_same_content_runs_once():
    orders = Orders(own=(order("one"),), cloud=(order("one"),))

    assert len(plan_of(orders, (), NOON_NS).campaigns) == 1


def test_a_suspended_campaign_collects_nothing_and_its_partition_is_still_looked_at():
    one = gated("one")
    suspended = CampaignOrder(one.sync_id, one.campaign, is_suspended=True)

    plan = plan_of(Orders(cloud=(suspended,)), (), NOON_NS)

    (left,) = plan.campaigns
    assert left.signals is None
    assert [part.upload for part in left.partitions or ()] == ["$variable.`Wifi` == true"]
    assert plan.owners[sync_id(left)] == one.sync_id
    assert Key(one.sync_id, "bulk") in plan.terms


def test_a_suspended_campaign_without_a_condition_needs_no_engine():
    assert plan_of(Orders(cloud=(order("one", is_suspended=True),)), (), NOON_NS).campaigns == ()


def test_a_campaign_that_is_not_there_yet_has_partitions_but_no_engine():
    plan = plan_of(Orders(cloud=(gated("one", startTime=1_800_000_000),)), (), NOON_NS)

    assert plan.campaigns == ()
    assert len(plan.terms) == 2


def test_what_is_left_of_two_gone_campaigns_with_one_condition_is_two():
    one, two = gated("one"), gated("two")
    gone = [
        terms
        for each in (one, two)
        for terms in terms_of(each.sync_id, each.campaign)
        if terms.is_gated
    ]

    plan = plan_of(Orders(), gone, NOON_NS)

    assert set(plan.owners.values()) == {one.sync_id, two.sync_id}
    assert plan.terms == {}


def test_the_terms_of_a_partition_are_what_its_campaign_says():
    one = gated("one", priority=7, fairway={"equalityTolerance": 0.5, "windowMs": 10})

    at_once, bulk = terms_of(one.sync_id, one.campaign)

    assert (at_once.key.partition, at_once.is_gated, at_once.rank) == ("", False, 7)
    assert at_once.is_durable  # a campaign with partitions is spooled
    assert (bulk.max_bytes, bulk.max_age_s, bulk.is_gated) == (2 << 20, 3 * 3600, True)
    assert (bulk.equality_tolerance, bulk.window_ms) == (0.5, 10)
