"""Topics as NATS spells them, and the rules as each broker reads them."""

import json
from pathlib import Path

import pytest

from fairway.errors import BadInput
from fleet_cloud.adapters.addresses import external_broker
from fleet_cloud.adapters.broker_child import find_program
from fleet_cloud.adapters.broker_mosquitto import commands, dynamic_security, mosquitto_access
from fleet_cloud.adapters.broker_nats import nats_config, subject, subjects
from fleet_cloud.config import Broker
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.registry import CLOUD_NAME, KEEPER_NAME
from fleet_cloud.vehicles.rights import Changes


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


def test_a_mosquitto_of_somebody_else_has_one_pattern_for_all():
    assert mosquitto_access() == (
        "user fairway-cloud\ntopic read fairway/v1/+/up/#\ntopic write fairway/v1/+/down/#\n\n"
        "pattern write fairway/v1/%u/up/#\npattern read fairway/v1/%u/down/#\n"
    )


def test_mosquitto_gives_a_role_to_every_vehicle_and_rights_to_nobody_else():
    told = json.loads(dynamic_security(["VIN1"]))
    rules = {
        role["rolename"]: [(acl["acltype"], acl["topic"]) for acl in role["acls"]]
        for role in told["roles"]
    }

    assert rules["VIN1"] == [
        ("publishClientSend", "fairway/v1/VIN1/up/#"),
        ("publishClientReceive", "fairway/v1/VIN1/down/#"),
        ("subscribePattern", "fairway/v1/VIN1/down/#"),
    ]
    assert set(rules) == {"VIN1", CLOUD_NAME, KEEPER_NAME}
    assert {name for name, is_allowed in told["defaultACLAccess"].items() if is_allowed} == {
        "unsubscribe"
    }


def test_who_is_to_be_cut_off_is_told_first():
    told = commands(Changes(added=("VIN1",), removed=("VIN2",), cut=("VIN3",)))

    assert [(one["command"], one.get("username", one.get("rolename"))) for one in told] == [
        ("disableClient", "VIN3"),
        ("enableClient", "VIN3"),
        ("deleteClient", "VIN2"),
        ("deleteRole", "VIN2"),
        ("createRole", "VIN1"),
        ("createClient", "VIN1"),
    ]


def test_nats_knows_nobody_but_the_certificates_of_the_fleet_and_the_cloud():
    here = Path("/x")
    fleet = [
        Member("VIN1", "default", frozenset({"b" * 32, "a" * 32})),
        Member("VIN2", "default", by_name=True, ended=frozenset({"c" * 32})),
    ]
    text = nats_config(
        {member.vehicle: member for member in fleet},
        cloud="CN=fairway-cloud",
        host="127.0.0.1",
        port=1,
        folder=here,
        ca=here,
        certificate=here,
        key=here,
    )
    users = json.loads(text)["authorization"]["users"]
    urns = [f"urn:fairway:certificate:{letter * 32}" for letter in "abc"]

    assert {user["user"]: tuple(user["allowed_connection_types"]) for user in users} == {
        "CN=fairway-cloud": ("MQTT",),
        urns[0]: ("MQTT",),
        urns[1]: ("MQTT",),
        "CN=VIN2": ("MQTT",),
        urns[2]: ("LEAFNODE",),
    }


def test_a_broker_that_is_not_installed_is_named():
    with pytest.raises(BadInput, match="no broker to run"):
        find_program("no-such-broker")


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path):
    settings = Broker(mode="external", url="mqtts://b:8883", password_file=tmp_path / "none")

    with pytest.raises(BadInput, match="cannot read a password"):
        external_broker(settings)
