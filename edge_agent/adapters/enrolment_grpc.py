"""Asks the cloud for a certificate: one call of fairway.v1.EnrolmentService."""

import asyncio

import grpc
import grpc.aio

from edge_agent.adapters.grpc_tls import channel_credentials
from edge_agent.adapters.server_look import server_certificate
from edge_agent.adapters.uplink_tls import Address, guarded
from fairway.crypto import Signer
from fairway.enrolment import Ask, Granted, Waiting
from fairway.errors import BadInput, Denied, FairwayError, Unavailable
from fairway.wire.enrolment import ANSWER_MAX_BYTES, answer_from_bytes, ask_to_bytes

METHOD = "/fairway.v1.EnrolmentService/Enrol"
TIMEOUT_S = 30.0
_OPTIONS = (
    ("grpc.max_receive_message_length", ANSWER_MAX_BYTES),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
_ERRORS: dict[grpc.StatusCode, type[FairwayError]] = {
    grpc.StatusCode.PERMISSION_DENIED: Denied,
    grpc.StatusCode.UNAUTHENTICATED: Denied,
    grpc.StatusCode.INVALID_ARGUMENT: BadInput,
    grpc.StatusCode.UNIMPLEMENTED: Denied,  # a cloud of before: it enrols nobody
}


async def ask_cloud(target: Address, ask: Ask, signer: Signer | None = None) -> Granted | Waiting:
    """Ask once; `signer` is the key of `target`'s certificate when it lies in hardware.

    Raises Unavailable (ask again later, with the same key), Denied, BadInput.
    """
    if target.scheme != "grpcs":
        raise BadInput(f"{target} is no address to enrol at: write grpcs://host:port")
    where = f"{target.host}:{target.port}"
    channel_credentials(target, signer)  # files that are wrong are told as such
    # The claim, or the certificate that is to be renewed, says of which region the cloud has to be.
    asked = guarded(target, region="", hosts=(), tls_min=target.tls_min)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            shown = await server_certificate(asked)
    except TimeoutError as error:
        raise Unavailable(f"{target} does not answer") from error
    credentials = channel_credentials(target, signer, trusted=shown)
    async with grpc.aio.secure_channel(where, credentials, options=_OPTIONS) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        try:
            answer = await call(ask_to_bytes(ask), timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            kind = _ERRORS.get(error.code(), Unavailable)
            reason = error.details() or error.code().name
            raise kind(f"{target} answers: {reason}") from error
        except (TimeoutError, asyncio.InvalidStateError) as error:
            raise Unavailable(f"{target} does not answer") from error
    if not isinstance(answer, bytes):
        raise BadInput(f"{target} answers with something that is no message")
    return answer_from_bytes(answer)
