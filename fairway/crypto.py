"""Keys that sign and are not given away: in a file, a hardware token, a TPM or a key service.

All keys are P-256 (FIPS 186-5), signatures are ECDSA with SHA-256, DER-encoded (RFC 3279, 2.2.3).
"""

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec


class Signer(Protocol):
    """A private key in use.  Contract: tests/contracts/test_signer.py."""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the DER signature of `message`.  Raises Unavailable when the key cannot be used now."""
        ...
