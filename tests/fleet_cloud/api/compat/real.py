"""FleetWise's real documents as requests: nodes, decoders, network interfaces and campaigns of its tools."""

import json
from pathlib import Path
from typing import Any

from tests.shared_data import shared

FOLDER = "edge/fleetwise"


def document(name: str) -> Any:
    return json.loads(shared(f"{FOLDER}/{name}").read_text())


def _every(pattern: str) -> list[Any]:
    folder, _, glob = pattern.partition("/")
    paths = sorted(shared(f"{FOLDER}/{folder}").glob(glob))
    assert paths, pattern
    return [item for path in paths for item in json.loads(path.read_text())]


def nodes() -> list[Any]:
    """Every node of the tools, once."""
    found = [*document("decoders/vehicle-node.json"), *_every("decoders/custom-nodes-*.json"),
             *document("obd/obd-nodes.json")]  # fmt: skip
    return list({path_of(node): node for node in found}.values())


def path_of(node: Any) -> str:
    (body,) = node.values()
    return str(body["fullyQualifiedName"])


def decoders() -> list[Any]:
    """Every decoder of the tools, once for each signal."""
    found = [*_every("decoders/custom-decoders-*.json"), *document("obd/obd-decoders.json")]
    return list({one["fullyQualifiedName"]: one for one in found}.values())


def interfaces() -> list[Any]:
    """Every network interface of the tools."""
    return _every("decoders/network-interface-*.json")


def campaigns() -> list[Path]:
    """The files of the real campaigns."""
    return sorted(shared(f"{FOLDER}/campaigns").glob("*.json"))


def campaign(path: Path, *, account: str = "123456789012", region: str = "us-east-1") -> Any:
    """One real campaign, with the account and the region of who had it."""
    text = path.read_text().replace("${AWS_REGION}", region).replace("${AWS_ACCOUNT_ID}", account)
    return json.loads(text)
