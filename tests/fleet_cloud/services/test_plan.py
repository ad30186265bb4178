"""What each vehicle is to run, out of what is desired of it, of its fleets and of what queries mean."""

from dataclasses import replace
from typing import Any

from fairway.services.model import Service
from fleet_cloud.control.aims import NOTHING, Fleets
from fleet_cloud.control.targets import Facts, Target, TargetKind
from fleet_cloud.services.life import State
from fleet_cloud.services.model import Kept, content_of, desired_id
from fleet_cloud.services.plan import ServicePlan, digest, merged, orders

TENANTS = {"VIN1": "acme", "VIN2": "acme", "VIN3": "acme", "X": "other"}
VEHICLE, FLEET, QUERY = TargetKind.VEHICLE, TargetKind.FLEET, TargetKind.QUERY


def desired(
    kind: TargetKind, text: str, version: str = "1", name: str = "watch", at: int = 1
) -> Kept:
    target = Target(kind, text)
    service = Service(name=name, version=version, image="sha256:" + "a" * 64)
    content = content_of(service, author="user:ann", now_ns=at)
    id_ = desired_id("acme", name, target)
    return Kept(id_, "acme", name, target, State.IN_FORCE, at, at, in_force=content)


def plan(*some: Kept) -> ServicePlan:
    fleets = Fleets(lambda: TENANTS)
    fleets.put("acme", "VIN1", Facts({"year": 2024.0}, frozenset({"north", "east"})))
    fleets.put("acme", "VIN2", Facts({"year": 2020.0}, frozenset({"north"})))
    made = ServicePlan(fleets)
    for one in some:
        made.put(one)
    return made


def versions(made: ServicePlan, vehicle: str) -> dict[str, str]:
    return {one.kept.name: one.content.version for one in made.chosen("acme", vehicle)}


def test_a_vehicle_goes_before_its_fleet_and_that_before_a_query():
    made = plan(
        desired(QUERY, "year > 2000", "query"),
        desired(FLEET, "north", "fleet"),
        desired(VEHICLE, "VIN1", "vehicle"),
    )

    assert versions(made, "VIN1") == {"watch": "vehicle"}
    assert versions(made, "VIN2") == {"watch": "fleet"}
    assert versions(made, "VIN3") == {}
    (chosen,) = made.chosen("acme", "VIN1")
    assert [one.target.kind for one in chosen.overridden] == [FLEET, QUERY]
    assert chosen.conflict == ""


def test_two_fleets_that_want_different_versions_are_a_conflict_and_the_first_holds():
    made = plan(desired(FLEET, "north", "1", at=5), desired(FLEET, "east", "2", at=9))

    (chosen,) = made.chosen("acme", "VIN1")

    assert chosen.content.version == "1"
    assert (
        "watch 1 of fleet north holds, as it was there first; fleet east want another"
        in chosen.conflict
    )
    assert made.chosen("acme", "VIN2")[0].conflict == ""


def test_two_fleets_that_want_the_same_are_no_conflict():
    made = plan(desired(FLEET, "north", at=5), desired(FLEET, "east", at=9))

    assert made.chosen("acme", "VIN1")[0].conflict == ""


def test_a_conflict_below_what_the_vehicle_itself_is_to_run_is_none():
    made = plan(
        desired(FLEET, "north", "1"), desired(FLEET, "east", "2"), desired(VEHICLE, "VIN1", "3")
    )

    (chosen,) = made.chosen("acme", "VIN1")
    assert (chosen.content.version, chosen.conflict) == ("3", "")


def test_what_waits_for_approval_is_in_no_vehicle_and_what_was_in_force_stays():
    old = desired(FLEET, "north", "1")
    new = desired(FLEET, "north", "2").in_force
    made = plan(replace(old, state=State.CHANGING, proposed=new))
    assert versions(made, "VIN1") == {"watch": "1"}

    waiting = replace(old, state=State.WAITING, in_force=None, proposed=new)
    assert plan(waiting).chosen("acme", "VIN1") == ()


def test_a_change_concerns_the_vehicles_that_it_meant_and_means():
    made = plan()

    assert made.put(desired(FLEET, "north")) == {"VIN1", "VIN2"}
    gone = replace(desired(FLEET, "north"), state=State.REMOVED, in_force=None)
    assert made.put(gone) == {"VIN1", "VIN2"}
    assert made.put(desired(VEHICLE, "X")) == set()  # another tenant's
    assert versions(made, "VIN1") == {}


def test_lists_are_in_order_of_name_and_named_by_their_content():
    some: list[Any] = [desired(VEHICLE, "VIN1", name=name) for name in ("b", "a")]
    listed = orders(merged(some))

    assert [one.sync_id for one in listed] == [
        some[1].in_force.sync_id,
        some[0].in_force.sync_id,
    ]
    assert digest(listed, "") == digest(orders(merged(reversed(some))), "")
    assert digest(listed, "") != digest(listed, "grpcs://other:1")
    assert digest((), "") == NOTHING
    # Services come by releases, too: where their images are is told to who is ordered nothing.
    assert digest((), "grpcs://other:1") not in (NOTHING, digest((), "grpcs://one:1"))
