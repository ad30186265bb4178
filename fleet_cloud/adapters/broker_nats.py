"""The configuration of nats-server as an MQTT broker, as text: access rules and all.

An MQTT topic is a NATS subject: `/` becomes `.`, and `.` becomes `//`.  Vehicle ids have no other character
that NATS would read as its own.

Rule 1: the certificate's subject is the user (verify_and_map); no user, no connection.
Rule 2: users speak MQTT only: the NATS port is closed to them, and listens on this machine alone.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from fairway.topics import ROOT, down_tree, up_tree
from fleet_cloud.ingest.accept import MESSAGE_MAX_BYTES
from fleet_cloud.vehicles.registry import CLOUD_NAME

# Above the 2,000 that the cloud's own client asks for at most; at 65,535 a subscription to `x/#` is refused.
_ACK_PENDING_MAX = 10_000
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


def nats_config(  # noqa: PLR0913 - one setting each
    vehicles: Iterable[str],
    *,
    host: str,
    port: int,
    folder: Path,
    ca: Path,
    certificate: Path,
    key: Path,
) -> str:
    """Return nats-server.conf."""
    tls = {
        "ca_file": str(ca),
        "cert_file": str(certificate),
        "key_file": str(key),
        "verify_and_map": True,
    }
    cloud = _user(CLOUD_NAME, subjects(f"{ROOT}/+/down/#"), subjects(f"{ROOT}/+/up/#"))
    users = [
        cloud,
        *(
            _user(vehicle, subjects(up_tree(vehicle)), subjects(down_tree(vehicle)))
            for vehicle in sorted(vehicles)
        ),
    ]
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
        "authorization": {"users": users},
    }
    return json.dumps(config, indent=1)


def _user(name: str, publish: list[str], subscribe: list[str]) -> dict[str, object]:
    return {
        "user": f"CN={name}",
        "permissions": {"publish": {"allow": publish}, "subscribe": {"allow": subscribe}},
        "allowed_connection_types": ["MQTT"],
    }
