"""Both doors over a store that stands still: senders are held back, memory stays bounded, nothing is lost."""

import asyncio
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from fairway.clock import SystemClock
from fairway.errors import BadInput
from fairway.telemetry import Outcome, Receipt
from fairway.topics import down_telemetry, up_telemetry
from fairway.wire.telemetry import receipts_from_bytes
from fleet_cloud.adapters import mqtt, mqtt_session
from fleet_cloud.adapters.addresses import BrokerAddress, embedded_broker
from fleet_cloud.adapters.broker_child import BrokerPlace, find_program, make_broker
from fleet_cloud.adapters.child import Child
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.adapters.grpc import GrpcDoor
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.mqtt import MqttDoor
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.worker import Limits, Worker
from fleet_cloud.config import Broker, Config
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.vehicles.certificates import Member
from tests.fleet_cloud.ingest.desk import (
    DICTIONARY_BYTES,
    TENANTS,
    Desk,
    WilfulStore,
    batch_bytes,
)
from tests.issued import keys_of, members_by_name
from tests.mqtt_client import MqttClient
from tests.ports import free_port

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CLOCK = SystemClock()
QUEUE_MAX_BYTES = 40_000  # some 60 small batches
BATCHES = 400


class GatedStore(WilfulStore):
    """A store whose inserts wait until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        self.gate.wait(30)
        super().append(batches)


class House:
    """A worker, the keys, and a place for doors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = FilePki(folder / "pki")
        self.pki.ensure([], CLOCK.now_ns())
        self.tenants = dict(TENANTS)
        desk = Desk()
        self.store = GatedStore()
        desk.groups._store = self.store
        self.intake = Intake(QUEUE_MAX_BYTES)
        self.died: list[BaseException] = []
        self.door: GrpcDoor | None = None
        self.worker = Worker(
            intake=self.intake,
            groups=desk.groups,
            tenants=lambda: self.tenants,
            vehicles=desk.registry.vehicles,
            feed=Feed(),
            clock=CLOCK,
            limits=Limits(group_max_samples=100, group_max_age_ms=10),
            failed=self.died.append,
        )
        self.worker.start()

    def keys(self, vehicle: str) -> dict[str, Path]:
        keys = keys_of(self.pki, self.folder, vehicle)
        return {"ca": keys.ca, "certificate": keys.certificate, "key": keys.key}

    def members(self) -> dict[str, Member]:
        return {name: Member(name, tenant, by_name=True) for name, tenant in self.tenants.items()}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    house.store.gate.set()
    await asyncio.to_thread(house.worker.stop)
    assert house.died == []


@pytest.fixture
async def grpc_port(house: House) -> AsyncIterator[int]:
    door = GrpcDoor(intake=house.intake, clock=CLOCK, members=house.members)
    house.door = door
    pki = house.pki
    yield await door.start(
        "127.0.0.1:0", ca=pki.anchors, certificate=pki.server, key=pki.server_key
    )
    house.store.gate.set()
    await door.stop()


def channel(port: int, keys: dict[str, Path]) -> grpc.aio.Channel:
    parts = [keys[name].read_bytes() for name in ("ca", "key", "certificate")]
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(*parts))


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.01)


async def test_a_grpc_sender_is_held_back_while_the_store_stands_still(
    house: House, grpc_port: int
):
    async with channel(grpc_port, house.keys("VIN1")) as to_cloud:
        call: Any = to_cloud.stream_stream("/fairway.v1.IngestService/Telemetry")()
        receipts: list[Receipt] = []

        async def send() -> None:
            await call.write(DICTIONARY_BYTES)
            for sequence in range(1, BATCHES + 1):
                await call.write(batch_bytes(sequence))
            await call.done_writing()

        async def receive() -> None:
            async for response in call:
                receipts.extend(receipts_from_bytes(response))

        both = asyncio.gather(send(), receive())
        await until(lambda: house.intake.held_bytes > QUEUE_MAX_BYTES - 1_000)
        await asyncio.sleep(0.2)
        assert house.intake.held_bytes <= QUEUE_MAX_BYTES
        assert receipts == []

        house.store.gate.set()
        await both

    assert [receipt.outcome for receipt in receipts] == [Outcome.STORED] * BATCHES
    assert len(house.store.inserted) == BATCHES


async def test_a_removed_vehicle_loses_its_open_stream(house: House, grpc_port: int):
    house.store.gate.set()
    async with channel(grpc_port, house.keys("VIN1")) as to_cloud:
        call: Any = to_cloud.stream_stream("/fairway.v1.IngestService/Telemetry")()
        await call.write(DICTIONARY_BYTES)
        await call.write(batch_bytes(1))
        assert receipts_from_bytes(await call.read())[0].outcome is Outcome.STORED

        del house.tenants["VIN1"]
        assert house.door is not None
        await house.door.review()

        with pytest.raises(grpc.aio.AioRpcError) as denied:
            await call.read()
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("vehicle", "code"),
    [
        ("stranger", grpc.StatusCode.PERMISSION_DENIED),
        ("not a vehicle", grpc.StatusCode.UNAUTHENTICATED),
    ],
)
async def test_a_certificate_that_names_no_vehicle_of_ours_is_refused(
    house: House, grpc_port: int, vehicle: str, code: grpc.StatusCode
):
    async with channel(grpc_port, house.keys(vehicle)) as to_cloud:
        call: Any = to_cloud.stream_stream("/fairway.v1.IngestService/Telemetry")()

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()

    assert refused.value.code() is code


@pytest.mark.parametrize("program", ["mosquitto", "nats-server"])
async def test_an_mqtt_sender_is_held_back_and_told_to_come_again(
    house: House, program: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mqtt, "STALL_S", 0.2)
    port = free_port()
    broker = make_broker(
        program, BrokerPlace(house.folder / "broker", "127.0.0.1", port, house.pki), CLOCK
    )
    await broker.start(members_by_name("VIN1"))
    address = embedded_broker(Config(broker=Broker()), house.pki, port)
    door = MqttDoor(
        address,
        client_id="fairway-cloud-test",
        intake=house.intake,
        clock=CLOCK,
        count=house.worker.count,
    )
    door.start()

    def act() -> list[Receipt]:
        assert door.wait_connected(20)
        receipts: list[Receipt] = []
        waiting = set(range(1, BATCHES + 1))
        with MqttClient(port, name="VIN1", **house.keys("VIN1")) as vehicle:
            assert vehicle.is_connected()
            vehicle.subscribe(down_telemetry("VIN1"))
            vehicle.publish(up_telemetry("VIN1"), DICTIONARY_BYTES)
            while waiting:
                for sequence in sorted(waiting):
                    vehicle.publish(up_telemetry("VIN1"), batch_bytes(sequence))
                # The door stands still for a moment before it begins to send batches back.
                while (heard := vehicle.hears(0.7)) is not None:
                    receipts += receipts_from_bytes(heard[1])
                    if any(receipt.outcome is Outcome.BUSY for receipt in receipts):
                        assert house.intake.held_bytes <= QUEUE_MAX_BYTES
                        house.store.gate.set()
                waiting -= {r.sequence for r in receipts if r.outcome.is_final}
        return receipts

    try:
        receipts = await asyncio.to_thread(act)
    finally:
        house.store.gate.set()
        await asyncio.to_thread(door.stop)
        await broker.stop()

    assert {receipt.outcome for receipt in receipts} >= {Outcome.BUSY, Outcome.STORED}
    assert sorted(key.name.sequence for key in house.store.inserted) == list(range(1, BATCHES + 1))


async def test_a_broker_with_passwords_lets_the_cloud_in(house: House):
    """As an operator runs Mosquitto inside a trusted network: no TLS, a name and a password."""
    _, mosquitto = find_program("mosquitto")
    port = free_port()
    passwords = house.folder / "passwords"
    subprocess.run(
        [shutil.which("mosquitto_passwd") or "", "-c", "-b", str(passwords), "cloud", "secret"],
        check=True,
    )
    config = house.folder / "mosquitto.conf"
    config.write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
    )
    broker = Child([str(mosquitto), "-c", str(config)], host="127.0.0.1", port=port, clock=CLOCK)
    await broker.start()
    doors = [
        MqttDoor(
            BrokerAddress(f"mqtt://127.0.0.1:{port}", username="cloud", password=password),
            client_id=f"cloud-{password}",
            intake=house.intake,
            clock=CLOCK,
            count=house.worker.count,
        )
        for password in ("secret", "wrong")
    ]
    for door in doors:
        door.start()
    try:
        assert await asyncio.to_thread(doors[0].wait_connected, 10)
        assert not await asyncio.to_thread(doors[1].wait_connected, 0.5)
    finally:
        for door in doors:
            await asyncio.to_thread(door.stop)
        await broker.stop()


async def test_a_broker_that_is_not_there_is_told_once_for_each_reason(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(mqtt_session, "RECONNECT_MIN_S", 0.01)
    monkeypatch.setattr(mqtt_session, "RECONNECT_MAX_S", 0.01)
    door = MqttDoor(
        BrokerAddress(f"mqtt://127.0.0.1:{free_port()}"),
        client_id="cloud",
        intake=house.intake,
        clock=CLOCK,
        count=house.worker.count,
    )
    door.start()
    try:
        assert not await asyncio.to_thread(door.wait_connected, 0.5)
    finally:
        await asyncio.to_thread(door.stop)

    told = [record for record in caplog.records if record.message == "broker_unreachable"]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mqtts://", "is not the URL of a broker"),
        ("http://x", "is not the URL of a broker"),
        ("mqtts://x:nine", "is not the URL of a broker"),
    ],
)
def test_an_address_that_cannot_work_is_named(tmp_path: Path, url: str, says: str):
    with pytest.raises(BadInput, match=says):
        MqttDoor(
            BrokerAddress(url),
            client_id="cloud",
            intake=Intake(1000),
            clock=CLOCK,
            count=lambda _: None,
        ).start()
