"""`kuksa.val.v2` over real gRPC: actuation, and those who provide values and obey."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2
from tests.edge_agent.vehicle_api import (
    GEAR,
    IS_OPEN,
    MODE,
    PATHS,
    POSITION,
    SPEED,
    Api,
    acts_on,
    claims,
    plain,
    refuses,
    served,
    target,
    told,
    values,
)

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[Api]:
    async with served(tmp_path) as made:
        yield made


async def test_a_target_value_goes_to_the_provider_and_is_no_value(api):
    door = PATHS[POSITION]
    async with api.app("read actuate") as app, api.app("provide", subject="door-ecu") as ecu:
        async with refuses("UNAVAILABLE", f"nobody provides {door} now"):
            await app.actuate(door, uint32=50)
        stream = ecu.provider()
        await stream.write(acts_on(door, PATHS[IS_OPEN]))
        assert (await stream.read()).HasField("provide_actuation_response")

        await app.actuate(door, uint32=50)
        batch = val_pb2.BatchActuateRequest(
            actuate_requests=[target(PATHS[IS_OPEN], bool=True), target(door, uint32=100)]
        )
        await app.v2.BatchActuate(batch, **app.with_token)
        await app.v2.ActuateStream(
            iter([target(door, uint32=1), target(door, uint32=2)]), **app.with_token
        )
        seen = []
        for _ in range(4):
            request = (await stream.read()).batch_actuate_stream_request
            seen.append([(one.signal_id.id, plain(one)) for one in request.actuate_requests])
        assert await app.get(door) is None
    assert seen == [
        [(POSITION, 50)],
        [(IS_OPEN, True), (POSITION, 100)],
        [(POSITION, 1)],
        [(POSITION, 2)],
    ]
    assert api.data.actuation.asked[POSITION].value == 2


async def test_what_is_no_actuator_or_does_not_fit_keeps_a_whole_batch_back(api):
    async with api.app("actuate") as app, api.app("provide", subject="door-ecu") as ecu:
        stream = ecu.provider()
        await stream.write(acts_on(PATHS[POSITION]))
        await stream.read()
        for bad, code in (
            (target(PATHS[SPEED], float=1.0), "INVALID_ARGUMENT"),
            (target(PATHS[POSITION], uint32=101), "INVALID_ARGUMENT"),
            (target(PATHS[POSITION]), "INVALID_ARGUMENT"),
            (target(PATHS[MODE], string="ON"), "UNAVAILABLE"),
            (target("Vehicle.Nothing", bool=True), "NOT_FOUND"),
        ):
            batch = [target(PATHS[POSITION], uint32=1), bad]
            async with refuses(code):
                await app.v2.BatchActuate(
                    val_pb2.BatchActuateRequest(actuate_requests=batch), **app.with_token
                )
        await app.actuate(PATHS[POSITION], uint32=77)
        request = (await stream.read()).batch_actuate_stream_request
    assert [plain(one) for one in request.actuate_requests] == [77]


async def test_claims_are_exclusive_and_end_with_the_stream(api):
    async with api.app("provide actuate", subject="first") as one, api.app("provide") as two:
        for request in (claims(SPEED), acts_on(PATHS[POSITION])):
            first, second = one.provider(), two.provider()
            await first.write(request)
            await first.read()
            await second.write(request)
            async with refuses("ALREADY_EXISTS", "first"):
                await second.read()
            first.cancel()
            async with asyncio.timeout(5):
                while len(api.data.providers):
                    await asyncio.sleep(0.01)
            again = two.provider()
            await again.write(request)
            await again.read()
            again.cancel()


async def test_a_provider_that_only_listens_keeps_its_stream(api):
    async with api.app("actuate") as app, api.app("provide") as ecu:
        # kuksa-client says what it provides and closes its half.
        stream = ecu.v2.OpenProviderStream(iter([acts_on(PATHS[IS_OPEN])]), **ecu.with_token)
        await stream.read()
        await asyncio.sleep(0.05)
        await app.actuate(PATHS[IS_OPEN], bool=True)
        assert (await stream.read()).HasField("batch_actuate_stream_request")


async def test_published_streams_are_silent_on_success_and_tell_what_is_refused_by_number(api):
    async with api.app("provide") as app:
        stream, listener = app.provider(), app.subscribe(PATHS[SPEED], PATHS[GEAR], buffer_size=5)
        await listener.read()
        await stream.write(claims(SPEED, GEAR, MODE))
        await stream.read()
        await stream.write(values(1, s0={"float": 5.0}))
        await stream.write(
            values(
                2, s0={"float": 999.0}, s1={"int32": 3}, s4={"string": "?"}, s4711={"bool": True}
            )
        )
        answer = (await stream.read()).publish_values_response
        assert answer.request_id == 2
        assert {number: error.code for number, error in answer.status.items()} == {
            SPEED: types_pb2.ERROR_CODE_INVALID_ARGUMENT,
            MODE: types_pb2.ERROR_CODE_INVALID_ARGUMENT,
            4711: types_pb2.ERROR_CODE_NOT_FOUND,
        }
        assert told(await listener.read()) == {PATHS[SPEED]: 5.0}
        assert told(await listener.read()) == {PATHS[GEAR]: 3}
        await stream.write(values(3, s2={"bool": True}))
        async with refuses("ABORTED", "not claimed"):
            await stream.read()


async def test_a_provider_is_told_the_lowest_interval_and_asked_for_what_it_has_not_said(api):
    async with api.app("provide") as app:
        stream = app.provider()
        await stream.write(claims(SPEED, interval_ms=20))
        await stream.read()
        interval = types_pb2.Filter(min_sample_interval=types_pb2.SampleInterval(interval_ms=100))
        listener = app.subscribe(PATHS[SPEED], filter=interval)
        await listener.read()
        request = (await stream.read()).update_filter_request
        assert request.filters_update[SPEED].min_sample_interval.interval_ms == 100
        listener.cancel()
        gone = (await stream.read()).update_filter_request
        assert not gone.filters_update[SPEED].HasField("min_sample_interval")

        asking = asyncio.create_task(app.get(PATHS[SPEED]))
        question = (await stream.read()).get_provider_value_request
        assert list(question.signal_ids) == [SPEED]
        point = types_pb2.Datapoint(value=types_pb2.Value(float=33.0))
        await stream.write(
            val_pb2.OpenProviderStreamRequest(
                get_provider_value_response=val_pb2.GetProviderValueResponse(
                    request_id=question.request_id, entries={SPEED: point}
                )
            )
        )
        assert await asking == 33.0
        listener = app.subscribe(PATHS[SPEED])
        await listener.read()
        await stream.write(
            val_pb2.OpenProviderStreamRequest(
                provider_error_indication=val_pb2.ProviderErrorIndication()
            )
        )
        assert told(await listener.read()) == {PATHS[SPEED]: None}
