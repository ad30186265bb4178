"""fairway.v1.ArtifactService, behind the gRPC door: large files for vehicles, from whatever byte they have.

Rule 1: a vehicle is given what its own tenant has, and nothing tells it of anything else.
Rule 2: one that is revoked is cut off within one piece.
Rule 3: bytes are read as fast as they are sent, a piece at a time: many vehicles cost pieces, not files.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn

import grpc

from fairway import log as logs
from fairway.errors import BadInput, Unavailable
from fairway.wire.artifacts import (
    PIECE_MAX_BYTES,
    Fetch,
    Piece,
    piece_to_bytes,
    request_from_bytes,
)
from fleet_cloud.adapters.grpc_admission import Admission, Context, removed
from fleet_cloud.artifacts.ports import Artifacts, Holdings
from fleet_cloud.vehicles.certificates import Member

log = logs.get("fleet_cloud.artifacts")

SERVICE = "fairway.v1.ArtifactService"
# What a vehicle may fetch at once: the parts of an image, and something beside.
FETCHES_MAX = 4


class ArtifactDoor:
    """Sends artifacts over gRPC."""

    def __init__(
        self,
        *,
        artifacts: Artifacts,
        holdings: Holdings,
        members: Callable[[], Mapping[str, Member]],
        region: str = "",
    ) -> None:
        """`region` is whose vehicles are let in, whatever TLS was told to trust; empty: any."""
        self._artifacts, self._holdings, self._members = artifacts, holdings, members
        self._admission = Admission(members, region, "artifacts")
        self._fetching = Counter[str]()

    def service(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server needs to answer."""
        handler: Any = grpc.unary_stream_rpc_method_handler(self._fetch)
        return grpc.method_handlers_generic_handler(SERVICE, {"Fetch": handler})

    async def _fetch(self, data: bytes, context: Context) -> AsyncIterator[bytes]:
        vehicle, sha256 = await self._admission.admit(context)
        if self._fetching[vehicle] >= FETCHES_MAX:
            await _end(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{vehicle} fetches {FETCHES_MAX} artifacts already: go on later",
            )
        self._fetching[vehicle] += 1
        try:
            fetch = await self._asked(data, context)
            async for piece in self._pieces(vehicle, fetch, context):
                if not self._admission.may_connect(vehicle, sha256):
                    await _end(context, grpc.StatusCode.PERMISSION_DENIED, removed(vehicle))
                yield piece_to_bytes(piece)
        except Unavailable as error:
            log.error("artifact_unreadable", vehicle=vehicle, reason=str(error))  # noqa: TRY400
            await _end(
                context, grpc.StatusCode.UNAVAILABLE, "artifacts cannot be read now: go on later"
            )
        finally:
            self._fetching[vehicle] -= 1
            if not self._fetching[vehicle]:
                del self._fetching[vehicle]

    async def _asked(self, data: bytes, context: Context) -> Fetch:
        try:
            return request_from_bytes(data)
        except BadInput as error:
            await _end(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def _pieces(self, vehicle: str, fetch: Fetch, context: Context) -> AsyncIterator[Piece]:
        member = self._members().get(vehicle)
        size = None
        if member is not None:
            size = await asyncio.to_thread(self._held, member.tenant, fetch.digest)
        if size is None:
            await _end(context, grpc.StatusCode.NOT_FOUND, f"no artifact is kept as {fetch.digest}")
        if fetch.offset > size:
            await _end(
                context,
                grpc.StatusCode.OUT_OF_RANGE,
                f"{fetch.digest} has {size} bytes, and none at {fetch.offset}",
            )
        at = fetch.offset
        yield Piece(b"", size)
        while at < size:
            data = await asyncio.to_thread(self._artifacts.read, fetch.digest, at, PIECE_MAX_BYTES)
            if not data:
                raise Unavailable(f"{fetch.digest} ends after {at} of {size} bytes")
            yield Piece(data)
            at += len(data)

    def _held(self, tenant: str, digest: str) -> int | None:
        held = self._holdings.held(tenant, digest)
        return held if held is not None and self._artifacts.size(digest) is not None else None


async def _end(context: Context, code: grpc.StatusCode, why: str) -> NoReturn:
    await context.abort(code, why[:500])
    raise AssertionError("abort does not return")
