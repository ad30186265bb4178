"""Both manifests must agree before one service can call another."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.services.instance import Instance
from edge_agent.services.registry import (
    Announced,
    announce,
    differences,
    offered,
    sights,
)
from fairway.errors import Denied
from fairway.services.model import Offer, Service, Use

HEALTH = Offer(
    "battery.health", "1.2.0", "health.sock", features=("soh", "trend"), to=("trip-log",)
)
BATTERY = Service("battery", "3.0", offers=(HEALTH,))
TRIP_LOG = Service("trip-log", "1.0", uses=(Use("battery.health", "^1.2"),))


def of(service: Service, number: str = "a") -> Instance:
    return Instance(f"{service.name}.{number * 12}", service, None, 1, Path("/nowhere"))


def in_force(*services: Service) -> dict[str, Instance]:
    return {one.name: of(one) for one in services}


def seen(user: Service, *services: Service, announced=None):
    return sights(user, offered(in_force(*services), announced))


def test_both_agree_and_it_may_call():
    (sight,) = seen(TRIP_LOG, BATTERY)

    assert sight.is_open
    assert sight.offered is not None
    assert (sight.offered.service, sight.offered.instance) == ("battery", "battery.aaaaaaaaaaaa")


def test_who_offers_it_does_not_name_the_user():
    shy = replace(BATTERY, offers=(replace(HEALTH, to=("other",)),))

    (sight,) = seen(TRIP_LOG, shy)

    assert not sight.is_open
    assert sight.offered is None
    assert "not to trip-log" in sight.denial
    assert "battery" not in sight.why.replace("battery.health", "")  # it learns not even who


def test_an_offer_to_nobody_is_for_nobody():
    (sight,) = seen(TRIP_LOG, replace(BATTERY, offers=(replace(HEALTH, to=()),)))

    assert sight.denial


def test_the_user_does_not_name_the_offer():
    (sight,) = seen(replace(TRIP_LOG, uses=()), BATTERY)

    assert not sight.is_open
    assert sight.why == "the manifest of trip-log does not name it under uses"


def test_what_is_not_for_it_a_service_does_not_see():
    assert seen(Service("nosy", "1.0"), BATTERY) == ()


def test_nobody_is_there_is_no_denial():
    (sight,) = seen(TRIP_LOG)

    assert sight.why == "nobody offers battery.health to trip-log now"
    assert sight.denial == ""


def test_a_version_that_does_not_fit_is_told_with_both():
    (sight,) = seen(replace(TRIP_LOG, uses=(Use("battery.health", ">=2"),)), BATTERY)

    assert sight.denial == "battery.health is offered by battery 1.2.0, and trip-log wants >=2"


def test_of_several_the_highest_version_then_the_first_by_name_is_taken():
    newer = replace(HEALTH, version="1.10.0")
    b, c = (Service(name, "1", offers=(newer,)) for name in ("b", "c"))

    (sight,) = seen(TRIP_LOG, c, BATTERY, b)

    assert sight.offered is not None
    assert sight.offered.service == "b"


def test_one_that_says_it_is_not_ready_comes_after_one_that_is():
    newer = Service("b", "1", offers=(replace(HEALTH, version="1.9.0"),))
    not_ready = {(of(newer).id, "battery.health"): Announced(("soh",), is_ready=False)}

    (sight,) = seen(TRIP_LOG, BATTERY, newer, announced=not_ready)
    (alone,) = seen(TRIP_LOG, newer, announced=not_ready)

    assert sight.offered is not None
    assert (sight.offered.service, sight.is_open) == ("battery", True)
    assert alone.why == "b says that battery.health is not ready"


def test_its_own_offer_a_service_sees_and_does_not_call():
    selfish = replace(
        BATTERY, uses=(Use("battery.health"),), offers=(replace(HEALTH, to=("battery",)),)
    )

    use, own = seen(selfish, selfish)

    assert own.is_own
    assert not own.is_open
    assert use.why == "nobody offers battery.health to battery now"


def test_of_two_instances_each_sees_its_own_offer():
    offers = offered({"battery": of(BATTERY, "a")})

    assert sights(BATTERY, offers, of(BATTERY, "a").id)[0].is_own
    assert sights(BATTERY, offers, of(BATTERY, "b").id) == ()


def test_a_watch_is_told_what_changed_and_what_is_gone():
    nobody, first = seen(TRIP_LOG), seen(TRIP_LOG, BATTERY)
    fewer = {(of(BATTERY).id, "battery.health"): Announced(("soh",), is_ready=True)}
    second = seen(TRIP_LOG, BATTERY, announced=fewer)

    assert differences((), first) == (first, ())
    assert differences(first, first) == ((), ())
    assert differences(first, second) == (second, ())
    assert differences(second, nobody) == (nobody, second)


def test_features_are_those_of_the_manifest_or_some_of_them():
    assert announce(BATTERY, "battery.health", (), is_ready=True).features == ("soh", "trend")
    assert announce(BATTERY, "battery.health", ("soh",), is_ready=False) == Announced(
        ("soh",), is_ready=False
    )
    with pytest.raises(Denied, match="no feature 'charge'"):
        announce(BATTERY, "battery.health", ("charge",), is_ready=True)
    with pytest.raises(Denied, match="offers no 'brakes'"):
        announce(BATTERY, "brakes", (), is_ready=True)
