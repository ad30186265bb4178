"""The service tyre-watch: reads the tyres, publishes which one loses air, answers others at `tyre.state`.

    vehicle > watcher > Vehicle.Private.TyreWatch.*, GET /v1/tyres
    battery-health (battery.health) > how long the vehicle is parked: after hours, tyres are as cold as the air

Rule 1: it works without battery-health: nobody can say then whether tyres are cold.
"""

import dataclasses
import os
from typing import Any

from edge_agent.samples.front import ask
from edge_agent.samples.running import run
from edge_agent.samples.tyre_pressure.watcher import Alarm, Reading, State, judge, observe
from edge_agent.samples.vehicle import Update, Vehicle

WHEELS = ("Row1.Left", "Row1.Right", "Row2.Left", "Row2.Right")
_TYRE = "Vehicle.Chassis.Axle.{row}.Wheel.{side}.Tire.{what}"
OURS = "Vehicle.Private.TyreWatch"
SOCKET = "tyre.state"
PUBLISH_S = 1.0  # of the vehicle's time
ASK_S = 60.0  # of the vehicle's time
COLD_S = 3 * 3600.0  # "cold" in a maker's manual


def path_of(wheel: str, what: str) -> str:
    """Return the VSS path of a wheel's `Pressure` or `Temperature`."""
    row, side = wheel.split(".")
    return _TYRE.format(row=row, side=side, what=what)


class Service:
    """One run."""

    def __init__(self, vehicle: Vehicle, placard_kpa: float) -> None:
        self._vehicle, self._placard_kpa = vehicle, placard_kpa
        self._state, self.alarm = State(), Alarm()
        self._temperature_c: dict[str, float] = {}
        self._published_s = self._asked_s = float("-inf")
        self._wheel = ""
        self.parked_s: float | None = None  # None: nobody says
        self.has_data = False

    def run(self) -> None:
        """Work until told to stop.  Raises Refused."""
        paths = [path_of(wheel, what) for wheel in WHEELS for what in ("Pressure", "Temperature")]
        for update in self._vehicle.updates(paths):
            self._take(update)

    def answer(self) -> tuple[int, Any]:
        """Say how the tyres are."""
        is_cold = None if self.parked_s is None else self.parked_s >= COLD_S
        return 200, dataclasses.asdict(self.alarm) | {"is_cold": is_cold}

    def _take(self, update: Update) -> None:
        for wheel in WHEELS:
            warmth = update.values.get(path_of(wheel, "Temperature"))
            if warmth is not None:
                self._temperature_c[wheel] = warmth
            pressure = update.values.get(path_of(wheel, "Pressure"))
            if pressure is not None and wheel in self._temperature_c:
                self.has_data = True
                reading = Reading(wheel, update.time_s, pressure, self._temperature_c[wheel])
                self._state = observe(self._state, reading)
        if abs(update.time_s - self._asked_s) >= ASK_S:  # also when a clock is set back
            self._ask()
            self._asked_s = update.time_s
        if self.has_data and abs(update.time_s - self._published_s) >= PUBLISH_S:
            self.alarm = judge(self._state, self._placard_kpa)
            if self._vehicle.publish(signals_of(self.alarm), update.time_s):
                self._published_s = update.time_s
            if self.alarm.wheel != self._wheel:
                self._wheel = self.alarm.wheel
                print(f"alarm: {self.alarm}", flush=True)

    def _ask(self) -> None:
        told = ask(self._vehicle.sockets, "battery.health", "/v1/health")
        was, self.parked_s = self.parked_s, None
        if isinstance(told, dict) and isinstance(told.get("parked_s"), int | float):
            self.parked_s = float(told["parked_s"])
        if (was is None) != (self.parked_s is None) or self._asked_s < 0.0:
            says = "says nothing" if self.parked_s is None else f"parked for {self.parked_s:.0f} s"
            print(f"battery.health: {says}", flush=True)


def signals_of(alarm: Alarm) -> dict[str, bool | float | str]:
    """Return what is published."""
    return {
        f"{OURS}.IsLeaking": alarm.is_leaking,
        f"{OURS}.IsLow": alarm.is_low,
        f"{OURS}.Wheel": alarm.wheel,
        f"{OURS}.LeakRate": alarm.leak_kpa_per_h,
        f"{OURS}.HoursToLow": alarm.hours_to_low,
    }


def main() -> int:
    """Return 0 when told to stop, 3 when the manifest does not allow what this needs."""
    environment = os.environ
    vehicle = Vehicle(environment)
    service = Service(vehicle, float(environment.get("TYRE_PLACARD_KPA", "240")))
    return run("tyre-watch", vehicle, service, SOCKET, {"/v1/tyres": service.answer})


if __name__ == "__main__":
    raise SystemExit(main())
