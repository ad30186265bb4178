"""What every keeper of offers promises to doors: in memory by hand, and over a store of rollouts."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.errors import BadInput
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.memory_rollouts import MemoryOffers
from fleet_cloud.adapters.memory_updates import MemoryDatabase
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.rollouts.ports import Offer, Offers
from ota.manifest import Bundle
from tests.postgres import postgres  # noqa: F401 - a fixture
from tests.rollouts_kit import NOW, REGION, TENANT, Kit, image

KINDS = ["by hand", "memory", "sqlite", "postgresql"]


def kit_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Kit:
    if kind == "memory":
        return Kit(MemoryDatabase())
    url = (
        sqlite_url(folder / "r.sqlite")
        if kind == "sqlite"
        else request.getfixturevalue("postgres").url()
    )
    return Kit(Database(url, REGION))


@pytest.fixture(params=KINDS)
def offers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Offers]:
    """V1 is offered the brake's new image; V2 nothing."""
    if request.param == "by hand":
        by_hand = MemoryOffers()
        bundle = Bundle("winter", "2026.1", ("brake/2.bin",))
        by_hand.put(TENANT, "V1", Offer("0" * 15 + "1-1", "1", bundle, (image(),)))
        yield by_hand
        return
    kit = kit_of(request.param, request, tmp_path)
    kit.release(image())
    kit.vehicle("V1")
    kit.vehicle("V2", fleet="south")
    kit.rollout()
    kit.run()
    yield kit.updates.offers
    kit.database.close()


def event(offers: Offers, stage: Stage, sequence: int, **more: str) -> UpdateEvent:
    offer = offers.offer(TENANT, "V1", NOW)
    assert offer is not None
    return UpdateEvent(offer.action, sequence, NOW, stage, **more)  # type: ignore[arg-type]


def test_a_vehicle_is_offered_its_own_and_nobody_elses(offers: Offers):
    offer = offers.offer(TENANT, "V1", NOW)

    assert offer is not None
    assert [one.path for one in offer.images] == ["brake/2.bin"]
    assert (offer.bundle.name, offer.is_cancelled, offer.window_open) == ("winter", False, True)
    assert offers.offer(TENANT, "V2", NOW) is None
    assert offers.offer("other", "V1", NOW) is None


def test_what_was_said_is_kept_in_order_and_once(offers: Offers):
    some = [
        event(offers, Stage.DOWNLOADING, 1),
        event(offers, Stage.STAGED, 2),
        event(offers, Stage.INSTALLING, 3, sentence="é"),
    ]
    offers.tell(TENANT, "V1", some[::-1], NOW)
    offers.tell(TENANT, "V1", some, NOW)

    assert offers.history(TENANT, "V1", some[0].action) == tuple(some)
    assert offers.history(TENANT, "V2", some[0].action) == ()
    assert offers.history("other", "V1", some[0].action) == ()


def test_a_foreign_order_changes_nothing(offers: Offers):
    for action in ("", "nobody's", "f" * 16 + "-1", "0" * 15 + "1-999", "-", "é-1"):
        offers.tell(TENANT, "V1", [UpdateEvent(action, 1, NOW, Stage.COMMITTED)], NOW)
    mine = event(offers, Stage.COMMITTED, 1)
    offers.tell(TENANT, "V2", [mine], NOW)
    offers.tell("other", "V1", [mine], NOW)

    assert offers.offer(TENANT, "V1", NOW) is not None
    assert offers.history(TENANT, "V2", mine.action) == ()


def test_when_it_is_over_nothing_is_offered_any_more(offers: Offers):
    offers.tell(TENANT, "V1", [event(offers, Stage.COMMITTED, 5)], NOW)

    assert offers.offer(TENANT, "V1", NOW) is None


def test_an_ecu_that_is_done_does_not_end_the_vehicles_order(offers: Offers):
    offers.tell(TENANT, "V1", [event(offers, Stage.COMMITTED, 5, ecu="V1-b")], NOW)

    assert offers.offer(TENANT, "V1", NOW) is not None


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    made = kit_of(request.param, request, tmp_path)
    made.release(image())
    yield made
    made.database.close()


def test_every_order_of_messages_each_twice_ends_alike(kit: Kit):
    """Duplicate or late messages: the row of the fault table that is the cloud's."""
    stages = (Stage.DOWNLOADING, Stage.INSTALLING, Stage.VERIFYING, Stage.COMMITTED)
    orders = list(itertools.permutations(range(len(stages))))
    for number in range(len(orders)):
        kit.vehicle(f"V{number:02d}")
    kept = kit.rollout()
    kit.run()
    for number, order in enumerate(orders):
        name = f"V{number:02d}"
        action = kit.offered(name)
        said = [UpdateEvent(action, at + 1, NOW, stages[at]) for at in order]
        for one in said + said:
            kit.updates.offers.tell(TENANT, name, [one], kit.now)
    kit.run()

    counts = kit.updates.rollouts.counts(kept)[0]
    assert (counts.committed, counts.total) == (len(orders), len(orders))
    for number in range(len(orders)):
        said_of = kit.updates.offers.history(TENANT, f"V{number:02d}", f"{kept.id}-1")
        assert [one.sequence for one in said_of] == [1, 2, 3, 4]


def test_many_vehicles_are_heard_in_one_transaction(kit: Kit):
    for number in range(5):
        kit.vehicle(f"V{number}")
    kept = kit.rollout()
    kit.run()
    action = kit.offered("V0")
    said = [
        (f"V{number}", [UpdateEvent(action, 1, NOW, Stage.COMMITTED)] * 2) for number in range(5)
    ]
    kit.updates.offers.tell_many(TENANT, said, kit.now)

    assert kit.updates.rollouts.counts(kept)[0].committed == 5


def test_a_message_of_an_order_before_changes_nothing_of_the_next(kit: Kit):
    kit.vehicle("V1")
    kept = kit.rollout(retries={"network": {"tries": 3, "first_wait_s": 1}})
    kit.run()
    first = kit.offered("V1")
    kit.tell("V1", Stage.FAILED, sequence=4, fault=Fault.NETWORK)
    kit.run(seconds=2)
    second = kit.offered("V1")
    kit.updates.offers.tell(TENANT, "V1", [UpdateEvent(first, 9, NOW, Stage.COMMITTED)], kit.now)

    assert kit.offered("V1") == second != first
    assert kit.stages(kept) == {"V1": "offered"}


def test_an_event_with_an_impossible_number_is_refused(kit: Kit):
    kit.vehicle("V1")
    kit.rollout()
    kit.run()
    for sequence in (-1, 2**63):
        odd = UpdateEvent(kit.offered("V1"), sequence, NOW, Stage.STAGED)
        with pytest.raises(BadInput, match="an event has number"):
            kit.updates.offers.tell(TENANT, "V1", [odd], NOW)


def test_what_doors_tell_vehicles_of_is_known_by_revision(kit: Kit):
    kit.vehicle("V1")
    kit.vehicle("V2", fleet="south")
    kit.rollout()
    kit.run()
    changed = kit.updates.offers.changed(0, 2**40)

    assert changed == [(TENANT, "V1")]
    assert kit.updates.offers.holding(TENANT, ["V1", "V2"]) == {"V1"}
    assert kit.updates.offers.changed(2**40, 2**41) == []
