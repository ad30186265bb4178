"""What a vehicle is told with its certificate: where its cloud is reached, and whom to trust there."""

from collections.abc import Mapping

from fairway.enrolment import Endpoints
from fairway.errors import Unavailable
from fleet_cloud.adapters import addresses
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.config import Config, endpoint
from fleet_cloud.enrolment.desk import Place


def endpoints_of(config: Config, known: Mapping[str, str]) -> Endpoints:
    """Return the doors for vehicles; `known` are the URLs of the cloud that runs, or ran last."""
    mqtt = grpc = ""
    if config.broker.mode == "external":
        mqtt = config.broker.url
    elif config.broker.mode == "embedded":
        mqtt = known.get("mqtt") or _reached(config, "mqtts", config.broker.listen)
    if config.grpc.enabled:
        grpc = known.get("grpc") or _reached(config, "grpcs", config.grpc.listen)
    return Endpoints(mqtt, grpc, config.region)


def anchors_of(config: Config, pki: FilePki) -> bytes:
    """Return the certificates that a vehicle trusts of servers.  Raises Unavailable."""
    paths = [pki.ca]
    if config.broker.mode == "external" and config.broker.ca is not None:
        paths.append(config.broker.ca)
    try:
        contents = dict.fromkeys(path.read_bytes().rstrip() + b"\n" for path in paths)
    except OSError as error:
        raise Unavailable(f"cannot read whom vehicles trust: {error}") from error
    return b"".join(contents)


def place_of(config: Config, pki: FilePki, known: Mapping[str, str]) -> Place:
    """Return both.  Raises Unavailable."""
    return Place(anchors_of(config, pki), endpoints_of(config, known))


def _reached(config: Config, scheme: str, listen: str) -> str:
    """Return the URL of what will listen there; empty while its port is any that is free."""
    where = endpoint(listen)
    if not where.port:
        return ""
    return f"{scheme}://{addresses.reached(config, where.host, where.port)}"
