"""Last known states on their way to the cloud: what is reported, and when."""

import numpy as np

from edge_agent.telemetry.last_states import ON_CHANGE_INTERVAL_NS, LastStates
from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.control import StateReport, StateTemplate
from fairway.samples import Kind, SampleBlock, Signal, SignalTable

TABLE = SignalTable(
    (Signal("Speed"), Signal("Brake", Kind.BOOL), Signal("Gear", Kind.TEXT), Signal("Other"))
)
NOW_NS = 1_700_000_000 * NS_PER_S


def block(signal: int, *values: float, texts: tuple[str, ...] = ()) -> SampleBlock:
    count = len(values)
    times = NOW_NS + np.arange(count, dtype=np.int64)
    return SampleBlock(TABLE, np.full(count, signal, np.int32), times, np.array(values), texts)


def states(*, period_ms: int = 0, record: bytes | None = None) -> LastStates:
    made = LastStates(TABLE, record)
    made.set_templates(1, [StateTemplate("twin", ("Speed", "Brake", "Gear"), period_ms)])
    return made


def said(reports: list[StateReport]) -> list[dict[str, object]]:
    return [{value.name: value.value for value in one.values} for one in reports]


def due(states: LastStates, monotonic_ns: int, now_ns: int = NOW_NS) -> list[dict[str, object]]:
    return said(states.reports(now_ns=now_ns, monotonic_ns=monotonic_ns))


def activate(states: LastStates, after_s: int = 0) -> None:
    assert states.activate("twin", after_s, now_ns=NOW_NS, monotonic_ns=0)


def test_nothing_is_reported_before_the_activation_which_reports_what_is_known():
    made = states()
    made.take(block(0, 40.0, 50.0))
    assert due(made, 0) == []

    activate(made)

    assert made.next_due_ns() == 0
    assert due(made, 0) == [{"Speed": 50.0}]


def test_on_change_reports_what_changed_and_no_sooner_than_the_interval():
    made = states()
    activate(made)
    due(made, 0)
    made.take(block(0, 1.0))
    made.take(block(1, 1.0))
    assert due(made, ON_CHANGE_INTERVAL_NS - 1) == []

    made.take(block(0, 2.0))
    assert due(made, ON_CHANGE_INTERVAL_NS) == [{"Speed": 2.0, "Brake": True}]

    made.take(block(0, 3.0))
    made.take(block(0, 2.0))
    assert due(made, 10 * ON_CHANGE_INTERVAL_NS) == []


def test_periodic_reports_everything_each_period():
    made = states(period_ms=500)
    activate(made)
    made.take(block(2, 0.0, texts=("D",)))
    due(made, 0)

    assert due(made, 499 * NS_PER_MS) == []
    assert made.next_due_ns() == 500 * NS_PER_MS
    assert due(made, 500 * NS_PER_MS) == [{"Gear": "D"}]
    assert due(made, 1000 * NS_PER_MS) == [{"Gear": "D"}]


def test_an_activation_ends_at_its_time_and_an_end_outlives_a_restart():
    made = states(period_ms=100)
    activate(made, after_s=60)
    made.take(block(0, 1.0))
    assert made.next_end_ns() == NOW_NS + 60 * NS_PER_S

    again = states(period_ms=100, record=made.to_bytes())
    again.take(block(0, 1.0))
    assert again.is_active("twin")
    assert due(again, 10**9, NOW_NS + 60 * NS_PER_S) == []
    assert not again.is_active("twin")


def test_a_snapshot_of_nothing_known_is_an_empty_report():
    made = states()
    assert made.snapshot("twin")

    assert due(made, 0) == [{}]
    assert due(made, 0) == []


def test_a_template_that_is_not_there_is_told():
    made = states()

    assert not made.activate("x", 0, now_ns=NOW_NS, monotonic_ns=0)
    assert not made.deactivate("x")
    assert not made.snapshot("x")


def test_signals_that_are_not_there_are_named_a_few_of_them():
    made = LastStates(TABLE)
    made.set_templates(1, [StateTemplate("twin", ("Speed", "A", "B", "C", "D"))])

    (status,) = made.statuses()
    assert status.reason == "this vehicle has no signal A, B, C and 1 more"


def test_a_new_list_keeps_what_is_active_and_forgets_what_is_gone():
    made = states()
    activate(made)
    made.set_templates(2, [StateTemplate("other", ("Speed",)), made._templates["twin"].said])
    assert made.is_active("twin")

    made.set_templates(3, [StateTemplate("other", ("Speed",))])
    assert [one.name for one in made.statuses()] == ["other"]
    assert made.to_bytes() == b"{}"


def test_a_wider_table_goes_on_with_the_same_templates():
    made = LastStates(TABLE)
    made.set_templates(1, [StateTemplate("twin", ("Speed", "New"))])
    wide = SignalTable((*TABLE, Signal("New", Kind.TEXT)))

    made.use_table(wide)
    activate(made)
    made.take(block(0, 5.0))

    assert made.statuses()[0].reason == ""
    assert due(made, 0) == [{"Speed": 5.0}]
