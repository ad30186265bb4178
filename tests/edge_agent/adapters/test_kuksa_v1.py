"""`kuksa.val.v1` over real gRPC: entries with values, targets and metadata, as kuksa-client 0.6 wants them."""

from collections.abc import AsyncIterator

import grpc
import pytest

from edge_agent.adapters.memory import MemoryOutlet
from fairway.foreign.kuksa.val.v1 import types_pb2, val_pb2
from tests.edge_agent.vehicle_api import (
    GEAR,
    IS_OPEN,
    MODE,
    PATHS,
    POSITION,
    SPEED,
    Api,
    acts_on,
    plain,
    served,
    take,
)

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

VALUE, TARGET = types_pb2.FIELD_VALUE, types_pb2.FIELD_ACTUATOR_TARGET


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[Api]:
    async with served(tmp_path) as made:
        yield made


async def get(app, *paths, view=types_pb2.VIEW_CURRENT_VALUE):
    request = val_pb2.GetRequest(
        entries=[val_pb2.EntryRequest(path=path, view=view) for path in paths]
    )
    return await app.v1.Get(request, **app.with_token)


def update(path, field, **value):
    point = types_pb2.Datapoint(**value)
    entry = (
        types_pb2.DataEntry(path=path, value=point)
        if field == VALUE
        else types_pb2.DataEntry(path=path, actuator_target=point)
    )
    return val_pb2.EntryUpdate(entry=entry, fields=[field])


async def put(app, *updates):
    answer = await app.v1.Set(val_pb2.SetRequest(updates=updates), **app.with_token)
    return {error.path: error.error.code for error in answer.errors}


def inner(point):
    member = point.WhichOneof("value")
    return None if member is None else getattr(point, member)


async def test_values_are_set_and_got_by_path_branch_and_pattern(api):
    take(api.data, [(SPEED, 5_000_000_001, 13.25)])

    async with api.app("provide") as app:
        assert await put(app, update(PATHS[IS_OPEN], VALUE, bool=True)) == {}
        for named in ("Vehicle.Cabin", "Vehicle.Cabin.**", "Vehicle.Cabin.Door.*.*.IsOpen"):
            answer = await get(app, named)
            found = {entry.path: inner(entry.value) for entry in answer.entries}
            assert found[PATHS[IS_OPEN]] is True
        answer = await get(app, PATHS[SPEED], PATHS[GEAR])
    assert [inner(entry.value) for entry in answer.entries] == [13.25, None]
    assert answer.entries[0].value.timestamp.nanos == 1


async def test_what_is_refused_is_in_the_answer_and_the_rest_is_done(api):
    async with api.app(f"provide:{PATHS[SPEED]} provide:{PATHS[GEAR]} read:Vehicle.Boat") as app:
        codes = await put(
            app,
            update(PATHS[SPEED], VALUE, float=1.0),
            update(PATHS[GEAR], VALUE, int32=1000),
            update(PATHS[MODE], VALUE, string="ON"),
            update(PATHS[SPEED], TARGET, float=1.0),
        )
        assert codes == {PATHS[GEAR]: 400, PATHS[MODE]: 403, PATHS[SPEED]: 403}
        assert inner((await get(app, PATHS[SPEED])).entries[0].value) == 1.0
        missing = await get(app, PATHS[SPEED], "Vehicle.Boat")
        assert (missing.error.code, len(missing.entries)) == (404, 1)
        denied = await get(app, PATHS[SPEED], "Vehicle.Cabin")
        assert (denied.error.code, len(denied.entries)) == (403, 0)
        with pytest.raises(grpc.aio.AioRpcError, match="no entry is named"):
            await app.v1.Get(val_pb2.GetRequest(), **app.with_token)


async def test_metadata_has_types_kinds_and_limits(api):
    async with api.app() as app:
        answer = await get(app, "Vehicle.**", view=types_pb2.VIEW_METADATA)
    found = {entry.path: entry.metadata for entry in answer.entries}
    position, mode = found[PATHS[POSITION]], found[PATHS[MODE]]
    assert position.data_type == types_pb2.DATA_TYPE_UINT8
    assert position.HasField("actuator")
    assert (position.value_restriction.unsigned.min, position.value_restriction.unsigned.max) == (
        0,
        100,
    )
    assert list(mode.value_restriction.string.allowed_values) == ["OFF", "ON", "AUTO"]
    assert not found[PATHS[GEAR]].HasField("value_restriction")


async def test_targets_reach_subscribers_of_v1_and_providers_of_v2(api):
    path = PATHS[POSITION]
    async with api.app("actuate provide") as app:
        entry = val_pb2.SubscribeEntry(path=path, fields=[VALUE, TARGET])
        stream = app.v1.Subscribe(val_pb2.SubscribeRequest(entries=[entry]), **app.with_token)
        (first,) = (await stream.read()).updates
        assert not first.entry.HasField("actuator_target")
        assert await put(app, update(path, TARGET, uint32=10)) == {}  # nobody provides it yet
        (second,) = (await stream.read()).updates
        assert (inner(second.entry.actuator_target), list(second.fields)) == (10, [TARGET])

        provider = app.provider()
        await provider.write(acts_on(path))
        await provider.read()
        assert await put(app, update(path, TARGET, uint32=20)) == {}
        request = (await provider.read()).batch_actuate_stream_request
        assert [plain(one) for one in request.actuate_requests] == [20]
        await app.publish(path, uint32=20)
        seen = [(await stream.read()).updates[0] for _ in range(2)]
        assert {next(iter(one.fields)) for one in seen} == {VALUE, TARGET}
        answer = await get(app, path, view=types_pb2.VIEW_ALL)
    (got,) = answer.entries
    assert (inner(got.value), inner(got.actuator_target)) == (20, 20)


async def test_a_provider_that_does_not_read_is_told_of(api):
    full = api.data.providers.open("full", MemoryOutlet(room=1))
    api.data.providers.claim_actuators(full, [POSITION])

    async with api.app("actuate") as app:
        assert await put(app, update(PATHS[POSITION], TARGET, uint32=1)) == {}
        assert await put(app, update(PATHS[POSITION], TARGET, uint32=2)) == {PATHS[POSITION]: 503}
    assert api.data.actuation.asked[POSITION].value == 1


async def test_a_stream_of_updates_is_answered_one_by_one(api):
    async with api.app("provide") as app:
        stream = app.v1.StreamedUpdate(**app.with_token)
        await stream.write(
            val_pb2.StreamedUpdateRequest(updates=[update(PATHS[SPEED], VALUE, float=1.0)])
        )
        assert not (await stream.read()).errors
        await stream.write(
            val_pb2.StreamedUpdateRequest(updates=[update(PATHS[SPEED], VALUE, float=999.0)])
        )
        assert (await stream.read()).error.code == 400
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await app.get(PATHS[SPEED]) == 1.0
