"""TLS of gRPC channels: with a key in a file, or with one in hardware that is asked to sign."""

import warnings
from collections.abc import Callable
from typing import Any

import grpc
from cryptography import x509
from grpc import experimental

from edge_agent.adapters.uplink_tls import Address, content, tls_context
from fairway import log
from fairway.crypto import Signer
from fairway.errors import BadInput, FairwayError

EVENTS = log.get("edge_agent.uplink")


def channel_credentials(
    target: Address, signer: Signer | None = None, *, trusted: bytes | None = None
) -> grpc.ChannelCredentials:
    """Return what a gRPC channel needs; `signer` is the key in hardware, if it lies there.  Raises BadInput.

    `trusted` is the one certificate that a server may show, in place of the authority's.
    """
    if signer is None:
        tls_context(target)  # gRPC itself says nothing of a key that does not fit
        authority, key, certificate = (
            content(p) for p in (target.ca, target.key, target.certificate)
        )
        return grpc.ssl_channel_credentials(trusted or authority, key, certificate)
    chain = content(target.certificate) or b""
    try:
        leaf = x509.load_pem_x509_certificate(chain)
    except ValueError as error:
        raise BadInput(f"{target.certificate} is no certificate: {error}") from error
    if leaf.public_key() != signer.public_key():
        raise BadInput(f"{target.certificate} is not for the key that the vehicle has")
    with warnings.catch_warnings():
        # That it may change between releases is what the lock file and its tests are for.
        warnings.simplefilter("ignore", experimental.ExperimentalApiWarning)
        made: grpc.ChannelCredentials = experimental.ssl_channel_credentials_with_custom_signer(
            private_key_sign_fn=_signing(signer),
            root_certificates=trusted or content(target.ca),
            certificate_chain=chain,
        )
    return made


def _signing(signer: Signer) -> Callable[[bytes, Any, Any], bytes]:
    def sign(data: bytes, algorithm: Any, _done: Any) -> bytes:
        # It arrives as a number, whatever its type says.
        if int(algorithm) != int(experimental.PrivateKeySignatureAlgorithm.ECDSA_SECP256R1_SHA256):
            raise BadInput(f"the cloud wants a signature of kind {int(algorithm)}, not ECDSA P-256")
        try:
            return signer.sign(data)
        except FairwayError as error:  # the handshake fails, and is tried again
            EVENTS.error("key_unusable", reason=str(error))
            raise

    return sign
