"""What every keeper of what is wanted of vehicles promises: in memory, SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairway.campaign.document import campaign_of, sync_id
from fairway.control import StateTemplate
from fairway.errors import Conflict
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory import memory_registry
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.stages import Stage
from fleet_cloud.control.ports import (
    ListKind,
    Revised,
    Vehicle,
    Wanted,
)
from fleet_cloud.control.targets import (
    Facts,
    Target,
    TargetKind,
)
from tests.postgres import postgres  # noqa: F401 - a fixture

NOW = 1_780_000_000_000_000_000
VIN1, VIN2 = Vehicle("acme", "VIN1"), Vehicle("acme", "VIN2")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    if request.param == "memory":
        yield memory_registry()
        return
    is_file = request.param == "sqlite"
    url = (
        sqlite_url(tmp_path / "r.sqlite") if is_file else request.getfixturevalue("postgres").url()
    )
    opened = open_registry(url, "eu")
    yield opened
    opened.close()


def kept(name: str = "speed", tenant: str = "acme", **more: object) -> Kept:
    campaign = campaign_of(
        {
            "name": name,
            "collectionScheme": {"timeBasedCollectionScheme": {"periodMs": 1000}},
            "signalsToCollect": [{"name": "Vehicle.Speed"}],
            "description": "é",
        }
    )
    plain = Kept(
        tenant,
        campaign,
        sync_id(campaign),
        Target(TargetKind.QUERY, 'model == "é"'),
        State.WAITING_FOR_APPROVAL,
        "user:ann",
        NOW,
        NOW,
        stages=(Stage(0.5), Stage(100, 60)),
        percent=0.5,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def test_a_campaign_is_kept_as_it_is_and_its_name_is_its_tenants(registry: Registry):
    registry.plan.add(kept())
    registry.plan.add(kept(tenant="other"))
    with pytest.raises(Conflict, match="already"):
        registry.plan.add(kept())

    assert registry.plan.campaign("acme", "speed") == kept()
    assert registry.plan.campaign("acme", "none") is None
    assert registry.plan.campaigns() == [kept(), kept(tenant="other")]


def test_a_change_is_made_to_the_version_that_was_looked_at(registry: Registry):
    registry.plan.add(kept())
    second = kept(version=2, state=State.APPROVED, approved_by="user:bob")

    assert registry.plan.change(second)
    assert not registry.plan.change(replace(second, approved_by="user:eve"))
    assert not registry.plan.change(kept("none", version=2))
    assert registry.plan.campaign("acme", "speed") == second


def test_of_many_who_change_the_same_version_one_does(registry: Registry):
    registry.plan.add(kept())
    won, start = list[int](), threading.Barrier(6)

    def race(number: int) -> None:
        start.wait()
        if registry.plan.change(kept(version=2, author=f"user:{number}")):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    found = registry.plan.campaign("acme", "speed")
    assert found is not None
    assert found.author == f"user:{won[0]}"


def test_a_deleted_campaign_is_gone_but_told_and_its_name_is_free(registry: Registry):
    registry.plan.add(kept())
    before = registry.plan.changes(0).revision
    registry.plan.change(kept(version=2, state=State.DELETED))

    assert registry.plan.campaign("acme", "speed") is None
    assert registry.plan.campaigns() == []
    assert not registry.plan.change(kept(version=3))
    assert [one.state for one in registry.plan.changes(before).campaigns] == [State.DELETED]
    registry.plan.add(kept(author="user:bob"))
    assert registry.plan.campaign("acme", "speed") == kept(author="user:bob")


def test_campaigns_are_listed_page_by_page_and_by_tenant(registry: Registry):
    for tenant, name in (("b", "x"), ("a", "y"), ("a", "x"), ("c", "x")):
        registry.plan.add(kept(name, tenant))

    def listed(**how: object) -> list[tuple[str, str]]:
        found = registry.plan.campaigns(**how)  # type: ignore[arg-type]
        return [(one.tenant, one.name) for one in found]

    assert listed(limit=2) == [("a", "x"), ("a", "y")]
    assert listed(after="a/y") == [("b", "x"), ("c", "x")]
    assert listed(tenants=["c", "a"], after="a/x") == [("a", "y"), ("c", "x")]
    assert listed(tenants=[]) == []


def test_what_is_known_of_a_vehicle_is_replaced_whole(registry: Registry):
    facts = Facts({"model": "é", "year": 2024, "is_rental": True}, frozenset({"north", "eu"}))

    assert registry.plan.facts(VIN1) == Facts()
    registry.plan.put_facts(VIN1, facts)
    assert registry.plan.facts(VIN1) == facts
    registry.plan.put_facts(VIN1, Facts({"year": 2.5}))
    assert registry.plan.facts(VIN1) == Facts({"year": 2.5})
    assert registry.plan.facts(VIN2) == Facts()
    assert registry.plan.all_facts("acme") == {"VIN1": Facts({"year": 2.5})}
    assert registry.plan.all_facts("other") == {}


def test_whoever_follows_reads_only_what_changed(registry: Registry):
    assert registry.plan.changes(0).revision == 0
    registry.plan.add(kept())
    first = registry.plan.changes(0)
    registry.plan.put_facts(VIN1, Facts({"year": 1}))
    second = registry.plan.changes(first.revision)
    registry.plan.put_template("acme", StateTemplate("doors", ("Vehicle.Door",), 1000))
    third = registry.plan.changes(second.revision)

    assert (first.campaigns, first.facts) == ((kept(),), ())
    assert (second.campaigns, second.facts) == ((), ((VIN1, Facts({"year": 1})),))
    assert third.templates == {"acme": (StateTemplate("doors", ("Vehicle.Door",), 1000),)}
    assert (third.campaigns, third.facts) == ((), ())
    assert registry.plan.changes(third.revision).revision == third.revision
    assert first.revision < second.revision < third.revision


def test_templates_are_kept_replaced_and_forgotten(registry: Registry):
    doors, tyres = StateTemplate("doors", ("A", "B")), StateTemplate("tyres", ("C",), 5000)

    assert registry.plan.put_template("acme", tyres)
    assert registry.plan.put_template("acme", doors)
    assert not registry.plan.put_template("acme", replace(doors, period_ms=9))
    assert registry.plan.templates("acme") == [replace(doors, period_ms=9), tyres]
    before = registry.plan.changes(0).revision
    assert registry.plan.delete_template("acme", "tyres")
    assert not registry.plan.delete_template("acme", "tyres")
    assert not registry.plan.delete_template("other", "doors")
    assert registry.plan.templates("other") == []
    changes = registry.plan.changes(before)
    assert changes.templates == {"acme": (replace(doors, period_ms=9),)}
    assert registry.plan.put_template("acme", tyres)


def revise(
    registry: Registry, vehicle: Vehicle, digest: str, *, reported: int = 0, basis: int = 1
) -> Revised:
    wanted = Wanted(vehicle, digest, reported)
    return registry.lists.revise(ListKind.CAMPAIGNS, [wanted], basis)[vehicle]


def test_a_vehicle_that_was_never_told_anything_has_an_empty_list_without_a_number(
    registry: Registry,
):
    assert revise(registry, VIN1, "") == Revised(0, "", is_new=False)


def test_a_list_gets_a_number_when_its_content_is_new_and_the_numbers_only_grow(
    registry: Registry,
):
    one = revise(registry, VIN1, "a")
    again = revise(registry, VIN1, "a")
    two = revise(registry, VIN1, "b")
    back = revise(registry, VIN1, "a")

    assert one.is_new
    assert again == replace(one, is_new=False)
    assert two.is_new
    assert back.is_new
    assert 0 < one.revision < two.revision < back.revision


def test_whoever_knows_less_of_the_plan_does_not_bring_an_old_list_back(registry: Registry):
    newer = revise(registry, VIN1, "b", basis=7)

    assert revise(registry, VIN1, "a", basis=6) == replace(newer, is_new=False)
    assert revise(registry, VIN1, "a", basis=7).is_new


def test_a_vehicle_that_has_a_higher_number_gets_one_above_it_and_no_other_does(
    registry: Registry,
):
    revise(registry, VIN1, "a")
    ahead = revise(registry, VIN1, "a", reported=1_000_000)
    other = revise(registry, VIN2, "a")

    assert ahead == Revised(1_000_001, "a", is_new=True)
    assert other.revision < 1_000_000
    assert revise(registry, VIN1, "b").revision > ahead.revision


def test_a_number_beyond_reason_is_not_followed(registry: Registry):
    first = revise(registry, VIN1, "a", reported=2**64 - 1)

    assert first.revision <= 2**62 + 1
    assert revise(registry, VIN1, "b", reported=2**64 - 1).revision > first.revision


def test_lists_of_different_kinds_have_numbers_of_their_own(registry: Registry):
    campaigns = revise(registry, VIN1, "a")
    wanted = [Wanted(VIN1, "a"), Wanted(VIN2, "b")]
    templates = registry.lists.revise(ListKind.TEMPLATES, wanted, 1)

    assert campaigns.is_new
    assert {one.is_new for one in templates.values()} == {True}
    assert revise(registry, VIN1, "a") == replace(campaigns, is_new=False)


def test_many_lists_are_numbered_together(registry: Registry):
    wanted = [Wanted(Vehicle("acme", f"V{number}"), "a") for number in range(2500)]

    found = registry.lists.revise(ListKind.CAMPAIGNS, wanted, 1)

    assert len(found) == 2500
    assert all(one.is_new for one in found.values())
    again = registry.lists.revise(ListKind.CAMPAIGNS, wanted, 1)
    assert not any(one.is_new for one in again.values())


def test_another_region_in_the_same_database_sees_nothing(tmp_path: Path):
    url = sqlite_url(tmp_path / "r.sqlite")
    here, there = open_registry(url, "eu"), open_registry(url, "cn")
    here.plan.add(kept())
    here.plan.put_facts(VIN1, Facts({"a": 1}))
    here.plan.put_template("acme", StateTemplate("doors", ("A",)))
    revise(here, VIN1, "a")

    assert there.plan.changes(0).revision == 0
    assert there.plan.campaigns() == [] == there.plan.templates("acme")
    assert there.plan.facts(VIN1) == Facts()
    assert revise(there, VIN1, "") == Revised(0, "", is_new=False)
    here.close()
    there.close()
