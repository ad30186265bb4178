"""The doors of a real cloud as vehicles find them: two brokers and gRPC."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import grpc

import fleet_cloud.cli
from fairway.errors import Denied, Unavailable
from fairway.telemetry import Receipt
from fairway.topics import client_id, down_telemetry, up_telemetry
from fairway.wire.telemetry import receipts_from_bytes
from fleet_cloud.adapters.fleet_files import open_fleet
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.config import Config
from tests.e2e.scene import EMBEDDED_BROKER, Cloud
from tests.fleet_cloud.ingest.desk import DICTIONARY_BYTES
from tests.issued import Keys, keys_of
from tests.mqtt_client import MqttClient
from tests.ports import free_port

DOORS = ("mosquitto", "nats-server", "gRPC")


class Line(Protocol):
    """A vehicle's open way to the cloud."""

    def ask(self, message: bytes) -> list[Receipt]:
        """Send a message and return what the cloud answers.  Raises Denied, Unavailable."""
        ...

    def is_cut_off(self, within_s: float) -> bool:
        """Whether the cloud ends it."""
        ...

    def close(self) -> None: ...


class Door:
    """A cloud, one of its doors, and keys to it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.mqtt_port = free_port()
        program = "mosquitto" if kind == "gRPC" else kind
        self.cloud = Cloud(folder, EMBEDDED_BROKER.format(port=self.mqtt_port, program=program))
        self.config = Config(data_dir=folder / "cloud")
        self.pki = FilePki(folder / "cloud" / "pki")

    @property
    def port(self) -> int:
        return self.cloud.grpc_port if self.kind == "gRPC" else self.mqtt_port

    def added(self, vehicle: str) -> Keys:
        """Register a vehicle as an operator does, and return its keys."""
        folder = self.cloud.add_vehicle(vehicle)
        with open_fleet(self.config) as fleet:
            (record,) = fleet.registry.certificates.of_vehicle(vehicle)
        return Keys(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem", record)

    def renewed(self, vehicle: str) -> Keys:
        """Give a vehicle one more certificate, which supersedes the one that it has."""
        with open_fleet(self.config) as fleet:
            keys = keys_of(fleet.pki, self.folder, vehicle)
            fleet.registry.certificates.record(keys.record)
        return keys

    def revoke(self, keys: Keys) -> None:
        """Revoke one certificate, as an operator does, in this process, which has everything loaded."""
        words = ["vehicle", "revoke", keys.record.vehicle, "--reason", "stolen"]
        words += ["--certificate", keys.record.sha256, *map(str, self.cloud.options)]
        assert fleet_cloud.cli.main(words) == 0

    def open(self, keys: Keys) -> Line:
        """Come in with `keys`.  Raises Denied, here or at the first question."""
        return GrpcLine(self, keys) if self.kind == "gRPC" else MqttLine(self, keys)

    def lets_in(self, keys: Keys, message: bytes) -> bool:
        """Whether the bearer of `keys` gets an answer to a message."""
        try:
            line = self.open(keys)
        except Denied:
            return False
        try:
            return bool(line.ask(message))
        except (Denied, Unavailable):
            return False
        finally:
            line.close()


class MqttLine:
    """By a broker, on the vehicle's own topics."""

    def __init__(self, door: Door, keys: Keys) -> None:
        self._vehicle = vehicle = keys.record.vehicle
        self.client = MqttClient(
            door.mqtt_port,
            ca=keys.ca,
            certificate=keys.certificate,
            key=keys.key,
            name=client_id(vehicle),
        )
        self.client.__enter__()
        if not self.client.is_connected(2) or not self.client.subscribe(down_telemetry(vehicle)):
            self.close()
            raise Denied("the broker does not let it in, or grants it nothing")
        self.client.publish(up_telemetry(vehicle), DICTIONARY_BYTES)

    def ask(self, message: bytes) -> list[Receipt]:
        self.client.publish(up_telemetry(self._vehicle), message)
        heard = self.client.hears(10)
        if heard is None:
            raise Unavailable("no answer")
        return list(receipts_from_bytes(heard[1]))

    def is_cut_off(self, within_s: float) -> bool:
        return self.client.ended.wait(within_s)

    def close(self) -> None:
        self.client.__exit__()


class GrpcLine:
    """By gRPC."""

    def __init__(self, door: Door, keys: Keys) -> None:
        files = [path.read_bytes() for path in (keys.ca, keys.key, keys.certificate)]
        self._channel = grpc.secure_channel(
            f"127.0.0.1:{door.cloud.grpc_port}",
            grpc.ssl_channel_credentials(*files),
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)],
        )
        self._outgoing, self._is_open = [DICTIONARY_BYTES], True
        call: Any = self._channel.stream_stream("/fairway.v1.IngestService/Telemetry")
        self._call = call(self._messages(), timeout=60)

    def _messages(self) -> Iterator[bytes]:
        while self._is_open:
            while self._outgoing:
                yield self._outgoing.pop(0)
            time.sleep(0.01)

    def ask(self, message: bytes) -> list[Receipt]:
        self._outgoing.append(message)
        try:
            return list(receipts_from_bytes(next(self._call)))
        except grpc.RpcError as error:
            raise Denied(str(self._call.details())) from error

    def is_cut_off(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while self._call.is_active() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self._call.is_active()

    def close(self) -> None:
        self._is_open = False
        self._channel.close()
