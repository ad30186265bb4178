"""Claims: one provider at a time, but for versions of one service, of which the next one takes over."""

import pytest

from edge_agent.broker.providers import Providers
from fairway.errors import Conflict


class Anywhere:
    has_room = True

    def admit(self, targets): ...

    def offer(self, targets): ...


@pytest.fixture
def providers():
    return Providers()


def version(providers: Providers, number: str, group: str = "battery"):
    return providers.open(f"{group}.{number}", Anywhere(), group)


def test_who_comes_second_is_refused(providers):
    first, second = version(providers, "a"), version(providers, "a", "other")
    providers.claim_signals(first, {1: 0})

    with pytest.raises(Conflict, match=r"provided by battery\.a already"):
        providers.claim_signals(second, {1: 0, 2: 0})
    assert providers.of_signal(2) is None


def test_two_without_a_service_are_not_one(providers):
    first, second = providers.open("app", Anywhere()), providers.open("app", Anywhere())
    providers.claim_signals(first, {1: 0})

    with pytest.raises(Conflict):
        providers.claim_signals(second, {1: 0})


def test_two_versions_of_a_service_may_claim_the_same_and_the_first_is_asked(providers):
    old, new = version(providers, "a"), version(providers, "b")
    providers.claim_signals(old, {1: 0})
    providers.claim_signals(new, {1: 0})
    providers.claim_actuators(old, [7])
    providers.claim_actuators(new, [7])

    assert providers.of_signal(1) is old
    assert providers.of_actuator(7) is old


@pytest.mark.parametrize("leaver", ["a", "b"])
def test_when_one_leaves_the_other_has_it(providers, leaver):
    both = {number: version(providers, number) for number in "ab"}
    for one in both.values():
        providers.claim_signals(one, {1: 0})
        providers.claim_actuators(one, [7])

    gone = both.pop(leaver)
    providers.close(gone)
    providers.close(gone)
    (left,) = both.values()
    assert providers.of_signal(1) is left
    assert providers.of_actuator(7) is left
    providers.close(left)
    assert providers.of_signal(1) is None
    assert providers.of_actuator(7) is None


def test_what_only_one_had_claimed_is_free_when_it_leaves(providers):
    old, new = version(providers, "a"), version(providers, "b")
    providers.claim_signals(old, {1: 0, 2: 0})
    providers.claim_signals(new, {1: 0})
    providers.close(old)

    assert providers.of_signal(1) is new
    assert providers.of_signal(2) is None
