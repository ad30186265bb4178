"""What every uplink promises: bytes go up, answers come down, and a lost connection is said to be lost.

The cloud here is a few lines that answer every batch with STORED, behind a real broker or a real gRPC server.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.adapters.memory import MemoryUplink
from edge_agent.adapters.uplink_grpc import GrpcUplink
from edge_agent.adapters.uplink_mqtt import MqttUplink
from edge_agent.adapters.uplink_tls import address
from edge_agent.adapters.uplinks import CloudUplink
from fairway.control import CatalogueWanted, CheckIn
from fairway.errors import BadInput, Denied, Unavailable
from fairway.ids import BatchName
from fairway.samples import SampleBlock, Signal, SignalTable
from fairway.telemetry import Batch, Outcome, Receipt, SealedBatch
from fairway.topics import down_control, down_telemetry, up_control, up_telemetry
from fairway.wire import telemetry as wire
from fairway.wire.control import from_vehicle_to_bytes, to_vehicle_to_bytes
from tests.brokers import Broker, mosquitto, nats
from tests.certificates import Authority
from tests.grpc_cloud import GrpcCloud

VEHICLE = "CAR.1-x"
STREAM = "0123456789abcdef"
TABLE = SignalTable((Signal("Vehicle.Speed", scale=0.01),))

DICTIONARY = wire.dictionary_to_bytes(wire.dictionary_of(TABLE))

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


def request_bytes(sequence: int, samples: int = 100) -> bytes:
    block = SampleBlock(
        TABLE,
        np.zeros(samples, np.int32),
        np.arange(samples, dtype=np.int64),
        np.random.default_rng(sequence).random(samples),
    )
    name = BatchName(VEHICLE, STREAM, sequence)
    return wire.batch_to_bytes(Batch(name, wire.dictionary_of(TABLE).id, block, 0))


def answers(request: bytes) -> list[bytes]:
    content = wire.request_from_bytes(request, vehicle=VEHICLE)
    if not isinstance(content, SealedBatch):
        return []
    return [wire.receipts_to_bytes([Receipt(STREAM, content.name.sequence, Outcome.STORED)])]


@dataclass
class Cloud:
    """A cloud that can be lost and found again."""

    uplink: CloudUplink
    lose: Callable[[], Awaitable[None]]
    find: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", "mosquitto", "nats", "grpc"])
async def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cloud]:
    make = {"memory": _memory, "mosquitto": _mosquitto, "nats": _nats, "grpc": _grpc}[request.param]
    async with make(tmp_path) as made:
        yield made
        await made.uplink.close()


async def sequences(uplink: CloudUplink, count: int) -> set[int]:
    heard: set[int] = set()
    async with asyncio.timeout(20):
        while len(heard) < count:
            receipts = wire.receipts_from_bytes(await uplink.receive())
            heard |= {receipt.sequence for receipt in receipts}
    return heard


async def test_every_message_arrives_and_every_answer_comes_back(cloud: Cloud):
    await cloud.uplink.connect()
    await cloud.uplink.send(DICTIONARY)
    for sequence in range(1, 201):
        await cloud.uplink.send(request_bytes(sequence))

    assert await sequences(cloud.uplink, 200) == set(range(1, 201))


async def test_a_large_message_arrives_whole(cloud: Cloud):
    await cloud.uplink.connect()
    await cloud.uplink.send(DICTIONARY)
    await cloud.uplink.send(request_bytes(1, samples=100_000))

    assert await sequences(cloud.uplink, 1) == {1}


async def test_a_lost_connection_is_told_to_sender_and_receiver_and_can_be_made_again(cloud: Cloud):
    await cloud.uplink.connect()
    await cloud.uplink.send(DICTIONARY)
    await cloud.uplink.send(request_bytes(1))
    await sequences(cloud.uplink, 1)

    await cloud.lose()
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await cloud.uplink.receive()
    with pytest.raises(Unavailable):
        await cloud.uplink.send(request_bytes(2))
    with pytest.raises(Unavailable):
        await cloud.uplink.connect()

    await cloud.find()
    await cloud.uplink.connect()
    await cloud.uplink.send(request_bytes(2))
    assert await sequences(cloud.uplink, 1) == {2}


CHECK_IN = from_vehicle_to_bytes(CheckIn("1.0", 7))
ORDER = to_vehicle_to_bytes(CatalogueWanted())


async def test_control_goes_up_and_comes_down_beside_telemetry(cloud: Cloud):
    await cloud.uplink.connect()
    await cloud.uplink.send(DICTIONARY)
    await cloud.uplink.send_control(CHECK_IN)
    await cloud.uplink.send(request_bytes(1))

    async with asyncio.timeout(20):
        assert await cloud.uplink.receive_control() == ORDER
    assert await sequences(cloud.uplink, 1) == {1}


async def test_a_lost_connection_is_told_to_who_waits_for_control(cloud: Cloud):
    await cloud.uplink.connect()
    await cloud.uplink.send_control(CHECK_IN)
    async with asyncio.timeout(20):
        await cloud.uplink.receive_control()

    await cloud.lose()

    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await cloud.uplink.receive_control()


async def test_closing_wakes_the_receiver_and_twice_does_no_harm(cloud: Cloud):
    await cloud.uplink.connect()
    waiting = asyncio.create_task(cloud.uplink.receive())
    await asyncio.sleep(0)

    await cloud.uplink.close()
    await cloud.uplink.close()

    with pytest.raises((Unavailable, asyncio.CancelledError)):
        await waiting


async def test_without_a_connection_nothing_can_be_sent_or_heard(cloud: Cloud):
    with pytest.raises(Unavailable, match="no connection"):
        await cloud.uplink.send(b"")
    with pytest.raises(Unavailable, match="no connection"):
        await cloud.uplink.receive()
    with pytest.raises(Unavailable, match="no connection"):
        await cloud.uplink.send_control(b"")
    with pytest.raises(Unavailable, match="no connection"):
        await cloud.uplink.receive_control()


# the clouds


@asynccontextmanager
async def _memory(_: Path) -> AsyncIterator[Cloud]:
    uplink = MemoryUplink(answers, lambda _: [ORDER])

    async def lose() -> None:
        uplink.is_reachable = False
        uplink.cut()

    async def find() -> None:
        uplink.is_reachable = True

    yield Cloud(uplink, lose, find)


@contextmanager
def answering(port: int) -> Iterator[Callable[[], None]]:
    """Answer every batch that comes over the broker on `port`; the function waits until that is so."""
    listening = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="cloud", protocol=paho.MQTTv311)

    def on_message(_client, _user, message) -> None:
        if message.topic == up_control(VEHICLE):
            client.publish(down_control(VEHICLE), ORDER, qos=1)
            return
        for answer in answers(bytes(message.payload)):
            client.publish(down_telemetry(VEHICLE), answer, qos=1)

    def on_connect(*_) -> None:
        client.subscribe([(up_telemetry(VEHICLE), 1), (up_control(VEHICLE), 1)])

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: listening.set()
    client.on_disconnect = lambda *_: listening.clear()
    client.on_message = on_message
    client.max_inflight_messages_set(1000)
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield lambda: _wait(listening)
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_connect = client.on_subscribe = client.on_disconnect = client.on_message = None


def _wait(event: threading.Event) -> None:
    assert event.wait(20)


@asynccontextmanager
async def _behind(broker: Broker) -> AsyncIterator[Cloud]:
    with answering(broker.port) as wait:
        await asyncio.to_thread(wait)

        async def lose() -> None:
            await asyncio.to_thread(broker.kill)

        async def find() -> None:
            await asyncio.to_thread(broker.start)
            await asyncio.to_thread(wait)

        uplink = MqttUplink(address(f"mqtt://127.0.0.1:{broker.port}"), vehicle=VEHICLE)
        yield Cloud(uplink, lose, find)


@asynccontextmanager
async def _mosquitto(directory: Path) -> AsyncIterator[Cloud]:
    with mosquitto(directory) as broker:
        async with _behind(broker) as cloud:
            yield cloud


@asynccontextmanager
async def _nats(directory: Path) -> AsyncIterator[Cloud]:
    with nats(directory) as broker:
        async with _behind(broker) as cloud:
            yield cloud


@asynccontextmanager
async def _grpc(directory: Path) -> AsyncIterator[Cloud]:
    server = GrpcCloud(Authority(directory), has_control=True)
    server.orders.put_nowait(CatalogueWanted())
    await server.start()
    yield Cloud(GrpcUplink(grpc_address(server)), server.stop, server.start)
    await server.stop()


def grpc_address(server: GrpcCloud):
    vehicle = server.authority.vehicle(VEHICLE)
    return address(
        f"grpcs://localhost:{server.port}",
        ca=server.authority.ca,
        certificate=vehicle.certificate,
        key=vehicle.key,
    )


# certificates and refusals


async def test_grpc_shows_the_vehicles_certificate(tmp_path: Path):
    server = GrpcCloud(Authority(tmp_path))
    await server.start()
    uplink = GrpcUplink(grpc_address(server))
    await uplink.connect()
    await uplink.send(DICTIONARY)
    await uplink.send(request_bytes(1))

    assert await sequences(uplink, 1) == {1}
    assert server.vehicles == [VEHICLE]
    await uplink.close()
    await server.stop()


async def test_grpc_says_that_a_vehicle_is_not_let_in(tmp_path: Path):
    server = GrpcCloud(Authority(tmp_path), refusal=grpc.StatusCode.PERMISSION_DENIED)
    await server.start()
    uplink = GrpcUplink(grpc_address(server))
    await uplink.connect()

    with pytest.raises(Denied, match="does not let this vehicle in: go away"):
        await uplink.receive()
    await uplink.close()
    await server.stop()


async def test_grpc_without_the_control_door_says_so_and_telemetry_goes_on(tmp_path: Path):
    server = GrpcCloud(Authority(tmp_path))
    await server.start()
    uplink = GrpcUplink(grpc_address(server))
    await uplink.connect()

    with pytest.raises(BadInput, match="has no such door"):
        await uplink.receive_control()
    await uplink.send(DICTIONARY)
    await uplink.send(request_bytes(1))
    assert await sequences(uplink, 1) == {1}
    await uplink.close()
    await server.stop()


async def test_memory_without_the_control_door_says_so():
    uplink = MemoryUplink(answers)
    await uplink.connect()

    with pytest.raises(BadInput, match="has no such door"):
        await uplink.receive_control()
    with pytest.raises(BadInput, match="has no such door"):
        await uplink.send_control(CHECK_IN)
