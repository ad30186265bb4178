from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.services.trial import (
    Expectations,
    Published,
    Ran,
    expectations_of,
    findings,
    first_of,
)
from fairway.errors import BadInput

FINE = Ran("tyres", "1", "Running(Ok)", "", 0, 0, 0, (), 10_000_000, 0.1, was_ready=True)
RATE = Published("Vehicle.Rate", 12, 0.0, 5.0, -1.0, 9.0)


def wrong(text: str, *published: Published, ran: Ran = FINE) -> list[str]:
    expected = expectations_of(text, file="e.yaml")
    return findings(expected, {one.path: one for one in published}, [ran])


def test_a_drive_without_expectations_is_passed_by_what_ran_well():
    assert findings(Expectations(), {}, [FINE]) == []


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"failures": 3, "last_exit": "exit code 1"}, "tyres crashed 3 times: exit code 1"),
        ({"state": "Failed(ExecFailed)", "why": "code 3"}, "tyres crashed 1 times: code 3"),
        ({"out_of_memory": 2, "failures": 2}, "tyres ended 2 times for lack of memory"),
        ({"was_ready": False, "why": "it says no"}, "tyres was never ready: it says no"),
        ({"denied": ("read Vehicle.X (4 times)",)}, "tyres was denied read Vehicle.X (4 times)"),
    ],
)
def test_what_a_service_did_wrong_is_found_without_being_asked(how, sentence):
    assert findings(Expectations(), {}, [replace(FINE, **how)]) == [sentence]


def test_what_did_its_work_and_ended_need_not_be_ready():
    assert (
        findings(Expectations(), {}, [replace(FINE, state="Succeeded(Ok)", was_ready=False)]) == []
    )


@pytest.mark.parametrize(
    "met",
    [
        "{path: Vehicle.Rate}",
        "{path: Vehicle.Rate, last: 5}",
        "{path: Vehicle.Rate, last: 4.5, tolerance: 0.5}",
        "{path: Vehicle.Rate, min: -1, max: 9, count_min: 12}",
    ],
)
def test_expectations_that_are_met_find_nothing(met: str):
    assert wrong(f"signals: [{met}]", RATE) == []


@pytest.mark.parametrize(
    ("missed", "sentence"),
    [
        ("{path: Vehicle.Other}", "Vehicle.Other was never published"),
        ("{path: Vehicle.Rate, last: 4}", "Vehicle.Rate ended as 5, 4 is expected"),
        ("{path: Vehicle.Rate, last: true}", "Vehicle.Rate ended as 5, true is expected"),
        ("{path: Vehicle.Rate, min: 0}", "Vehicle.Rate fell to -1, 0 at least is expected"),
        ("{path: Vehicle.Rate, max: 8}", "Vehicle.Rate rose to 9, 8 at most is expected"),
        ("{path: Vehicle.Rate, count_min: 13}", "12 times, 13 at least"),
    ],
)
def test_expectations_that_are_missed_say_what_came(missed: str, sentence: str):
    (found,) = wrong(f"signals: [{missed}]", RATE)

    assert sentence in found


def test_a_range_of_what_is_no_number_is_missed():
    wheel = first_of("Vehicle.Wheel", "Row1.Left")

    assert wrong("signals: [{path: Vehicle.Wheel, last: Row1.Left}]", wheel) == []
    assert wrong("signals: [{path: Vehicle.Wheel, min: 0}]", wheel) == [
        "Vehicle.Wheel is no number, a range is expected"
    ]


def test_too_much_memory_is_found():
    assert wrong("memory_max_bytes: 10000000") == []
    assert "took 10000000 bytes" in wrong("memory_max_bytes: 9999999")[0]


def test_values_are_counted_with_their_first_last_least_and_greatest():
    came = first_of("Vehicle.Rate", 2.0).with_one(-3.0).with_one(1.0)

    assert came == Published("Vehicle.Rate", 3, 2.0, 1.0, -3.0, 2.0)
    closed, opened = (first_of("a", value == "yes") for value in ("no", "yes"))
    assert (closed.with_one(opened.last).count, closed.with_one(opened.last).least) == (2, None)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "signal: []",
        "signals: {}",
        "signals: [{last: 1}]",
        "signals: [{path: a, lasts: 1}]",
        "signals: [{path: a, last: [1]}]",
        "signals: [{path: a, min: low}]",
        "signals: [{path: a, min: true}]",
        "signals: [{path: a, count_min: 0}]",
        "memory_max_bytes: much",
        "signals: [",
    ],
)
def test_a_file_that_says_nothing_sensible_is_refused(text: str):
    with pytest.raises(BadInput, match=r"e\.yaml"):
        expectations_of(text, file="e.yaml")


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(content: bytes):
    said = "e.yaml"
    try:
        expectations_of(content, file="e.yaml")
    except BadInput as error:
        said = str(error)
    assert "e.yaml" in said
