"""Last known states and commands: what agents and clouds of FleetWise say comes out as it went in."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.control import ActivateState, Answer, AnswerState, DeactivateState, SnapshotState
from fairway.errors import BadInput
from fairway.fleetwise.commands import Actuate, CommandRequest
from fairway.fleetwise.data import (
    CapturedState,
    StateData,
    StateSample,
    StateTemplate,
    StateTemplateChange,
)
from fairway.fleetwise.decoders import Primitive
from fairway.wire.fleetwise.commands import (
    answer_from_bytes,
    answer_to_bytes,
    command_from_bytes,
    command_to_bytes,
)
from fairway.wire.fleetwise.states import (
    change_from_bytes,
    change_to_bytes,
    state_data_from_bytes,
    state_data_to_bytes,
)
from tests.fleetwise_peer import peer

TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=20)
UINT32 = st.integers(0, 2**32 - 1)
COUNT = st.integers(0, 2**63)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
TEMPLATES = st.builds(StateTemplate, TEXT, st.lists(UINT32, max_size=4).map(tuple), COUNT)
CHANGES = st.builds(
    StateTemplateChange,
    COUNT,
    TEXT,
    st.lists(TEMPLATES, max_size=3).map(tuple),
    st.lists(TEXT, max_size=3).map(tuple),
)
OPERATIONS = st.one_of(
    st.builds(ActivateState, TEXT, UINT32),
    st.builds(DeactivateState, TEXT),
    st.builds(SnapshotState, TEXT),
)
# A value of each type, the member that it travels in, and how it looks there.
VALUES = [
    (Primitive.UNSPECIFIED, 1.5, "double_value", 1.5),
    (Primitive.BOOL, True, "boolean_value", True),
    (Primitive.INT8, -128.0, "int8_value", -128),
    (Primitive.UINT8, 255.0, "uint8_value", 255),
    (Primitive.INT16, -32768.0, "int16_value", -32768),
    (Primitive.UINT16, 65535.0, "uint16_value", 65535),
    (Primitive.INT32, -2147483648.0, "int32_value", -2147483648),
    (Primitive.UINT32, 4294967295.0, "uint32_value", 4294967295),
    (Primitive.INT64, -9007199254740992.0, "int64_value", -9007199254740992),
    (Primitive.UINT64, 9007199254740992.0, "uint64_value", 9007199254740992),
    (Primitive.FLOAT32, 0.5, "float_value", 0.5),
    (Primitive.FLOAT64, 0.1, "double_value", 0.1),
    (Primitive.STRING, "REVERSE", "string_value", "REVERSE"),
]


@given(CHANGES)
def test_a_change_of_templates_comes_out_as_it_went_in(change):
    data = change_to_bytes(change)

    assert change_from_bytes(data) == change
    foreign = peer["StateTemplates"].FromString(data)
    assert foreign.version == change.version
    assert [one.state_template_sync_id for one in foreign.state_templates_to_add] == [
        one.sync_id for one in change.added
    ]
    assert [one.periodic.period_ms for one in foreign.state_templates_to_add] == [
        one.period_ms for one in change.added
    ]
    assert all(one.WhichOneof("strategy") for one in foreign.state_templates_to_add)
    assert tuple(foreign.state_template_sync_ids_to_remove) == change.removed


@pytest.mark.parametrize(("primitive", "value", "member", "looks"), VALUES)
def test_a_value_travels_in_the_member_of_its_type(primitive, value, member, looks):
    data = StateData(9, (CapturedState("drive", (StateSample(7, value),)),))

    body = state_data_to_bytes(data, {7: primitive})

    foreign = peer["LastKnownStateData"].FromString(body)
    (one,) = foreign.captured_state_template_signals[0].captured_signals
    assert one.WhichOneof("value") == member
    assert getattr(one, member) == looks
    assert state_data_from_bytes(body) == data


def test_a_value_that_its_type_does_not_hold_goes_as_a_double():
    data = StateData(9, (CapturedState("drive", (StateSample(7, 1.5), StateSample(8, 300.0))),))

    body = state_data_to_bytes(data, {7: Primitive.INT32, 8: Primitive.UINT8})

    assert state_data_from_bytes(body) == data


@pytest.mark.parametrize(("primitive", "value", "member", "looks"), VALUES)
def test_a_command_to_an_actuator_comes_out_as_it_went_in(primitive, value, member, looks):
    command = CommandRequest("c1", Actuate(7, "manifest-1", value, primitive), 5, 1000)

    body = command_to_bytes(command)

    foreign = peer["CommandRequest"].FromString(body)
    assert foreign.actuator_command.WhichOneof("value") == member
    assert getattr(foreign.actuator_command, member) == looks
    assert (foreign.issued_timestamp_ms, foreign.timeout_ms) == (5, 1000)
    read = command_from_bytes(body)
    assert isinstance(read.what, Actuate)
    assert read.what.value == value


@pytest.mark.parametrize(
    ("primitive", "value"),
    [
        (Primitive.UINT8, 256.0),
        (Primitive.INT8, 0.5),
        (Primitive.STRING, 1.0),
        (Primitive.INT32, 1e99),
    ],
)
def test_a_command_whose_value_does_not_fit_is_refused(primitive, value):
    with pytest.raises(BadInput):
        command_to_bytes(CommandRequest("c1", Actuate(7, "m", value, primitive), 0))


@given(IDS, st.lists(OPERATIONS, max_size=4).map(tuple), COUNT, COUNT)
def test_a_command_to_templates_comes_out_as_it_went_in(name, operations, issued_ms, timeout_ms):
    command = CommandRequest(name, operations, issued_ms, timeout_ms)

    body = command_to_bytes(command)

    assert command_from_bytes(body) == command
    told = peer["CommandRequest"].FromString(body).last_known_state_command
    assert [one.state_template_sync_id for one in told.state_template_information] == [
        one.template for one in operations
    ]


@given(IDS, st.sampled_from(AnswerState), UINT32, st.text(max_size=30))
def test_an_answer_comes_out_as_it_went_in(name, state, code, sentence):
    answer = Answer(name, state, code, sentence)

    body = answer_to_bytes(answer)

    assert answer_from_bytes(body) == answer
    foreign = peer["CommandResponse"].FromString(body)
    assert (foreign.status, foreign.reason_code) == (int(state), code)


def test_an_answer_of_no_known_state_is_refused():
    foreign = peer["CommandResponse"](command_id="c1", status=3)

    with pytest.raises(BadInput, match="state 3"):
        answer_from_bytes(foreign.SerializeToString())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (peer["CommandRequest"](command_id="c1"), "says nothing"),
        (peer["CommandRequest"](command_id="no id"), "says nothing"),
        (peer["CommandRequest"](command_id="c1", actuator_command={"signal_id": 1}), "is missing"),
        (
            peer["CommandRequest"](
                command_id="c 1", actuator_command={"signal_id": 1, "double_value": 1.0}
            ),
            "no id of a command",
        ),
    ],
)
def test_a_command_that_says_nothing_is_refused(message, reason):
    with pytest.raises(BadInput, match=reason):
        command_from_bytes(message.SerializeToString())


def test_more_than_the_limits_is_refused():
    many = peer["StateTemplates"](state_template_sync_ids_to_remove=["a"] * 257)
    wide = peer["StateTemplates"]()
    wide.state_templates_to_add.add(state_template_sync_id="a", signal_ids=[1] * 1001)
    long = peer["LastKnownStateData"]()
    state = long.captured_state_template_signals.add(state_template_sync_id="a")
    state.captured_signals.add(signal_id=1, string_value="x" * 4097)

    for message, read in (
        (many, change_from_bytes),
        (wide, change_from_bytes),
        (long, state_data_from_bytes),
    ):
        with pytest.raises(BadInput):
            read(message.SerializeToString())


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_garbage_is_a_message_or_bad_input(noise):
    for read in (change_from_bytes, state_data_from_bytes, command_from_bytes, answer_from_bytes):
        with suppress(BadInput):
            read(noise)
