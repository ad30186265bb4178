"""What a service can do at its door, and what it cannot."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_agent.adapters.service_tokens import TOKEN_LIFE_S
from edge_agent.services.audit import checked
from fairway.clock import NS_PER_S, ManualClock
from fairway.foreign.kuksa.val.v1 import types_pb2 as v1_types
from fairway.foreign.kuksa.val.v1 import val_pb2 as v1
from fairway.foreign.kuksa.val.v2 import val_pb2
from fairway.foreign.sdv.databroker.v1 import broker_pb2 as sdv
from fairway.services.model import Runner, Signals
from fairway.v1 import onboard_pb2
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, TRIP_LOG, caller
from tests.edge_agent.vehicle_api import SPEED, take, told
from tests.onboard_apps import channel as sync_channel
from tests.onboard_apps import health, refusal, services

SPEED_PATH = "Vehicle.Speed"
VIN_PATH = "Vehicle.VehicleIdentification.VIN"
TRAVELED = "Vehicle.TraveledDistanceTotal"


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


async def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return refusal(caught.value)


async def test_it_reads_and_publishes_what_its_manifest_says(rig):
    take(rig.data, [(SPEED, 1, 42.0)])
    instance = await rig.opened(BATTERY)

    async with caller(instance) as battery:
        await battery.publish(TRAVELED, uint64=7)

        assert await battery.get(SPEED_PATH) == 42.0
        assert await battery.get(TRAVELED) == 7


async def test_a_signal_that_its_manifest_does_not_list_is_denied_and_the_denial_is_seen(rig):
    instance = await rig.opened(BATTERY)

    async with caller(instance) as battery:
        code, sentence = await refused(battery.get(VIN_PATH))
        await refused(battery.get(VIN_PATH))
        await refused(battery.publish(SPEED_PATH, float=1.0))
    await rig.doors.look()

    assert code == "PERMISSION_DENIED"
    assert sentence == f"the manifest of battery does not say that it may read {VIN_PATH}"
    seen = {(one.action, one.what): one.count for one in rig.doors.denials("battery")}
    assert seen == {("read", VIN_PATH): 2, ("provide", SPEED_PATH): 1}
    lines = [content for content, _ in checked(rig.audit.lines)]
    assert {(line["action"], line["object"], line["outcome"]) for line in lines} == {
        ("signal.read", VIN_PATH, "denied"),
        ("signal.provide", SPEED_PATH, "denied"),
    }
    assert {line["actor"] for line in lines} == {"service:battery"}


async def test_a_denial_is_seen_by_whichever_api_it_asked(rig):
    nosy = replace(NOSY, signals=Signals(read=(SPEED_PATH,)))
    instance = await rig.opened(nosy)

    async with caller(instance, None) as app:
        v1_answer = await app.v1.Get(
            v1.GetRequest(entries=[v1.EntryRequest(path=VIN_PATH, view=v1_types.VIEW_ALL)])
        )
        await app.sdv.GetDatapoints(sdv.GetDatapointsRequest(datapoints=[VIN_PATH]))
        await app.states.GetStates(onboard_pb2.GetStatesRequest(paths=[VIN_PATH]))
        await refused(anext(aiter(app.subscribe(VIN_PATH))))
        with pytest.raises(grpc.RpcError):
            async for _ in app.sdv.Subscribe(sdv.SubscribeRequest(query=f"SELECT {VIN_PATH}")):
                pass

    assert v1_answer.error.code == 403
    (denial,) = rig.doors.denials("nosy")
    assert (denial.action, denial.what, denial.count) == ("read", VIN_PATH, 5)


async def test_what_it_merely_looks_through_is_no_denial(rig):
    instance = await rig.opened(BATTERY)

    async with caller(instance) as battery:
        request = val_pb2.ListMetadataRequest(root="Vehicle")
        listed = await battery.v2.ListMetadata(request, **battery.with_token)

    assert len(listed.metadata) == 3  # a right to write or provide is one to read
    assert rig.doors.denials("battery") == ()


async def test_an_open_call_goes_on_when_its_token_expires_and_ends_with_the_door():
    clock = ManualClock()
    async with rigs.served(clock=clock) as rig:
        instance = await rig.opened(BATTERY)
        async with caller(instance) as app:
            stream = aiter(app.subscribe(SPEED_PATH))
            await anext(stream)
            clock.advance(2 * TOKEN_LIFE_S * NS_PER_S)
            await rig.doors.look()
            take(rig.data, [(SPEED, 1, 9.0)])
            assert told(await anext(stream)) == {SPEED_PATH: 9.0}

            closing = asyncio.create_task(rig.doors.close(instance.id))
            code, _ = await refused(anext(stream))
            await closing

        assert code == "UNAVAILABLE"
        assert not instance.sockets.exists()


async def test_it_is_served_health_and_reflection_too(rig):
    instance = await rig.opened(NOSY)

    def ask():
        with sync_channel(f"unix:{instance.sockets}/agent.sock") as opened:
            return health(opened), services(opened)

    status, names = await asyncio.to_thread(ask)

    assert status == "SERVING"
    assert {"kuksa.val.v2.VAL", "fairway.v1.ServiceRegistryService"} <= set(names)


async def test_the_environment_leads_it_to_its_door(rig):
    contained = dict(await rig.doors.open(rig.instance(BATTERY)))
    program = rig.instance(replace(TRIP_LOG, runner=Runner.PROCESS))
    plain = dict(await rig.doors.open(program))

    assert contained["FAIRWAY_SOCKETS"] == "/run/ecu"
    assert contained["FAIRWAY_TOKEN_FILE"] == "/run/ecu/token"
    assert contained["SDV_VEHICLEDATABROKER_ADDRESS"] == "unix:/run/ecu/agent.sock"
    assert Path(plain["FAIRWAY_TOKEN_FILE"]) == program.sockets / "token"
    assert plain["KUKSA_ADDRESS"] == f"unix:{program.sockets}/agent.sock"


async def test_a_manifest_of_hundreds_of_signals_has_a_door_like_any_other(rig):
    many = replace(
        BATTERY, signals=Signals(read=(SPEED_PATH, *(f"Vehicle.A{n}.B" for n in range(2000))))
    )
    instance = await rig.opened(many)

    async with caller(instance) as app:
        await app.get(SPEED_PATH)


async def test_an_audit_that_cannot_be_written_is_told_later(rig):
    instance = await rig.opened(BATTERY)
    async with caller(instance) as app:
        await refused(app.get(VIN_PATH))
    rig.audit.is_full = True
    await rig.doors.look()
    rig.audit.is_full = False
    await rig.doors.look()

    assert len(rig.audit.lines) == 1
