"""Protected frames verify and count, whoever checks them."""

import cantools
import numpy as np
import pytest

from edge_agent.canbus.database import load
from edge_agent.canbus.frames import Frame
from edge_agent.canbus.model import Message
from simulators.protection import protection_of
from simulators.vehicle import DATABASES, Options, Vehicle

FILES = ("fairway_ev", "fairway_ev_fd")
PROTECTED = {
    (bus, message.frame_id): message
    for bus, name in enumerate(FILES)
    for message in load(DATABASES / f"{name}.dbc").messages
    if protection_of(message) is not None
}


@pytest.fixture(scope="module")
def sent() -> list[Frame]:
    return list(Vehicle(Options(seed=5)).advance(400).frames())


def protected(sent: list[Frame]) -> list[tuple[Message, Frame]]:
    return [
        (PROTECTED[frame.bus, frame.can_id], frame)
        for frame in sent
        if (frame.bus, frame.can_id) in PROTECTED
    ]


def test_what_moves_and_stops_the_car_is_protected():
    names = {message.name for message in PROTECTED.values()}

    assert len(PROTECTED) >= 12
    assert {"VCU_DriveCommand", "MCU_MotorState", "BMS_PackStatus", "EPS_Steering"} <= names
    assert {"ESC_VehicleSpeed", "ESC_BrakePressure", "SRS_Occupants"} <= names


def test_every_protected_frame_verifies(sent: list[Frame]):
    for message, frame in protected(sent):
        protection = protection_of(message)
        assert protection is not None
        assert protection.verify(frame.data), message.name


def test_a_checksum_is_what_a_plain_loop_over_the_bits_says(sent: list[Frame]):
    for message, frame in protected(sent)[:200]:
        register = 0xFF
        for byte in (*frame.can_id.to_bytes(2, "little"), *frame.data[1:]):
            register ^= byte
            for _ in range(8):
                register = (register << 1 ^ (0x1D if register & 0x80 else 0)) & 0xFF
        assert frame.data[0] == register ^ 0xFF, message.name


def test_one_wrong_bit_is_noticed(sent: list[Frame]):
    message, frame = protected(sent)[0]
    protection = protection_of(message)
    assert protection is not None

    for bit in range(8 * len(frame.data)):
        wrong = int.from_bytes(frame.data, "big") ^ 1 << bit
        assert not protection.verify(wrong.to_bytes(len(frame.data), "big"))


def test_every_counter_advances_by_one_from_frame_to_frame(sent: list[Frame]):
    counters: dict[str, list[int]] = {}
    for message, frame in protected(sent):
        counters.setdefault(message.name, []).append(frame.data[1] & 0x0F)

    assert len(counters) == len(PROTECTED)
    for name, seen in counters.items():
        assert np.array_equal(seen, np.arange(len(seen)) % 16), name


def test_another_decoder_reads_the_same_numbers(sent: list[Frame]):
    other = cantools.database.Database()
    other.add_dbc_file(DATABASES / "fairway_ev.dbc")
    pack = other.get_message_by_name("BMS_PackStatus")
    found = [
        pack.decode_simple(frame.data)["PackVoltage"]
        for frame in sent
        if (frame.bus, frame.can_id) == (0, pack.frame_id)
    ]

    assert len(found) == 400
    assert all(isinstance(voltage, float) and 300.0 < voltage < 402.0 for voltage in found)


def test_bits_that_a_j1939_message_does_not_use_are_ones():
    frames = Vehicle(Options(profile="truck")).advance(200).frames()
    weights = {frame.data.hex() for frame in frames if frame.can_id & 0x1FFF_FFFF == 0x18FE7031}

    assert weights == {"0c036009ffffffff"}
