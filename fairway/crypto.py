"""Keys that sign and are not given away: in a file, a hardware token, a TPM or a key service.

All keys are P-256 (FIPS 186-5), signatures are ECDSA with SHA-256, DER-encoded (RFC 3279, 2.2.3).
"""

import hashlib
from typing import NoReturn, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import Buffer

from fairway.errors import BadInput


class Signer(Protocol):
    """A private key in use.  Contract: tests/contracts/test_signer.py."""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the DER signature of `message`.  Raises Unavailable when the key cannot be used now."""
        ...


class SignerKey(ec.EllipticCurvePrivateKey):
    """A signer as `cryptography` takes private keys, so that its builders sign with keys in tokens."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def curve(self) -> ec.EllipticCurve:
        return ec.SECP256R1()

    @property
    def key_size(self) -> int:
        return 256

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._signer.public_key()

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        chosen = signature_algorithm.algorithm
        if not isinstance(chosen, hashes.SHA256):
            raise UnsupportedAlgorithm("these keys sign with SHA-256 and with nothing else")
        return self._signer.sign(bytes(data))

    def exchange(self, _algorithm: object, _peer_public_key: object) -> NoReturn:
        raise UnsupportedAlgorithm("these keys only sign")

    def private_numbers(self) -> NoReturn:
        raise UnsupportedAlgorithm("the private half is not given away")

    def private_bytes(
        self, _encoding: object, _format: object, _encryption_algorithm: object
    ) -> NoReturn:
        raise UnsupportedAlgorithm("the private half is not given away")

    def __copy__(self) -> "SignerKey":
        return self

    def __deepcopy__(self, _memo: object) -> "SignerKey":
        return self


def p256(key: object, *, whose: str) -> ec.EllipticCurvePublicKey:
    """Return `key` when it is a public key on P-256.  Raises BadInput saying whose it is."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        kind = getattr(getattr(key, "curve", None), "name", type(key).__name__.lstrip("_"))
        raise BadInput(f"the key of {whose} is {kind}: make one on P-256 (secp256r1)")
    return key


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate's DER, hexadecimal."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
