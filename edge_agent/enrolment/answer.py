"""What is wrong with a certificate before it is installed: pure.

Rule 1: the cloud's word is not enough: a certificate for another key, vehicle, kind or region would shut us
out.
Rule 2: whom to trust is taken from the answer only when it holds certificates, and nothing else but those.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.enrolment.renewal import Validity
from fairway.clock import NS_PER_S
from fairway.crypto import fingerprint
from fairway.errors import BadInput
from fairway.identity import Identity, Kind, identity_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the certificate has to be for."""

    vehicle: str
    key: ec.EllipticCurvePublicKey
    region: str = ""  # empty: not known yet


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is read from a certificate."""

    identity: Identity
    key: object
    validity: Validity


def leaf_of(chain_pem: bytes) -> Leaf:
    """Read the first certificate of a chain.  Raises BadInput."""
    try:
        found = x509.load_pem_x509_certificates(chain_pem)[0]
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        key = found.public_key()
        begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        raise BadInput(f"the certificate cannot be read: {_why(error)}") from error
    validity = Validity(
        int(begins.timestamp()) * NS_PER_S, int(ends.timestamp()) * NS_PER_S, fingerprint(found)
    )
    return Leaf(identity_of(uris), key, validity)


def check(chain_pem: bytes, anchors_pem: bytes, wanted: Wanted, now_ns: int) -> Leaf:
    """Return what a chain begins with when it can be installed.  Raises BadInput."""
    leaf = leaf_of(chain_pem)
    identity = leaf.identity
    if leaf.key != wanted.key:
        raise BadInput("the certificate is for another key than this vehicle's")
    if identity.kind is not Kind.VEHICLE or identity.name != wanted.vehicle:
        raise BadInput(
            f"the certificate is for {identity.kind} {identity.name}, not for {wanted.vehicle}"
        )
    if wanted.region and identity.scope.region != wanted.region:
        raise BadInput(
            f"the certificate is of region {identity.scope.region}, and this vehicle belongs to {wanted.region}"
        )
    if now_ns >= leaf.validity.ends_ns:
        raise BadInput("the certificate has expired already: is the clock right?")
    try:
        anchors = x509.load_pem_x509_certificates(anchors_pem)
    except (ValueError, TypeError) as error:
        raise BadInput(f"whom to trust cannot be read: {_why(error)}") from error
    if not all(_is_authority(one) for one in anchors):
        raise BadInput("whom to trust holds a certificate that is no authority's")
    return leaf


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, x509.ExtensionNotFound):
        return False
    return found.value.ca


def _why(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
