"""Orders of apps reach real body units over a bus, and end with what the units say; nothing else goes out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_agent.canbus import database
from simulators.protection import protection_of
from tests.e2e.programs import until
from tests.e2e.test_vehicle_api.acting_car import (
    CLIMATE_COMMAND,
    DBC,
    DOOR,
    DOOR_COMMAND,
    FAN,
    LOCK,
    TEMPERATURE,
    WINDOW,
    Car,
    acting_car,
    tapped,
)
from tests.onboard_apps import refusal

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

OPEN, SHUT = {"bool": True}, {"bool": False}


def states(changes: list[tuple[str, str, str, str]]) -> list[tuple[str, str]]:
    return [(state, reason) for _, state, reason, _ in changes]


CONFIRMED = [("ACCEPTED", "UNSPECIFIED"), ("SENT", "UNSPECIFIED"), ("CONFIRMED", "UNSPECIFIED")]


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    with acting_car(tmp_path, climate=True) as made:
        yield made


def settled(car: Car) -> None:
    """Wait until the agent knows how fast the car goes: before that no interlock holds."""
    until("the speed", lambda: states(car.order({DOOR: SHUT}))[-1][0] == "CONFIRMED")


def test_doors_window_and_climate_obey_and_are_confirmed_and_the_frames_are_whole(car: Car):
    settled(car)
    with tapped(car.folder) as frames:
        assert states(car.order({DOOR: OPEN})) == CONFIRMED
        both = car.order({TEMPERATURE: {"float": 23.5}, FAN: {"uint32": 40}})
        assert sorted(states(both)) == sorted(CONFIRMED * 2)
        assert states(car.order({FAN: {"uint32": 55}})) == CONFIRMED
        assert states(car.order({WINDOW: {"uint32": 60}}, app="rescue")) == CONFIRMED

    messages = {m.frame_id: m for m in database.load(DBC / "fairway_body.dbc").messages}
    commands = [frame for frame in frames if messages[frame.can_id].name.startswith("AGT_")]
    assert [frame.can_id for frame in commands] == [
        DOOR_COMMAND,
        CLIMATE_COMMAND,
        CLIMATE_COMMAND,
        DOOR_COMMAND,
    ]
    for frame in commands:
        protection = protection_of(messages[frame.can_id])
        assert protection is not None
        assert protection.verify(frame.data)
    door, warm, fan, window = (frame.data for frame in commands)
    assert door[2] & 0b11111111 == 0b01  # open this door; nothing of locks and the other door
    assert door[3] == 255  # and nothing of the window
    assert (warm[2] / 2, warm[3]) == (23.5, 40)  # two targets, one frame
    assert (fan[2] / 2, fan[3]) == (23.5, 55)  # what the vehicle says of the rest is said again
    assert (window[2], window[3]) == (0, 60)
    assert car.body.is_running


def test_a_writer_keeps_its_lease_and_only_a_higher_one_takes_it(car: Car):
    settled(car)
    assert states(car.order({WINDOW: {"uint32": 10}}, app="climate")) == CONFIRMED
    (refused,) = car.order({WINDOW: {"uint32": 30}}, app="other")
    assert refused[1:3] == ("REFUSED", "WRITER")
    assert "climate has" in refused[3]
    assert states(car.order({WINDOW: {"uint32": 100}}, app="rescue")) == CONFIRMED


def test_what_an_app_may_not_do_or_a_frame_cannot_say_sends_nothing(car: Car):
    settled(car)
    with tapped(car.folder) as frames:
        refusals: list[tuple[dict[str, Any], str, str]] = [
            ({DOOR: OPEN}, "read", "PERMISSION_DENIED"),
            ({WINDOW: {"uint32": 101}}, "actuate", "INVALID_ARGUMENT"),
            ({TEMPERATURE: {"float": 70.0}}, "actuate", "INVALID_ARGUMENT"),
            ({"Vehicle.Speed": {"float": 1.0}}, "actuate", "INVALID_ARGUMENT"),
            ({"Vehicle.Body.Horn.IsActive": OPEN}, "actuate", "FAILED_PRECONDITION"),
        ]
        for targets, scope, code in refusals:
            with pytest.raises(grpc.RpcError) as error:
                car.order(targets, scope=scope)
            assert refusal(error.value)[0] == code, refusal(error.value)
    assert not [frame for frame in frames if frame.can_id in (DOOR_COMMAND, CLIMATE_COMMAND)]


def test_a_moving_car_refuses_to_open_and_sends_nothing(tmp_path: Path):
    with acting_car(tmp_path, "--speed-km-h", "30") as car, tapped(tmp_path) as frames:
        until("the speed", lambda: "Vehicle.Speed is 30" in car.order({DOOR: OPEN})[0][3])
        (refused,) = car.order({DOOR: OPEN, LOCK: OPEN})[:1]
        assert refused == (
            DOOR,
            "REFUSED",
            "INTERLOCK",
            "Vehicle.Speed == 0 does not hold: Vehicle.Speed is 30",
        )
        with pytest.raises(grpc.RpcError) as error:  # the way of apps of KUKSA
            car.actuate(DOOR, bool=True)
        assert refusal(error.value) == ("ABORTED", refused[3])
        assert not [frame for frame in frames if frame.can_id == DOOR_COMMAND]
        assert states(car.order({LOCK: OPEN})) == CONFIRMED  # it has no interlock
        car.actuate(LOCK, bool=False)
        until("the lock", lambda: not car.value(LOCK))


@pytest.mark.parametrize("fault", ["silent", "deaf"])
def test_units_that_do_not_answer_fail_at_the_deadline(tmp_path: Path, fault: str):
    with acting_car(tmp_path, "--fault", fault) as car, tapped(tmp_path) as frames:
        trials: list[tuple[str, str]] = []

        def is_accepted() -> bool:
            trials.extend(states(car.order({DOOR: OPEN}, deadline_ms=1)))
            return trials[-1][1] == "DEADLINE"

        until("the speed", is_accepted)
        changes = car.order({DOOR: OPEN}, deadline_ms=700)
        assert states(changes) == [
            ("ACCEPTED", "UNSPECIFIED"),
            ("SENT", "UNSPECIFIED"),
            ("FAILED", "DEADLINE"),
        ]
        assert f"has not said that {DOOR} is true" in changes[-1][3]
    sent = sum(state == "SENT" for state, _ in [*trials, *states(changes)])
    assert sum(frame.can_id == DOOR_COMMAND for frame in frames) == sent >= 1


def test_a_frame_outside_of_the_allow_list_never_reaches_the_bus(tmp_path: Path):
    with acting_car(tmp_path, "--speed-km-h", "120") as car, tapped(tmp_path) as frames:
        # The climate frame is not listed at all; that of the door is, under a condition that does not hold.
        with pytest.raises(grpc.RpcError) as error:
            car.order({FAN: {"uint32": 50}})
        assert refusal(error.value)[0] == "FAILED_PRECONDITION"
        until("the speed", lambda: "Vehicle.Speed is 120" in car.order({LOCK: OPEN})[0][3])
        (refused,) = car.order({LOCK: OPEN})
        assert refused[1:3] == ("REFUSED", "FORBIDDEN")
    assert frames
    assert {frame.can_id for frame in frames} == {0x3B0, 0x3B2, 0x3B4}
