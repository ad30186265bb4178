"""Bytes for vehicles: a blob whole or in part, from here or from where else it lies.

    digest > held by this tenant? > If-None-Match, Range > 200 | 206 | 302 elsewhere | 304 | 404 | 416

Rule 1: a vehicle is given what its own tenant has, and nothing tells it of anything else.
Rule 2: whoever is revoked is cut off within one piece.
Rule 3: the next piece is read while one is sent; many vehicles cost two pieces each, not files.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from fairway import log as logs
from fairway.errors import Unavailable
from fleet_cloud.api.device.admission import may_go_on
from fleet_cloud.api.device.ports import FETCHES_MAX, DevicePorts, DoorNumbers, Peer
from fleet_cloud.api.device.ranges import Span, asked, etag, is_known
from fleet_cloud.api.ports import NotFound, TooOften
from fleet_cloud.api.problems import problem
from fleet_cloud.artifacts.ports import Artifacts

log = logs.get("fleet_cloud.updates")

PIECE_BYTES = 1 << 20
# Who fetches more at once comes again after this long.
_BUSY_WAIT_S = 5.0


async def blob_answer(ports: DevicePorts, request: Request, peer: Peer, sha256: str) -> Response:
    """Return the answer to a GET or HEAD for a blob.  Raises NotFound, TooOften, Unavailable."""
    digest = f"sha256:{sha256}"
    size = await asyncio.to_thread(_held, ports, peer.tenant, digest)
    if size is None:
        raise NotFound(f"no bytes are kept here as {sha256}")
    tag = etag(sha256)
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Type": "application/octet-stream",
    }
    asking = request.headers
    if is_known(asking.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    span = asked(asking.get("range"), asking.get("if-range"), tag, size)
    if span is None:
        detail = f"{sha256} has {size} bytes, and none of those that were asked for"
        return problem(416, detail, **{"Content-Range": f"bytes */{size}", "ETag": tag})
    if ports.places is not None and request.method == "GET":
        elsewhere = await asyncio.to_thread(ports.places.url, digest)
        if elsewhere is not None:
            ports.numbers.redirects += 1
            return RedirectResponse(elsewhere, 302, {"Cache-Control": "no-store"})
    headers["Content-Length"] = str(span.length)
    if span.is_part:
        headers["Content-Range"] = f"bytes {span.first}-{span.first + span.length - 1}/{size}"
    status = 206 if span.is_part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    if ports.numbers.fetching[peer.vehicle] >= FETCHES_MAX:
        raise TooOften(f"{peer.vehicle} fetches {FETCHES_MAX} blobs already", wait_s=_BUSY_WAIT_S)
    pieces = _pieces(ports.artifacts, digest, span, lambda: may_go_on(ports, peer))
    return StreamingResponse(_counted(pieces, ports.numbers, peer.vehicle), status, headers)


def _held(ports: DevicePorts, tenant: str, digest: str) -> int | None:
    held = ports.holdings.held(tenant, digest)
    return held if held is not None and ports.artifacts.size(digest) is not None else None


async def _counted(
    pieces: AsyncIterator[bytes], numbers: DoorNumbers, who: str
) -> AsyncIterator[bytes]:
    numbers.fetching[who] += 1
    try:
        async for piece in pieces:
            numbers.sent_bytes += len(piece)
            yield piece
    finally:
        numbers.fetching[who] -= 1
        if not numbers.fetching[who]:
            del numbers.fetching[who]


async def _pieces(
    artifacts: Artifacts, digest: str, span: Span, goes_on: Callable[[], bool]
) -> AsyncIterator[bytes]:
    at, end = span.first, span.first + span.length

    def read(at: int) -> "asyncio.Task[bytes]":
        reading = asyncio.to_thread(artifacts.read, digest, at, min(PIECE_BYTES, end - at))
        return asyncio.create_task(reading)

    ahead = read(at)
    try:
        while at < end:
            data = await ahead
            if not data:
                raise Unavailable(f"{digest} ends after {at} of {end} bytes")
            at += len(data)
            if at < end:
                ahead = read(at)
            if not goes_on():
                log.warning("fetch_cut_off", digest=digest)
                raise Unavailable("who fetches is not let in any more")
            yield data
    finally:
        ahead.cancel()
