"""Budgets: never a byte more than the limit, whatever the power and the clock do meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.telemetry.budgets import (
    CHUNK_BYTES,
    DAY_NS,
    VEHICLE,
    Account,
    Budgets,
    Ledger,
    Span,
    campaign_limits,
)
from fairway.campaign.model import Budget

TODAY_NS = 20_000 * DAY_NS
CAMPAIGN = "braking-1"


def budgets(ledger: Ledger | None = None, vehicle: int | None = None, **limits: int) -> Budgets:
    own = {} if vehicle is None else {Account(VEHICLE, Span.DAY): vehicle}
    made = Budgets(own, ledger or Ledger())
    made.set_campaigns(campaign_limits(CAMPAIGN, Budget(**limits)), [CAMPAIGN])
    made.look(now_ns=TODAY_NS, monotonic_ns=1)
    return made


def send(budgets: Budgets, size: int, *, owner: str = CAMPAIGN, is_metered: bool = False) -> bool:
    """Pay as the agent does, with a disk that works."""
    if budgets.pay(owner, size, is_metered=is_metered):
        return True
    if budgets.exhausted(owner, size, is_metered=is_metered) is not None:
        return False
    budgets.reserved(budgets.wanted(owner, size, is_metered=is_metered))
    return budgets.pay(owner, size, is_metered=is_metered)


def test_without_limits_everything_is_paid():
    assert budgets().pay(CAMPAIGN, 1 << 40, is_metered=True)


def test_nothing_is_paid_before_it_is_reserved():
    made = budgets(max_bytes=1000)

    assert not made.pay(CAMPAIGN, 10, is_metered=False)
    made.reserved(made.wanted(CAMPAIGN, 10, is_metered=False))
    assert made.pay(CAMPAIGN, 10, is_metered=False)


def test_the_last_byte_of_a_limit_is_paid_and_none_beyond():
    made = budgets(max_bytes=100)

    assert [send(made, 40), send(made, 40), send(made, 40), send(made, 20)] == [
        True,
        True,
        False,
        True,
    ]
    found = made.exhausted(CAMPAIGN, 1, is_metered=False)
    assert str(found) == "the campaign may send 100 bytes in all and has sent 100"


def test_a_metered_day_counts_on_metered_networks_only():
    made = budgets(max_bytes_per_day=1000, max_metered_bytes_per_day=100)

    assert send(made, 100, is_metered=True)
    assert not send(made, 1, is_metered=True)
    assert send(made, 900)
    assert not send(made, 1)
    assert made.spent(CAMPAIGN) == {"day": (1000, 1000), "metered_day": (100, 100)}


def test_the_vehicles_limit_counts_for_every_campaign_and_for_what_is_of_none():
    made = budgets(vehicle=100)

    assert send(made, 60)
    assert send(made, 40, owner=VEHICLE)
    assert not send(made, 1, owner="another")


def test_a_new_day_begins_again_but_not_the_total():
    made = budgets(max_bytes=150, max_bytes_per_day=100)
    send(made, 100)

    assert made.look(now_ns=TODAY_NS + DAY_NS, monotonic_ns=2)
    assert send(made, 50)
    assert not send(made, 1)


def test_a_clock_set_forward_and_back_refills_no_day_twice():
    made = budgets(max_bytes_per_day=100)
    send(made, 100)

    assert made.look(now_ns=TODAY_NS + DAY_NS, monotonic_ns=2)
    assert send(made, 100)
    assert not made.look(now_ns=TODAY_NS, monotonic_ns=3)
    assert not made.look(now_ns=TODAY_NS + DAY_NS, monotonic_ns=4)
    assert not send(made, 1)


def test_a_clock_that_stays_back_holds_a_day_up_for_one_day_only():
    made = budgets(max_bytes_per_day=100)
    made.look(now_ns=TODAY_NS + 9 * DAY_NS, monotonic_ns=10)
    send(made, 100)

    assert not made.look(now_ns=TODAY_NS, monotonic_ns=10 + DAY_NS - 1)
    assert made.look(now_ns=TODAY_NS, monotonic_ns=10 + DAY_NS)
    assert send(made, 100)
    assert not made.look(now_ns=TODAY_NS + 9 * DAY_NS, monotonic_ns=11 + DAY_NS)


def test_the_day_is_kept_over_a_restart_with_a_clock_set_back():
    made = budgets(max_bytes_per_day=100)
    send(made, 100)
    again = Budgets({}, made.final_ledger())
    again.set_campaigns(campaign_limits(CAMPAIGN, Budget(max_bytes_per_day=100)), [CAMPAIGN])

    assert not again.look(now_ns=TODAY_NS - 5 * DAY_NS, monotonic_ns=1)
    assert not send(again, 1)


def test_a_crash_costs_what_was_reserved_and_an_orderly_end_nothing():
    made = budgets(max_bytes=64 * CHUNK_BYTES)
    send(made, 10)

    crashed, ended = budgets(made.ledger()), budgets(made.final_ledger())
    for one in (crashed, ended):
        one.set_campaigns(campaign_limits(CAMPAIGN, Budget(max_bytes=64 * CHUNK_BYTES)), [CAMPAIGN])

    assert crashed.spent(CAMPAIGN)["total"][0] == CHUNK_BYTES
    assert ended.spent(CAMPAIGN)["total"][0] == 10


def test_what_a_campaign_that_is_gone_has_spent_is_forgotten():
    made = budgets(max_bytes=100)
    send(made, 100)

    made.set_campaigns({}, [])

    assert made.ledger().reserved == {}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 400), st.booleans()),
        st.tuples(st.just("jump"), st.integers(-3, 3), st.booleans()),
        st.tuples(st.sampled_from(["crash", "end"]), st.just(0), st.booleans()),
    ),
    max_size=80,
)


@given(steps)
def test_no_day_and_no_total_is_ever_exceeded(steps: list[tuple[str, int, bool]]):
    said = Budget(max_bytes=5000, max_bytes_per_day=1000, max_metered_bytes_per_day=300)
    made, durable, now_ns = budgets(), Ledger(20_000), TODAY_NS
    made.set_campaigns(campaign_limits(CAMPAIGN, said), [CAMPAIGN])
    total, day, metered, highest = 0, 0, 0, 20_000
    for step, much, is_metered in steps:
        if step == "send" and not made.pay(CAMPAIGN, much, is_metered=is_metered):
            if made.exhausted(CAMPAIGN, much, is_metered=is_metered) is not None:
                continue
            wanted = made.wanted(CAMPAIGN, much, is_metered=is_metered)
            durable = made.ledger(wanted)
            made.reserved(wanted)
            assert made.pay(CAMPAIGN, much, is_metered=is_metered)
        if step == "send":
            total, day, metered = total + much, day + much, metered + much * is_metered
        elif step == "jump":
            now_ns = TODAY_NS + much * DAY_NS
            begun = made.look(now_ns=now_ns, monotonic_ns=2)
            assert begun is (now_ns // DAY_NS > highest)
            if begun:
                highest, day, metered = now_ns // DAY_NS, 0, 0
        else:
            made = Budgets({}, durable if step == "crash" else made.final_ledger())
            made.set_campaigns(campaign_limits(CAMPAIGN, said), [CAMPAIGN])
            if made.look(now_ns=now_ns, monotonic_ns=1):  # the day was not durable yet
                day, metered = 0, 0
            durable = made.ledger()
        assert total <= 5000
        assert day <= 1000
        assert metered <= 300
