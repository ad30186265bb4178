"""The socketcand server, with python-can's unmodified client."""

import asyncio
import contextlib

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters import socketcand
from edge_agent.adapters.socketcand import frames_of as frames_in
from edge_agent.adapters.sources import open_source
from edge_agent.canbus.frames import EXTENDED, FD, Frame, block_of
from fairway.clock import ManualClock
from fairway.errors import BadInput, Unavailable
from simulators.bus import Bus, BusSource
from simulators.socketcand import SocketcandFront, frame_of
from tests.edge_agent.adapters.frames import frames_of

pytestmark = pytest.mark.net


@contextlib.asynccontextmanager
async def served(bus: Bus):
    front = SocketcandFront(bus, port=0, clock=ManualClock(now_ns=42))
    await front.open()
    yield front
    await front.close()


async def test_python_can_hears_the_bus_and_is_heard(socket_enabled):
    bus = Bus(("can0", "can1"))
    inside = BusSource(bus)
    async with served(bus) as front:
        client = await asyncio.to_thread(
            can.Bus, interface="socketcand", host="127.0.0.1", port=front.port, channel="can1"
        )
        await front.wait_for(1)
        sent = [
            Frame(0x123, b"\x01\x02", 1_533_226_488_228_954_000, bus=1),
            Frame(EXTENDED | 0x18FEF100, b"", 1_533_226_489_000_000_000, bus=1),
        ]

        await bus.send(block_of([Frame(7, b"other channel", bus=0), *sent]))
        heard = [await asyncio.to_thread(client.recv, 5) for _ in sent]
        await asyncio.to_thread(
            client.send, can.Message(arbitration_id=0x7DF, data=b"\x02\x01\x00")
        )

        assert [(m.arbitration_id, m.is_extended_id, bytes(m.data)) for m in heard if m] == [
            (0x123, False, b"\x01\x02"),
            (0x18FEF100, True, b""),
        ]
        assert heard[0] is not None
        assert heard[0].timestamp == pytest.approx(1_533_226_488.228954, abs=1e-6)
        await inside.receive()
        ours = frames_of([await asyncio.wait_for(inside.receive(), 5)])
        assert ours == [Frame(EXTENDED | 0x7DF, b"\x02\x01\x00", 42, 1)]
        await asyncio.to_thread(client.shutdown)


async def test_our_own_source_reads_it_too_without_losing_a_frame(socket_enabled):
    bus = Bus()
    async with served(bus) as front:
        source = open_source(f"socketcand:127.0.0.1:{front.port}:can0", name="can0", bus=2)
        frames = [Frame(n % 0x800, bytes([n & 255]), n * 1000, 0) for n in range(3_000)]

        async def listen() -> list[Frame]:
            heard: list[Frame] = []
            while len(heard) < len(frames):
                block = await source.receive()
                assert block is not None
                heard += block.frames()
            return heard

        listening = asyncio.create_task(listen())
        await front.wait_for(1)
        # From the very first moment: nothing is lost around the handshake.
        await bus.send(block_of(frames[:1]))
        await bus.send(block_of(frames[1:]))

        heard = await asyncio.wait_for(listening, 20)
        assert [(f.can_id, f.data, f.bus) for f in heard] == [(f.can_id, f.data, 2) for f in frames]
        source.close()


async def test_echoes_are_not_held_back(socket_enabled):
    bus = Bus()
    async with served(bus) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        assert await reader.readuntil(b">") == b"< hi >"
        began = asyncio.get_running_loop().time()

        for _ in range(100):
            writer.write(b"< echo >")
            assert await reader.readuntil(b">") == b"< echo >"

        # Forty milliseconds each without TCP_NODELAY.
        assert asyncio.get_running_loop().time() - began < 2
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "message",
    [
        b"< open can9 >",
        b"< rawmode >",
        b"< send 123 1 00 >",
        b"<>",
        b"< nonsense \xff >",
        b"garbage before < isotpmode 7E0 >",
    ],
)
async def test_what_makes_no_sense_is_answered_and_counted(socket_enabled, message: bytes):
    async with served(Bus()) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        await reader.readuntil(b">")

        writer.write(message)
        answer = await reader.readuntil(b">")
        writer.write(b"< open can0 >")

        assert answer.startswith(b"< error ")
        assert await reader.readuntil(b">") == b"< ok >"
        assert front.malformed == 1
        writer.close()
        await writer.wait_closed()


async def test_a_message_without_end_closes_only_its_connection(socket_enabled):
    async with served(Bus()) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)

        writer.write(b"<" + b"x" * 100_000)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() in (b"", b"< hi >")
        writer.close()

        _, other = await asyncio.open_connection("127.0.0.1", front.port)
        other.close()


async def test_what_the_protocol_cannot_say_is_counted(socket_enabled):
    bus = Bus()
    async with served(bus) as front:
        source = open_source(f"socketcand:127.0.0.1:{front.port}:can0", name="can0")
        hearing = asyncio.create_task(source.receive())
        await front.wait_for(1)

        await bus.send(block_of([Frame(1, bytes(64), flags=FD), Frame(2, b"")]))

        assert [f.can_id for f in frames_of([await asyncio.wait_for(hearing, 5)])] == [2]
        assert front.left_out == 1
        source.close()


async def test_a_server_that_is_not_there_is_unavailable_at_once(socket_enabled):
    async with served(Bus()) as front:
        port = front.port
    source = open_source(f"socketcand:127.0.0.1:{port}:can0", name="can0")

    with pytest.raises(Unavailable, match="is not there"):
        await asyncio.wait_for(source.receive(), 5)

    source.close()


async def test_a_server_that_goes_away_is_told_and_found_again(socket_enabled):
    bus = Bus()
    front = SocketcandFront(bus, port=0)
    await front.open()
    port = front.port
    source = open_source(f"socketcand:127.0.0.1:{port}:can0", name="can0")
    hearing = asyncio.create_task(source.receive())
    await front.wait_for(1)
    await bus.send(block_of([Frame(1, b"last one")]))
    await front.close()

    assert [f.can_id for f in frames_of([await asyncio.wait_for(hearing, 5)])] == [1]
    with pytest.raises(Unavailable, match="is gone: its server has closed"):
        await asyncio.wait_for(source.receive(), 5)
    with pytest.raises(Unavailable, match="is not there"):
        await asyncio.wait_for(source.receive(), 5)

    again = SocketcandFront(bus, port=port)
    await again.open()
    hearing = asyncio.create_task(source.receive())
    await again.wait_for(1)
    await bus.send(block_of([Frame(2, b"")]))
    assert [f.can_id for f in frames_of([await asyncio.wait_for(hearing, 5)])] == [2]
    source.close()
    await again.close()


async def test_a_channel_the_server_does_not_have_is_said(socket_enabled):
    async with served(Bus()) as front:
        source = open_source(f"socketcand:127.0.0.1:{front.port}:can7", name="can0")

        with pytest.raises(Unavailable, match="no bus is called can7"):
            await asyncio.wait_for(source.receive(), 5)

        source.close()


async def test_what_we_send_arrives(socket_enabled):
    bus = Bus()
    inside = BusSource(bus)
    async with served(bus) as front:
        source = socketcand.parse(f"127.0.0.1:{front.port}:can0")

        await source.send(block_of([Frame(0x123, b"\x00\xff"), Frame(EXTENDED | 1, b"")]))

        heard = frames_of([await asyncio.wait_for(inside.receive(), 5)])
        heard += frames_of([await asyncio.wait_for(inside.receive(), 5)])
        assert heard == [Frame(0x123, b"\x00\xff", 42), Frame(EXTENDED | 1, b"", 42)]
        with pytest.raises(BadInput, match="neither CAN FD"):
            await source.send(block_of([Frame(1, bytes(64), flags=FD)]))
        source.close()


@given(
    data=st.binary(max_size=200) | st.text("<>frame 0123456789.ABf", max_size=120).map(str.encode)
)
def test_any_bytes_of_a_server_are_frames_or_counted(data: bytes):
    block, rest, malformed = frames_in(data, 0)

    assert len(block) + malformed == data.count(b">")
    assert rest == data[data.rfind(b">") + 1 :]


@given(
    can_id=st.text(max_size=9),
    length=st.text(max_size=2),
    data=st.lists(st.text(max_size=3), max_size=9),
)
def test_any_words_are_a_frame_or_refused(can_id: str, length: str, data: list[str]):
    try:
        frame = frame_of(can_id, length, data, 0, 0)
    except (BadInput, ValueError):
        return
    assert len(frame.data) <= 8


async def test_a_handshake_outlives_waits_that_are_shorter_than_it(socket_enabled):
    has_gone = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for word in (b"hi", b"ok", b"ok"):
            await asyncio.sleep(0.03)
            writer.write(b"< %b >" % word)
        writer.write(b"< frame 123 1.5 11 >")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        has_gone.set()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    source = socketcand.parse(f"127.0.0.1:{server.sockets[0].getsockname()[1]}:can0")
    block = None
    async with asyncio.timeout(5):
        while block is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.005):
                    block = await source.receive()

    assert [frame.can_id for frame in block.frames()] == [0x123]
    source.close()
    await has_gone.wait()
    server.close()
