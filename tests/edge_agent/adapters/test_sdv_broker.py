"""`sdv.databroker.v1` over real gRPC: values, targets, queries and metadata, as Velocitas' SDK wants them."""

from collections.abc import AsyncIterator

import grpc
import pytest

from fairway.foreign.sdv.databroker.v1 import broker_pb2, types_pb2
from tests.edge_agent.vehicle_api import (
    DTCS,
    GEAR,
    IS_OPEN,
    MODE,
    PATHS,
    POSITION,
    SPEED,
    Api,
    acts_on,
    served,
    take,
)

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

NOW = 1_700_000_000_000_000_000


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[Api]:
    async with served(tmp_path) as made:
        yield made


def plain(point):
    member = point.WhichOneof("value")
    value = getattr(point, member)
    return types_pb2.Datapoint.Failure.Name(value) if member == "failure_value" else value


async def get(app, *paths):
    request = broker_pb2.GetDatapointsRequest(datapoints=paths)
    answer = await app.sdv.GetDatapoints(request, **app.with_token)
    return {path: plain(point) for path, point in answer.datapoints.items()}


def subscribe(app, query):
    return app.sdv.Subscribe(broker_pb2.SubscribeRequest(query=query), **app.with_token)


async def fields(stream, count):
    return [
        {name: plain(point) for name, point in (await stream.read()).fields.items()}
        for _ in range(count)
    ]


async def test_values_are_told_and_why_there_are_none(api):
    take(api.data, [(SPEED, NOW, 12.5), (MODE, NOW, "ON")])

    async with api.app("read:Vehicle.Speed read:Vehicle.Cabin read:Vehicle.Boat") as app:
        assert await get(
            app, PATHS[SPEED], PATHS[MODE], PATHS[POSITION], PATHS[GEAR], "Vehicle.Boat"
        ) == {
            PATHS[SPEED]: 12.5,
            PATHS[MODE]: "ON",
            PATHS[POSITION]: "NOT_AVAILABLE",
            PATHS[GEAR]: "ACCESS_DENIED",
            "Vehicle.Boat": "UNKNOWN_DATAPOINT",
        }
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await get(app)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_target_values_go_to_their_provider_each_for_itself(api):
    async with api.app("read provide actuate:Vehicle.Cabin") as app:
        provider = app.provider()
        await provider.write(acts_on(PATHS[POSITION]))
        await provider.read()
        request = broker_pb2.SetDatapointsRequest(
            datapoints={
                PATHS[POSITION]: types_pb2.Datapoint(uint32_value=40),
                PATHS[IS_OPEN]: types_pb2.Datapoint(string_value="yes"),
                PATHS[MODE]: types_pb2.Datapoint(string_value="DISCO"),
                PATHS[SPEED]: types_pb2.Datapoint(float_value=1),
            }
        )
        answer = await app.sdv.SetDatapoints(request, **app.with_token)
        asked = await provider.read()

    errors = {path: types_pb2.DatapointError.Name(error) for path, error in answer.errors.items()}
    assert errors == {
        PATHS[IS_OPEN]: "INVALID_TYPE",
        PATHS[MODE]: "OUT_OF_BOUNDS",
        PATHS[SPEED]: "ACCESS_DENIED",
    }
    (sent,) = asked.batch_actuate_stream_request.actuate_requests
    assert sent.value.uint32 == 40


async def test_a_query_tells_what_it_selects_while_its_condition_holds(api):
    take(api.data, [(SPEED, NOW, 15.0)])
    query = f"SELECT {PATHS[GEAR]} AS gear, {PATHS[SPEED]} AS speed WHERE {PATHS[SPEED]} > 10"

    async with api.app() as app:
        stream = subscribe(app, query)
        assert await fields(stream, 1) == [{"gear": "NOT_AVAILABLE", "speed": 15.0}]
        for speed, gear in ((11.0, 1), (9.0, 2), (12.0, 3)):
            take(api.data, [(SPEED, NOW, speed), (GEAR, NOW, gear)])
        take(api.data, [(GEAR, NOW, 4)])
        assert await fields(stream, 3) == [
            {"gear": 1, "speed": 11.0},
            {"gear": 3, "speed": 12.0},
            {"gear": 4, "speed": 12.0},
        ]


async def test_a_float_equals_what_it_was_told_as(api):
    take(api.data, [(SPEED, NOW, 13.1)])

    async with api.app() as app:
        stream = subscribe(app, f"SELECT {PATHS[SPEED]} AS speed WHERE {PATHS[SPEED]} = 13.1")
        assert (await fields(stream, 1))[0]["speed"] == pytest.approx(13.1)


async def test_lag_sees_each_step_of_a_fast_signal(api):
    take(api.data, [(SPEED, NOW, 9.0), (SPEED, NOW, 8.0)])
    steps = [9.0, 1.0, 2.0, 0.0, 5.0, 4.0]

    async with api.app() as app:
        stream = subscribe(
            app,
            f"SELECT {PATHS[SPEED]} AS now WHERE {PATHS[SPEED]} = 8 OR {PATHS[SPEED]} < LAG({PATHS[SPEED]})",
        )
        await fields(stream, 1)
        take(api.data, [(SPEED, NOW + n, value) for n, value in enumerate(steps)])
        falls = [told["now"] for told in await fields(stream, 3)]

    assert falls == [1.0, 0.0, 4.0]


async def test_a_query_is_refused_for_what_it_cannot_tell(api):
    async with api.app("read:Vehicle.Speed read:Vehicle.Boat") as app:
        for query, code in [
            (f"SELECT {PATHS[SPEED]} WHERE {PATHS[SPEED]} = 'fast'", "INVALID_ARGUMENT"),
            ("SELECT Vehicle.Boat", "INVALID_ARGUMENT"),
            (f"SELECT {PATHS[SPEED]} WHERE {PATHS[GEAR]} > 1", "PERMISSION_DENIED"),
            ("", "INVALID_ARGUMENT"),
        ]:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await subscribe(app, query).read()
            assert refused.value.code().name == code, query


async def test_metadata_is_of_what_may_be_read(api):
    async with api.app("read:Vehicle.Cabin read:Vehicle.Speed read:Vehicle.OBD") as app:
        every = await app.sdv.GetMetadata(broker_pb2.GetMetadataRequest(), **app.with_token)
        named = broker_pb2.GetMetadataRequest(names=[PATHS[SPEED], PATHS[GEAR], "Vehicle.Boat"])
        (speed,) = (await app.sdv.GetMetadata(named, **app.with_token)).list

    by_name = {one.name: one for one in every.list}
    assert list(by_name) == [PATHS[n] for n in (SPEED, IS_OPEN, POSITION, MODE, DTCS)]
    assert by_name[PATHS[MODE]].allowed.string_values.values == ["OFF", "ON", "AUTO"]
    assert by_name[PATHS[DTCS]].data_type == types_pb2.STRING_ARRAY
    assert (speed.max.float, speed.entry_type, speed.change_type) == (
        250.0,
        types_pb2.ENTRY_TYPE_SENSOR,
        types_pb2.CONTINUOUS,
    )
