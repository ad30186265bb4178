"""Topics as NATS spells them, and the rules as each broker reads them."""

import json
from pathlib import Path

import pytest

from fairway.errors import BadInput
from fleet_cloud.adapters.addresses import external_broker
from fleet_cloud.adapters.broker_child import find_program
from fleet_cloud.adapters.broker_mosquitto import mosquitto_access
from fleet_cloud.adapters.broker_nats import nats_config, subject, subjects
from fleet_cloud.config import Broker


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("fairway/v1/VIN1/up/telemetry", "fairway.v1.VIN1.up.telemetry"),
        ("fairway/v1/a.b/up/telemetry", "fairway.v1.a//b.up.telemetry"),
        ("fairway/v1/+/up/telemetry", "fairway.v1.*.up.telemetry"),
    ],
)
def test_a_topic_is_a_subject(topic: str, expected: str):
    assert subject(topic) == expected


def test_a_tree_is_its_root_and_everything_below():
    assert subjects("fairway/v1/VIN1/up/#") == ["fairway.v1.VIN1.up", "fairway.v1.VIN1.up.>"]


def test_mosquitto_names_every_vehicle_and_has_no_rule_for_all():
    text = mosquitto_access(["VIN2", "VIN1"])

    assert text == (
        "user fairway-cloud\ntopic read fairway/v1/+/up/#\ntopic write fairway/v1/+/down/#\n\n"
        "user VIN1\ntopic write fairway/v1/VIN1/up/#\ntopic read fairway/v1/VIN1/down/#\n\n"
        "user VIN2\ntopic write fairway/v1/VIN2/up/#\ntopic read fairway/v1/VIN2/down/#\n"
    )


def test_nats_knows_nobody_but_the_fleet_and_the_cloud():
    here = Path("/x")
    text = nats_config(
        ["VIN1"], host="127.0.0.1", port=1, folder=here, ca=here, certificate=here, key=here
    )
    users = json.loads(text)["authorization"]["users"]

    assert [user["user"] for user in users] == ["CN=fairway-cloud", "CN=VIN1"]
    assert {tuple(user["allowed_connection_types"]) for user in users} == {("MQTT",)}


def test_a_broker_that_is_not_installed_is_named():
    with pytest.raises(BadInput, match="no broker to run"):
        find_program("no-such-broker")


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path):
    settings = Broker(mode="external", url="mqtts://b:8883", password_file=tmp_path / "none")

    with pytest.raises(BadInput, match="cannot read a password"):
        external_broker(settings)
