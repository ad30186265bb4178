"""What a broker that somebody else runs is given, so that it denies what ours deny: files by name.

Rule 1: brokers that can tell a vehicle by its name alone get one rule for all; Mosquitto then lets everybody in
whose certificate it trusts, under his own name.
Rule 2: those that are told every vehicle are told anew when the fleet has changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairway.fleetwise.topics import Prefixes
from fleet_cloud.adapters.broker_aws import (
    aws_place,
    cloud_policy,
    fleetwise_policy,
    vehicle_policy,
)
from fleet_cloud.adapters.broker_child import dynamic_security_plugin
from fleet_cloud.adapters.broker_mosquitto import (
    access_rules,
    dynamic_rules,
    dynamic_security,
    mosquitto_access,
    mosquitto_config,
)
from fleet_cloud.adapters.broker_nats import nats_config
from fleet_cloud.adapters.peer_certificates import user_shown
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.config import Endpoint
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.registry import FLEETWISE_NAME
from fleet_cloud.vehicles.rights import FleetWiseUser


@dataclass(frozen=True, slots=True)
class ForBroker:
    """What the rules are made from."""

    members: Mapping[str, Member]
    pki: FilePki
    folder: Path  # where the files go, and the broker keeps its own
    listen: Endpoint
    user: str  # whom Mosquitto becomes when root starts it; empty: whoever it likes
    place: str  # of AWS
    fleetwise: Prefixes | None = None  # topics of FleetWise's agents, where the fleet has some
    jobs: bool = False  # vehicles may use AWS IoT Jobs, which this cloud serves at the broker

    def fleetwise_user(self, name: str = FLEETWISE_NAME) -> FleetWiseUser | None:
        """Who serves those agents; `name` is what the broker calls him."""
        return FleetWiseUser(name, self.fleetwise) if self.fleetwise else None


def rules_for(kind: str, given: ForBroker) -> dict[str, str]:
    """Return the files for one of KINDS.  Raises BadInput for what that kind needs to be told."""
    return KINDS[kind](given)


def _mosquitto(given: ForBroker) -> dict[str, str]:
    access = given.folder / "access"
    return {
        "mosquitto.conf": _config(given, access_rules(access)),
        access.name: mosquitto_access(given.fleetwise_user(), jobs=given.jobs),
    }


def _dynamic(given: ForBroker) -> dict[str, str]:
    rules = given.folder / "dynamic-security.json"
    return {
        "mosquitto.conf": _config(given, dynamic_rules(dynamic_security_plugin(), rules)),
        rules.name: dynamic_security(given.members, given.fleetwise_user(), jobs=given.jobs),
    }


def _config(given: ForBroker, rules: list[str]) -> str:
    # Several ingest processes connect under one name, each with a client id of its own.
    return mosquitto_config(
        host=given.listen.host,
        port=given.listen.port,
        folder=given.folder,
        rules=rules,
        ca=given.pki.anchors.absolute(),
        crl=given.pki.crl.absolute(),
        certificate=given.pki.server.absolute(),
        key=given.pki.server_key.absolute(),
        user=given.user,
        one_client_a_name=False,
    )


def _nats(given: ForBroker) -> dict[str, str]:
    pki = given.pki
    text = nats_config(
        given.members,
        cloud=user_shown(pki.cloud.read_bytes()),
        host=given.listen.host,
        port=given.listen.port,
        folder=given.folder,
        ca=pki.anchors.absolute(),
        certificate=pki.server.absolute(),
        key=pki.server_key.absolute(),
        fleetwise=given.fleetwise_user(user_shown(pki.fleetwise.read_bytes())),
        jobs=given.jobs,
    )
    return {"nats-server.conf": text}


def _aws(given: ForBroker) -> dict[str, str]:
    place = aws_place(given.place)
    user = given.fleetwise_user()
    files = {
        "vehicle-policy.json": vehicle_policy(place, user),
        "cloud-policy.json": cloud_policy(place),
    }
    return files | ({"fleetwise-policy.json": fleetwise_policy(place, user)} if user else {})


KINDS: Mapping[str, Callable[[ForBroker], dict[str, str]]] = {
    "mosquitto": _mosquitto,
    "mosquitto-dynsec": _dynamic,
    "nats": _nats,
    "aws-iot": _aws,
}
