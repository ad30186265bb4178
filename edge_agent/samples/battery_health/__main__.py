"""The service battery-health: reads the battery, publishes its health, answers others at `battery.health`.

    vehicle > estimator > Vehicle.Private.BatteryHealth.*, GET /v1/health

Rule 1: what was learned of the battery lies in the data folder: a new version goes on with it.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from edge_agent.samples.battery_health.estimator import (
    Belief,
    Health,
    Pack,
    Reading,
    State,
    health,
    observe,
)
from edge_agent.samples.running import run
from edge_agent.samples.vehicle import Update, Vehicle

_BATTERY = "Vehicle.Powertrain.TractionBattery"
VOLTAGE = f"{_BATTERY}.CurrentVoltage"
CURRENT = f"{_BATTERY}.CurrentCurrent"
TEMPERATURE = f"{_BATTERY}.Temperature.Average"
OURS = "Vehicle.Private.BatteryHealth"
SOCKET = "battery.health"
PUBLISH_S = 1.0  # of the vehicle's time
KEEP_S = 60.0


class Service:
    """One run."""

    def __init__(self, vehicle: Vehicle, data: Path | None, pack: Pack) -> None:
        self._vehicle, self._pack = vehicle, pack
        self._record = None if data is None else data / "learned.json"
        self._state = self._read()
        self._temperature_c = 25.0
        self._published_s = self._kept_s = float("-inf")
        self.health = health(self._state, pack)
        self.has_data = False

    def run(self) -> None:
        """Work until told to stop.  Raises Refused."""
        for update in self._vehicle.updates([VOLTAGE, CURRENT, TEMPERATURE]):
            self._take(update)
        self._keep()

    def answer(self) -> tuple[int, Any]:
        """Say how the battery is."""
        return 200, dataclasses.asdict(self.health)

    def _take(self, update: Update) -> None:
        self._temperature_c = update.values.get(TEMPERATURE, self._temperature_c)
        if VOLTAGE not in update.values or CURRENT not in update.values:
            return
        self.has_data = True
        reading = Reading(
            update.time_s, update.values[VOLTAGE], update.values[CURRENT], self._temperature_c
        )
        self._state = observe(self._state, reading, self._pack)
        if abs(update.time_s - self._published_s) >= PUBLISH_S:  # also when a clock is set back
            self.health = health(self._state, self._pack)
            if self._vehicle.publish(signals_of(self.health), update.time_s):
                self._published_s = update.time_s
        if abs(update.time_s - self._kept_s) >= KEEP_S:
            self._keep()
            self._kept_s = update.time_s

    def _read(self) -> State:
        try:
            record = json.loads(self._record.read_text()) if self._record else {}
            return State(
                resistance=_belief(record.get("resistance")),
                capacity=_belief(record.get("capacity")),
                steps=int(record.get("steps", 0)),
                travels=int(record.get("travels", 0)),
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return State()  # nothing is learned yet, or it cannot be read: it is learned anew

    def _keep(self) -> None:
        if self._record is None:
            return
        state = self._state
        record = {
            "resistance": dataclasses.asdict(state.resistance) if state.resistance else None,
            "capacity": dataclasses.asdict(state.capacity) if state.capacity else None,
            "steps": state.steps,
            "travels": state.travels,
        }
        beside = self._record.with_suffix(".new")
        try:
            with beside.open("w") as file:
                json.dump(record, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._record)
        except OSError as error:
            print(f"what was learned cannot be kept: {error}", file=sys.stderr, flush=True)


def signals_of(now: Health) -> dict[str, bool | float | str]:
    """Return what is published: what is not known is not said."""
    said: dict[str, bool | float | str] = {
        f"{OURS}.IsLearning": now.state_of_health_percent is None
    }
    if now.resistance_ohm is not None and now.resistance_growth_percent is not None:
        said[f"{OURS}.InternalResistance"] = 1000.0 * now.resistance_ohm
        said[f"{OURS}.ResistanceGrowth"] = now.resistance_growth_percent
    if now.state_of_health_percent is not None and now.spread_percent is not None:
        said[f"{OURS}.StateOfHealth"] = now.state_of_health_percent
        said[f"{OURS}.Spread"] = now.spread_percent
    return said


def _belief(record: Any) -> Belief | None:
    return None if record is None else Belief(float(record["value"]), float(record["variance"]))


def main() -> int:
    """Return 0 when told to stop, 3 when the manifest does not allow what this needs."""
    environment = os.environ
    vehicle = Vehicle(environment)
    pack = Pack(
        cells=int(environment.get("BATTERY_CELLS", "96")),
        capacity_ah=float(environment.get("BATTERY_CAPACITY_AH", "180")),
        resistance_ohm=float(environment.get("BATTERY_RESISTANCE_OHM", "0.085")),
    )
    data = environment.get("BATTERY_DATA")
    service = Service(vehicle, Path(data) if data else None, pack)
    return run("battery-health", vehicle, service, SOCKET, {"/v1/health": service.answer})


if __name__ == "__main__":
    raise SystemExit(main())
