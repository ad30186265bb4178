"""Orders become frames, and frames become what the vehicle says; everything in between that can go wrong."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from edge_agent.broker.vehicle import one
from edge_agent.config import Actuation
from fairway.errors import BadInput, Conflict, Denied, Unavailable
from tests.edge_agent.adapters.acting_rig import CLIMATE, DOOR, DOORS, FAN, WINDOW, acting, outcome

CONFIRMED = [("accepted", ""), ("sent", ""), ("confirmed", "")]
STANDS = Actuation(DOOR, interlock="Vehicle.Speed == 0", deadline_ms=300)


async def test_an_order_is_confirmed_by_what_a_bus_says_after_its_frame():
    async with acting() as rig:
        rig.says(DriverSide_IsOpen=1)  # so it was before
        order = rig.ask(DOOR=True)
        await rig.sent(1)
        await asyncio.sleep(0.02)
        assert not order.done()
        rig.says(DriverSide_IsOpen=0)
        rig.says(DriverSide_IsOpen=1)
        assert outcome(await order) == CONFIRMED
        assert (rig.data.counts.orders["confirmed"], rig.data.counts.frames_sent) == (1, 1)


async def test_what_an_app_publishes_confirms_nothing_and_opens_no_interlock():
    async with acting(STANDS) as rig:
        rig.says(Vehicle_Speed=0)
        order = rig.ask(DOOR=True)
        await rig.sent(1)
        _publish(rig, DOOR, value=True)
        assert outcome(await order)[-1] == ("failed", "deadline")
        _publish(rig, "Vehicle.Speed", 0.0)
        (refused,) = await rig.ask(DOOR=True)
        assert (
            refused.sentence
            == "Vehicle.Speed == 0 cannot be told: Vehicle.Speed is not said by a bus"
        )


async def test_an_interlock_is_asked_again_before_the_frame_is_sent():
    slow = replace(DOORS, min_period_ms=100)
    async with acting(STANDS, outbound=(slow,)) as rig:
        rig.says(Vehicle_Speed=0)
        first = rig.ask(LOCK=True)
        await rig.sent(1)
        order = rig.ask(DOOR=True)  # waits for the pace of its frame
        rig.says(Vehicle_Speed=5)
        assert outcome(await order) == [("accepted", ""), ("failed", "interlock")]
        assert len(rig.bus.sent) == 1
        rig.says(DriverSide_IsLocked=1)
        assert outcome(await first) == CONFIRMED


async def test_a_batch_is_given_as_a_whole_or_not_at_all():
    async with acting(STANDS) as rig:
        rig.says(Vehicle_Speed=3)
        orders = await rig.ask(WINDOW=50, DOOR=True)
        assert outcome(orders) == [("refused", ""), ("refused", "interlock")]
        assert rig.data.counts.orders["interlock"] == rig.data.counts.orders["batch"] == 1
        await asyncio.sleep(0.02)
        assert rig.bus.sent == []


async def test_two_targets_of_one_frame_go_in_one_and_the_rest_is_said_again():
    async with acting() as rig:
        rig.says(HVAC_IsRecirculationActive=1)
        orders = rig.ask(TEMPERATURE=18.5, FAN=70)
        await rig.sent(1)
        (frame,) = rig.bus.sent
        assert (frame.can_id, frame.data[2:5]) == (0x3A2, bytes([37, 70, 1]))
        rig.says(Driver_Temperature=18.5, Driver_FanSpeed=70)
        assert sorted(outcome(await orders)) == sorted(CONFIRMED * 2)
        rig.ask(FAN=20)
        await rig.sent(2)
        assert rig.bus.sent[1].data[2:5] == bytes([37, 20, 1])


async def test_frames_keep_their_pace_and_are_repeated_until_the_vehicle_says_so():
    paced = replace(DOORS, min_period_ms=30)
    once_more = Actuation(WINDOW, repeat_ms=10, deadline_ms=2000)
    async with acting(once_more, outbound=(paced,)) as rig:
        order = rig.ask(WINDOW=10)
        await rig.sent(4)
        rig.says(Window_Position=10)
        assert outcome(await order) == CONFIRMED
        gaps = [b.time_ns - a.time_ns for a, b in pairwise(rig.bus.sent)]
        assert min(gaps) >= 29_000_000


async def test_a_bus_that_is_gone_fails_the_order_and_the_next_one_goes():
    async with acting() as rig:
        rig.bus.is_there = False
        assert outcome(await rig.ask(DOOR=True)) == [("accepted", ""), ("failed", "bus")]
        rig.bus.is_there = True
        order = rig.ask(DOOR=True)
        await rig.sent(1)
        rig.says(DriverSide_IsOpen=1)
        assert outcome(await order) == CONFIRMED


async def test_an_agent_that_stops_ends_what_is_under_way():
    async with acting() as rig:
        order = rig.ask(DOOR=True)
        await rig.sent(1)
    assert outcome(await order)[-1] == ("failed", "stopped")


async def test_the_same_app_replaces_its_order():
    async with acting() as rig:
        first = rig.ask(WINDOW=10)
        await rig.sent(1)
        second = rig.ask(WINDOW=20)
        assert outcome(await first)[-1] == ("failed", "replaced")
        await rig.sent(2)
        rig.says(Window_Position=20)
        assert outcome(await second) == CONFIRMED


async def test_a_condition_of_the_frame_forbids_and_an_impossible_value_is_bad_input():
    slow = replace(DOORS, condition="Vehicle.Speed < 20")
    async with acting(outbound=(slow,)) as rig:
        rig.says(Vehicle_Speed=30)
        (refused,) = await rig.ask(DOOR=True)
        assert outcome([refused]) == [("refused", "forbidden")]
    async with acting() as rig:
        with pytest.raises(BadInput, match="outside of 16 to 28 degC"):
            rig.ask(TEMPERATURE=70.0)
        assert rig.bus.sent == []


async def test_kuksas_actuate_takes_the_same_way_and_is_refused_with_a_reason():
    async with acting(STANDS, outbound=(DOORS,)) as rig:
        door = [rig.target(DOOR, value=True)]
        with pytest.raises(Conflict, match=r"Vehicle\.Speed is not available"):
            rig.data.actuate(door, now_ns=1)
        rig.says(Vehicle_Speed=0)
        assert rig.data.actuate(door, now_ns=2) is None
        await rig.sent(1)
        with pytest.raises(Unavailable, match="nobody provides"):
            rig.data.actuate([rig.target(FAN, 20)], now_ns=3)
    limited = replace(DOORS, condition="Vehicle.Speed < 20")
    async with acting(outbound=(limited, CLIMATE)) as rig:
        rig.says(Vehicle_Speed=30)
        with pytest.raises(Denied, match="does not hold: Vehicle.Speed is 30"):
            rig.data.actuate([rig.target(DOOR, value=True)], now_ns=4)


def _publish(rig: Any, path: str, value: Any) -> None:
    number = rig.data.signals.find(path)
    publisher = rig.data.providers.publisher("an app")
    arrived = one(number, value, is_number=True, time_ns=1, source_ns=0)
    rig.data.publish(arrived, provider=publisher, now_ns=10**18)
