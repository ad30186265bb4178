"""Mosquitto's configuration and access rules, as text.

    dynamic security   a role for each vehicle; changed while the broker runs, and refuses subscriptions
    access file        one pattern for all; for a broker that somebody else runs

Rule 1: the certificate's common name is the user, and the user is the client id: nobody takes over the session
of somebody else by calling himself so.
Rule 2: who has no role may do nothing.
Rule 3: a vehicle has a role of its own: Mosquitto 2.0 knows `%u` in access files only.  An access file with
50,000 names takes 18 s to read, at every change, with everybody waiting; 50,000 roles take 0.6 s, once, and
320 MB; one of them is cut off in 0.2 s, one more let in after some 2 s.  With FleetWise's topics a role has six
times as many rules.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fleet_cloud.ingest.accept import MESSAGE_MAX_BYTES
from fleet_cloud.vehicles.registry import CLOUD_NAME, KEEPER_NAME
from fleet_cloud.vehicles.rights import (
    CLOUD_SHARED,
    Changes,
    FleetWiseUser,
    Rights,
    cloud_rights,
    rights_of,
)

# What may wait for a slow or absent reader.  Telemetry waits in the vehicles: their spools are larger.
_QUEUED_MAX_MESSAGES = 20_000
_QUEUED_MAX_BYTES = 256 * 1024 * 1024

CONTROL = "$CONTROL/dynamic-security/v1"
ANSWERS = f"{CONTROL}/response"

Command = Mapping[str, object]


def mosquitto_config(  # noqa: PLR0913 - one line of the file each
    *,
    host: str,
    port: int,
    folder: Path,
    rules: Sequence[str],
    ca: Path,
    crl: Path,
    certificate: Path,
    key: Path,
    user: str,
    one_client_a_name: bool = True,
) -> str:
    """Return mosquitto.conf.  `user` is set when the broker is not to give up root: its files are root's.

    `one_client_a_name` has the user's name for a client id, whatever the client says: rule 1.
    """
    lines = [
        "# Written by fleet-cloud: changes are lost.",
        *([f"user {user}"] if user else []),
        f"listener {port} {host}",
        f"cafile {ca}",
        f"crlfile {crl}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "tls_version tlsv1.3",
        "require_certificate true",
        "use_identity_as_username true",
        *(["use_username_as_clientid true"] if one_client_a_name else []),
        "allow_anonymous false",
        *rules,
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_interval 60",
        "persistent_client_expiration 7d",
        f"max_packet_size {2 * MESSAGE_MAX_BYTES}",
        # For MQTT 3.1.1 clients; a client of MQTT 5 says itself how much it takes.
        "max_inflight_messages 200",
        f"max_queued_messages {_QUEUED_MAX_MESSAGES}",
        f"max_queued_bytes {_QUEUED_MAX_BYTES}",
        "max_keepalive 3600",
        "set_tcp_nodelay true",
        "sys_interval 0",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
    ]
    return "\n".join(lines) + "\n"


def access_rules(access: Path) -> list[str]:
    """Return the lines of mosquitto.conf that name an access file."""
    return [f"acl_file {access}"]


def dynamic_rules(plugin: Path, config: Path) -> list[str]:
    """Return the lines of mosquitto.conf that load the dynamic-security plugin."""
    return [f"plugin {plugin}", f"plugin_opt_config_file {config}"]


def mosquitto_access(fleetwise: FleetWiseUser | None = None, *, jobs: bool = False) -> str:
    """Return an access file for every vehicle whose certificate the broker trusts, and the cloud."""
    users = [(CLOUD_NAME, cloud_rights(jobs=jobs))]
    if fleetwise is not None:
        users.append((fleetwise.name, fleetwise.rights))
    parts = [
        f"user {name}\n{_lines('topic read', rights.subscribe)}{_lines('topic write', rights.publish)}"
        for name, rights in users
    ]
    own = rights_of("%u", fleetwise.prefixes if fleetwise else None, jobs=jobs)
    parts.append(_lines("pattern write", own.publish) + _lines("pattern read", own.subscribe))
    return "\n".join(parts)


def _lines(words: str, topics: Iterable[str]) -> str:
    return "".join(f"{words} {topic}\n" for topic in topics)


def dynamic_security(
    vehicles: Iterable[str], fleetwise: FleetWiseUser | None = None, *, jobs: bool = False
) -> str:
    """Return the plugin's file that lets `vehicles` and the cloud in, and its keeper change it."""
    prefixes = fleetwise.prefixes if fleetwise else None
    keeper = {"username": KEEPER_NAME, "roles": [{"rolename": KEEPER_NAME}]}
    cloud = _of(CLOUD_NAME, cloud_rights(jobs=jobs), _rule("subscribePattern", CLOUD_SHARED))
    parts = [(keeper, _keeper_role()), cloud]
    if fleetwise is not None:
        parts.append(_of(fleetwise.name, fleetwise.rights))
    parts += [_of(vehicle, rights_of(vehicle, prefixes, jobs=jobs)) for vehicle in sorted(vehicles)]
    clients, roles = zip(*parts, strict=True)
    denied = ("publishClientSend", "publishClientReceive", "subscribe")
    # Who may not subscribe has nothing to unsubscribe from: that needs no rule.
    defaults = dict.fromkeys(denied, False) | {"unsubscribe": True}
    return json.dumps({"defaultACLAccess": defaults, "clients": clients, "roles": roles})


def commands(
    changes: Changes, fleetwise: FleetWiseUser | None = None, *, jobs: bool = False
) -> list[Command]:
    """Return what the plugin is told of a change; who is to be cut off comes first."""
    told: list[Command] = []
    for name in changes.cut:
        told += [
            {"command": "disableClient", "username": name},
            {"command": "enableClient", "username": name},
        ]
    for name in changes.removed:
        told += [
            {"command": "deleteClient", "username": name},
            {"command": "deleteRole", "rolename": name},
        ]
    for name in changes.added:
        client, role = _of(
            name, rights_of(name, fleetwise.prefixes if fleetwise else None, jobs=jobs)
        )
        told += [{"command": "createRole", **role}, {"command": "createClient", **client}]
    return told


def _of(
    name: str, rights: Rights, *more: dict[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    role: dict[str, object] = {
        "rolename": name,
        "acls": [
            *(_rule("publishClientSend", topic) for topic in rights.publish),
            *(
                _rule(kind, topic)
                for topic in rights.subscribe
                for kind in ("publishClientReceive", "subscribePattern")
            ),
            *more,
        ],
    }
    return {"username": name, "roles": [{"rolename": name}]}, role


def _keeper_role() -> dict[str, object]:
    rules = [
        _rule("publishClientSend", CONTROL),
        _rule("publishClientReceive", ANSWERS),
        _rule("subscribeLiteral", ANSWERS),
    ]
    return {"rolename": KEEPER_NAME, "acls": rules}


def _rule(kind: str, topic: str) -> dict[str, object]:
    return {"acltype": kind, "topic": topic, "allow": True}
