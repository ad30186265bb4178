"""Velocitas AppManifests: what an app uses of the vehicle, and a service that may do just that.

    required {path Vehicle.Speed, access read}      ->  signals.read
    required {path Vehicle.Cabin.X, access write}   ->  signals.write
    provided {path Vehicle.Cabin.Y}                 ->  signals.provide

Rule 1: manifests of version 3 and of before are read, with the trailing commas of the project's examples.
Rule 2: MQTT topics and foreign gRPC services have no counterpart: an app reaches what offers and uses say.
"""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from fairway.errors import BadInput
from fairway.services.foreign import Imported, Notes, kept, named
from fairway.services.model import Service, Signals

# The largest manifest names some hundred signals.
MANIFEST_MAX_CHARS = 262_144
_KIND = "vehicle-signal-interface"
_ACCESS = ("read", "write")


def services_of(
    manifest: str, *, image: str = "", version: str = "0.0.0", file: str = "AppManifest.json"
) -> Imported:
    """Return the service of an app: its signals, and all else as it is by default.

    `image` is the digest of its image, "" where that is not built yet.  Raises BadInput.
    """
    said = document_of(manifest)
    if "manifestVersion" not in said and "ManifestVersion" not in said:
        raise BadInput(f"{file}: it says no manifestVersion: it is no AppManifest")
    notes = Notes()
    name = said.get("name", said.get("Name"))
    if not isinstance(name, str) or not name:
        raise BadInput(f"{file}: the app has no name")
    found: dict[str, list[str]] = {"read": [], "write": [], "provided": []}
    for kind, point in points_of(said):
        place = f"{file}: {point.get('path') if isinstance(point, dict) else point!r:.80}"
        path, access = _signal(kind, point, place)
        found[kind if kind == "provided" else access].append(path)
        if isinstance(point, dict) and point.get("optional") is True:
            notes.warn(
                place, "is optional to the app; here it may use it, whether it exists or not"
            )
    _others(said, file, notes)
    if not any(found.values()):
        notes.warn(file, "the app names no signals: it will reach none")
    lists = [tuple(dict.fromkeys(found[kind])) for kind in ("read", "write", "provided")]
    read = tuple(path for path in lists[0] if path not in lists[1])  # what is set may be read, too
    service = Service(
        name=named(name, f"{file}: name", notes),
        version=version,
        image=image,
        signals=Signals(read, lists[1], lists[2]),
    )
    if image:
        kept(service, file)
    else:
        notes.warn(file, "the service has no image yet: name it by its digest")
    return Imported((service,), notes.said)


def document_of(manifest: str) -> dict[str, Any]:
    """Return what a manifest says.  Raises BadInput."""
    if len(manifest) > MANIFEST_MAX_CHARS:
        raise BadInput(f"the manifest has {len(manifest)} characters: at most {MANIFEST_MAX_CHARS}")
    try:
        said = json.loads(manifest)
    except (ValueError, RecursionError):
        said = _tolerant(manifest)
    if not isinstance(said, dict):
        raise BadInput("the manifest is no JSON object")
    return said


def points_of(said: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each data point of a manifest, with `required` or `provided`.  Raises BadInput."""
    for config in _configs(said):
        points = config.get("datapoints", {})
        if isinstance(points, list):  # before version 3
            points = {"required": points}
        if not isinstance(points, dict):
            raise BadInput("the manifest's datapoints are neither an object nor a list")
        for kind in ("required", "provided"):
            listed = points.get(kind, [])
            if not isinstance(listed, list):
                raise BadInput(f"the manifest's {kind} datapoints are no list")
            yield from ((kind, point) for point in listed)


def _configs(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is said of each vehicle signal interface."""
    found = [said[key] for key in ("vehicleModel", "VehicleModel") if key in said]
    interfaces = said.get("interfaces", [])
    if not isinstance(interfaces, list):
        raise BadInput("the manifest's interfaces are no list")
    found += [
        one.get("config", {})
        for one in interfaces
        if isinstance(one, dict) and one.get("type") == _KIND
    ]
    for config in found:
        if not isinstance(config, dict):
            raise BadInput(f"a {_KIND} of the manifest has a config that is no object")
        yield config


def _signal(kind: str, point: Any, place: str) -> tuple[str, str]:
    path = point.get("path") if isinstance(point, dict) else None
    if not isinstance(path, str) or "*" in path or "." not in path or ":" in path or " " in path:
        raise BadInput(f"{place}: is no path of a signal, as in Vehicle.Speed")
    access = point.get("access", "read")
    if kind == "required" and access not in _ACCESS:
        raise BadInput(f"{place}: has the access {access!r:.40}; it is read or write")
    return path, access


def _others(said: dict[str, Any], file: str, notes: Notes) -> None:
    for number, one in enumerate(said.get("interfaces", [])):
        kind = one.get("type") if isinstance(one, dict) else None
        if kind == "pubsub":
            what = "MQTT topics are not taken over: signals and offered services take their place"
            notes.warn(f"{file}: interfaces[{number}]", what)
        elif kind == "grpc-interface":
            what = "a gRPC service is used: name what another service offers under uses"
            notes.warn(f"{file}: interfaces[{number}]", what)
        elif kind != _KIND:
            notes.warn(f"{file}: interfaces[{number}]", f"the type {kind!r:.40} is not known here")


def _tolerant(manifest: str) -> Any:
    """Read JSON with trailing commas, which YAML allows."""
    if "&" in manifest or "*" in manifest:  # no aliases: they could grow without end
        raise BadInput("the manifest is no JSON")
    try:
        return yaml.safe_load(manifest.replace("\t", "  "))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadInput("the manifest is no JSON") from error
