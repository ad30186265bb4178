"""Door and climate control units: they obey the command frames of fairway_body.dbc and report how things are.

    AGT_DoorCommand, AGT_ClimateCommand > checksum, counter > wanted > time > BDY_DoorState, HVC_ClimateState

Rule 1: a command with a wrong checksum, or with the counter of the one before, is rejected and counted;
        the count is in BDY_DoorState.
Rule 2: things take their time: a door DOOR_S, a window WINDOW_PERCENT_S a second; a locked door stays shut.
Rule 3: no clock: `step` says how much time went by.  The same commands give the same frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.canbus.database import load
from edge_agent.canbus.decoder import make_decoder
from edge_agent.canbus.encode import Encoder
from edge_agent.canbus.frames import ID_MASK, Frame, FrameBlock, block_of
from edge_agent.canbus.model import Message
from edge_agent.canbus.plan import BusDatabases, compile_plan
from simulators.protection import protection_of
from simulators.vehicle import DATABASES

STEP_MS = 10
DOOR_S = 0.3
WINDOW_PERCENT_S = 50.0
CABIN_DEGREES_S = 0.05
_HOLD, _FIRST, _SECOND = (
    0,
    1,
    2,
)  # the codes of a door: hold, open, close; of a lock: hold, lock, unlock
_HOLD_WINDOW = 255


@dataclass(slots=True)
class Door:
    """One door: where it is between 0, shut, and 1, open."""

    position: float = 0.0
    wanted: float = 0.0
    is_locked: bool = False

    def command(self, door: int, lock: int) -> None:
        """Obey codes of a command frame: the lock first, as a driver would."""
        if lock != _HOLD:
            self.is_locked = lock == _FIRST
        if door == _SECOND or (door == _FIRST and not self.is_locked):
            self.wanted = float(door == _FIRST)

    def step(self, seconds: float) -> None:
        """Move."""
        self.position = _towards(self.position, self.wanted, seconds / DOOR_S)

    @property
    def is_open(self) -> bool:
        """A door is open as soon as it is not shut, and shut only when it is there."""
        return self.position >= 1.0 if self.wanted else self.position > 0.0


@dataclass(slots=True)
class BodyState:
    """Everything that the units know."""

    driver: Door = field(default_factory=Door)
    passenger: Door = field(default_factory=Door)
    window_percent: float = 0.0
    wanted_window_percent: float = 0.0
    temperature_c: float = 21.0
    fan_percent: float = 0.0
    is_cooling: bool = False
    is_recirculating: bool = False
    cabin_c: float = 24.0
    speed_km_h: float = 0.0
    rejected: int = 0


class BodyEcu:
    """The units on one bus."""

    def __init__(self, *, obeys: bool = True, reports: bool = True) -> None:
        """`obeys` False: commands are lost on it.  `reports` False: it is silent; the gateway is not."""
        database = load(DATABASES / "fairway_body.dbc")
        self.state = BodyState()
        self._obeys, self._reports = obeys, reports
        self._messages = {message.name: message for message in database.messages}
        self._commands = {
            message.frame_id: message
            for message in database.messages
            if message.name.startswith("AGT_")
        }
        self._protections = {
            number: protection_of(message) for number, message in self._commands.items()
        }
        self._last_counter: dict[int, int] = {}
        plan = compile_plan([BusDatabases("body", (database,))])
        self._decoder, self._plan = make_decoder(plan), plan
        self._encoders = {
            name: Encoder(message)
            for name, message in self._messages.items()
            if message.cycle_time_ms
        }
        self._elapsed_ms = 0

    def take(self, frames: FrameBlock) -> None:
        """Obey the commands among frames of the bus."""
        for frame in frames.frames():
            message = self._commands.get(frame.can_id & ID_MASK)
            if message is None or not self._obeys:
                continue
            if self._is_good(message, frame):
                self._obey(message.name, self._values(frame))
            else:
                self.state.rejected = min(self.state.rejected + 1, 0xFFFF)

    def step(self) -> None:
        """Let STEP_MS go by."""
        seconds, state = STEP_MS / 1000, self.state
        state.driver.step(seconds)
        state.passenger.step(seconds)
        state.window_percent = _towards(
            state.window_percent, state.wanted_window_percent, WINDOW_PERCENT_S * seconds
        )
        if state.is_cooling:
            state.cabin_c = _towards(state.cabin_c, state.temperature_c, CABIN_DEGREES_S * seconds)
        self._elapsed_ms += STEP_MS

    def due(self, time_ns: int) -> FrameBlock | None:
        """Return the frames that are due after the last step, None when none is."""
        frames = [
            Frame(self._messages[name].frame_id, self._encoders[name].encode(values), time_ns)
            for name, values in self._reported()
        ]
        return block_of(frames) if frames else None

    def _reported(self) -> Iterator[tuple[str, dict[str, float | int | str]]]:
        state = self.state
        says: dict[str, dict[str, float | int | str]] = {
            "BDY_DoorState": {
                "DriverDoorOpen": int(state.driver.is_open),
                "DriverDoorLocked": int(state.driver.is_locked),
                "PassengerDoorOpen": int(state.passenger.is_open),
                "PassengerDoorLocked": int(state.passenger.is_locked),
                "DriverWindowPosition": round(state.window_percent),
                "RejectedCommands": state.rejected,
            },
            "HVC_ClimateState": {
                "DriverTemperatureSet": state.temperature_c,
                "FanSpeedNow": round(state.fan_percent),
                "AirConditioningOn": int(state.is_cooling),
                "RecirculationOn": int(state.is_recirculating),
                "CabinTemperature": state.cabin_c,
            },
            "GW_VehicleMotion": {"VehicleSpeed": state.speed_km_h},
        }
        for name, values in says.items():
            cycle_ms = self._messages[name].cycle_time_ms
            is_heard = self._reports or name.startswith("GW_")
            if is_heard and cycle_ms and self._elapsed_ms % cycle_ms == 0:
                yield name, values

    def _is_good(self, message: Message, frame: Frame) -> bool:
        protection = self._protections[message.frame_id]
        assert protection is not None
        if not protection.verify(frame.data):
            return False
        counter = protection.counter(frame.data)
        is_new = self._last_counter.get(message.frame_id) != counter
        self._last_counter[message.frame_id] = counter
        return is_new

    def _values(self, frame: Frame) -> dict[str, float]:
        decoded = self._decoder.decode(block_of([frame]))
        return {
            self._plan.signals[number].short_name: value
            for number, value in zip(decoded.signal.tolist(), decoded.value.tolist(), strict=True)
        }

    def _obey(self, name: str, values: dict[str, float]) -> None:
        state = self.state
        if name == "AGT_DoorCommand":
            state.driver.command(int(values["DriverDoor"]), int(values["DriverLock"]))
            state.passenger.command(int(values["PassengerDoor"]), int(values["PassengerLock"]))
            if values["DriverWindow"] != _HOLD_WINDOW:
                state.wanted_window_percent = min(values["DriverWindow"], 100.0)
        else:
            state.temperature_c = min(max(values["DriverTemperature"], 16.0), 28.0)
            state.fan_percent = min(values["FanSpeed"], 100.0)
            state.is_cooling = values["AirConditioning"] != 0.0
            state.is_recirculating = values["Recirculation"] != 0.0


def _towards(value: float, wanted: float, most: float) -> float:
    return min(value + most, wanted) if value < wanted else max(value - most, wanted)
