"""Artifacts over gRPC: fairway.v1.ArtifactService of the cloud, with the vehicle's own certificate.

Rule 1: as for the uplink, the server is looked at first, and the one that was looked at is talked to.
Rule 2: a connection lasts for one artifact: a car seldom fetches two.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from edge_agent.adapters.grpc_tls import channel_credentials
from edge_agent.adapters.server_look import server_certificate
from edge_agent.adapters.uplink_tls import Address
from fairway.crypto import Signer
from fairway.errors import BadInput, Denied, FairwayError, Unavailable
from fairway.signers.opening import open_signer
from fairway.wire.artifacts import (
    RESPONSE_MAX_BYTES,
    Fetch,
    piece_from_bytes,
    request_to_bytes,
)

METHOD = "/fairway.v1.ArtifactService/Fetch"
# A piece that has not come by then is asked for again: a tunnel is longer than a bad cell.
SILENCE_S = 60
_OPTIONS = (
    ("grpc.max_receive_message_length", RESPONSE_MAX_BYTES),
    ("grpc.keepalive_time_ms", SILENCE_S * 500),
    ("grpc.keepalive_timeout_ms", SILENCE_S * 500),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
_ERRORS: dict[grpc.StatusCode, type[FairwayError]] = {
    grpc.StatusCode.NOT_FOUND: BadInput,
    grpc.StatusCode.OUT_OF_RANGE: BadInput,
    grpc.StatusCode.INVALID_ARGUMENT: BadInput,
    grpc.StatusCode.UNIMPLEMENTED: BadInput,
    grpc.StatusCode.PERMISSION_DENIED: Denied,
    grpc.StatusCode.UNAUTHENTICATED: Denied,
}


class GrpcArtifacts:
    """Fetches artifacts from one address."""

    def __init__(self, target: Address) -> None:
        """Open the key.  Raises BadInput, Unavailable."""
        self._target = target
        self._signer: Signer | None = (
            open_signer(target.hardware_key) if target.hardware_key else None
        )

    async def pieces(self, digest: str, offset: int) -> AsyncIterator[tuple[bytes, int]]:
        size = -1
        async with await self._channel() as channel:
            method: Any = channel.unary_stream(METHOD)
            call = method(request_to_bytes(Fetch(digest, offset)))
            try:
                async for data in call:
                    piece = piece_from_bytes(data)
                    if size < 0:
                        size = piece.size_bytes
                    yield piece.data, size
            except grpc.aio.AioRpcError as error:
                kind = _ERRORS.get(error.code(), Unavailable)
                raise kind(
                    f"{self._target} does not send {digest}: {error.details() or error.code().name}"
                ) from error

    async def _channel(self) -> grpc.aio.Channel:
        where = f"{self._target.host}:{self._target.port}"
        if not self._target.is_secure:
            return grpc.aio.insecure_channel(where, options=_OPTIONS)
        shown = await server_certificate(self._target)
        try:
            credentials = channel_credentials(self._target, self._signer, trusted=shown)
        except BadInput as error:  # the files were good when we started
            raise Unavailable(str(error)) from error
        return grpc.aio.secure_channel(where, credentials, options=_OPTIONS)
