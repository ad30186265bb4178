"""Denials are counted for people, and told to the audit without filling it."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.broker.access import Action, parse
from edge_agent.services.denials import (
    DISTINCT_MAX,
    SERVICES_MAX,
    THE_REST,
    Denials,
    WatchedRights,
)
from fairway.clock import NS_PER_S

MINUTE_NS = 60 * NS_PER_S


def note(denials: Denials, what: str = "Vehicle.X", service: str = "nosy", now_ns: int = 0) -> None:
    denials.note(service, "read", what, "it may not", now_ns=now_ns)


def test_a_repeated_denial_is_one_with_a_count_and_both_its_times():
    denials = Denials()
    note(denials, now_ns=5)
    note(denials, now_ns=9)

    (one,) = denials.of("nosy")

    assert (one.count, one.first_ns, one.last_ns, one.why) == (2, 5, 9, "it may not")
    assert denials.of("other") == ()


def test_the_newest_is_told_first():
    denials = Denials()
    note(denials, "Vehicle.A", now_ns=1)
    note(denials, "Vehicle.B", now_ns=2)
    note(denials, "Vehicle.A", now_ns=3)

    assert [one.what for one in denials.of("nosy")] == ["Vehicle.A", "Vehicle.B"]


def test_who_searches_for_hundreds_of_signals_fills_nothing():
    denials = Denials()
    for number in range(1000):
        note(denials, f"Vehicle.A{number}")

    seen = denials.of("nosy")

    assert len(seen) == DISTINCT_MAX + 1
    assert {one.what: one.count for one in seen}[THE_REST] == 1000 - DISTINCT_MAX


def test_so_many_services_are_remembered_and_the_oldest_is_forgotten():
    denials = Denials()
    for number in range(SERVICES_MAX + 1):
        note(denials, service=f"s{number}")

    assert denials.of("s0") == ()
    assert denials.of(f"s{SERVICES_MAX}")


def test_the_audit_is_told_the_first_at_once_and_the_others_once_a_minute():
    denials = Denials()
    audit = []
    for second in range(181):
        note(denials)
        audit += [(second, one.count) for one in denials.due(now_ns=second * NS_PER_S)]

    assert audit == [(0, 1), (60, 60), (120, 60), (180, 60)]


def test_at_the_end_it_is_told_what_is_left():
    denials = Denials()
    note(denials)
    denials.due(now_ns=0)
    note(denials)

    assert denials.due(now_ns=1) == []
    assert [one.count for one in denials.due(now_ns=1, is_last=True)] == [1]
    assert denials.due(now_ns=1, is_last=True) == []


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 200), st.integers(0, 90))))
def test_none_is_left_out_of_the_sum(asked):
    denials, sum_of_told, now_ns = Denials(), 0, 0
    for service, what, seconds in asked:
        now_ns += seconds * NS_PER_S
        note(denials, f"Vehicle.A{what}", service, now_ns)
        sum_of_told += sum(one.count for one in denials.due(now_ns=now_ns))
    sum_of_told += sum(one.count for one in denials.due(now_ns=now_ns, is_last=True))

    assert sum_of_told == len(asked)
    assert sum(one.count for name in "ab" for one in denials.of(name)) == len(asked)


def test_rights_note_what_was_named_and_denied_and_nothing_else():
    noted = []
    rights = WatchedRights("nosy", parse("read:Vehicle.Speed"), lambda *words: noted.append(words))

    assert rights.may(Action.READ, "Vehicle.Doors") is False
    assert rights.named(Action.READ, "Vehicle.Speed")
    assert noted == []
    assert rights.named(Action.ACTUATE, "Vehicle.Speed") is False
    assert noted == [
        (
            "write",
            "Vehicle.Speed",
            "the manifest of nosy does not say that it may write Vehicle.Speed",
        )
    ]
