"""Uptane's two repositories, and what vehicles tell, at the device door.

    GET /director/{name}   PUT /director/manifest   POST /director/ecus   POST /events
    GET /repo/{name}   GET /repo/delegations/{name}   GET /repo/targets/{path}   GET /blobs/{sha256}

Rule 1: all of it is for vehicles with a certificate; each sees its own Director and its tenant's images.
Rule 2: metadata goes out as it was signed, byte for byte; nothing here reads it.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Unavailable
from fairway.wire.updates import events_from_json
from fleet_cloud.api.device.admission import key_of, peer_needed
from fleet_cloud.api.device.blobs import blob_answer
from fleet_cloud.api.device.ports import DevicePorts
from fleet_cloud.api.limiter import Recent
from fleet_cloud.api.ports import NotFound
from fleet_cloud.rollouts.ports import RegisteredEcu
from ota.manifest import Image
from ota.registration import ecus_from_json

_DIRECTOR = re.compile(r"([0-9]{1,9}\.)?(root|targets|snapshot|timestamp)\.json")
# A role of ours or of a supplier: what a file may be called anywhere.
_REPO = re.compile(r"([0-9]{1,9}\.)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\.json")
# A report is some kilobytes: who takes longer holds a connection that others want.
BODY_MAX_S = 60.0
# A vehicle that lost the answer says the same again: that is no replay to be alarmed about.
SAME_REPORT_NS = 900 * NS_PER_S
_SHA256 = re.compile(r"[0-9a-f]{64}")


def router(ports: DevicePorts) -> APIRouter:
    """Return the routes of the two repositories and of what vehicles tell."""
    routes = APIRouter()
    _serve_metadata(routes, ports)
    _take_words(routes, ports)
    _serve_bytes(routes, ports)
    return routes


def _serve_metadata(routes: APIRouter, ports: DevicePorts) -> None:
    @routes.get("/director/{name}")
    def director_file(request: Request, name: str) -> Response:
        peer, now_ns = peer_needed(ports, request), ports.clock.now_ns()
        if not _DIRECTOR.fullmatch(name):
            return _metadata(None, name)
        return _metadata(ports.director.file(peer.tenant, peer.vehicle, name, now_ns), name)

    @routes.get("/repo/delegations/{name}")
    @routes.get("/repo/{name}")
    def repo_file(request: Request, name: str) -> Response:
        peer = peer_needed(ports, request)
        known = _REPO.fullmatch(name)
        return _metadata(ports.repository.file(peer.tenant, name) if known else None, name)


def _take_words(routes: APIRouter, ports: DevicePorts) -> None:
    taken = Recent(SAME_REPORT_NS, ports.clock)

    @routes.put("/director/manifest")
    async def report(request: Request) -> Response:
        peer, signed = peer_needed(ports, request), await _body(request)
        key, now_ns = key_of(request), ports.clock.now_ns()
        of = (peer.tenant, peer.vehicle)
        name = f"{peer.vehicle}/{hashlib.sha256(signed).hexdigest()}"
        if not taken.knows(name):
            await asyncio.to_thread(ports.director.report, *of, signed, now_ns, key)
            taken.note(name)
        return Response(status_code=204)

    @routes.post("/director/ecus")
    async def register(request: Request) -> Response:
        peer, body = peer_needed(ports, request), await _body(request)
        ecus = [
            RegisteredEcu(one.serial, one.hardware_id, one.public_key, is_primary=one.is_primary)
            for one in ecus_from_json(body)
        ]
        of, now_ns = (peer.tenant, peer.vehicle), ports.clock.now_ns()
        await asyncio.to_thread(ports.ecus.register, *of, ecus, now_ns)
        return Response(status_code=204)

    @routes.post("/events")
    async def events(request: Request) -> Response:
        peer, body = peer_needed(ports, request), await _body(request)
        told, now_ns = events_from_json(body), ports.clock.now_ns()
        await asyncio.to_thread(ports.offers.tell, peer.tenant, peer.vehicle, told, now_ns)
        return Response(status_code=204)


async def _body(request: Request) -> bytes:
    """Return the body, which comes in time.  Raises Unavailable."""
    try:
        async with asyncio.timeout(BODY_MAX_S):
            return await request.body()
    except TimeoutError as error:
        raise Unavailable(f"the body did not come within {BODY_MAX_S:.0f} s") from error


def _serve_bytes(routes: APIRouter, ports: DevicePorts) -> None:
    paths = Paths(ports)

    @routes.api_route("/repo/targets/{path:path}", methods=["GET", "HEAD"])
    async def target(request: Request, path: str) -> Response:
        peer = peer_needed(ports, request)
        sha256 = await asyncio.to_thread(paths.sha256, peer.tenant, path)
        return await blob_answer(ports, request, peer, sha256)

    @routes.api_route("/blobs/{sha256}", methods=["GET", "HEAD"])
    async def blob(request: Request, sha256: str) -> Response:
        peer = peer_needed(ports, request)
        if not _SHA256.fullmatch(sha256):
            raise BadInput(f"{sha256[:80]!r} is no SHA-256: 64 lower-case hex digits")
        return await blob_answer(ports, request, peer, sha256)


class Paths:
    """Finds the bytes of a target by its path, whether it is asked for with its hash before its name or not."""

    def __init__(self, ports: DevicePorts) -> None:
        self._ports = ports
        self._known: dict[str, tuple[Sequence[Image], Mapping[str, str]]] = {}

    def sha256(self, tenant: str, path: str) -> str:
        """Return the hash of a target's bytes.  Raises NotFound, Unavailable."""
        last = path.rpartition("/")[2]
        if _SHA256.fullmatch(last[:64]) and last[64:65] == ".":
            return last[:64]
        found = self._by_path(tenant).get(path)
        if found is None:
            raise NotFound(f"no target is called {path[:200]!r}")
        return found

    def _by_path(self, tenant: str) -> Mapping[str, str]:
        images = self._ports.repository.images(tenant)
        known = self._known.get(tenant)
        if known is None or known[0] is not images:
            known = (images, {image.path: image.sha256 for image in images})
            self._known[tenant] = known
        return known[1]


def _metadata(found: bytes | None, name: str) -> Response:
    if found is None:
        raise NotFound(f"there is no {name[:80]}")
    return Response(found, 200, {"Cache-Control": "no-store"}, "application/json")
