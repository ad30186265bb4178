"""Quality, providers and the past of signals, over real gRPC."""

from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from fairway.v1 import onboard_pb2
from tests.edge_agent.vehicle_api import (
    BUS,
    GEAR,
    IS_OPEN,
    MODE,
    PATHS,
    SPEED,
    Api,
    claims,
    plain,
    served,
    take,
    values,
)

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[Api]:
    async with served(tmp_path) as made:
        yield made


async def states(app, *paths):
    answer = await app.states.GetStates(onboard_pb2.GetStatesRequest(paths=paths), **app.with_token)
    found = {
        state.path: (
            onboard_pb2.Quality.Name(state.quality).removeprefix("QUALITY_"),
            plain(state.data_point),
            state.provider,
            state.provider_is_here,
        )
        for state in answer.states
    }
    return found, dict(answer.refused)


async def history(app, path, first=None, last=None, most=0):
    request = onboard_pb2.GetHistoryRequest(path=path, max_count=most)
    if first is not None:
        getattr(request, "from").CopyFrom(Timestamp(seconds=first))
    if last is not None:
        request.to.CopyFrom(Timestamp(seconds=last))
    answer = await app.states.GetHistory(request, **app.with_token)
    return [(point.timestamp.seconds, plain(point)) for point in answer.data_points]


async def test_states_say_how_good_values_are_and_whose(api):
    take(api.data, [(GEAR, 1, 2.0)])

    async with api.app(f"provide:{PATHS[SPEED]} read:Vehicle.Powertrain", subject="gnss") as app:
        stream = app.provider()
        await stream.write(claims(SPEED))
        await stream.read()
        await stream.write(values(1, s0={"float": 5.0}))
        await stream.write(values(2, s0={"float": 999.0}))
        await stream.read()
        found, refused = await states(
            app, PATHS[SPEED], "Vehicle.Powertrain", "Vehicle.Cabin", "*."
        )
        assert found == {
            PATHS[SPEED]: ("INVALID", 5.0, "gnss", True),
            PATHS[GEAR]: ("VALID", 2, "can0", True),
        }
        assert set(refused) == {"Vehicle.Cabin", "*."}
        stream.cancel()
    api.data.store.is_gone(BUS)
    async with api.app() as app:
        found, _ = await states(app, PATHS[GEAR], PATHS[MODE])
    assert found == {
        PATHS[GEAR]: ("STALE", 2, "can0", True),
        PATHS[MODE]: ("NOT_AVAILABLE", None, "", False),
    }


async def test_the_past_is_told_by_time_and_in_the_types_of_its_signals(api):
    second = 10**9
    for number in range(1, 6):
        rows = [(GEAR, number * second, float(number)), (IS_OPEN, number * second, number % 2)]
        take(api.data, [*rows, (MODE, number * second, f"mode {number}")])

    async with api.app() as app:
        assert await history(app, PATHS[GEAR]) == [(number, number) for number in range(1, 6)]
        assert await history(app, PATHS[IS_OPEN], 2, 4) == [(2, False), (3, True)]
        assert await history(app, PATHS[MODE], 3, most=2) == [(4, "mode 4"), (5, "mode 5")]
        assert await history(app, PATHS[SPEED]) == []
    async with api.app(f"read:{PATHS[SPEED]}") as app:
        with pytest.raises(grpc.aio.AioRpcError, match="no scope to read"):
            await history(app, PATHS[GEAR])
