"""Orders without a rollout: one at a time, given up when asked, and closed for good."""

from collections.abc import Callable

import pytest

from fairway.errors import BadInput
from fairway.update import Fault, Stage, UpdateEvent
from fleet_cloud.adapters.memory_foreign import MemoryForeign
from fleet_cloud.rollouts.foreign.direct import DirectOffers
from fleet_cloud.rollouts.foreign.model import Assignment, Mode
from fleet_cloud.rollouts.foreign.several import SeveralOffers
from fleet_cloud.rollouts.foreign.windows import window_of
from ota.manifest import Bundle, Image, Kind

IMAGE = Image("hawkbit/1/a.swu", 3, "ab" * 32, Kind.SLOT, "os", "2", 0, ())


def wish(vehicle: str = "V1", **more: object) -> Assignment:
    return Assignment("", vehicle, 1, Bundle("os", "2", (IMAGE.path,)), (IMAGE,), **more)  # type: ignore[arg-type]


@pytest.fixture
def direct() -> DirectOffers:
    return DirectOffers(MemoryForeign())


def test_an_order_is_offered_until_it_is_done(direct: DirectOffers):
    order = direct.assign("acme", wish(), 5)

    offer = direct.offer("acme", "V1", 6)
    assert offer is not None
    assert (offer.action, offer.images, offer.is_forced) == (order.action, (IMAGE,), True)
    assert direct.offer("acme", "V2", 6) is None
    assert direct.offer("other", "V1", 6) is None

    direct.tell("acme", "V1", [UpdateEvent(order.action, 7, 7, Stage.COMMITTED)], 7)
    assert direct.offer("acme", "V1", 8) is None
    assert [one.stage for one in direct.history("acme", "V1", order.action)] == [
        Stage.PLANNED,
        Stage.COMMITTED,
    ]


def test_what_is_closed_stays_closed_and_what_is_said_twice_counts_once(direct: DirectOffers):
    order = direct.assign("acme", wish(), 5)
    failed = UpdateEvent(order.action, 7, 7, Stage.FAILED, fault=Fault.INSTALL)

    direct.tell("acme", "V1", [failed, failed], 7)
    direct.tell("acme", "V1", [UpdateEvent(order.action, 9, 9, Stage.COMMITTED)], 9)

    assert direct.history("acme", "V1", order.action)[1:] == (failed,)


def test_another_vehicle_says_nothing_of_an_order(direct: DirectOffers):
    order = direct.assign("acme", wish(), 5)

    direct.tell("acme", "V2", [UpdateEvent(order.action, 7, 7, Stage.COMMITTED)], 7)

    assert direct.offer("acme", "V1", 8) is not None
    assert direct.history("acme", "V2", order.action) == ()


def test_a_new_order_has_the_older_one_given_up_first(direct: DirectOffers):
    older = direct.assign("acme", wish(), 5)
    newer = direct.assign("acme", wish(), 6)

    first = direct.offer("acme", "V1", 7)
    assert first is not None
    assert (first.action, first.is_cancelled) == (older.action, True)
    gone = UpdateEvent(older.action, 8, 8, Stage.FAILED, fault=Fault.CANCELLED)
    direct.tell("acme", "V1", [gone], 8)
    then = direct.offer("acme", "V1", 9)
    assert then is not None
    assert (then.action, then.is_cancelled) == (newer.action, False)


def test_a_vehicle_may_refuse_to_give_up(direct: DirectOffers):
    order = direct.assign("acme", wish(), 5)
    direct.cancel("acme", "V1", order.action, 6, force=False)
    keeps = UpdateEvent(order.action, 7, 7, Stage.INSTALLING, fault=Fault.CONDITION)

    direct.tell("acme", "V1", [keeps], 7)

    offer = direct.offer("acme", "V1", 8)
    assert offer is not None
    assert not offer.is_cancelled


def test_force_asks_nobody(direct: DirectOffers):
    order = direct.assign("acme", wish(), 5)
    with pytest.raises(BadInput, match="no open order"):
        direct.cancel("acme", "V2", order.action, 6, force=True)

    direct.cancel("acme", "V1", order.action, 6, force=False)
    with pytest.raises(BadInput, match="already"):
        direct.cancel("acme", "V1", order.action, 6, force=False)
    direct.cancel("acme", "V1", order.action, 7, force=True)

    assert direct.offer("acme", "V1", 8) is None
    assert direct.ended("acme", "V1")[0].events[-1].fault is Fault.CANCELLED


@pytest.mark.parametrize(("mode", "is_over"), [(Mode.DOWNLOAD_ONLY, True), (Mode.FORCED, False)])
def test_to_be_fetched_only_is_done_when_it_is_fetched(
    direct: DirectOffers,
    mode: Mode,
    is_over: bool,  # noqa: FBT001 - of the table
):
    order = direct.assign("acme", wish(mode=mode), 5)

    direct.tell("acme", "V1", [UpdateEvent(order.action, 7, 7, Stage.STAGED)], 7)

    assert (direct.offer("acme", "V1", 8) is None) is is_over


def test_time_decides_what_is_forced_and_whether_a_window_is_open(direct: DirectOffers):
    window = window_of("0 0 0 1 1 ? 1970", "00:00:10", "Z")
    direct.assign("acme", wish(mode=Mode.TIMEFORCED, forced_from_ns=100, window=window), 5)

    def flags(now_ns: int) -> tuple[bool, bool, bool]:
        offer = direct.offer("acme", "V1", now_ns)
        assert offer is not None
        return offer.is_forced, offer.has_window, offer.window_open

    assert flags(99) == (False, True, True)
    assert flags(20 * 10**9) == (True, True, False)


def test_somebody_is_told_for_whom_something_changed():
    told: list[tuple[str, str]] = []
    tell: Callable[[str, str], None] = lambda tenant, vehicle: told.append((tenant, vehicle))  # noqa: E731
    direct = DirectOffers(MemoryForeign(), tell)

    order = direct.assign("acme", wish(), 5)
    direct.cancel("acme", "V1", order.action, 6, force=True)

    assert told == [("acme", "V1")] * 2


def test_of_several_places_the_first_that_has_an_offer_makes_it():
    first, second = DirectOffers(MemoryForeign()), DirectOffers(MemoryForeign())
    both = SeveralOffers(first, second)
    order = second.assign("acme", wish(), 5)

    offer = both.offer("acme", "V1", 6)
    assert offer is not None
    assert offer.action == order.action
    both.tell("acme", "V1", [UpdateEvent(order.action, 7, 7, Stage.COMMITTED)], 7)
    assert both.offer("acme", "V1", 8) is None
    assert len(both.history("acme", "V1", order.action)) == 2
    assert both.history("acme", "V1", "unknown") == ()
