"""The scopes that an app needs and no more, as its Velocitas AppManifest.json says what it uses.

    required {path Vehicle.Speed, access read}     ->  read:Vehicle.Speed
    required {path Vehicle.Cabin.X, access write}  ->  actuate:Vehicle.Cabin.X      which may be read, too
    provided {path Vehicle.Cabin.Y}                ->  provide:Vehicle.Cabin.Y

Rule 1: a manifest names signals; what would grant a whole tree, or a pattern, is refused.
Rule 2: manifests of version 3 and of before are read, with the trailing commas of the project's examples.
Rule 3: interfaces of other kinds (MQTT topics, gRPC services) need no scope here.
"""

from dataclasses import dataclass
from typing import Any

from edge_agent.broker.access import Action, Rights, parse
from fairway.errors import BadInput
from fairway.services.foreign_velocitas import document_of, points_of

_ACCESS = {"read": "read", "write": "actuate"}
_NAME_MAX_CHARS = 256


@dataclass(frozen=True, slots=True)
class AppManifest:
    """What is read of a manifest."""

    name: str  # "" where it has none
    scope: str  # as a token has it


def manifest_of(text: str) -> AppManifest:
    """Read a manifest.  Raises BadInput for what is none, or grants what no app of one signal needs."""
    said = document_of(text)
    name = said.get("name", said.get("Name", ""))
    if not isinstance(name, str) or len(name) > _NAME_MAX_CHARS or not name.isprintable():
        raise BadInput("the manifest's name is no printable text")
    scopes = list(dict.fromkeys(_scope(action, point) for action, point in points_of(said)))
    if not scopes:
        raise BadInput("the manifest names no data points of the vehicle: it needs no token here")
    return AppManifest(name, " ".join(_needed(scopes)))


def _scope(kind: str, point: Any) -> str:
    path = point.get("path") if isinstance(point, dict) else None
    if not isinstance(path, str) or "*" in path or "." not in path or ":" in path or " " in path:
        raise BadInput(f"{path!r:.80} is no path of a signal, as in Vehicle.Speed")
    access = point.get("access", "read")
    if kind == "required" and access not in _ACCESS:
        raise BadInput(f"{path:.80} has the access {access!r:.40}; it is read or write")
    scope = f"{_ACCESS[access] if kind == 'required' else 'provide'}:{path}"
    parse(scope)
    return scope


def _needed(scopes: list[str]) -> list[str]:
    """Return the scopes without those to read what another lets read anyway."""
    others = Rights(parse(" ".join(one for one in scopes if not one.startswith("read:"))))
    return [
        one
        for one in scopes
        if not (one.startswith("read:") and others.may(Action.READ, one.removeprefix("read:")))
    ]
