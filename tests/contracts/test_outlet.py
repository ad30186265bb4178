"""What every way to a provider promises: target values in their order, and no more than it has room for."""

from collections.abc import Callable, Sequence

import pytest

from edge_agent.adapters.kuksa_provider import OUTBOX_MAX, ProviderStream
from edge_agent.adapters.kuksa_service import Service
from edge_agent.adapters.kuksa_values import read
from edge_agent.adapters.memory import MemoryOutlet
from edge_agent.adapters.onboard_calls import SOCKET
from edge_agent.broker.providers import Outlet, Target
from fairway.clock import ManualClock
from fairway.errors import Unavailable
from tests.edge_agent.vehicle_api import IS_OPEN, MODE, POSITION, vehicle

Taken = Callable[[], list[list[Target]]]
DATA = vehicle()


def memory() -> tuple[Outlet, Taken]:
    outlet = MemoryOutlet(OUTBOX_MAX)
    return outlet, lambda: [list(offer) for offer in outlet.take()]


def stream() -> tuple[Outlet, Taken]:
    """A provider's stream before anybody reads it."""
    made = ProviderStream(Service(DATA, ManualClock()), SOCKET)

    def taken() -> list[list[Target]]:
        offers = []
        while not made._outbox.empty():
            response = made._outbox.get_nowait()
            assert response is not None
            request = response.batch_actuate_stream_request
            targets = []
            for one in request.actuate_requests:
                value = read(one.value, "typed_value")[1]
                assert value is not None
                targets.append(Target(one.signal_id.id, value))
            offers.append(targets)
        return offers

    return made, taken


@pytest.fixture(params=[memory, stream])
async def opened(request) -> tuple[Outlet, Taken]:
    return request.param()


OFFERS: list[Sequence[Target]] = [
    [Target(POSITION, 50)],
    [Target(IS_OPEN, value=False), Target(MODE, "AUTO"), Target(POSITION, 0)],
]


async def test_targets_come_as_they_were_offered(opened):
    outlet, taken = opened
    for offer in OFFERS:
        assert outlet.has_room
        outlet.offer(offer)

    assert taken() == OFFERS
    assert taken() == []


async def test_an_outlet_that_nobody_empties_has_no_room_and_nothing_is_forwarded(opened):
    outlet, taken = opened
    data = vehicle()
    provider = data.providers.open("full", outlet)
    data.providers.claim_actuators(provider, [POSITION, IS_OPEN])
    forwarded = 0
    while data.actuate([Target(POSITION, forwarded % 100)], now_ns=1) is None:
        forwarded += 1

    assert forwarded == OUTBOX_MAX
    assert data.actuate([Target(IS_OPEN, value=True), Target(POSITION, 1)], now_ns=2) is provider
    assert IS_OPEN not in data.actuation.asked
    assert len(taken()) == OUTBOX_MAX
    assert data.actuate([Target(IS_OPEN, value=True)], now_ns=3) is None
    data.leave(provider)
    with pytest.raises(Unavailable, match="nobody provides"):
        data.actuate([Target(IS_OPEN, value=True)], now_ns=4)
