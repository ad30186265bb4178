"""`kuksa.val.v2` over real gRPC: values, subscriptions, actuation, providers, and codes of what is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
    served,
    take,
    target,
    told,
    values,
)

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[Api]:
    async with served(tmp_path) as made:
        yield made


@asynccontextmanager
async def refuses(code: str, sentence: str = ""):
    """Expect a call to end with a code, and some words."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        yield
    assert (error.value.code().name, sentence in str(error.value.details())) == (code, True), (
        error.value
    )


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
