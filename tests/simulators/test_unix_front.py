"""A simulated bus on a Unix socket."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters import unix_packet
from edge_agent.adapters.unix_bus import UnixBus
from edge_agent.canbus.frames import Frame, block_of
from fairway.errors import BadInput, Conflict, Unavailable
from simulators.bus import Bus, BusSource
from simulators.unix_front import UnixFront
from tests.edge_agent.adapters.frames import frames_of, lists


@given(frames=lists)
def test_frames_survive_the_packet(frames):
    # The direction is a matter of the receiver: a packet does not carry it.
    frames = [Frame(f.can_id, f.data, f.time_ns, f.bus, f.flags & 7) for f in frames]

    packets = list(unix_packet.packets(block_of(frames)))

    assert frames_of(map(unix_packet.block_from_bytes, packets)) == frames


@given(packet=st.binary(max_size=400) | st.binary(min_size=160, max_size=160))
def test_garbage_is_bad_input_or_frames(packet: bytes):
    try:
        block = unix_packet.block_from_bytes(packet)
    except BadInput:
        return
    assert len(frames_of([block])) == len(packet) // 80


@given(packet=st.binary(max_size=12))
def test_a_greeting_is_a_greeting(packet: bytes):
    try:
        channel = unix_packet.channel_of(packet)
    except BadInput:
        return
    assert unix_packet.hello(channel) == packet


async def test_clients_hear_each_other_and_the_bus_hears_them(tmp_path: Path):
    bus = Bus(("can0", "can1"))
    inside = BusSource(bus)
    front = UnixFront(bus, tmp_path / "bus")
    await front.open()
    first, second = UnixBus(tmp_path / "bus", channel=None), UnixBus(tmp_path / "bus", channel=None)
    hearing = asyncio.create_task(second.receive())
    frame = Frame(0x123, b"abc", 77, bus=1)

    await first.send(block_of([frame]))
    await front.wait_for(2)
    await first.send(block_of([frame]))

    heard = await asyncio.wait_for(hearing, 5)
    assert frames_of([heard])[0] == frame
    assert frames_of([await inside.receive()]) == [frame]
    first.close()
    second.close()
    await front.close()


async def test_a_client_gets_the_channel_it_asked_for(tmp_path: Path):
    bus = Bus(("can0", "can1"))
    front = UnixFront(bus, tmp_path / "bus")
    await front.open()
    source = UnixBus(tmp_path / "bus", bus=7, channel=1)
    hearing = asyncio.create_task(source.receive())
    await front.wait_for(1)

    await bus.send(block_of([Frame(1, b"", 1, bus=0), Frame(2, b"", 2, bus=1)]))

    block = await asyncio.wait_for(hearing, 5)
    assert block is not None
    assert (block.can_id.tolist(), block.bus.tolist()) == ([2], [7])
    source.close()
    await front.close()


async def test_everything_sent_is_delivered_before_the_bus_closes(tmp_path: Path):
    bus = Bus()
    front = UnixFront(bus, tmp_path / "bus")
    await front.open()
    source = UnixBus(tmp_path / "bus")
    heard: list[int] = []

    async def listen() -> None:
        with contextlib.suppress(Unavailable):  # its owner has closed it
            while (block := await source.receive()) is not None:
                heard.extend(block.can_id.tolist())

    listening = asyncio.create_task(listen())
    await front.wait_for(1)
    block = block_of([Frame(n % 0x800, b"12345678", n) for n in range(5_000)])
    for _ in range(10):
        await bus.send(block)
    await front.close()

    await listening
    assert heard == [n % 0x800 for n in range(5_000)] * 10
    assert bus.dropped == 0
    source.close()


async def test_a_client_comes_back_when_the_bus_does(tmp_path: Path):
    source = UnixBus(tmp_path / "bus")
    with pytest.raises(Unavailable, match="no bus at"):
        await source.receive()
    bus = Bus()
    front = UnixFront(bus, tmp_path / "bus")
    await front.open()
    hearing = asyncio.create_task(source.receive())
    await front.wait_for(1)

    await bus.send(block_of([Frame(5, b"")]))

    assert frames_of([await asyncio.wait_for(hearing, 5)]) == [Frame(5, b"")]
    source.close()
    await front.close()


async def test_garbage_from_a_client_is_counted_and_hurts_nobody(tmp_path: Path):
    bus = Bus()
    inside = BusSource(bus)
    front = UnixFront(bus, tmp_path / "bus")
    await front.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as rogue:
        rogue.connect(str(tmp_path / "bus"))
        for packet in (b"who are you", unix_packet.hello(0), b"x" * 81, b"y" * 80 * 257):
            rogue.send(packet)
        rogue.send(next(unix_packet.packets(block_of([Frame(9, b"ok")]))))

        block = await asyncio.wait_for(inside.receive(), 5)

    assert block is not None
    assert block.can_id.tolist() == [9]
    assert front.malformed == 3
    await front.close()


async def test_a_packet_that_is_no_frames_is_counted_by_the_client(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(str(tmp_path / "bus"))
        server.listen()
        source = UnixBus(tmp_path / "bus")
        hearing = asyncio.create_task(source.receive())
        await asyncio.sleep(0)
        peer, _ = server.accept()
        with peer:
            peer.send(b"z" * 161)
            peer.send(next(unix_packet.packets(block_of([Frame(9, b"ok")]))))
            block = await asyncio.wait_for(hearing, 5)

    assert block is not None
    assert block.can_id.tolist() == [9]
    assert source.dropped == 2
    source.close()


async def test_a_bus_is_made_once_but_a_dead_one_is_replaced(tmp_path: Path):
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
    front = UnixFront(Bus(), path)
    await front.open()

    with pytest.raises(Conflict, match="already"):
        await UnixFront(Bus(), path).open()

    await front.close()
    assert not path.exists()


async def test_a_path_where_no_bus_can_be_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot make a bus"):
        await UnixFront(Bus(), tmp_path / "no" / "such" / "folder").open()


async def test_an_unreadable_packet_among_others_costs_only_itself(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as owner:
        owner.bind(str(tmp_path / "bus"))
        owner.listen()
        source = UnixBus(tmp_path / "bus")
        hearing = asyncio.create_task(source.receive())
        await asyncio.sleep(0)
        with owner.accept()[0] as bus:
            good = next(unix_packet.packets(block_of([Frame(1, b"a"), Frame(2, b"b")])))
            # Side by side the two in the middle have the length of frames.
            for packet in (good, b"x" * 81, b"y" * 79, good):
                bus.send(packet)

            block = await asyncio.wait_for(hearing, 5)

            assert block is not None
            assert block.can_id.tolist() == [1, 2, 1, 2]
            assert source.dropped == 2
            source.close()
