"""Body units obey good commands in their time, reject bad ones, and say how things are."""

import pytest

from edge_agent.canbus.checksums import Protection
from edge_agent.canbus.database import load
from edge_agent.canbus.encode import Encoder
from edge_agent.canbus.frames import Frame, block_of
from simulators.body_ecu import STEP_MS, BodyEcu
from simulators.protection import protection_of
from simulators.vehicle import DATABASES

MESSAGES = {message.name: message for message in load(DATABASES / "fairway_body.dbc").messages}


def command(name: str, counter: int = 0, **values: float | str) -> Frame:
    message = MESSAGES[name]
    protection = protection_of(message)
    assert isinstance(protection, Protection)
    payload = protection.protect(Encoder(message).encode(values), counter)
    return Frame(message.frame_id, payload)


def after(ecu: BodyEcu, ms: int, *frames: Frame) -> list[Frame]:
    if frames:
        ecu.take(block_of(list(frames)))
    said: list[Frame] = []
    for _ in range(ms // STEP_MS):
        ecu.step()
        block = ecu.due(1)
        said += [] if block is None else list(block.frames())
    return said


def doors(ecu: BodyEcu) -> tuple[bool, bool]:
    return ecu.state.driver.is_open, ecu.state.passenger.is_open


def test_a_door_takes_its_time_and_the_others_stay():
    ecu = BodyEcu()
    after(ecu, 100, command("AGT_DoorCommand", DriverDoor="OPEN"))
    assert doors(ecu) == (False, False)
    after(ecu, 250)
    assert doors(ecu) == (True, False)
    after(ecu, 400, command("AGT_DoorCommand", 1, DriverDoor="CLOSE", DriverWindow=30))
    assert (ecu.state.driver.is_open, ecu.state.window_percent) == (False, 20.0)


def test_a_locked_door_stays_shut_and_an_open_one_can_be_shut():
    ecu = BodyEcu()
    after(ecu, 500, command("AGT_DoorCommand", DriverLock="LOCK", DriverDoor="OPEN"))
    assert doors(ecu) == (False, False)
    after(ecu, 500, command("AGT_DoorCommand", 1, DriverLock="UNLOCK", DriverDoor="OPEN"))
    assert doors(ecu) == (True, False)


@pytest.mark.parametrize("spoil", ["checksum", "counter", "length"])
def test_a_bad_command_is_rejected_and_counted(spoil):
    ecu, good = BodyEcu(), command("AGT_DoorCommand", 3, DriverDoor="OPEN")
    bad = {
        "checksum": [Frame(good.can_id, bytes([good.data[0] ^ 1]) + good.data[1:])],
        "counter": [command("AGT_DoorCommand", 3, DriverDoor="HOLD"), good],
        "length": [Frame(good.can_id, good.data[:5])],
    }[spoil]
    after(ecu, 500, *bad)
    assert (ecu.state.rejected, ecu.state.driver.is_open) == (1, False)


def test_the_climate_control_takes_a_whole_command_and_warms_the_cabin_slowly():
    ecu = BodyEcu()
    frame = command("AGT_ClimateCommand", DriverTemperature=18, FanSpeed=40, AirConditioning=1)
    after(ecu, 1000, frame)
    state = ecu.state
    assert (state.temperature_c, state.fan_percent, state.is_cooling) == (18, 40, True)
    assert 23.9 < state.cabin_c < 24


def test_states_come_at_their_pace_and_the_same_commands_give_the_same_frames():
    def drive() -> list[Frame]:
        ecu = BodyEcu()
        return after(ecu, 1000, command("AGT_DoorCommand", DriverDoor="OPEN", DriverWindow=80))

    said = drive()
    assert said == drive()
    assert [sum(frame.can_id == can_id for frame in said) for can_id in (0x3B0, 0x3B2, 0x3B4)] == [
        20,
        10,
        20,
    ]


def test_silent_units_say_nothing_and_deaf_ones_do_nothing():
    silent, deaf = BodyEcu(reports=False), BodyEcu(obeys=False)
    opened = command("AGT_DoorCommand", DriverDoor="OPEN")
    assert {frame.can_id for frame in after(silent, 500, opened)} == {0x3B4}
    assert silent.state.driver.is_open
    assert {frame.can_id for frame in after(deaf, 500, opened)} == {0x3B0, 0x3B2, 0x3B4}
    assert not deaf.state.driver.is_open
