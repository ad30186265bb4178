"""The simulated bus: everyone hears everyone else, and the slow are waited for, but not for ever."""

import asyncio
import time

import pytest

from edge_agent.canbus.frames import Frame, block_of
from fairway.errors import BadInput
from simulators.bus import PATIENCE_S, Bus, BusSource


def block(*ids: int):
    return block_of([Frame(can_id, b"") for can_id in ids])


async def test_everyone_but_the_sender_hears_a_frame():
    bus = Bus()
    first, second = BusSource(bus), BusSource(bus)

    await bus.send(block(1), sender=first)
    await bus.send(block(2))

    heard = [await first.receive(), await second.receive(), await second.receive()]
    assert [b.can_id.tolist() for b in heard if b is not None] == [[2], [1], [2]]
    assert (bus.sent, bus.dropped) == (2, 0)


async def test_a_sender_waits_for_a_listener_that_is_full():
    bus = Bus()
    source = BusSource(bus, backlog_max_frames=2)
    sending = asyncio.create_task(_send_all(bus, range(50)))

    ids: list[int] = []
    while len(ids) < 50:
        received = await source.receive()
        assert received is not None
        ids += received.can_id.tolist()
        await asyncio.sleep(0)

    await sending
    assert ids == list(range(50))
    assert bus.dropped == 0


async def _send_all(bus: Bus, ids) -> None:
    for can_id in ids:
        await bus.send(block(can_id))


@pytest.mark.slow
async def test_a_listener_that_never_reads_is_waited_for_once():
    bus = Bus()
    source = BusSource(bus, backlog_max_frames=1)
    began = time.monotonic()

    await _send_all(bus, range(10))

    assert time.monotonic() - began < 3 * PATIENCE_S
    assert bus.dropped == 9
    source.close()


def test_a_backlog_of_nothing_is_refused():
    with pytest.raises(BadInput, match="holds nothing"):
        BusSource(Bus(), backlog_max_frames=0)
