"""Interlocks believe what buses say now, and take everything else for a no."""

import numpy as np
import pytest

from edge_agent.broker.interlocks import Interlocks
from edge_agent.broker.vehicle import one
from fairway.errors import BadInput
from fairway.expression.conditions import condition
from tests.edge_agent.vehicle_api import BUS, IS_OPEN, SPEED, take, vehicle

SECOND = 1_000_000_000
STANDS = "Vehicle.Speed == 0"


def by_an_app(data):
    publisher = data.providers.publisher("app")
    arrived = one(SPEED, 0.0, is_number=True, time_ns=1, source_ns=0)
    data.publish(arrived, provider=publisher, now_ns=SECOND)


def late(data):
    data.store.expect(np.array([SPEED], np.int32), SECOND // 10)
    take(data, [(SPEED, 1, 0.0)], now_ns=SECOND)


def gone(data):
    take(data, [(SPEED, 1, 0.0)], now_ns=9 * SECOND)
    data.store.is_gone(BUS)


@pytest.mark.parametrize(
    ("before", "against"),
    [
        (lambda data: take(data, [(SPEED, 1, 0.0)], now_ns=9 * SECOND), ""),
        (
            lambda data: take(data, [(SPEED, 1, 12.5)], now_ns=9 * SECOND),
            "Vehicle.Speed == 0 does not hold: Vehicle.Speed is 12.5",
        ),
        (lambda _: None, "Vehicle.Speed == 0 cannot be told: Vehicle.Speed is not available"),
        (late, "Vehicle.Speed == 0 cannot be told: Vehicle.Speed is stale"),
        (gone, "Vehicle.Speed == 0 cannot be told: Vehicle.Speed is stale"),
        (by_an_app, "Vehicle.Speed == 0 cannot be told: Vehicle.Speed is not said by a bus"),
    ],
)
def test_only_a_valid_value_of_a_bus_lets_an_interlock_hold(before, against):
    data = vehicle()
    before(data)

    assert Interlocks(data).against(condition(STANDS), now_ns=10 * SECOND) == against
    assert Interlocks(data).against(None, now_ns=10 * SECOND) == ""


def test_a_refused_value_makes_an_interlock_unknown():
    data = vehicle()
    take(data, [(SPEED, 1, 0.0), (IS_OPEN, 1, 0)], now_ns=9 * SECOND)
    data.store.invalidate(np.array([SPEED], np.int32))
    both = condition("Vehicle.Speed == 0 or not Vehicle.Cabin.Door.Row2.Left.IsOpen")

    assert "Vehicle.Speed is invalid" in Interlocks(data).against(both, now_ns=10 * SECOND)


@pytest.mark.parametrize("text", ["Vehicle.Gone == 0", "Vehicle.Cabin.Lights.Mode == 1"])
def test_a_condition_on_what_is_no_number_here_is_refused_at_the_start(text):
    with pytest.raises(BadInput):
        Interlocks(vehicle()).check(condition(text))
