"""The desk: what vehicles are answered, and told of by themselves; over memory stores."""

from dataclasses import replace

from fairway.campaign.document import campaign_of, sync_id
from fairway.control import (
    Answer,
    AnswerState,
    CampaignList,
    Catalogue,
    CatalogueWanted,
    CheckIn,
    Command,
    ExplainCampaign,
    StateReport,
    StateTemplate,
    StateTemplateList,
    StateValue,
)
from fairway.samples import Signal, SignalTable
from fairway.wire.telemetry import dictionary_of
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.campaigns.desk import Desk, Stores
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.stages import Stage, is_reached
from fleet_cloud.control.listing import Heard, Told
from fleet_cloud.control.ports import (
    Order,
    Vehicle,
)
from fleet_cloud.control.targets import (
    Facts,
    Target,
    TargetKind,
)

NOW = 1_780_000_000_000_000_000
VIN1, VIN2, OTHER = Vehicle("acme", "VIN1"), Vehicle("acme", "VIN2"), Vehicle("other", "OTHER")
TENANTS = {"VIN1": "acme", "VIN2": "acme", "OTHER": "other"}
DICTIONARY = dictionary_of(SignalTable((Signal("Vehicle.Speed"),)))


def desk_over(registry: Registry) -> Desk:
    stores = Stores(
        registry.plan,
        registry.lists,
        registry.said,
        registry.said,
        registry.commands,
        KeptCatalogues(registry.dictionaries),
    )
    desk = Desk(stores, lambda: TENANTS)
    desk.refresh(NOW)
    return desk


def kept(name: str, kind: TargetKind, text: str, **more) -> Kept:
    scheme = {"timeBasedCollectionScheme": {"periodMs": 1000}}
    campaign = campaign_of({"name": name, "collectionScheme": scheme})
    plain = Kept(
        "acme", campaign, sync_id(campaign), Target(kind, text), State.RUNNING, "user:x", NOW, NOW
    )
    return replace(plain, **more)


def check_in(desk: Desk, vehicle: Vehicle = VIN1, **said) -> list[Told]:
    return desk.heard([Heard(vehicle, CheckIn("1.0", NOW, **said), NOW)], NOW)


def names(told: list[Told]) -> dict[str, list[str]]:
    return {
        one.vehicle.name: [order.campaign.name for order in one.noun.campaigns]
        for one in told
        if isinstance(one.noun, CampaignList)
    }


def test_a_vehicle_without_campaigns_is_answered_nothing():
    assert check_in(desk_over(memory_registry())) == []


def test_a_vehicle_gets_its_list_once_and_again_while_it_reports_another():
    registry = memory_registry()
    registry.plan.add(kept("speed", TargetKind.VEHICLE, "VIN1"))
    desk = desk_over(registry)

    (told,) = check_in(desk)
    assert isinstance(told.noun, CampaignList)
    assert names([told]) == {"VIN1": ["speed"]}
    assert check_in(desk) == [told]
    assert check_in(desk, campaigns_revision=told.noun.revision) == []
    assert check_in(desk, VIN2) == []


def test_a_vehicle_that_reports_more_than_was_ever_given_gets_a_higher_number():
    registry = memory_registry()
    registry.plan.add(kept("speed", TargetKind.VEHICLE, "VIN1"))

    (told,) = check_in(desk_over(registry), campaigns_revision=500)

    assert isinstance(told.noun, CampaignList)
    assert told.noun.revision == 501


def test_a_change_is_pushed_to_whom_it_concerns_and_only_while_it_is_news():
    registry = memory_registry()
    desk = desk_over(registry)
    registry.plan.add(kept("speed", TargetKind.VEHICLE, "VIN1"))

    concerned = desk.refresh(NOW)

    assert concerned == {VIN1}
    assert names(desk.push(concerned)) == {"VIN1": ["speed"]}
    assert [told.is_ours for told in desk.push(concerned)] == [False]
    assert desk.refresh(NOW) is None


def test_a_second_process_pushes_over_connections_of_its_own_alone():
    registry = memory_registry()
    first, second = desk_over(registry), desk_over(registry)
    registry.plan.add(kept("speed", TargetKind.VEHICLE, "VIN1"))
    for desk in (first, second):
        desk.refresh(NOW)

    assert [told.is_ours for told in first.push([VIN1])] == [True]
    assert [told.is_ours for told in second.push([VIN1])] == [False]


def test_a_process_that_knows_less_tells_nothing():
    registry = memory_registry()
    behind = desk_over(registry)
    registry.plan.add(kept("speed", TargetKind.VEHICLE, "VIN1"))
    ahead = desk_over(registry)
    assert len(ahead.push([VIN1])) == 1

    assert check_in(behind) == []
    assert behind.push([VIN1]) == []


def test_suspending_and_deleting_are_news_and_the_last_list_is_an_empty_one():
    registry = memory_registry()
    first = kept("speed", TargetKind.VEHICLE, "VIN1")
    registry.plan.add(first)
    desk = desk_over(registry)
    check_in(desk)
    told = []
    for version, state in ((2, State.SUSPENDED), (3, State.DELETED)):
        registry.plan.change(replace(first, version=version, state=state))
        told += desk.push(desk.refresh(NOW) or ())

    lists = [one.noun for one in told if isinstance(one.noun, CampaignList)]
    assert [[order.is_suspended for order in one.campaigns] for one in lists] == [[True], []]
    assert 1 < lists[0].revision < lists[1].revision
    assert check_in(desk, campaigns_revision=lists[1].revision) == []


def test_targets_are_vehicles_fleets_and_queries_of_their_own_tenant():
    registry = memory_registry()
    registry.plan.put_facts(VIN1, Facts({"year": 2024}, frozenset({"north"})))
    registry.plan.put_facts(VIN2, Facts({"year": 2020}))
    registry.plan.put_facts(OTHER, Facts({"year": 2024}, frozenset({"north"})))
    registry.plan.add(kept("by-fleet", TargetKind.FLEET, "north"))
    registry.plan.add(kept("by-query", TargetKind.QUERY, "year >= 2020"))
    registry.plan.add(kept("by-name", TargetKind.VEHICLE, "OTHER"))
    desk = desk_over(registry)

    assert names(check_in(desk)) == {"VIN1": ["by-fleet", "by-query"]}
    assert names(check_in(desk, VIN2)) == {"VIN2": ["by-query"]}
    assert check_in(desk, OTHER) == []


def test_a_vehicle_whose_facts_change_gets_other_campaigns():
    registry = memory_registry()
    registry.plan.add(kept("by-fleet", TargetKind.FLEET, "north"))
    registry.plan.add(kept("by-query", TargetKind.QUERY, "year >= 2020"))
    desk = desk_over(registry)
    registry.plan.put_facts(VIN1, Facts({"year": 2021}, frozenset({"north"})))
    came = names(desk.push(desk.refresh(NOW) or ()))
    registry.plan.put_facts(VIN1, Facts({"year": 2019}))
    went = names(desk.push(desk.refresh(NOW) or ()))

    assert came == {"VIN1": ["by-fleet", "by-query"]}
    assert went == {"VIN1": []}


def test_a_staged_campaign_goes_to_its_share():
    registry = memory_registry()
    stages = (Stage(50), Stage(100, 60))
    turns = [name for name in ("VIN1", "VIN2") if is_reached("c", name, 50)]
    registry.plan.add(kept("c", TargetKind.QUERY, 'not id == ""', stages=stages, percent=50))
    desk = desk_over(registry)

    assert list(names(desk.push([VIN1, VIN2]))) == turns


def test_an_unknown_catalogue_is_wanted_until_it_came():
    desk = desk_over(memory_registry())

    assert check_in(desk, catalogue_id=DICTIONARY.id) == [Told(VIN1, CatalogueWanted())]
    assert desk.heard([Heard(VIN1, Catalogue(DICTIONARY), NOW)], NOW) == []
    assert check_in(desk, catalogue_id=DICTIONARY.id) == []
    # Tenants do not learn from each other's vehicles.
    assert check_in(desk, OTHER, catalogue_id=DICTIONARY.id) == [Told(OTHER, CatalogueWanted())]


def test_templates_of_a_tenant_go_to_its_vehicles_by_a_list_of_their_own():
    registry = memory_registry()
    doors = StateTemplate("doors", ("Vehicle.Door",), 1000)
    desk = desk_over(registry)
    registry.plan.put_template("acme", doors)
    concerned = desk.refresh(NOW)
    assert concerned == {VIN1, VIN2}

    told = desk.push(sorted(concerned))

    lists = [one.noun for one in told if isinstance(one.noun, StateTemplateList)]
    assert [one.templates for one in lists] == [(doors,), (doors,)]
    assert check_in(desk, state_templates_revision=lists[0].revision) == []
    assert check_in(desk, OTHER) == []
    registry.plan.delete_template("acme", "doors")
    gone = desk.push(desk.refresh(NOW) or ())
    assert {one.noun.templates for one in gone if isinstance(one.noun, StateTemplateList)} == {()}


def test_what_a_vehicle_reports_is_in_its_twin():
    registry = memory_registry()
    report = StateReport("doors", (StateValue("Vehicle.Door", 5, value=True),))

    desk_over(registry).heard([Heard(VIN1, report, NOW)], NOW)

    assert registry.said.twin(VIN1) == [(StateValue("Vehicle.Door", 5, value=True), "doors")]


def test_a_command_is_sent_once_and_again_when_the_vehicle_comes_back_until_it_answers():
    registry = memory_registry()
    desk = desk_over(registry)
    order = Order("c1", VIN1, ExplainCampaign("speed"), "user:x", NOW, NOW + 10)
    registry.commands.add_command(order)
    told = Told(VIN1, Command("c1", NOW + 10, ExplainCampaign("speed")))
    desk.refresh(NOW)

    assert desk.due_commands(NOW) == [told]
    assert desk.due_commands(NOW) == []
    assert check_in(desk, VIN2) == []
    assert check_in(desk) == [told]
    desk.heard([Heard(VIN1, Answer("c1", AnswerState.SUCCEEDED), NOW)], NOW)
    assert check_in(desk) == []


def test_a_command_that_another_process_sent_goes_over_connections_held_here_alone():
    registry = memory_registry()
    first, second = desk_over(registry), desk_over(registry)
    registry.commands.add_command(
        Order("c1", VIN1, ExplainCampaign("speed"), "user:x", NOW, NOW + 10)
    )
    told = []
    for desk in (first, second):
        desk.refresh(NOW)
        told += [one.is_ours for one in desk.due_commands(NOW)]

    assert told == [True, False]


def test_an_expired_command_is_not_sent():
    registry = memory_registry()
    desk = desk_over(registry)
    registry.commands.add_command(
        Order("c1", VIN1, ExplainCampaign("speed"), "user:x", NOW, NOW + 10)
    )
    desk.refresh(NOW)

    assert desk.due_commands(NOW + 10) == []
    late = [Heard(VIN1, CheckIn("1.0", NOW), NOW)]
    assert desk.heard(late, NOW + 10) == []
