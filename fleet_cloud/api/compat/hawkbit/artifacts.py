"""Files of modules for hawkBit's clients, with Range, and their MD5 sums.

    GET .../softwaremodules/{module}/artifacts   .../artifacts/{file}   .../artifacts/{file}.MD5SUM

Rule 1: a vehicle has files of what it is to do, and of what it did last; of other modules there is none.
"""

import asyncio
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from fleet_cloud.api.compat.hawkbit import orders
from fleet_cloud.api.compat.hawkbit.ddi import PREFIX, Door
from fleet_cloud.api.compat.hawkbit.formats import answered
from fleet_cloud.api.compat.hawkbit.hashes import hashes_of
from fleet_cloud.api.compat.hawkbit.orders import NUMBER_MAX_DIGITS, Standing
from fleet_cloud.api.compat.hawkbit.ports import HawkbitPorts
from fleet_cloud.api.device.blobs import blob_answer
from fleet_cloud.api.device.ports import Peer
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.foreign.chunks import chunks_of, filename_of
from fleet_cloud.rollouts.foreign.ports import Kind
from ota.manifest import Image

_MD5SUM = ".MD5SUM"


def router(ports: HawkbitPorts) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix=PREFIX + "/softwaremodules/{module}/artifacts")
    door = Door(ports)

    @routes.get("")
    def listed(request: Request, tenant: str, controller: str, module: str) -> Response:
        at = door.enter(request, tenant, controller)
        images = _files(ports, at, module)
        number = int(module)
        return answered(request, [orders.artifact(ports, at, number, one) for one in images])

    @routes.api_route("/{filename}", methods=["GET", "HEAD"])
    async def file(
        request: Request, tenant: str, controller: str, module: str, filename: str
    ) -> Response:
        found = await asyncio.to_thread(_found, door, request, tenant, controller, module, filename)
        if isinstance(found, Response):
            return found
        peer, image = found
        answer = await blob_answer(ports.device, request, peer, image.sha256)
        answer.headers["Content-Disposition"] = f"attachment;filename={quote(filename_of(image))}"
        return answer

    return routes


def _found(
    door: Door, request: Request, tenant: str, controller: str, module: str, filename: str
) -> tuple[Peer, Image] | Response:
    at = door.enter(request, tenant, controller)
    files = {filename_of(image): image for image in _files(door.ports, at, module)}
    if filename in files:
        return at.peer, files[filename]
    name = filename.removesuffix(_MD5SUM)
    if name in files and name != filename:
        md5 = hashes_of(door.ports, at.peer.tenant, files[name].sha256).md5
        return PlainTextResponse(f"{md5}  {name}\n")
    raise NotFound(f"the module {module} has no file called {filename[:200]!r}")


def _files(ports: HawkbitPorts, at: Standing, module: str) -> tuple[Image, ...]:
    """Return the files of a module that a vehicle may have.  Raises NotFound, Unavailable."""
    is_one = module.isascii() and module.isdecimal() and len(module) <= NUMBER_MAX_DIGITS
    key = ports.numbers.name(at.peer.tenant, Kind.MODULE, int(module)) if is_one else None
    installed = orders.installed_set(ports, at.peer)
    wanted = at.offer.images if at.offer is not None and not at.waits_for_consent else ()
    for images in (wanted, installed.images if installed is not None else ()):
        for chunk in chunks_of(images):
            if chunk.key == key:
                return chunk.images
    raise NotFound(f"there is no module {module[:40]!r} for this vehicle")
