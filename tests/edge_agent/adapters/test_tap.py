"""Who listens in on a source sees every frame, and takes none."""

from edge_agent.adapters.tap import Tapped
from edge_agent.canbus.frames import Frame, FrameBlock, block_of
from simulators.bus import Bus, BusSource

FRAMES = [Frame(0x100 + n, bytes([n & 0xFF]), time_ns=n + 1) for n in range(600)]


async def test_every_block_is_shown_before_it_goes_on_unchanged():
    bus, heard = Bus(), list[FrameBlock]()
    source = Tapped(BusSource(bus), heard.append)
    await bus.send(block_of(FRAMES))
    source.close()

    received = list[FrameBlock]()
    while (block := await source.receive()) is not None:
        assert heard[-1] is block
        received.append(block)

    assert [frame for block in received for frame in block.frames()] == FRAMES
    assert source.dropped == 0
