"""What acts on the vehicle is put together from the settings, or refused before anything runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.acting import defaults_of
from edge_agent.adapters.patience import Patient
from edge_agent.config import Actuation, Outbound
from fairway.clock import SystemClock
from fairway.errors import BadInput
from simulators.bus import Bus, BusSource
from tests.edge_agent.adapters.acting_rig import (
    CLIMATE,
    DBC,
    DOOR,
    DOORS,
    FAN,
    LOCK,
    PLAN,
    SPEED,
    TEMPERATURE,
    WINDOW,
    opened,
)

MESSAGES = {signal.message.name: signal.message for signal in PLAN.signals}
KNOWN = {signal.short_name for signal in PLAN.signals}


def provided(*outbound: Outbound) -> set[str]:
    data, _, _ = opened(outbound)
    return {
        leaf.path
        for number, leaf in enumerate(data.signals)
        if data.providers.of_actuator(number) is not None
    }


def test_only_actuators_whose_frame_may_be_sent_are_provided():
    doors, climate = provided(DOORS), provided(CLIMATE)

    assert {DOOR, LOCK, WINDOW} <= doors
    assert {FAN, TEMPERATURE} <= climate
    assert not doors & climate
    assert provided(DOORS, CLIMATE) == doors | climate


@pytest.mark.parametrize(
    ("outbound", "actuation", "sentence"),
    [
        (replace(DOORS, id=0x123), (), "no database of body has a message 0x123"),
        (replace(DOORS, id=0x18FEF100), (), "no database of body has a message 0x18FEF100"),
        (replace(DOORS, checksum=""), (), "counter_signal and data_ids need a checksum"),
        (replace(DOORS, checksum="crc9"), (), "crc9 is no kind of checksum"),
        (
            Outbound("body", 0x3A0),
            (),
            "has no value for Checksum, Counter: give defaults, or the database a start value",
        ),
        (replace(DOORS, condition="Vehicle.Spede < 1"), (), "there is no signal Vehicle.Spede"),
        (replace(DOORS, condition="Vehicle.Speed <"), (), "the expression ends"),
        (
            replace(DOORS, condition="Vehicle.VehicleIdentification.VIN == 1"),
            (),
            "VIN is a string, and conditions are about numbers",
        ),
        (DOORS, (Actuation(FAN),), "[[outbound]] has to name its frame"),
        (DOORS, (Actuation(SPEED),), "it needs vss2dbc"),
        (DOORS, (Actuation(DOOR), Actuation(DOOR)), "twice"),
        (
            DOORS,
            (Actuation(DOOR, feedback="Vehicle.Body.Horn.IsActive"),),
            "no bus says Vehicle.Body",
        ),
        (
            DOORS,
            (Actuation(DOOR, interlock="Vehicle.Gone == 0"),),
            "there is no signal Vehicle.Gone",
        ),
        (replace(DOORS, defaults=Path("/nowhere.json")), (), "cannot read the defaults"),
        (replace(DOORS, defaults=DBC / "fairway_body.dbc"), (), "are not JSON"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(outbound, actuation, sentence):
    with pytest.raises(BadInput) as error:
        opened((outbound,), actuation)
    assert sentence in str(error.value)


def test_a_file_of_defaults_may_speak_of_other_messages_too():
    text = {"DriverDoor": 0, "FanSpeed": 12, "DriverLock": "LOCK", "AirConditioning": True}

    assert defaults_of(text, MESSAGES["AGT_DoorCommand"], KNOWN, "file") == {
        "DriverDoor": 0,
        "DriverLock": "LOCK",
    }
    assert defaults_of(text, MESSAGES["AGT_ClimateCommand"], KNOWN, "file") == {
        "FanSpeed": 12,
        "AirConditioning": 1,
    }
    with pytest.raises(BadInput, match="name Windows, and no database"):
        defaults_of({"Windows": 1}, MESSAGES["AGT_DoorCommand"], KNOWN, "file")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(KNOWN)) | st.text(max_size=9), inner, max_size=4)
    ),
)


@given(JSON)
def test_garbage_is_defaults_or_one_sentence(tree):
    tree = json.loads(json.dumps(tree))
    try:
        made = defaults_of(tree, MESSAGES["AGT_DoorCommand"], KNOWN, "file")
    except BadInput as error:
        assert "file" in str(error)  # noqa: PT017
    else:
        assert made.keys() <= {signal.name for signal in MESSAGES["AGT_DoorCommand"].signals}


def test_a_bus_that_can_only_be_read_is_refused_where_something_is_to_be_sent():
    _, actuators, _ = opened((DOORS,))

    actuators.connect(1, object())  # nothing is to be sent there
    with pytest.raises(BadInput, match="frames cannot be sent on body: its source only reads"):
        actuators.connect(0, Patient(BusSource(Bus()), "body", SystemClock()))
