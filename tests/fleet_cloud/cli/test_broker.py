"""`fleet-cloud broker rules`: what it writes, given to real brokers, denies what ours deny."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fleet_cloud.cli
from fairway.topics import ALL_UP_TELEMETRY, client_id, down_telemetry, up_telemetry
from fleet_cloud.adapters.broker_child import find_program
from fleet_cloud.vehicles.registry import CLOUD_NAME
from fleet_cloud.vehicles.rights import SHARE_GROUP
from tests.aws_policy import allowed
from tests.brokers import Broker
from tests.mqtt_client import MqttClient
from tests.ports import free_port

VEHICLES = ("CAR-A", "CAR-B", "CAR-GONE")
PLACE = "arn:aws:iot:eu-central-1:123456789012"
SHARED = f"$share/{SHARE_GROUP}/{ALL_UP_TELEMETRY}"


class Site:
    """A data directory with two vehicles, and one that was removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for vehicle in VEHICLES:
            self.run("vehicle", "add", vehicle, "--out", str(folder / vehicle))
        self.run("vehicle", "remove", "CAR-GONE")

    def run(self, *arguments: str) -> int:
        code = fleet_cloud.cli.main([*arguments, "--data", str(self.folder / "data")])
        assert code == 0
        return code

    def rules(self, kind: str, *more: str) -> Path:
        out = self.folder / kind
        self.run("broker", "rules", "--for", kind, "--out", str(out), *more)
        return out

    def client(self, port: int, vehicle: str) -> MqttClient:
        keys = self.folder / vehicle
        return MqttClient(
            port,
            ca=keys / "ca.pem",
            certificate=keys / "certificate.pem",
            key=keys / "key.pem",
            name=client_id(vehicle),
        )

    def cloud(self, port: int, name: str) -> MqttClient:
        pki = self.folder / "data" / "pki"
        return MqttClient(
            port,
            ca=pki / "ca.pem",
            certificate=pki / "cloud.pem",
            key=pki / "cloud-key.pem",
            name=name,
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@contextmanager
def running(site: Site, kind: str) -> Iterator[int]:
    port = free_port()
    out = site.rules(kind, "--listen", f"127.0.0.1:{port}")
    program = "nats-server" if kind == "nats" else "mosquitto"
    (config,) = out.glob("*.conf")
    broker = Broker(
        [str(find_program(program)[1]), "-c", str(config)], port, site.folder / f"{kind}.log"
    )
    broker.start()
    try:
        yield port
    finally:
        broker.stop()


@pytest.mark.net
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("kind", ["mosquitto", "mosquitto-dynsec", "nats"])
def test_a_broker_with_these_rules_lets_each_do_its_own_and_nothing_else(site: Site, kind: str):
    with (
        running(site, kind) as port,
        site.cloud(port, "fairway-cloud-1") as cloud,
        site.cloud(port, "fairway-cloud-2") as second,
        site.client(port, "CAR-A") as thief,
        site.client(port, "CAR-B") as victim,
        site.client(port, "CAR-GONE") as gone,
    ):
        for client in (cloud, second, thief, victim):
            assert client.is_connected()
        assert not gone.is_connected(1.0)
        assert cloud.subscribe(ALL_UP_TELEMETRY)
        if kind != "nats":  # which has none
            assert second.subscribe(SHARED)
        assert victim.subscribe(down_telemetry("CAR-B"))
        asked = (down_telemetry("CAR-B"), "fairway/v1/+/down/#", "#", "fairway/#", "$SYS/#")
        granted = [thief.subscribe(topic) for topic in asked]
        # An access file of Mosquitto 2.0 grants every subscription, and then hands nothing out.
        assert kind == "mosquitto" or not any(granted)

        thief.publish(up_telemetry("CAR-B"), b"in another's name")
        thief.publish(down_telemetry("CAR-B"), b"a receipt of the thief's")
        cloud.publish(down_telemetry("CAR-B"), b"for B alone")
        assert victim.hears() == (down_telemetry("CAR-B"), b"for B alone")
        assert thief.is_connected(10)
        victim.publish(up_telemetry("CAR-B"), b"of B")

        assert cloud.hears() == (up_telemetry("CAR-B"), b"of B")
        assert thief.hears(1.0) is None


def _policies(site: Site) -> tuple[dict[str, object], dict[str, object]]:
    out = site.rules("aws-iot", "--place", PLACE)
    vehicle, cloud = (
        json.loads((out / f"{whose}-policy.json").read_text()) for whose in ("vehicle", "cloud")
    )
    return vehicle, cloud


@pytest.mark.parametrize(
    ("action", "resource", "is_allowed"),
    [
        ("iot:Connect", "client/CAR-A", True),
        ("iot:Connect", "client/CAR-B", False),
        ("iot:Connect", "client/CAR-A2", False),
        ("iot:Publish", f"topic/{up_telemetry('CAR-A')}", True),
        ("iot:Publish", f"topic/{up_telemetry('CAR-B')}", False),
        ("iot:Publish", f"topic/{down_telemetry('CAR-A')}", False),
        ("iot:RetainPublish", f"topic/{up_telemetry('CAR-A')}", False),
        ("iot:Subscribe", f"topicfilter/{down_telemetry('CAR-A')}", True),
        ("iot:Subscribe", "topicfilter/fairway/v1/CAR-A/down/#", True),
        ("iot:Subscribe", f"topicfilter/{down_telemetry('CAR-B')}", False),
        ("iot:Subscribe", "topicfilter/fairway/v1/+/down/telemetry", False),
        ("iot:Subscribe", "topicfilter/fairway/v1/CAR-A/#", False),
        ("iot:Subscribe", "topicfilter/#", False),
        ("iot:Subscribe", f"topicfilter/{SHARED}", False),
        ("iot:Subscribe", "topicfilter/$share/x/fairway/v1/CAR-A/down/#", False),
        ("iot:Receive", f"topic/{down_telemetry('CAR-A')}", True),
        ("iot:Receive", f"topic/{down_telemetry('CAR-B')}", False),
        ("iot:Publish", "topic/$aws/things/CAR-A/shadow/update", False),
    ],
)
def test_aws_lets_a_vehicle_do_its_own_and_nothing_else(
    site: Site, action: str, resource: str, *, is_allowed: bool
):
    vehicle, _ = _policies(site)
    values = {"iot:Certificate.Subject.CommonName": "CAR-A"}

    assert allowed(vehicle, action, f"{PLACE}:{resource}", values) is is_allowed
    elsewhere = PLACE.replace("eu-central-1", "us-east-1")
    assert not allowed(vehicle, action, f"{elsewhere}:{resource}", values)
    assert not allowed(vehicle, action, f"{PLACE}:{resource}", {})  # no certificate, no name


@pytest.mark.parametrize(
    ("action", "resource", "is_allowed"),
    [
        ("iot:Connect", f"client/{CLOUD_NAME}-ingest-2", True),
        ("iot:Connect", "client/CAR-A", False),
        ("iot:Subscribe", f"topicfilter/{ALL_UP_TELEMETRY}", True),
        ("iot:Subscribe", f"topicfilter/{SHARED}", True),
        ("iot:Subscribe", "topicfilter/#", False),
        ("iot:Receive", f"topic/{up_telemetry('CAR-A')}", True),
        ("iot:Publish", f"topic/{down_telemetry('CAR-A')}", True),
        ("iot:Publish", f"topic/{up_telemetry('CAR-A')}", False),
    ],
)
def test_aws_lets_the_cloud_do_what_ingest_does(
    site: Site, action: str, resource: str, *, is_allowed: bool
):
    _, cloud = _policies(site)

    assert allowed(cloud, action, f"{PLACE}:{resource}", {}) is is_allowed


@pytest.mark.parametrize("place", ["", "arn:aws:iot:*:*", "arn:aws:s3:eu-central-1:123456789012"])
def test_a_place_that_is_none_of_aws_is_refused(
    site: Site, place: str, capsys: pytest.CaptureFixture[str]
):
    arguments = ["broker", "rules", "--for", "aws-iot", "--data", str(site.folder / "data")]

    assert fleet_cloud.cli.main([*arguments, "--place", place]) == 1
    assert "is no place of AWS IoT Core" in capsys.readouterr().err


def test_rules_are_printed_where_no_folder_is_given(site: Site, capsys: pytest.CaptureFixture[str]):
    site.run("broker", "rules", "--for", "mosquitto")

    printed = capsys.readouterr().out
    assert "==> access <==" in printed
    assert "pattern write fairway/v1/%u/up/#" in printed
