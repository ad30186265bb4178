"""What a dry run says: sums of vehicles, and months of them."""

import json

from fairway.campaign.model import Budget
from fairway.prediction import (
    Assumptions,
    Lane,
    Prediction,
    added,
    prediction_json,
    prediction_text,
)


def prediction(**more: object) -> Prediction:
    found = Prediction("tried", "tried@1", drives=1, drive_s=1800.0, triggers=3, samples=30)
    found.lanes = {"": Lane(sent_bytes=1_000_000), "bulk": Lane(waiting_bytes=7)}
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_a_month_is_so_many_times_the_hours_that_were_driven():
    month = prediction().per_month(Assumptions(hours_per_month=40.0, price_per_mb=0.5))

    assert (month.triggers, month.samples, month.megabytes, month.cost) == (240, 2400, 80.0, 40.0)


def test_a_month_sends_no_more_than_the_budget_allows():
    assumptions = Assumptions(40.0, 1.0)

    in_all = prediction(budget=Budget(max_bytes=2_000_000)).per_month(assumptions)
    a_day = prediction(budget=Budget(max_bytes_per_day=100_000)).per_month(assumptions)

    assert (in_all.megabytes, in_all.cost, in_all.triggers) == (2.0, 2.0, 240)
    assert a_day.megabytes == 3.0


def test_no_drive_makes_no_month():
    month = Prediction("tried", "tried@1").per_month(Assumptions())

    assert (month.triggers, month.megabytes, month.cost) == (0.0, 0.0, 0.0)


def test_vehicles_add_up_and_what_is_said_of_both_is_said_once():
    one = prediction(trigger_times_ns=[5, 9], notes=("thin",), refused="no")
    other = prediction(trigger_times_ns=[7], notes=("thin", "short"), warnings=("odd",), fetches=2)

    both = added([one, other])

    assert (both.drives, both.drive_s, both.triggers, both.samples) == (2, 3600.0, 6, 60)
    assert both.trigger_times_ns == [5, 7, 9]
    assert (both.notes, both.warnings, both.fetches) == (("thin", "short"), ("odd",), 2)
    assert both.lanes == {"": Lane(sent_bytes=2_000_000), "bulk": Lane(waiting_bytes=14)}
    assert both.refused == ""
    assert added([one, one]).refused == "no"
    # Two vehicles drive twice the hours and do twice as much: the month of one stays the same.
    assert both.per_month(Assumptions()) == one.per_month(Assumptions())


def test_json_has_all_of_it_under_names_that_stay():
    said = prediction_json(prediction(), Assumptions(40.0, 0.5))

    assert json.loads(json.dumps(said)) == said
    assert said["refused"] is None
    assert said["partitions"]["bulk"] == {
        "sent_bytes": 0,
        "waiting_bytes": 7,
        "dropped_bytes": 0,
        "held_back_bytes": 0,
    }
    assert said["month"] == {
        "hours": 40.0,
        "triggers": 240.0,
        "samples": 2400.0,
        "megabytes": 80.0,
        "cost": 40.0,
    }


def test_people_are_told_of_partitions_and_of_what_is_held_back():
    held = prediction(notes=("thin",))
    held.lanes[""].held_back_bytes = 5000

    lines = prediction_text(held, Assumptions(40.0, 0.5), "EUR").splitlines()

    rest = "0 wait in the vehicle, 0 dropped, 5,000 held back by the budget"
    assert lines[0] == "tried"
    assert lines[2].endswith("80.000 MB, costs 40.00 EUR")
    assert lines[3] == f"  at once: 1,000,000 bytes sent, {rest}"
    assert lines[4].startswith("  partition bulk: 0 bytes sent, 7 wait")
    assert lines[5] == "  note: thin"
