"""The configuration of nats-server as an MQTT broker, as text: access rules and all.

An MQTT topic is a NATS subject: `/` becomes `.`, and `.` becomes `//`.  Vehicle ids have no other character
that NATS would read as its own.

Rule 1: a certificate is a user, by its number (verify_and_map takes the URI of the subjectAltName); one without
a number, or of somebody else's authority, by its subject.  No user, no connection.
Rule 2: users speak MQTT only: the NATS port is closed to them, and listens on this machine alone.
Rule 3: whose user is gone when the configuration is read again is cut off.  A revoked number of a vehicle that
is also known by its name stays as a user that may connect by nothing, or its name would let it in.

Of 50,000 vehicles the configuration has 16 MB; nats-server reads it in 3 s, takes 460 MB for it, and cuts a
user off 2.8 s after being told (one busy core).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from fairway.identity import certificate_urn
from fleet_cloud.ingest.accept import MESSAGE_MAX_BYTES
from fleet_cloud.vehicles.certificates import Member
from fleet_cloud.vehicles.rights import FleetWiseUser, Rights, cloud_rights, rights_of

# Above the 2,000 that the cloud's own client asks for at most.  The subscriptions of a session may have 65,535
# together, where `x/#` is two of them: an agent of FleetWise has ten.
_ACK_PENDING_MAX = 5_000
# Two thirds of what a small cloud machine has to spare; telemetry waits in the vehicles, not here.
_STORE_MAX_BYTES = 4 * 1024 * 1024 * 1024


def subjects(topic: str) -> list[str]:
    """Return the NATS subjects of an MQTT topic or filter; `x/#` is two, for it includes `x` itself."""
    if topic.endswith("/#"):
        parent = subject(topic.removesuffix("/#"))
        return [parent, f"{parent}.>"]
    return [subject(topic)]


def subject(topic: str) -> str:
    """Return the NATS subject of an MQTT topic without `#`."""
    return ".".join("*" if level == "+" else level.replace(".", "//") for level in topic.split("/"))


def subject_user(name: str) -> str:
    """Return the user of a certificate that is told by its common name."""
    return f"CN={name}"


def nats_config(  # noqa: PLR0913 - one setting each
    members: Mapping[str, Member],
    *,
    cloud: str,
    host: str,
    port: int,
    folder: Path,
    ca: Path,
    certificate: Path,
    key: Path,
    fleetwise: FleetWiseUser | None = None,
    jobs: bool = False,
) -> str:
    """Return nats-server.conf; `cloud` is the user that the cloud's own certificate is."""
    tls = {
        "ca_file": str(ca),
        "cert_file": str(certificate),
        "key_file": str(key),
        "verify_and_map": True,
        "min_version": "1.3",
    }
    # nats-server reads JSON as well as its own dialect.
    config = {
        "server_name": "fairway",
        "host": "127.0.0.1",
        "port": -1,  # NATS itself wants a port: any, on this machine, with TLS, and for no user
        "tls": tls,
        "max_payload": 2 * MESSAGE_MAX_BYTES,
        "jetstream": {"store_dir": str(folder), "max_file_store": _STORE_MAX_BYTES},
        "mqtt": {
            "host": host,
            "port": port,
            "tls": tls,
            "max_ack_pending": _ACK_PENDING_MAX,
        },
    }
    users = ",\n".join(
        json.dumps(user) for user in nats_users(members.values(), cloud, fleetwise, jobs=jobs)
    )
    return (
        f'{json.dumps(config, indent=1)[:-2]},\n "authorization": {{"users": [\n{users}\n]}}\n}}\n'
    )


def nats_users(
    members: Iterable[Member],
    cloud: str,
    fleetwise: FleetWiseUser | None = None,
    *,
    jobs: bool = False,
) -> list[dict[str, object]]:
    """Return every user: the cloud, and each certificate of each vehicle."""
    users = [_user(cloud, cloud_rights(jobs=jobs))]
    if fleetwise is not None:
        users.append(_user(fleetwise.name, fleetwise.rights))
    prefixes = fleetwise.prefixes if fleetwise else None
    for member in sorted(members, key=lambda member: member.vehicle):
        rights = rights_of(member.vehicle, prefixes, jobs=jobs)
        users += [_user(certificate_urn(number), rights) for number in sorted(member.numbers)]
        if member.by_name:
            users.append(_user(subject_user(member.vehicle), rights))
            users += [_nobody(certificate_urn(number)) for number in sorted(member.ended)]
    return users


def _user(name: str, rights: Rights) -> dict[str, object]:
    return {
        "user": name,
        "permissions": {
            "publish": {"allow": _subjects(rights.publish)},
            "subscribe": {"allow": _subjects(rights.subscribe)},
        },
        "allowed_connection_types": ["MQTT"],
    }


def _subjects(topics: Iterable[str]) -> list[str]:
    return [one for topic in topics for one in subjects(topic)]


def _nobody(name: str) -> dict[str, object]:
    return {
        "user": name,
        "permissions": {"publish": {"deny": ">"}, "subscribe": {"deny": ">"}},
        "allowed_connection_types": ["LEAFNODE"],  # which are not let in at all
    }
