"""The electric car obeys: energy adds up, cycles are followed, consumption is that of a real car."""

from dataclasses import fields, replace

import numpy as np
import pytest

from simulators import physics
from simulators.drive_cycle import CYCLES, load_cycle

CAR = physics.Car()
STEP_S = 0.2


def inputs(count: int, target_m_s: float, target_m_s2: float, **other: float) -> physics.Inputs:
    values = {
        "grade": 0.0,
        "ambient_c": 20.0,
        "sun_w": 200.0,
        "cabin_wish_c": 21.0,
        "climate_on": 1.0,
        "low_voltage_w": 350.0,
        "ready": 1.0,
    } | other
    return physics.Inputs(
        target_m_s=np.full(count, target_m_s),
        target_m_s2=np.full(count, target_m_s2),
        **{name: np.full(count, value) for name, value in values.items()},
    )


def parked(count: int = 1, soc: float = 0.8) -> physics.State:
    return physics.parked(np.full(count, soc), np.full(count, 20.0), np.zeros(count))


class Drives:
    """Every cycle by a vehicle of its own, all in one run; vehicle 0 drives the WLTC."""

    def __init__(self) -> None:
        self.cycles = [load_cycle(name) for name in CYCLES]
        self.speed_km_h, self.due_km_h, self.soc = [], [], []
        self.chemical_j = np.zeros(len(CYCLES))
        state, due = parked(len(CYCLES)), self.due_m_s(0.0)
        for step in range(round(self.cycles[0].duration_s / STEP_S)):
            before, due = due, self.due_m_s((step + 1) * STEP_S)
            now = replace(
                inputs(len(CYCLES), 0.0, 0.0), target_m_s=due, target_m_s2=(due - before) / STEP_S
            )
            state = physics.step(CAR, state, now, STEP_S)
            self.speed_km_h.append(state.motion.speed_m_s * 3.6)
            self.due_km_h.append(due * 3.6)
            self.soc.append(state.battery.soc)
            self.chemical_j += state.battery.open_v * state.battery.current_a * STEP_S
        self.end = state

    def due_m_s(self, time_s: float):
        """After its end a cycle rests."""
        return np.array(
            [cycle.speed_at(time_s) * (time_s < cycle.duration_s) for cycle in self.cycles]
        )


@pytest.fixture(scope="module")
def drives():
    return Drives()


def test_every_joule_from_the_battery_is_found_again(drives: Drives):
    energy, motion = drives.end.energy, drives.end.motion
    moving = 0.5 * CAR.mass_kg * CAR.mass_factor * motion.speed_m_s**2
    given = energy.battery_out - energy.battery_in
    lost = energy.drive_loss + energy.gear_loss + energy.drag + energy.rolling + energy.climb
    loads = energy.low_voltage + energy.climate

    assert given == pytest.approx(moving + lost + energy.friction + loads, rel=1e-9)
    assert given == pytest.approx(energy.traction - energy.regenerated + loads, rel=1e-9)


def test_the_battery_loses_what_the_charge_counter_says(drives: Drives):
    energy = drives.end.energy

    assert drives.chemical_j == pytest.approx(
        energy.battery_out - energy.battery_in + energy.battery_loss, rel=1e-9
    )


def test_the_wltc_costs_what_it_costs_a_real_car(drives: Drives):
    energy, motion = drives.end.energy, drives.end.motion
    wh_km = (energy.battery_out - energy.battery_in)[0] / 3.6 / motion.distance_m[0]

    assert 130.0 < wh_km < 220.0


@pytest.mark.parametrize(("number", "name"), list(enumerate(CYCLES)))
def test_the_driver_keeps_the_tolerance_of_the_regulation(drives: Drives, number: int, name: str):
    off = np.abs(np.array(drives.speed_km_h) - np.array(drives.due_km_h))[:, number]
    cycle = drives.cycles[number]

    assert np.mean(off > 2.0) < 0.03, name  # most of it at this coarse step, in the US06
    assert drives.end.motion.distance_m[number] == pytest.approx(cycle.distance_m, rel=0.002)


def test_no_loss_is_ever_negative(drives: Drives):
    energy = drives.end.energy

    for field in fields(energy):
        if field.name != "climb":
            assert np.all(getattr(energy, field.name) >= 0.0), field.name


def test_without_braking_the_charge_only_falls():
    states = [parked()]
    for _ in range(1500):
        states.append(physics.step(CAR, states[-1], inputs(1, 25.0, 0.0), STEP_S))

    assert np.all(np.diff([state.battery.soc[0] for state in states]) <= 0.0)
    assert states[-1].motion.speed_m_s[0] == pytest.approx(25.0, abs=0.3)


def test_braking_gives_energy_back_and_spares_the_discs():
    state = parked()
    for _ in range(400):
        state = physics.step(CAR, state, inputs(1, 25.0, 0.0), STEP_S)
    before = state
    for second in range(90):
        target = max(25.0 - 1.5 * (second + 1) * STEP_S, 0.0)
        state = physics.step(CAR, state, inputs(1, target, -1.5), STEP_S)

    assert state.battery.soc[0] > before.battery.soc[0]
    assert state.energy.regenerated[0] - before.energy.regenerated[0] > 3.0e5


def test_a_full_battery_takes_nothing_back():
    state = parked(soc=1.0)
    least = []
    for second in range(300):
        target = min(second * 0.4, 20.0) if second < 200 else max(20.0 - (second - 200) * 0.3, 0.0)
        state = physics.step(CAR, state, inputs(1, target, 0.0), STEP_S)
        least.append(state.motion.torque_nm[0])

    assert min(least) > -25.0
    assert state.energy.friction[0] > 1.0e5


def test_a_car_that_stands_on_a_slope_stays_there():
    state = parked()
    for _ in range(100):
        state = physics.step(CAR, state, inputs(1, 0.0, 0.0, grade=0.12), STEP_S)

    assert state.motion.distance_m[0] == 0.0


def test_a_hot_day_costs_cooling_and_a_cold_one_heating():
    day = replace(
        inputs(2, 20.0, 0.0), ambient_c=np.array([38.0, -10.0]), sun_w=np.array([600.0, 0.0])
    )
    state = parked(2)
    for _ in range(2000):
        state = physics.step(CAR, state, day, STEP_S)

    assert state.heat.compressor_w[0] > 300.0
    assert state.heat.heater_w[0] == 0.0
    assert state.heat.heater_w[1] > 300.0
    assert state.heat.compressor_w[1] == 0.0


def test_a_thousand_vehicles_drive_exactly_as_one_does():
    one, many = parked(), parked(1000)
    for step in range(300):
        target = 20.0 * (1.0 - np.cos(step * STEP_S / 10.0))
        one = physics.step(CAR, one, inputs(1, target, 0.0), STEP_S)
        many = physics.step(CAR, many, inputs(1000, target, 0.0), STEP_S)

    for part in ("motion", "battery", "heat", "energy"):
        for field in fields(getattr(one, part)):
            single = getattr(getattr(one, part), field.name)
            assert np.array_equal(
                getattr(getattr(many, part), field.name), np.repeat(single, 1000, axis=0)
            ), field.name
