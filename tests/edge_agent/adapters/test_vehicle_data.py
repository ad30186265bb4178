"""Partial subscriptions tell what they leave out and what was lost; orders need the right to actuate."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_agent.adapters.vehicle_data import REASONS, STATES
from fairway.foreign.kuksa.val.v2 import types_pb2
from fairway.v1 import onboard_pb2
from fairway.v1 import vehicle_data_pb2 as pb
from tests.edge_agent.vehicle_api import GEAR, PATHS, POSITION, SPEED, Api, plain, served, take
from tests.onboard_apps import refusal

NOT_THERE = "no signal is there that the token may read"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with served(tmp_path) as made:
        yield made


def told(message: pb.SubscribePartialResponse) -> list[tuple[str, Any, int]]:
    return [(one.path, plain(one.data_point), one.quality) for one in message.updates]


async def test_what_may_not_be_read_is_told_and_the_rest_is_subscribed(api: Api):
    take(api.data, [(SPEED, 5, 12.5)])
    async with api.app("read:Vehicle.Speed read:Vehicle.Powertrain") as app:
        call = app.orders.SubscribePartial(
            pb.SubscribePartialRequest(
                paths=[PATHS[SPEED], PATHS[POSITION], "Vehicle.Gone", "Vehicle.Powertrain", "a..b"]
            ),
            **app.with_token,
        )
        first = await call.read()
        assert told(first) == [
            (PATHS[SPEED], 12.5, onboard_pb2.QUALITY_VALID),
            (PATHS[GEAR], None, onboard_pb2.QUALITY_NOT_AVAILABLE),
        ]
        assert dict(first.refused) == {
            PATHS[POSITION]: NOT_THERE,
            "Vehicle.Gone": NOT_THERE,
            "a..b": "'a..b' is no pattern: levels are names, * or **, with dots between",
        }
        take(api.data, [(GEAR, 6, 3), (POSITION, 6, 50)])
        second = await call.read()
        assert told(second) == [(PATHS[GEAR], 3, onboard_pb2.QUALITY_VALID)]
        assert not second.refused
        call.cancel()


async def test_a_slow_reader_is_told_how_much_it_lost(api: Api):
    async with api.app() as app:
        call = app.orders.SubscribePartial(
            pb.SubscribePartialRequest(paths=[PATHS[SPEED]], buffer_size=3), **app.with_token
        )
        await call.read()
        for speed in range(10):  # nobody has a turn between them
            take(api.data, [(SPEED, speed + 1, float(speed))])
        messages = [await call.read() for _ in range(4)]
        assert [told(message)[0][1] for message in messages] == [6, 7, 8, 9]
        assert [message.dropped for message in messages] == [6] * 4
        call.cancel()


@pytest.mark.parametrize(
    ("scope", "paths", "code"),
    [
        ("read", [], "INVALID_ARGUMENT"),
        ("read", ["Vehicle.Gone"], "INVALID_ARGUMENT"),
        ("read:Vehicle.Speed", [PATHS[GEAR]], "INVALID_ARGUMENT"),
    ],
)
async def test_a_subscription_to_nothing_is_refused(api: Api, scope, paths, code):
    async with api.app(scope) as app:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await app.orders.SubscribePartial(
                pb.SubscribePartialRequest(paths=paths), **app.with_token
            ).read()
        assert refusal(error.value)[0] == code


@pytest.mark.parametrize(
    ("scope", "path", "value", "code"),
    [
        ("read", PATHS[POSITION], {"uint32": 5}, "PERMISSION_DENIED"),
        ("actuate", "Vehicle.Gone", {"uint32": 5}, "NOT_FOUND"),
        ("actuate", PATHS[SPEED], {"float": 5}, "INVALID_ARGUMENT"),
        ("actuate", PATHS[POSITION], {"uint32": 500}, "INVALID_ARGUMENT"),
        ("actuate", PATHS[POSITION], {"float": 5}, "INVALID_ARGUMENT"),
        ("actuate", PATHS[POSITION], {}, "INVALID_ARGUMENT"),
        (
            "actuate",
            PATHS[POSITION],
            {"uint32": 5},
            "FAILED_PRECONDITION",
        ),  # an app's, not the vehicle's
        ("actuate", None, {}, "INVALID_ARGUMENT"),
    ],
)
async def test_an_order_that_cannot_be_one_is_refused(api: Api, scope, path, value, code):
    targets = [] if path is None else [pb.Target(path=path, value=types_pb2.Value(**value))]
    async with api.app(scope) as app:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await app.orders.Actuate(pb.ActuateRequest(targets=targets), **app.with_token).read()
        assert refusal(error.value)[0] == code


def test_every_state_and_reason_has_a_number_of_its_own():
    assert set(STATES.values()) == set(pb.OrderState.values()) - {0}
    assert set(REASONS.values()) == set(pb.OrderReason.values())
