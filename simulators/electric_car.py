"""The electric car of dbc/fairway_ev*.dbc: cycle and route in, one view a step out.

    cycle -> speed due -> physics.step -> State -> look -> View -> network
    route -> slope, place            habits -> weather, people

Rule 1: the same seed, number and cycle give the same views, bit for bit.
Rule 2: the cycle begins when the driver is ready, READY_FROM_S after the start.
"""

import numpy as np

from simulators import physics
from simulators.body import Habits
from simulators.drive_cycle import DriveCycle
from simulators.ev_body import BODY, REPORTS
from simulators.ev_chassis import CHASSIS
from simulators.ev_fd import FD, TRACKS
from simulators.ev_power import POWER
from simulators.ev_view import Memory, look, make_personality
from simulators.route import Route
from simulators.view import Pages, Table, View

TABLE: Table = {**POWER, **CHASSIS, **BODY, **FD}
PAGES: Pages = {
    "BMS_CellVoltages": range(24),
    "TPM_Tyre": range(4),
    "DIA_EcuReport": range(len(REPORTS)),
    "VCU_Identification": range(3),
    "ADAS_RadarTrack": range(TRACKS),
}

READY_FROM_S = 2.0
# Habits change slowly and cost more than the physics: ask every fifth step.
_HABITS_EVERY = 5
# What a displayed mean reaches back over.
_INSTANT_S = 4.0


class ElectricCar:
    """One car; `advance` lets time pass."""

    def __init__(
        self,
        cycle: DriveCycle,
        route: Route,
        *,
        seed: int,
        number: int,
        vin: str,
        start_time_ns: int,
    ) -> None:
        self._cycle = cycle
        self._route = route
        self.start_time_ns = start_time_ns
        self._car = physics.Car()
        self._who = make_personality(seed, number, vin)
        self._habits = Habits(seed, number)
        self._habit = self._habits.at(0.0)
        self._memory = Memory()
        self._steps = 0
        self.state = physics.parked(
            np.array([self._who.soc]),
            np.array([self._who.ambient_c]),
            np.array([self._who.start_m]),
        )

    def advance(self, dt_s: float) -> View:
        """Let `dt_s` pass and return what the control units then see."""
        time_s = self._steps * dt_s
        self._steps += 1
        end_s = self._steps * dt_s
        if self._steps % _HABITS_EVERY == 1:
            self._habit = self._habits.at(time_s)
        here = self._route.at(self.state.motion.distance_m)
        due, due_before = (
            self._cycle.speed_at(np.array([max(at - READY_FROM_S, 0.0)])) for at in (end_s, time_s)
        )
        low_voltage_w = self._low_voltage_w()
        one = np.ones(1)
        inputs = physics.Inputs(
            target_m_s=due,
            target_m_s2=(due - due_before) / dt_s,
            grade=here.grade,
            ambient_c=one * self._who.ambient_c,
            sun_w=one * (30.0 if self._habit["dark"] > 0.5 else 260.0),
            cabin_wish_c=one * (21.0 + self._habit["wish_offset_c"]),
            climate_on=one,
            low_voltage_w=one * low_voltage_w,
            ready=one * (time_s >= READY_FROM_S),
        )
        self.state = physics.step(self._car, self.state, inputs, dt_s)
        view = look(
            self._car,
            self.state,
            0,
            who=self._who,
            memory=self._memory,
            place=self._route.at(self.state.motion.distance_m),
            habit=self._habit,
            time_s=end_s,
            start_time_ns=self.start_time_ns,
            ready_from_s=READY_FROM_S,
        )
        view.ambient_c = self._who.ambient_c
        view.low_voltage_w = low_voltage_w
        view.bus_load = (0.0, 0.0)
        self._remember(view, dt_s)
        return view

    def _low_voltage_w(self) -> float:
        habit = self._habit
        return (
            290.0
            + 95.0 * (habit["dark"] > 0.5 or habit["rain_percent"] > 20.0)
            + 70.0 * (habit["rain_percent"] > 5.0)
            + 30.0 * habit["seat_heat_driver"]
            + 30.0 * habit["seat_heat_passenger"]
            + 55.0 * habit["wheel_heat"]
        )

    def _remember(self, view: View, dt_s: float) -> None:
        memory = self._memory
        memory.steering_deg = view.steering_deg
        memory.lock_after_start = memory.lock_after_start or view.speed_km_h > 10.0
        if view.speed_m_s > 1.0:
            now = view.power_w / 3.6e6 / (view.speed_m_s / 1000.0) * 100.0
            memory.consumption_kwh_100km += (now - memory.consumption_kwh_100km) * dt_s / _INSTANT_S
