"""Decoder manifests of vehicles, made from FleetWise's own documents: how signals are read, and what they are.

    <folder>/<vehicle>.json, or default.json        {"name": ..., "decoders": [...], "nodes": [...]}
    <folder>/known/<tenant>/<hash>.json             every manifest that an agent was ever given

Rule 1: `models` is asked first; a file is for fleets that keep such documents nowhere else.
Rule 2: a manifest is kept before it is given away: events of it come long after it was replaced.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairway.errors import BadInput, Unavailable
from fairway.fleetwise.documents import decoders_of, nodes_of
from fairway.fleetwise.manifests import manifest_of
from fairway.fleetwise.names import names_of
from fairway.ids import vehicle_id
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.fleetwise.ports import NamedManifest

DOCUMENT_MAX_BYTES = 64 * 1024 * 1024
_DEFAULT = "default.json"


@dataclass(frozen=True, slots=True)
class Model:
    """The documents of a kind of vehicle, as FleetWise's API has them.

    They are loaded when their version is new; it changes whenever they do.
    """

    name: str
    version: str
    documents: Callable[[], tuple[Any, Any]]  # decoders, nodes


class ManifestFiles:
    """Makes manifests, and keeps them in `folder`."""

    def __init__(
        self,
        folder: Path,
        tenants: Callable[[], Mapping[str, str]],
        models: Callable[[str], Model | None] = lambda _vehicle: None,
    ) -> None:
        """`tenants` names the tenant of every vehicle, `models` knows the documents of one."""
        self._folder, self._tenants, self._models = folder, tenants, models
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str, str], NamedManifest] = {}  # by tenant, name and version
        self._known: dict[tuple[str, str], NamedManifest] = {}
        self._files: dict[Path, Model] = {}  # as read last

    def of_vehicle(self, vehicle: str) -> NamedManifest | None:
        model = self._models(vehicle)
        for path in (self._folder / f"{vehicle_id(vehicle)}.json", self._folder / _DEFAULT):
            model = model or self._file(path)
        return self._kept(vehicle, model) if model else None

    def called(self, vehicle: str, sync_id: str) -> NamedManifest | None:
        tenant = self._tenants().get(vehicle, "")
        with self._lock:
            found = self._known.get((tenant, sync_id))
        if found is not None or not tenant:
            return found
        model = self._file(self._path(tenant, sync_id))
        return self._kept(vehicle, model) if model else None

    def _file(self, path: Path) -> Model | None:
        version = _version(path)
        if version is None:
            return None
        known = self._files.get(path)
        if known is None or known.version != version:
            known = self._files[path] = _read(path, version)
        return known

    def _kept(self, vehicle: str, model: Model) -> NamedManifest | None:
        tenant = self._tenants().get(vehicle, "")
        if not tenant:
            return None
        key = (tenant, model.name, model.version)
        with self._lock:
            found = self._made.get(key)
            if found is None:
                decoders, nodes = model.documents()
                made = manifest_of(model.name, decoders_of(decoders), nodes_of(nodes))
                found = NamedManifest(made.manifest, names_of(made.manifest, made.called))
                self._keep(
                    tenant, found, {"name": model.name, "decoders": decoders, "nodes": nodes}
                )
                self._made[key] = found
        return found

    def _keep(self, tenant: str, named: NamedManifest, document: dict[str, Any]) -> None:
        sync_id = named.manifest.sync_id
        path = self._path(tenant, sync_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_whole(path, json.dumps(document).encode(), secret=True)
        except OSError as error:
            raise Unavailable(f"cannot keep the decoder manifest {path}: {error}") from error
        self._known[tenant, sync_id] = named

    def _path(self, tenant: str, sync_id: str) -> Path:
        name = hashlib.sha256(sync_id.encode()).hexdigest()[:32]
        return self._folder / "known" / tenant / f"{name}.json"


def _version(path: Path) -> str | None:
    """Return what changes whenever a file does; None: there is none."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"cannot look at {path}: {error}") from error
    if there.st_size > DOCUMENT_MAX_BYTES:
        raise BadInput(f"{path} is larger than {DOCUMENT_MAX_BYTES} bytes")
    return f"{path}:{there.st_mtime_ns}:{there.st_size}"


def _read(path: Path, version: str) -> Model:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise BadInput(f"{path}: write an object with name, decoders and nodes")
    said = (document.get("decoders", []), document.get("nodes", []))
    return Model(document["name"], version, lambda: said)
