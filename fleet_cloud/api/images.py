"""/v1/artifacts and /v1/images: large files for vehicles, and the images of services among them.

Rule 1: whoever brings something brings all of its bytes, also when another tenant has brought them before.
Rule 2: bytes pass through as they come, and are compared with their digest before they are kept.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from fairway.errors import Denied
from fleet_cloud.access.grants import may
from fleet_cloud.api.parameters import iso
from fleet_cloud.api.ports import ApiPorts, NotFound
from fleet_cloud.api.problems import responses
from fleet_cloud.api.services import Read, Write
from fleet_cloud.api.tenants import TenantName, tenant_meant
from fleet_cloud.api.visible import Caller
from fleet_cloud.artifacts.ports import Receiving
from fleet_cloud.audit.acts import Act
from fleet_cloud.control.ports import PAGE_MAX
from fleet_cloud.services.ports import KeptImage

Digest = Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$")]
# Handed to a thread at once: some tenths of a millisecond of hashing.
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """A large file that is kept."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ImageWish:
    """An image whose parts were pushed before, by the digest of its manifest."""

    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    name: Annotated[str, Field(max_length=256)] = ""


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image that vehicles can fetch."""

    digest: str
    tenant: str
    name: str | None
    platform: str
    size_bytes: int
    parts: int
    pushed_by: str
    pushed: str


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Some images in order of tenant and digest; `next` is the `after` of the next page, null on the last."""

    images: list[ImageView]
    next: str | None


def router(ports: ApiPorts) -> APIRouter:
    """Return the routes of artifacts and images."""
    routes = APIRouter(prefix="/v1", tags=["images"])
    shelf, clock = ports.services.shelf, ports.clock

    @routes.get("/artifacts/{digest}", responses=responses(400, 401, 403, 404, 429, 503))
    def show_artifact(caller: Read, digest: Digest, tenant: TenantName = "") -> ArtifactView:
        """Show whether an artifact is kept, so that nobody sends it twice."""
        of = tenant_meant(caller, tenant)
        size = shelf.holdings.held(of, digest) if _whole(caller, of) else None
        if size is None:
            raise NotFound(f"no artifact is kept as {digest}")
        return ArtifactView(digest, size)

    @routes.put(
        "/artifacts/{digest}",
        status_code=201,
        responses=responses(400, 401, 403, 413, 429, 503),
        openapi_extra={
            "requestBody": {
                "content": {"application/octet-stream": {"schema": {"type": "string"}}},
                "required": True,
            }
        },
    )
    async def put_artifact(
        caller: Write, digest: Digest, request: Request, tenant: TenantName = ""
    ) -> ArtifactView:
        """Keep an artifact: the body is its bytes."""
        of = tenant_meant(caller, tenant)
        _check(caller, of)
        receiving = await asyncio.to_thread(shelf.artifacts.receive, digest)
        try:
            size = await _received(request, receiving)
            await asyncio.to_thread(_hold, ports, caller, of, digest, size)
        finally:
            await asyncio.to_thread(receiving.abandon)
        return ArtifactView(digest, size)

    @routes.get("/images", responses=responses(400, 401, 403, 429, 503))
    def list_images(
        caller: Read,
        after: Annotated[
            str,
            Query(
                description="`next` of the page before.",
                pattern=r"^([\w.-]{1,64}/sha256:[0-9a-f]{64})?$",
            ),
        ] = "",
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> ImagePage:
        """List the images that vehicles can fetch, of tenants that are wholly yours to see."""
        found = shelf.images.images(tenants=caller.whole_tenants, after=after, limit=limit)
        more = f"{found[-1].tenant}/{found[-1].digest}" if len(found) == limit else None
        return ImagePage([_view(image) for image in found], more)

    @routes.post("/images", status_code=201, responses=responses(400, 401, 403, 413, 429, 503))
    def register_image(caller: Write, wish: ImageWish, tenant: TenantName = "") -> ImageView:
        """Make an image known whose manifest, configuration and layers have been put before."""
        of = tenant_meant(caller, tenant)
        _check(caller, of)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return _view(shelf.register(of, wish.digest, name=wish.name, actor=actor, now_ns=now_ns))

    return routes


async def _received(request: Request, receiving: Receiving) -> int:
    piece = bytearray()
    async for data in request.stream():
        piece += data
        if len(piece) >= PIECE_BYTES:
            await asyncio.to_thread(receiving.write, bytes(piece))
            piece.clear()
    await asyncio.to_thread(receiving.write, bytes(piece))
    return await asyncio.to_thread(receiving.finish)


def _hold(ports: ApiPorts, caller: Caller, tenant: str, digest: str, size: int) -> None:
    details = {"bytes": str(size)}
    act = Act("artifact.put", caller.principal.actor, f"artifact:{digest}", tenant, details=details)
    ports.audit.write(act)
    ports.services.shelf.holdings.hold(tenant, digest, size, ports.clock.now_ns())


def _whole(caller: Caller, tenant: str) -> bool:
    return may(caller.principal, caller.permission, tenant)


def _check(caller: Caller, tenant: str) -> None:
    if not _whole(caller, tenant):
        raise Denied(f"images need {caller.permission} over {tenant}, and you hold less")


def _view(image: KeptImage) -> ImageView:
    return ImageView(
        digest=image.digest,
        tenant=image.tenant,
        name=image.name or None,
        platform=image.platform,
        size_bytes=image.size_bytes,
        parts=len(image.parts),
        pushed_by=image.pushed_by,
        pushed=iso(image.pushed_time_ns),
    )
