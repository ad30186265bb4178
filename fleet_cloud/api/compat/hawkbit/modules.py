"""hawkBit's software modules and their files.

    GET, POST /rest/v1/softwaremodules             GET, DELETE .../{n}
    GET, POST .../{n}/artifacts                    GET, DELETE .../{n}/artifacts/{a}

Rule 1: bytes pass through a temporary file, are hashed in all ways at once, and are kept by their SHA-256.
Rule 2: a module that is gone leaves its number and its bytes: orders that were given still name them.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from fairway.errors import BadInput, Conflict
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.hawkbit.callers import Management, Manager
from fleet_cloud.api.compat.hawkbit.formats import answered, body_of, object_of, text_of
from fleet_cloud.api.compat.hawkbit.hashes import Hashing, keep
from fleet_cloud.api.compat.hawkbit.orders import NUMBER_MAX_DIGITS
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.foreign.chunks import key_of, kind_of
from fleet_cloud.rollouts.foreign.model import Artifact, Hashes, Module
from fleet_cloud.rollouts.foreign.ports import Kind, change, found, read

Body = Annotated[Any, Depends(body_of)]
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+~()-]{0,254}")
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Files of one module; hawkBit's default as well.
ARTIFACTS_MAX = 50
MADE_MAX = 100
_PIECE_BYTES = 1 << 20


def router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/rest/v1/softwaremodules")
    desk = _Desk(ports, Management(ports))
    _serve_modules(routes, desk)
    _serve_artifacts(routes, desk)
    return routes


def module_of(ports: HawkbitPorts, tenant: str, number: str) -> Module:
    """Return the module that has a number.  Raises NotFound, Unavailable."""
    kept = (
        found(ports.documents, tenant, Kind.MODULE, number, Module) if is_number(number) else None
    )
    if kept is None:
        raise NotFound(f"there is no software module {number[:40]!r}")
    return kept


def is_number(text: str) -> bool:
    """Whether a number of a document is meant."""
    return text.isascii() and text.isdecimal() and len(text) <= NUMBER_MAX_DIGITS


def type_name(said: dict[str, Any]) -> str:
    """Return hawkBit's type of something.  Raises BadInput."""
    name = text_of(said, "type", 64)
    if not _TYPE.fullmatch(name):
        raise BadInput(f"{name!r} is no type of hawkBit's")
    return name


@dataclass(frozen=True, slots=True)
class _Desk:
    """Does what managers ask of modules."""

    ports: HawkbitPorts
    door: Management

    def made(self, manager: Manager, said: dict[str, Any]) -> dict[str, Any]:
        """Make a module.  Raises BadInput, Conflict, Unavailable."""
        name, version = text_of(said, "name", 128), text_of(said, "version", 64)
        kind, ports = type_name(said), self.ports
        number = ports.numbers.number(
            manager.tenant, Kind.MODULE, key_of(kind_of(kind), name, version)
        )
        fresh = Module(
            number,
            name,
            version,
            kind,
            text_of(said, "description", 512, ""),
            created_time_ns=ports.device.clock.now_ns(),
        )
        self.door.note(manager, "module.add", f"module:{name}", version=version)

        def first(kept: Module | None) -> Module:
            if kept is not None and not kept.is_deleted:
                raise Conflict(f"there is a module {name} {version} already: {number}")
            return fresh

        self._change(manager.tenant, str(number), first)
        return view(fresh)

    def add(self, manager: Manager, number: str, filename: str, hashes: Hashes) -> dict[str, Any]:
        """Note a file of a module.  Raises NotFound, Conflict, Unavailable."""
        of = f"{number}/{filename}"
        fresh = Artifact(
            self.ports.numbers.number(manager.tenant, Kind.ARTIFACT, of), filename, hashes
        )

        def added(kept: Module | None) -> Module:
            if kept is None or kept.is_deleted:
                raise NotFound(f"there is no software module {number}")
            if any(one.filename == filename for one in kept.artifacts):
                raise Conflict(f"the module has a file called {filename} already")
            if len(kept.artifacts) >= ARTIFACTS_MAX:
                raise Conflict(f"a module has {ARTIFACTS_MAX} files at most")
            return replace(kept, artifacts=(*kept.artifacts, fresh))

        self._change(manager.tenant, number, added)
        return artifact_view(fresh)

    def removed(self, manager: Manager, number: str, artifact: str) -> None:
        """Forget a file of a module.  Raises NotFound, Unavailable."""

        def without(kept: Module | None) -> Module:
            left = (
                tuple(one for one in kept.artifacts if str(one.number) != artifact) if kept else ()
            )
            if kept is None or len(left) == len(kept.artifacts):
                raise NotFound(f"the module {number[:40]} has no file {artifact[:40]}")
            return replace(kept, artifacts=left)

        self._change(manager.tenant, number, without)

    def remove(self, manager: Manager, number: str) -> None:
        """Have a module be there no longer.  Raises NotFound, Unavailable."""

        def gone(kept: Module | None) -> Module:
            if kept is None:
                raise NotFound(f"there is no software module {number[:40]}")
            return replace(kept, is_deleted=True, artifacts=())

        self._change(manager.tenant, number, gone)

    def stored(self, manager: Manager, file: BinaryIO, hashes: Hashes) -> None:
        """Keep bytes for the tenant.  Raises Tampered, Unavailable."""
        device, digest = self.ports.device, f"sha256:{hashes.sha256}"
        details = {"bytes": str(hashes.length)}
        self.door.note(manager, "artifact.put", f"artifact:{digest}", **details)
        receiving = device.artifacts.receive(digest)
        try:
            while data := file.read(_PIECE_BYTES):
                receiving.write(data)
            receiving.finish()
        finally:
            receiving.abandon()
        device.holdings.hold(manager.tenant, digest, hashes.length, device.clock.now_ns())
        keep(self.ports, manager.tenant, hashes)

    def _change(self, tenant: str, number: str, changed: Callable[[Module | None], Module]) -> None:
        change(self.ports.documents, tenant, Kind.MODULE, number, changed, Module)


def _serve_modules(routes: APIRouter, desk: _Desk) -> None:
    @routes.get("")
    def listed(request: Request) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_READ)
        kept = desk.ports.documents.listed(manager.tenant, Kind.MODULE)
        modules = [read(Module, one.content) for one in kept]
        some = [view(one) for one in modules if not one.is_deleted]
        return answered(request, {"content": some, "total": len(some), "size": len(some)})

    @routes.post("")
    def create(request: Request, body: Body) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_WRITE)
        if not isinstance(body, list) or len(body) > MADE_MAX:
            raise BadInput(f"the body is a list of up to {MADE_MAX} modules")
        wishes = [object_of(one, "a module") for one in body]
        return answered(request, [desk.made(manager, one) for one in wishes], 201)

    @routes.get("/{number}")
    def shown(request: Request, number: str) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_READ)
        return answered(request, view(module_of(desk.ports, manager.tenant, number)))

    @routes.delete("/{number}")
    def remove(request: Request, number: str) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_WRITE)
        kept = module_of(desk.ports, manager.tenant, number)
        desk.door.note(manager, "module.remove", f"module:{kept.name}", version=kept.version)
        desk.remove(manager, number)
        return Response(status_code=200)


def _serve_artifacts(routes: APIRouter, desk: _Desk) -> None:
    @routes.get("/{number}/artifacts")
    def listed(request: Request, number: str) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_READ)
        kept = module_of(desk.ports, manager.tenant, number)
        return answered(request, [artifact_view(one) for one in kept.artifacts])

    @routes.post("/{number}/artifacts")
    async def upload(request: Request, number: str) -> Response:
        # Asked before the body is read: it may be large.
        manager = await asyncio.to_thread(desk.door.enter, request, Permission.RELEASES_WRITE)
        await asyncio.to_thread(module_of, desk.ports, manager.tenant, number)
        async with request.form(max_files=1, max_fields=4) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise BadInput("the body is multipart/form-data with a part called file")
            name = filename(request.query_params.get("filename") or file.filename or "")
            found = await asyncio.to_thread(_taken, desk, manager, number, name, file.file)
        return answered(request, found, 201)

    @routes.get("/{number}/artifacts/{artifact}")
    def shown(request: Request, number: str, artifact: str) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_READ)
        kept = module_of(desk.ports, manager.tenant, number)
        for one in kept.artifacts:
            if str(one.number) == artifact:
                return answered(request, artifact_view(one))
        raise NotFound(f"the module {number[:40]} has no file {artifact[:40]}")

    @routes.delete("/{number}/artifacts/{artifact}")
    def remove(request: Request, number: str, artifact: str) -> Response:
        manager = desk.door.enter(request, Permission.RELEASES_WRITE)
        module_of(desk.ports, manager.tenant, number)
        desk.door.note(manager, "module.change", f"module:{number}", removed=artifact[:40])
        desk.removed(manager, number, artifact)
        return Response(status_code=200)


def _taken(desk: _Desk, manager: Manager, number: str, name: str, file: BinaryIO) -> dict[str, Any]:
    hashing = Hashing()
    while data := file.read(_PIECE_BYTES):
        hashing.update(data)
    file.seek(0)
    hashes = hashing.hashes()
    desk.stored(manager, file, hashes)
    return desk.add(manager, number, name, hashes)


def filename(text: str) -> str:
    """Return `text` when a file may be called so.  Raises BadInput."""
    if not _FILENAME.fullmatch(text) or text.endswith(".MD5SUM"):
        raise BadInput(
            f"{text[:80]!r} is no name of a file: letters, digits and . _ + ~ ( ) - in it"
        )
    return text


def view(module: Module) -> dict[str, Any]:
    """Return a module in hawkBit's words."""
    return {
        "id": module.number,
        "name": module.name,
        "version": module.version,
        "type": module.type,
        "description": module.description,
        "createdAt": module.created_time_ns // 1_000_000,
        "deleted": module.is_deleted,
    }


def artifact_view(artifact: Artifact) -> dict[str, Any]:
    """Return a file in hawkBit's words."""
    hashes = artifact.hashes
    return {
        "id": artifact.number,
        "providedFilename": artifact.filename,
        "size": hashes.length,
        "hashes": {"sha1": hashes.sha1, "md5": hashes.md5, "sha256": hashes.sha256},
    }
