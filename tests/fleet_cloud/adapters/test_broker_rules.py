"""Topics as NATS spells them, and the rules as each broker reads them."""

import json
from pathlib import Path

import pytest

from fairway.errors import BadInput
from fairway.fleetwise.topics import Prefixes
from fleet_cloud.adapters.addresses import external_broker
from fleet_cloud.adapters.broker_aws import fleetwise_policy, vehicle_policy
from fleet_cloud.adapters.broker_child import find_program
from fleet_cloud.adapters.broker_mosquitto import commands, dynamic_security, mosquitto_access
from fleet_cloud.adapters.broker_nats import nats_config, subject, subjects
from fleet_cloud.config import Broker
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.registry import CLOUD_NAME, FLEETWISE_NAME, KEEPER_NAME
from fleet_cloud.vehicles.rights import Changes, FleetWiseUser


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


AGENTS = FleetWiseUser(FLEETWISE_NAME, Prefixes())
UP = [
    "$aws/iotfleetwise/vehicles/{}/checkins",
    "$aws/iotfleetwise/vehicles/{}/signals",
    "$aws/iotfleetwise/vehicles/{}/last_known_states/data",
    "$aws/commands/things/{}/executions/+/response/protobuf",
]
DOWN = [
    "$aws/iotfleetwise/vehicles/{}/collection_schemes",
    "$aws/iotfleetwise/vehicles/{}/decoder_manifests",
    "$aws/iotfleetwise/vehicles/{}/last_known_states/config",
    "$aws/commands/things/{}/executions/+/request/protobuf",
]
HEARD = [
    "$aws/commands/things/{}/executions/+/response/accepted/protobuf",
    "$aws/commands/things/{}/executions/+/response/rejected/protobuf",
    "$aws/things/{}/jobs/#",
    "$aws/events/job/+/cancellation_in_progress",
]


def test_agents_of_fleetwise_have_topics_of_their_own_and_a_user_serves_them():
    told = json.loads(dynamic_security(["VIN1"], AGENTS))
    rules = {
        role["rolename"]: {(acl["acltype"], acl["topic"]) for acl in role["acls"]}
        for role in told["roles"]
    }
    before = json.loads(dynamic_security(["VIN1"]))["roles"][-1]["acls"]

    def filled(kind: str, topics: list[str], name: str) -> set[tuple[str, str]]:
        return {(kind, topic.format(name)) for topic in topics}

    own = {(acl["acltype"], acl["topic"]) for acl in before}
    assert rules["VIN1"] - own == (
        filled("publishClientSend", UP, "VIN1")
        | filled("publishClientReceive", DOWN + HEARD, "VIN1")
        | filled("subscribePattern", DOWN + HEARD, "VIN1")
    )
    assert rules[FLEETWISE_NAME] == (
        filled("publishClientSend", DOWN, "+")
        | filled("publishClientReceive", UP, "+")
        | filled("subscribePattern", UP, "+")
    )
    without = {role["rolename"]: role for role in json.loads(dynamic_security(["VIN1"]))["roles"]}
    assert rules[CLOUD_NAME] == {(a["acltype"], a["topic"]) for a in without[CLOUD_NAME]["acls"]}
    (role, _) = commands(Changes(added=("VIN1",)), AGENTS)
    assert {(a["acltype"], a["topic"]) for a in role["acls"]} == rules["VIN1"]  # type: ignore[attr-defined]


def test_a_mosquitto_of_somebody_else_has_patterns_for_agents_too():
    lines = mosquitto_access(AGENTS).splitlines()

    assert f"user {FLEETWISE_NAME}" in lines
    for topic in UP:
        assert f"pattern write {topic.format('%u')}" in lines
        assert f"topic read {topic.format('+')}" in lines
    for topic in DOWN + HEARD:
        assert f"pattern read {topic.format('%u')}" in lines


def test_nats_and_aws_know_who_serves_agents():
    here = Path("/x")
    member = Member("VIN1", "default", frozenset({"a" * 32}))
    text = nats_config(
        {"VIN1": member},
        cloud="CN=fairway-cloud",
        host="127.0.0.1",
        port=1,
        folder=here,
        ca=here,
        certificate=here,
        key=here,
        fleetwise=FleetWiseUser("urn:x", Prefixes()),
    )
    users = {one["user"]: one for one in json.loads(text)["authorization"]["users"]}
    place = "arn:aws:iot:eu-central-1:123456789012"

    assert users["urn:x"]["permissions"]["subscribe"]["allow"] == [
        topic.format("*").replace("/", ".").replace("+", "*") for topic in UP
    ]
    own = users[f"urn:fairway:certificate:{'a' * 32}"]["permissions"]
    assert "$aws.iotfleetwise.vehicles.VIN1.signals" in own["publish"]["allow"]
    assert "topic/$aws/iotfleetwise/vehicles/*/signals" in fleetwise_policy(place, AGENTS)
    assert "vehicles/${iot:Certificate.Subject.CommonName}/checkins" in vehicle_policy(
        place, AGENTS
    )
    assert "iotfleetwise" not in vehicle_policy(place)


def test_a_broker_that_is_not_installed_is_named():
    with pytest.raises(BadInput, match="no broker to run"):
        find_program("no-such-broker")


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path):
    settings = Broker(mode="external", url="mqtts://b:8883", password_file=tmp_path / "none")

    with pytest.raises(BadInput, match="cannot read a password"):
        external_broker(settings)


def test_with_jobs_each_vehicle_has_its_own_and_the_cloud_answers_all():
    told = json.loads(dynamic_security(["VIN1"], jobs=True))
    rules = {
        role["rolename"]: {(acl["acltype"], acl["topic"]) for acl in role["acls"]}
        for role in told["roles"]
    }

    assert rules["VIN1"] >= {
        ("publishClientSend", "$aws/things/VIN1/jobs/start-next"),
        ("publishClientSend", "$aws/things/VIN1/jobs/+/update"),
        ("subscribePattern", "$aws/things/VIN1/jobs/#"),
    }
    assert not any("VIN2" in topic or "/+/jobs" in topic for _, topic in rules["VIN1"])
    assert rules[CLOUD_NAME] >= {
        ("publishClientSend", "$aws/things/+/jobs/#"),
        ("subscribePattern", "$aws/things/+/jobs/+/get"),
    }
    (role, _) = commands(Changes(added=("VIN1",)), jobs=True)
    acls: list[dict[str, str]] = role["acls"]  # type: ignore[assignment]
    assert {(acl["acltype"], acl["topic"]) for acl in acls} == rules["VIN1"]


def test_without_jobs_nobody_has_topics_of_aws():
    assert "$aws" not in dynamic_security(["VIN1"])
    assert "$aws" not in mosquitto_access()
    assert "pattern write $aws/things/%u/jobs/get\n" in mosquitto_access(jobs=True)


def test_a_filter_that_agents_of_fleetwise_have_too_is_said_once():
    lines = mosquitto_access(AGENTS, jobs=True).splitlines()

    assert lines.count("pattern read $aws/things/%u/jobs/#") == 1
