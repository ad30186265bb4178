"""DTC_QUERY means what FleetWise's does, and its result is of FleetWise's schema."""

import json

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.diagnostics.dtc_query import (
    ACTION_MAX_CHARS,
    ALL,
    Action,
    EcuFindings,
    Found,
    Query,
    action,
    query,
    result_text,
)
from edge_agent.diagnostics.uds import Report
from fairway.errors import BadInput
from tests.shared_data import shared

CODES, SNAPSHOTS, EXTENDED = (
    Report.DTC_BY_STATUS_MASK,
    Report.SNAPSHOT_RECORD_BY_DTC,
    Report.EXT_DATA_RECORD_BY_DTC,
)


def asked(arguments: str) -> Query:
    return query(f'custom_function("DTC_QUERY", {arguments})')


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        # The examples of FleetWise's guide for developers.
        ("-1, 2, -1", Query(ALL, CODES, 0xFF)),
        ('-1, 2, 8, "0xAAA123"', Query(ALL, CODES, 8, 0xAAA123)),
        ('1, 2, 8, "0xAAA123"', Query(1, CODES, 8, 0xAAA123)),
        ("-1, 4, -1", Query(ALL, SNAPSHOTS, 0xFF)),
        ('1, 4, -1, "0xAAA123", 1', Query(1, SNAPSHOTS, 0xFF, 0xAAA123, 1)),
        ("-1, 6, -1", Query(ALL, EXTENDED, 0xFF)),
        ('1, 6, -1, "0xAAA123", 1', Query(1, EXTENDED, 0xFF, 0xAAA123, 1)),
        ("-1, 2, 12", Query(ALL, CODES, 12)),
        ('1, 4, 144, "0xAAA123", 0', Query(1, SNAPSHOTS, 144, 0xAAA123)),
        # What else its parser lets through.
        ('1, 4, -1, ""', Query(1, SNAPSHOTS, 0xFF)),
        ('1, 4, -1, "-1", 2', Query(1, SNAPSHOTS, 0xFF, None, 2)),
        ("1, 4, -1, '1193046', -1", Query(1, SNAPSHOTS, 0xFF, 0x123456)),
        ("true, 2.0, 1.0", Query(1, CODES, 1)),
    ],
)
def test_a_query_asks_for_what_its_arguments_say(arguments, meant):
    assert asked(arguments) == meant


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("-1, 4", "not 2 arguments"),
        ('1, 4, -1, "", 1, 2', "not 6 arguments"),
        ('"one", 4, -1', "the ECU is a number"),
        ("-2, 4, -1", "the ECU is -2"),
        ("1.5, 4, -1", "the ECU is 1.5"),
        ("1, -1, -1", "the sub-function is -1"),
        ("1, 3, -1", "sub-function 3 fetches nothing; choose 2, 4 or 6"),
        ("1, 26, -1", "sub-function 26 fetches nothing"),
        ("1, 2, 0", "a status mask of 0 lets no code through"),
        ("1, 2, 256", "the status mask is 256"),
        ("1, 4, -1, 0", "a trouble code is a text"),
        ('1, 4, -1, "wrong"', "'wrong' is no trouble code"),
        ('1, 4, -1, "0"', "'0' is no trouble code"),
        ('1, 4, -1, "0x1000000"', "no trouble code from"),
        ('1, 4, -1, "0x1", "two"', "the record is a number"),
        ('1, 4, -1, "0x1", 256', "the record is 256"),
        ('-1, 4, -1, "0xAAA123", 1', "needs one ECU"),
    ],
)
def test_what_can_never_work_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(BadInput, match=sentence):
        asked(arguments)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DTC_QUERY(-1, 2, -1)",
        "custom_function()",
        "custom_function(-1, 2, -1)",
        'custom_function("DTC_QUERY", -1, 2, -1,)',
        'custom_function("DTC_QUERY" -1)',
        'custom_function("DTC_QUERY", $variable.`Vehicle.Speed`, 2, -1)',
        'custom_function("DTC_QUERY", 1 + 1, 2, -1)',
        'custom_function("DTC\\"QUERY", 1, 2, -1)',
        'custom_function("DTC_QUERY", 1, 2, -1) && true',
        'custom_function("DTC_QUERY", \N{ARABIC-INDIC DIGIT ONE}, 2, -1)',
        'custom_function("' + "A" * ACTION_MAX_CHARS + '")',
    ],
)
def test_what_is_no_call_with_literal_arguments_is_refused(text):
    with pytest.raises(BadInput):
        query(text)


def test_another_function_is_an_action_but_fetches_nothing():
    text = "custom_function('ACTUATE', 'Vehicle.Body.Horn', true, 2.5)"

    assert action(text) == Action("ACTUATE", ("Vehicle.Body.Horn", True, 2.5))
    with pytest.raises(BadInput, match="ACTUATE fetches nothing"):
        query(text)


literals = st.one_of(
    st.integers(-999, 999).map(float),
    st.booleans(),
    st.text(alphabet=st.characters(exclude_characters="\"'\\", codec="ascii"), max_size=12),
)


def written(literal):
    if isinstance(literal, bool):
        return str(literal).lower()
    return f'"{literal}"' if isinstance(literal, str) else f"{literal:g}"


@given(st.lists(literals, max_size=4))
def test_an_action_is_read_as_it_was_written(arguments):
    inside = ", ".join(['"F"', *map(written, arguments)])
    text = f"custom_function({inside})"

    assert action(text) == Action("F", tuple(arguments))


@given(st.text(max_size=120))
def test_garbage_is_refused_in_a_sentence(text):
    for spoilt in (text, f"custom_function({text})", f'custom_function("DTC_QUERY", {text})'):
        try:
            query(spoilt)
        except BadInput as error:
            assert str(error)  # noqa: PT017 - nearly all of garbage is refused


def test_the_actions_of_a_real_campaign_are_queries():
    path = shared("edge/fleetwise/campaigns/campaign-uds-dtc-time-based-fetch.json")
    actions = json.loads(path.read_text())["signalsToFetch"][0]["actions"]

    assert [query(text) for text in actions] == [
        Query(ALL, SNAPSHOTS, 0xFF),
        Query(ALL, EXTENDED, 0xFF),
    ]


def test_a_result_is_written_to_the_letter_as_fleetwise_does():
    # From its guide for developers.
    found = Found(0xAAA123, snapshot=bytes.fromhex("AAA123AF0101AABB01"))

    assert result_text([EcuFindings(1, 0xFF, [found])]) == (
        '{"DetectedDTCs":[{"DTCAndSnapshot":{"DTCStatusAvailabilityMask":"FF","dtcCodes":[{"DTC":"AAA123",'
        '"DTCExtendedData":"","DTCSnapshotRecord":"AAA123AF0101AABB01"}]},"ECUID":"01"}]}'
    )


findings = st.builds(
    EcuFindings,
    st.integers(0, 0x7FFFFFFF),
    st.integers(0, 0xFF),
    st.lists(st.builds(Found, st.integers(1, 0xFFFFFF), st.binary(), st.binary()), max_size=4),
)


def test_every_result_is_of_the_schema():
    schema = json.loads(shared("edge/fleetwise/schemas/udsDtcSchema.json").read_text())
    validator = jsonschema_rs.Draft4Validator(schema)

    @given(st.lists(findings, max_size=4))
    def check(found):
        validator.validate(json.loads(result_text(found)))

    check()
    assert not validator.is_valid({"DetectedDTCs": [{"ECUID": 1}]})
