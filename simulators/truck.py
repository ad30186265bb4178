"""The truck of dbc/fairway_truck.dbc: cycle and route in, one view a step out.

Rule 1: the same seed, number and cycle give the same views, bit for bit.
Rule 2: the cycle begins when the driver is ready, READY_FROM_S after the start.
"""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np

from simulators import diesel
from simulators.body import Habits
from simulators.diesel import DieselInputs, Rig
from simulators.drive_cycle import DriveCycle
from simulators.route import Route
from simulators.truck_signals import TABLE, TYRES
from simulators.view import Pages, View

__all__ = ["PAGES", "TABLE", "Truck"]

PAGES: Pages = {"TIRE": TYRES}

READY_FROM_S = 2.0
# Habits change slowly: ask every fifth step.
_HABITS_EVERY = 5

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Truck:
    """One truck; `advance` lets time pass."""

    def __init__(
        self, cycle: DriveCycle, route: Route, *, seed: int, number: int, start_time_ns: int
    ) -> None:
        draw = np.random.Generator(np.random.PCG64([seed, number, 0x7A0C]))
        self._cycle = cycle
        self._route = route
        self.start_time_ns = start_time_ns
        self._rig = Rig()
        self._habits = Habits(seed, number)
        self._habit = self._habits.at(0.0)
        self._ambient_c = float(draw.uniform(2.0, 26.0))
        self._start_m = float(draw.uniform(0.0, route.length_m))
        self._history = {
            "odometer_before_km": float(draw.uniform(20_000.0, 800_000.0)),
            "fuel_share": float(draw.uniform(0.4, 0.95)),
        }
        self._steps = 0
        self.state = diesel.parked(np.array([self._ambient_c]), np.array([self._start_m]))

    def advance(self, dt_s: float) -> View:
        """Let `dt_s` pass and return what the control units then see."""
        time_s = self._steps * dt_s
        self._steps += 1
        end_s = self._steps * dt_s
        if self._steps % _HABITS_EVERY == 1:
            self._habit = self._habits.at(time_s)
        here = self._route.at(self.state.distance_m)
        inputs = DieselInputs(
            target_m_s=self._cycle.speed_at(np.array([max(end_s - READY_FROM_S, 0.0)])),
            grade=here.grade,
            ambient_c=np.array([self._ambient_c]),
        )
        self.state = diesel.step(self._rig, self.state, inputs, dt_s)
        return self._look(end_s)

    def _look(self, time_s: float) -> View:
        view = View(**self._habit, **self._history, rig=self._rig, time_s=time_s, page=0)
        for field in fields(self.state):
            setattr(view, field.name, getattr(self.state, field.name)[0].item())
        place = self._route.at(self.state.distance_m)
        for field in fields(place):
            setattr(view, field.name, getattr(place, field.name)[0].item())
        view.ambient_c = self._ambient_c
        view.utc = _EPOCH + timedelta(
            microseconds=(self.start_time_ns // 1000) + round(time_s * 1e6)
        )
        view.speed_km_h = 3.6 * view.speed_m_s
        view.trip_km = (view.distance_m - self._start_m) / 1000.0
        view.odometer_km = view.odometer_before_km + view.trip_km
        view.ratio = diesel.ratio(self.state.gear)[0].item()
        shaft_per_m = self._rig.final_drive / self._rig.wheel_radius_m
        view.shaft_rpm = view.speed_m_s * shaft_per_m * 60.0 / (2.0 * np.pi)
        view.fault_number = int(view.fault)
        return view
