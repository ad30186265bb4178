"""`kuksa.val.v2` over real gRPC: values, subscriptions, actuation, providers, and codes of what is refused."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2
from tests.edge_agent.vehicle_api import (
    DTCS,
    GEAR,
    IS_OPEN,
    MODE,
    PATHS,
    POSITION,
    SPEED,
    TRAVELED,
    VIN,
    Api,
    acts_on,
    claims,
    plain,
    refuses,
    served,
    take,
    told,
)

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[Api]:
    async with served(tmp_path) as made:
        yield made


async def test_what_the_buses_say_is_what_apps_get_with_the_stamps_of_its_frames(api):
    take(api.data, [(SPEED, 1_000_000_007, 13.25), (MODE, 2, "AUTO"), (TRAVELED, 3, 7.0)])

    async with api.app() as app:
        assert [await app.get(PATHS[number]) for number in (SPEED, MODE, TRAVELED)] == [
            13.25,
            "AUTO",
            7,
        ]
        assert await app.get(PATHS[GEAR]) is None
        request = val_pb2.GetValuesRequest(
            signal_ids=[types_pb2.SignalID(path=PATHS[MODE]), types_pb2.SignalID(id=SPEED)]
        )
        answer = await app.v2.GetValues(request, **app.with_token)
    assert [plain(point) for point in answer.data_points] == ["AUTO", 13.25]
    stamp = answer.data_points[1].timestamp
    assert (stamp.seconds, stamp.nanos) == (1, 7)


PUBLISHED = [
    (SPEED, {"float": 13.25}, 13.25),
    (GEAR, {"int32": -1}, -1),
    (IS_OPEN, {"bool": False}, False),
    (POSITION, {"uint32": 100}, 100),
    (MODE, {"string": "ON"}, "ON"),
    (VIN, {"string": "WVWZZZ1JZXW000001"}, "WVWZZZ1JZXW000001"),
    (DTCS, {"string_array": types_pb2.StringArray(values=["P0301", "U0100"])}, ["P0301", "U0100"]),
    (DTCS, {"string_array": types_pb2.StringArray()}, []),
    (TRAVELED, {"uint64": 2**64 - 1}, 2**64 - 1),
    (SPEED, {}, None),
]


@pytest.mark.parametrize(("signal", "value", "got"), PUBLISHED)
async def test_a_published_value_is_got_as_it_was_said(api, signal, value, got):
    async with api.app("provide") as app:
        await app.publish(PATHS[signal], **value)
        assert await app.get(PATHS[signal]) == got


WRONG = [
    (SPEED, {"float": 250.5}, "choose from 0 to 250"),
    (SPEED, {"float": float("nan")}, "choose from"),
    (SPEED, {"double": 1.0}, "takes a value in float, not in double"),
    (GEAR, {"int32": 128}, "choose from -128 to 127"),
    (GEAR, {"float": 1.0}, "not in float"),
    (POSITION, {"uint32": 101}, "choose from 0 to 100"),
    (MODE, {"string": "BRIGHT"}, "choose one of AUTO, OFF, ON"),
    (VIN, {"string": "x" * 5000}, "5000 characters"),
    (DTCS, {"string": "P0301"}, "string_array"),
]


@pytest.mark.parametrize(("signal", "value", "sentence"), WRONG)
async def test_a_value_that_does_not_fit_is_refused_with_the_reason(api, signal, value, sentence):
    async with api.app("provide") as app, refuses("INVALID_ARGUMENT", sentence):
        await app.publish(PATHS[signal], **value)
    async with api.app() as app:
        assert await app.get(PATHS[signal]) is None


async def test_rights_are_asked_of_every_path_of_every_call(api):
    speed, door = PATHS[SPEED], PATHS[IS_OPEN]
    take(api.data, [(SPEED, 1, 1.0)])

    async with api.app(f"read:{speed}") as app:
        assert await app.get(speed) == 1.0
        async with refuses("PERMISSION_DENIED", f"no scope to read {door}"):
            await app.get(door)
        async with refuses("PERMISSION_DENIED", "Vehicle.Hidden"):
            await app.get("Vehicle.Hidden")  # whether it exists is not told
        async with refuses("PERMISSION_DENIED"):
            await app.publish(speed, float=1.0)
        async with refuses("PERMISSION_DENIED"):
            await app.subscribe(speed, door).read()
        async with refuses("PERMISSION_DENIED"):
            await app.actuate(door, bool=True)
        for request in (claims(SPEED), acts_on(door)):
            stream = app.provider()
            await stream.write(request)
            async with refuses("PERMISSION_DENIED"):
                await stream.read()
        listed = await app.v2.ListMetadata(
            val_pb2.ListMetadataRequest(root="Vehicle"), **app.with_token
        )
    assert [entry.path for entry in listed.metadata] == [speed]


async def test_what_is_not_there_or_not_named_has_kuksas_codes(api):
    async with api.app("read actuate provide") as app:
        async with refuses("NOT_FOUND", "Vehicle.Nothing"):
            await app.get("Vehicle.Nothing")
        async with refuses("INVALID_ARGUMENT"):
            await app.get("V" * 1001)
        async with refuses("INVALID_ARGUMENT"):
            await app.v2.GetValue(val_pb2.GetValueRequest(), **app.with_token)
        async with refuses("INVALID_ARGUMENT"):
            await app.v2.GetValues(val_pb2.GetValuesRequest(), **app.with_token)
        async with refuses("NOT_FOUND"):
            request = val_pb2.SubscribeByIdRequest(signal_ids=[SPEED, 4711])
            await app.v2.SubscribeById(request, **app.with_token).read()
        async with refuses("INVALID_ARGUMENT", "choose from 0 to 1000"):
            await app.subscribe(PATHS[SPEED], buffer_size=1001).read()
        async with refuses("NOT_FOUND"):
            await app.v2.ListMetadata(
                val_pb2.ListMetadataRequest(root="Vehicle.Boat"), **app.with_token
            )
        async with refuses("INVALID_ARGUMENT"):
            await app.v2.ListMetadata(
                val_pb2.ListMetadataRequest(root="Vehicle..*x"), **app.with_token
            )


async def test_a_subscription_begins_with_all_values_then_tells_what_changes(api):
    take(api.data, [(SPEED, 1, 1.0), (GEAR, 1, 2.0)])

    async with api.app() as app:
        stream = app.subscribe(PATHS[SPEED], PATHS[GEAR], PATHS[MODE], buffer_size=10)
        assert told(await stream.read()) == {PATHS[SPEED]: 1.0, PATHS[GEAR]: 2, PATHS[MODE]: None}
        # The gear changes when it differs, the speed with every value; the door is nobody's.
        take(api.data, [(SPEED, 2, 1.0), (GEAR, 2, 2.0), (IS_OPEN, 2, 1.0)])
        take(api.data, [(GEAR, 3, 3.0), (SPEED, 3, 5.0), (SPEED, 4, 6.0)])
        seen = [told(await stream.read()) for _ in range(3)]
    assert seen == [
        {PATHS[SPEED]: 1.0},
        {PATHS[GEAR]: 3, PATHS[SPEED]: 5.0},
        {PATHS[SPEED]: 6.0},
    ]


async def test_a_subscription_by_numbers_ends_after_its_duration(api):
    async with api.app() as app:
        request = val_pb2.SubscribeByIdRequest(
            signal_ids=[SPEED], filter=types_pb2.Filter(duration_ms=200)
        )
        stream = app.v2.SubscribeById(request, **app.with_token)
        assert told(await stream.read()) == {SPEED: None}
        take(api.data, [(SPEED, 1, 1.0)])
        assert told(await stream.read()) == {SPEED: 1.0}
        assert await stream.read() is grpc.aio.EOF
    assert len(api.data.subscriptions) == 0


async def test_an_interval_keeps_messages_apart_and_loses_no_last_value(api):
    async with api.app() as app:
        interval = types_pb2.SampleInterval(interval_ms=300)
        stream = app.subscribe(PATHS[SPEED], filter=types_pb2.Filter(min_sample_interval=interval))
        assert told(await stream.read()) == {PATHS[SPEED]: None}
        for value in range(20):
            take(api.data, [(SPEED, value + 1, float(value))])
            await asyncio.sleep(0.005)
        assert told(await stream.read()) == {PATHS[SPEED]: 0.0}
        assert told(await stream.read()) == {PATHS[SPEED]: 19.0}


async def test_a_live_stream_ends_with_its_token_and_leaves_nothing_behind(api):
    async with api.app("read provide", seconds=2.9) as app:
        stream, provider = app.subscribe(PATHS[SPEED]), app.provider()
        await provider.write(claims(SPEED))
        await provider.read()
        assert told(await stream.read()) == {PATHS[SPEED]: None}
        async with refuses("UNAUTHENTICATED", "the token has expired"):
            async with asyncio.timeout(5):
                await stream.read()
        async with refuses("UNAUTHENTICATED"):
            for _ in range(9):
                await provider.read()
    assert (len(api.data.subscriptions), len(api.data.providers)) == (0, 0)


async def test_metadata_says_what_the_catalogue_says(api):
    async with api.app() as app:
        listed = await app.v2.ListMetadata(
            val_pb2.ListMetadataRequest(root="Vehicle.Cabin.**"), **app.with_token
        )
        info = await app.v2.GetServerInfo(val_pb2.GetServerInfoRequest(), **app.with_token)
    by_path = {entry.path: entry for entry in listed.metadata}
    assert list(by_path) == [PATHS[IS_OPEN], PATHS[POSITION], PATHS[MODE]]
    position = by_path[PATHS[POSITION]]
    assert (position.id, position.min.uint32, position.max.uint32) == (POSITION, 0, 100)
    assert position.data_type == types_pb2.DATA_TYPE_UINT8
    assert position.entry_type == types_pb2.ENTRY_TYPE_ACTUATOR
    assert list(by_path[PATHS[MODE]].allowed_values.string_array.values) == ["OFF", "ON", "AUTO"]
    assert info.name == "fairway-edge-agent"


async def test_a_stuck_subscriber_loses_its_oldest_and_nobody_else_does(api):
    path, count = PATHS[DTCS], 150

    def mark(message) -> str:
        return told(message)[path][0]

    async with api.app() as stuck, api.app(subject="reader") as app, api.app("provide") as source:
        silent, stream = (one.subscribe(path, buffer_size=3) for one in (stuck, app))
        await silent.read()
        await stream.read()
        for number in range(count):  # more than the network takes on its way
            texts = types_pb2.StringArray(values=[f"{number:03}", *["x" * 4000] * 50])
            await source.publish(path, string_array=texts)
            assert mark(await stream.read()) == f"{number:03}"
        dropped = api.data.numbers().dropped
        late = [mark(await silent.read()) for _ in range(count - dropped)]
    assert dropped > 0
    assert late == sorted(late)
    # The latest and three before it wait; what the network had taken already came first.
    assert late[-4:] == [f"{number:03}" for number in range(count - 4, count)]


async def test_one_app_cannot_take_every_subscription(api):
    async with api.app(subject="greedy") as greedy, api.app(subject="modest") as modest:
        opened = [greedy.subscribe(PATHS[SPEED]) for _ in range(32)]
        for stream in opened:
            await stream.read()
        async with refuses("UNAVAILABLE", "greedy has 32 subscriptions already"):
            await greedy.subscribe(PATHS[SPEED]).read()
        await modest.subscribe(PATHS[SPEED]).read()
        opened[0].cancel()
        async with asyncio.timeout(5):
            while len(api.data.subscriptions) > 32:
                await asyncio.sleep(0.01)
        await greedy.subscribe(PATHS[SPEED]).read()
