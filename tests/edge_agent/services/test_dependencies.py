"""Who waits for whom."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.dependencies import start_order, stop_order, waited_for_by, waits_for
from fairway.errors import BadInput
from fairway.services.model import Condition, OnLoss, Service

RUNNING, HEALTHY = Condition.RUNNING, Condition.HEALTHY


def one(name: str, *after: str, condition: Condition = RUNNING) -> Service:
    return Service(name=name, version="1", depends_on=tuple((other, condition) for other in after))


def test_each_comes_after_those_it_waits_for_and_is_stopped_before_them():
    services = [
        one("dash", "battery", "tyres"),
        one("battery", "setup"),
        one("setup"),
        one("tyres"),
    ]

    assert start_order(services) == ("setup", "battery", "tyres", "dash")
    assert stop_order(services) == ("dash", "tyres", "battery", "setup")


def test_a_circle_is_refused_and_named():
    services = [one("a", "b"), one("b", "c"), one("c", "d"), one("d", "b")]

    with pytest.raises(BadInput, match="in a circle: b -> c -> d -> b"):
        start_order(services)


def test_who_is_not_declared_cannot_be_waited_for_or_stand_in():
    with pytest.raises(BadInput, match="a waits for b, which is not declared"):
        start_order([one("a", "b")])
    with pytest.raises(BadInput, match="a falls back to b, which is not declared"):
        start_order([Service("a", "1", on_loss=OnLoss.FALL_BACK, fall_back="b")])


def test_a_chain_of_ten_thousand_has_an_order():
    services = [one(f"s{number}", f"s{number + 1}") for number in range(10_000)] + [one("s10000")]

    assert start_order(services)[0] == "s10000"


@given(st.lists(st.lists(st.integers(0, 7), max_size=3, unique=True), min_size=1, max_size=8))
def test_any_graph_has_an_order_or_a_circle(edges: list[list[int]]):
    services = [
        one(
            f"s{number}",
            *(f"s{other}" for other in others if other < len(edges) and other != number),
        )
        for number, others in enumerate(edges)
    ]
    needs = {service.name: [name for name, _ in service.depends_on] for service in services}
    try:
        order = start_order(services)
    except BadInput as error:
        circle = str(error).rpartition(": ")[2].split(" -> ")
        assert circle[0] == circle[-1]
        assert all(b in needs[a] for a, b in pairwise(circle))
    else:
        place = {name: number for number, name in enumerate(order)}
        assert sorted(place) == sorted(needs)
        assert all(place[other] < place[name] for name in needs for other in needs[name])


def test_what_is_missing_is_told_in_a_sentence():
    service = Service(
        "dash",
        "1",
        depends_on=(("battery", HEALTHY), ("setup", Condition.SUCCEEDED), ("x", RUNNING)),
    )
    met = {"x": {RUNNING}, "battery": {RUNNING}}

    said = waits_for(service, lambda name: met.get(name, set()))

    assert said == "it waits until battery is healthy and setup has succeeded"
    assert waits_for(one("a"), lambda name: set()) == ""


def test_one_stops_after_those_that_need_it_and_stop_too():
    user, other = (
        one("dash", "battery", condition=HEALTHY),
        one("job", "battery", condition=Condition.SUCCEEDED),
    )

    assert waited_for_by("battery", [user, other], {"dash", "job"}) == "it stops after dash"
    assert waited_for_by("battery", [user], set()) == ""
