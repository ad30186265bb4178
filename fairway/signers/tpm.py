"""A key in a TPM 2.0: a primary key of the owner hierarchy, kept at a persistent handle.

    tpm2:handle=0x81000001?tcti=device:/dev/tpmrm0      (a simulated one: tcti=swtpm:host=127.0.0.1,port=2321)

Rule 1: the key is made in the TPM, fixed to it, and signs only.
Rule 2: one connection for each use: the resource manager shares the TPM with others.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from tpm2_pytss import (
    ESAPI,
    ESYS_TR,
    TPM2_ALG,
    TPM2_ST,
    TPM2B_DIGEST,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_OBJECT,
    TPMT_SIG_SCHEME,
    TPMT_TK_HASHCHECK,
    TSS2_Exception,
)
from tpm2_pytss.constants import TPM2_RH

from fairway.crypto import p256
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.signers.uri import KeyUri, key_uri

_DEFAULT_TCTI = "device:/dev/tpmrm0"
# Persistent handles of the owner (TCG registry of reserved handles, 2.3.1).
_FIRST, _LAST = 0x81000000, 0x817FFFFF
_ATTRIBUTES = (
    TPMA_OBJECT.SIGN_ENCRYPT
    | TPMA_OBJECT.FIXEDTPM
    | TPMA_OBJECT.FIXEDPARENT
    | TPMA_OBJECT.SENSITIVEDATAORIGIN
    | TPMA_OBJECT.USERWITHAUTH
)


class TpmSigner:
    """A key at a persistent handle."""

    def __init__(self, uri: KeyUri) -> None:
        self._uri = uri
        self._handle = _handle(uri)
        self._lock = threading.Lock()
        with self._connected() as tpm:
            public, _, _ = tpm.read_public(self._key(tpm))
        self._public = p256(load_der_public_key(public.to_der()), whose=uri.text)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        digest = TPM2B_DIGEST(hashlib.sha256(message).digest())
        scheme = TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL)  # the key's own: ECDSA with SHA-256
        ticket = TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)
        with self._lock, self._connected() as tpm:
            return bytes(tpm.sign(self._key(tpm), digest, scheme, ticket))

    def _key(self, tpm: ESAPI) -> ESYS_TR:
        try:
            return tpm.tr_from_tpmpublic(self._handle)
        except TSS2_Exception as error:
            raise Unavailable(f"{self._uri.text}: the TPM has no key there: {error}") from error

    @contextmanager
    def _connected(self) -> Iterator[ESAPI]:
        with _connection(self._uri) as tpm:
            yield tpm


def load(name: str) -> TpmSigner:
    """Open the key called `name`.  Raises BadInput, Unavailable."""
    return TpmSigner(_uri(name))


def make(name: str) -> TpmSigner:
    """Make the key called `name`.  Raises Conflict when the handle is taken, BadInput, Unavailable."""
    uri = _uri(name)
    handle = _handle(uri)
    with _connection(uri) as tpm:
        if _is_taken(tpm, handle):
            raise Conflict(f"{uri.text}: the TPM has a key there already: choose another handle")
        template = TPM2B_PUBLIC.parse("ecc256:ecdsa-sha256:null", objectAttributes=_ATTRIBUTES)
        primary, *_ = tpm.create_primary(TPM2B_SENSITIVE_CREATE(), template, ESYS_TR.OWNER)
        tpm.evict_control(ESYS_TR.OWNER, primary, handle)
        tpm.flush_context(primary)
    return TpmSigner(uri)


def _uri(name: str) -> KeyUri:
    return key_uri(name, "tpm2", path=frozenset({"handle"}), query=frozenset({"tcti"}))


def _handle(uri: KeyUri) -> int:
    text = uri.need("handle")
    try:
        handle = int(text, 16)
    except ValueError:
        handle = 0
    if not _FIRST <= handle <= _LAST:
        raise BadInput(f"{uri.text}: the handle is {text!r}; choose from {_FIRST:#x} to {_LAST:#x}")
    return handle


def _is_taken(tpm: ESAPI, handle: int) -> bool:
    try:
        tpm.tr_from_tpmpublic(handle)
    except TSS2_Exception:
        return False
    return True


@contextmanager
def _connection(uri: KeyUri) -> Iterator[ESAPI]:
    tcti = uri.query.get("tcti", _DEFAULT_TCTI)
    try:
        with ESAPI(tcti) as tpm:
            yield tpm
    except TSS2_Exception as error:
        raise Unavailable(f"{uri.text}: the TPM at {tcti} cannot be used now: {error}") from error
