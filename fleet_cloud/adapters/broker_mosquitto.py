"""Mosquitto's configuration and access rules, as text.

Rule 1: the certificate's common name is the user, and the user is the client id: nobody takes over the session
of somebody else by calling himself so.
Rule 2: the access file has no pattern for everyone: who is not on the list may do nothing.
"""

from collections.abc import Iterable
from pathlib import Path

from fairway.topics import ROOT, down_tree, up_tree
from fleet_cloud.ingest.accept import MESSAGE_MAX_BYTES
from fleet_cloud.vehicles.registry import CLOUD_NAME

# What may wait for a slow or absent reader.  Telemetry waits in the vehicles: their spools are larger.
_QUEUED_MAX_MESSAGES = 20_000
_QUEUED_MAX_BYTES = 256 * 1024 * 1024


def mosquitto_config(  # noqa: PLR0913 - one line of the file each
    *,
    host: str,
    port: int,
    folder: Path,
    access: Path,
    ca: Path,
    certificate: Path,
    key: Path,
    user: str,
) -> str:
    """Return mosquitto.conf.  `user` is set when the broker is not to give up root: its files are root's."""
    lines = [
        "# Written by fleet-cloud at every start: changes are lost.",
        *([f"user {user}"] if user else []),
        f"listener {port} {host}",
        f"cafile {ca}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "tls_version tlsv1.2",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "allow_anonymous false",
        f"acl_file {access}",
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


def mosquitto_access(vehicles: Iterable[str]) -> str:
    """Return the access file that lets `vehicles` and the cloud in."""
    parts = [
        f"user {CLOUD_NAME}\ntopic read {ROOT}/+/up/#\ntopic write {ROOT}/+/down/#\n",
        *(
            f"user {vehicle}\ntopic write {up_tree(vehicle)}\ntopic read {down_tree(vehicle)}\n"
            for vehicle in sorted(vehicles)
        ),
    ]
    return "\n".join(parts)
