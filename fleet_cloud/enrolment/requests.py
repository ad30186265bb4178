"""Signing requests (PKCS#10), checked: what is taken from them is the public key, and nothing else.

Rule 1: the signature must be of the key that the request is for: whoever made it holds the private half.
Rule 2: keys are on P-256 or P-384: what tokens, TPMs and every TLS library have.
Rule 3: names and extensions asked for are ignored; one that names another vehicle is a mistake, and refused.
"""

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fairway.enrolment import CSR_MAX_BYTES
from fairway.errors import BadInput

CURVES = ("secp256r1", "secp384r1")
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_URN = "urn:fairway:"


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """What is taken from a request."""

    public_key: ec.EllipticCurvePublicKey
    key_sha256: str  # of its SubjectPublicKeyInfo


def signing_request(der: bytes, *, vehicle: str) -> SigningRequest:
    """Check a request that came for `vehicle`.  Raises BadInput."""
    if not 0 < len(der) <= CSR_MAX_BYTES:
        raise BadInput(
            f"the signing request has {len(der)} bytes: it must have 1 to {CSR_MAX_BYTES}"
        )
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        _check_names(request, vehicle)
        algorithm = request.signature_hash_algorithm
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise BadInput(f"the signing request cannot be read: {_why(error)}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise BadInput("the signing request is for a key that is neither on P-256 nor on P-384")
    if not isinstance(algorithm, _HASHES):
        raise BadInput("the signing request is signed with neither SHA-256, SHA-384 nor SHA-512")
    try:
        is_valid = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        is_valid = False
    if not is_valid:
        raise BadInput(
            "the signing request is not signed by its own key: whoever sent it does not hold that"
        )
    return SigningRequest(key, key_hash(key))


def request_from_pem(content: bytes) -> bytes:
    """Return the DER of a request in PEM; DER stays as it is.  Raises BadInput."""
    if not content.lstrip().startswith(b"-----"):
        return content
    try:
        return x509.load_pem_x509_csr(content).public_bytes(serialization.Encoding.DER)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise BadInput(f"the signing request cannot be read: {_why(error)}") from error


def key_hash(key: ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of a public key, hexadecimal."""
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def _check_names(request: x509.CertificateSigningRequest, vehicle: str) -> None:
    common = [str(one.value) for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    named = [name for name in common if name != vehicle]
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        uris: list[str] = []
    else:
        uris = found.value.get_values_for_type(x509.UniformResourceIdentifier)
    named += [
        uri for uri in uris if uri.startswith(_URN) and not uri.endswith(f":vehicle:{vehicle}")
    ]
    if named:
        raise BadInput(f"the signing request names {named[0][:80]!r}, and was sent for {vehicle!r}")


def _why(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
