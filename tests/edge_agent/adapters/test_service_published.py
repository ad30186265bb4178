"""What a service says, and when it last did: for probes, and beside its own next version."""

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest

from fairway.foreign.kuksa.val.v1 import types_pb2 as v1_types
from fairway.foreign.kuksa.val.v1 import val_pb2 as v1
from fairway.services.model import Access, Signals
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, caller
from tests.edge_agent.vehicle_api import IS_OPEN, POSITION, claims, told, values

SPEED_PATH = "Vehicle.Speed"
TRAVELED = "Vehicle.TraveledDistanceTotal"


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


async def test_it_is_known_when_an_instance_last_published(rig):
    old, new = await rig.opened(BATTERY), await rig.opened(BATTERY, "b")

    async with caller(old) as app:
        await app.publish(TRAVELED, uint64=7)

    age_s = rig.doors.last_published(old.id, TRAVELED)
    assert age_s is not None
    assert 0 <= age_s < 60
    assert rig.doors.last_published(new.id, TRAVELED) is None  # the same service, another version
    assert rig.doors.last_published(old.id, SPEED_PATH) is None
    assert rig.doors.last_published("gone.x", TRAVELED) is None
    assert rig.doors.last_published(old.id, "Vehicle.Nowhere") is None
    await rig.doors.close(old.id)
    assert rig.doors.last_published(old.id, TRAVELED) is None


async def test_a_value_said_by_a_stream_or_by_v1_counts_as_published_and_none_does_not(rig):
    doors = Signals(
        provide=("Vehicle.Cabin.Door.Row2.Left.Position", "Vehicle.Cabin.Door.Row2.Left.IsOpen")
    )
    instance = await rig.opened(replace(NOSY, signals=doors))

    async with caller(instance, None) as app:
        stream = app.provider()
        await stream.write(claims(POSITION, IS_OPEN))
        await stream.read()
        await stream.write(values(1, **{f"s{POSITION}": {"uint32": 5}, f"s{IS_OPEN}": {}}))
        await stream.write(values(2, **{f"s{POSITION}": {"uint32": 999}}))  # out of range: answered
        await stream.read()
        open_s = rig.doors.last_published(instance.id, doors.provide[1])
        position_s = rig.doors.last_published(instance.id, doors.provide[0])
        stream.cancel()
        entry = v1_types.DataEntry(path=doors.provide[1], value=v1_types.Datapoint(bool=True))
        await app.v1.Set(
            v1.SetRequest(updates=[v1.EntryUpdate(entry=entry, fields=[v1_types.FIELD_VALUE])])
        )

    assert open_s is None
    assert position_s is not None
    assert rig.doors.last_published(instance.id, doors.provide[1]) is not None


async def test_two_versions_side_by_side_both_provide_by_streams_and_the_new_one_goes_on(rig):
    path = "Vehicle.Cabin.Door.Row2.Left.Position"
    position = Signals(read=(path,), provide=("Vehicle.Cabin.Door.*.*.*",))
    beside = replace(NOSY, signals=position)
    old, new = await rig.opened(beside), await rig.opened(beside, "b")
    stranger = await rig.opened(replace(BATTERY, signals=position, access=Access.SOCKET))
    async with (
        caller(old, None) as first,
        caller(new, None) as second,
        caller(stranger, None) as third,
    ):
        was, comes, refused_one = first.provider(), second.provider(), third.provider()
        for stream in (was, comes):
            await stream.write(claims(POSITION))
            assert (await stream.read()).HasField("provide_signal_response")
        await refused_one.write(claims(POSITION))
        conflict = await refused_one.code()
        await was.write(values(1, **{f"s{POSITION}": {"uint32": 1}}))
        await until_said(rig, old, path)
        await comes.write(values(1, **{f"s{POSITION}": {"uint32": 2}}))
        await until_said(rig, new, path)
        both = await second.get(path)
        was.cancel()
        await rig.doors.close(old.id)
        await comes.write(values(2, **{f"s{POSITION}": {"uint32": 3}}))
        stream = aiter(second.subscribe(path))
        async with asyncio.timeout(30):
            while told(await anext(stream))[path] != 3:
                pass

    assert conflict is grpc.StatusCode.ALREADY_EXISTS
    assert both == 2


async def until_said(rig: Any, instance: Any, path: str) -> None:
    async with asyncio.timeout(30):
        while rig.doors.last_published(instance.id, path) is None:
            await asyncio.sleep(0.01)
