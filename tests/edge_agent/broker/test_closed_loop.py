"""Orders: who may give one, what becomes of it, and that it ends once, whatever happens."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.closed_loop import (
    OVER,
    STATES,
    ClosedLoop,
    Event,
    Order,
    Reason,
    Seen,
    State,
    Terms,
    is_reached,
)

DOOR, WINDOW, FEEDBACK = 3, 4, 5
ON, OFF = True, False
SECOND = 1_000_000_000
TERMS = {
    DOOR: Terms("Door", DOOR, deadline_ns=SECOND, repeat_ns=SECOND // 10),
    WINDOW: Terms(
        "Window", FEEDBACK, deadline_ns=SECOND, lease_ns=5 * SECOND, writers=("rescue", "climate")
    ),
}
ALLOWED = {
    (State.ACCEPTED, State.SENT),
    (State.ACCEPTED, State.FAILED),
    (State.SENT, State.SENT),
    (State.SENT, State.CONFIRMED),
    (State.SENT, State.FAILED),
}


def loop() -> ClosedLoop:
    return ClosedLoop(TERMS)


def sent(made: ClosedLoop, actuator=DOOR, value=1, writer="app", now_ns=0) -> None:
    made.accept(actuator, value, writer, now_ns=now_ns)
    made.happens(actuator, Event.FRAME_SENT, now_ns=now_ns)


def seen(value, at_ns: int, *, is_from_bus: bool = True, is_on_change: bool = False) -> Seen:
    return Seen(value, at_ns, is_from_bus=is_from_bus, is_on_change=is_on_change)


def test_the_table_has_no_way_out_of_an_end_and_none_back():
    assert {(before, after) for (before, _), (after, _) in STATES.items()} == ALLOWED


@pytest.mark.parametrize(
    ("said", "is_confirmed"),
    [
        (seen(ON, 20), True),
        (seen(ON, 9), False),  # before the frame was sent
        (seen(ON, 9, is_on_change=True), True),  # but it would not be said again
        (seen(OFF, 20), False),
        (seen(None, 20), False),
        (seen(ON, 20, is_from_bus=False), False),  # an app cannot confirm
    ],
)
def test_only_what_a_bus_says_after_the_frame_confirms(said, is_confirmed):
    made = loop()
    made.accept(DOOR, value=True, writer="app", now_ns=0)
    assert made.sees(DOOR, said, now_ns=5) == []  # not even sent
    made.happens(DOOR, Event.FRAME_SENT, now_ns=10)
    changed = made.sees(DOOR, said, now_ns=30)
    assert [order.state for order in changed] == [State.CONFIRMED] * is_confirmed


@pytest.mark.parametrize(
    ("target", "value", "tolerance", "is_same"),
    [
        (True, True, 0.0, True),
        (21.5, 21.5, 0.0, True),
        (21.3, 21.299999237060547, 0.0, True),  # as a float of 32 bits
        (21.3, 21.5, 0.0, False),
        (21.3, 21.5, 0.25, True),
        (50, 52, 1.5, False),
        ("AUTO", "AUTO", 0.0, True),
        ("AUTO", "ON", 9.0, False),
        (("a", "b"), ("a", "b"), 0.0, True),
    ],
)
def test_a_target_is_reached_within_its_tolerance(target, value, tolerance, is_same):
    assert is_reached(target, value, tolerance) is is_same


def test_a_deadline_says_what_was_missing():
    made = loop()
    made.accept(DOOR, value=True, writer="app", now_ns=0)
    sent(made, WINDOW, 50)
    assert made.expire(now_ns=SECOND - 1) == []
    door, window = made.expire(now_ns=SECOND)
    assert (door.state, door.reason, door.sentence) == (
        State.FAILED,
        Reason.DEADLINE,
        "its frame could not be sent in time",
    )
    assert window.sentence == "the vehicle has not said that Window is 50"
    assert len(made) == 0


def test_a_request_may_be_more_impatient_than_the_settings_but_not_more_patient():
    made = loop()
    assert made.accept(DOOR, 1, "app", now_ns=0, deadline_ns=5)[-1].deadline_ns == 5
    assert made.accept(DOOR, 1, "app", now_ns=0, deadline_ns=9 * SECOND)[-1].deadline_ns == SECOND


@pytest.mark.parametrize(
    ("first", "second", "refused", "reason"),
    [
        ("app", "app", False, Reason.REPLACED),
        ("app", "other", True, None),  # equals: the first one stays
        ("app", "climate", False, Reason.OVERRULED),
        ("climate", "rescue", False, Reason.OVERRULED),
        ("rescue", "climate", True, None),
        ("climate", "app", True, None),
    ],
)
def test_of_two_writers_the_higher_one_or_the_first_acts(first, second, refused, reason):
    made = loop()
    sent(made, WINDOW, 10, first)
    refusal = made.refusal(WINDOW, second, now_ns=1)
    assert (refusal is not None and refusal.reason is Reason.WRITER) == refused
    if not refused:
        old, new = made.accept(WINDOW, 20, second, now_ns=1)
        assert (old.state, old.reason, new.state) == (State.FAILED, reason, State.ACCEPTED)


def test_a_lease_keeps_equals_out_until_it_ends():
    made = loop()
    sent(made, WINDOW, 10, "climate")
    made.sees(WINDOW, seen(10, 1), now_ns=SECOND)
    assert made.refusal(WINDOW, "app", now_ns=2 * SECOND).sentence == (  # type: ignore[union-attr]
        "climate has Window for another 4000 ms"
    )
    assert made.refusal(WINDOW, "climate", now_ns=2 * SECOND) is None
    assert made.refusal(WINDOW, "rescue", now_ns=2 * SECOND) is None
    assert made.refusal(WINDOW, "app", now_ns=6 * SECOND) is None


def test_a_frame_is_repeated_at_its_pace_until_the_end():
    made = loop()
    sent(made, now_ns=0)
    (order,) = made
    assert not made.is_to_send(order, now_ns=SECOND // 10 - 1)
    assert made.next_ns() == SECOND // 10
    assert made.is_to_send(order, now_ns=SECOND // 10)
    assert made.happens(DOOR, Event.FRAME_SENT, now_ns=SECOND // 10) == []
    (again,) = made
    assert (again.sent_ns, again.last_ns) == (0, SECOND // 10)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "see", "expire", *Event]),
        st.sampled_from([DOOR, WINDOW]),
        st.sampled_from(["app", "climate", "rescue"]),
        st.integers(0, 2),
        st.integers(0, SECOND),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_an_order_goes_by_the_table_and_ends_once(steps):
    made, told, now_ns = loop(), dict[int, list[Order]](), 0
    for what, actuator, writer, value, wait_ns in steps:
        now_ns += wait_ns
        changed: list[Order] = []
        if what == "ask":
            if made.refusal(actuator, writer, now_ns=now_ns) is None:
                changed = made.accept(actuator, value, writer, now_ns=now_ns)
        elif what == "see":
            changed = made.sees(actuator, seen(value, now_ns), now_ns=now_ns)
        elif what == "expire":
            changed = made.expire(now_ns=now_ns)
            assert all(order.deadline_ns > now_ns for order in made)
        else:
            changed = made.happens(actuator, what, now_ns=now_ns)
        for order in changed:
            told.setdefault(order.id, []).append(order)
        assert len({order.actuator for order in made}) == len(made)
    made.expire(now_ns=now_ns + 10 * SECOND)
    assert len(made) == 0
    for orders in told.values():
        states = [order.state for order in orders]
        assert states[0] is State.ACCEPTED
        assert all(pair in ALLOWED for pair in itertools.pairwise(states))
        assert sum(state in OVER for state in states) <= 1
