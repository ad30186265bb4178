"""Who a TLS peer is, read from the certificate that TLS has checked.

Rule 1: a certificate with an identity of Fairway's speaks for what that says; its common name says the same.
Rule 2: one without (of an earlier version, or of somebody else's authority) is a vehicle's, by its common name.
"""

from cryptography import x509
from cryptography.x509.oid import NameOID

from fairway.crypto import fingerprint
from fairway.errors import BadInput, Denied
from fairway.identity import Identity, Kind, identity_of
from fairway.ids import vehicle_id
from fleet_cloud.adapters.broker_nats import subject_user

_OURS = "urn:fairway:"


def vehicle_shown(certificate_pem: bytes, *, region: str = "") -> tuple[str, str]:
    """Return the vehicle that a certificate speaks for, and its hash.

    Raises BadInput when it speaks for nobody, Denied when for somebody who is no vehicle, or one of another
    region than `region`.
    """
    name, identity, sha256 = shown(certificate_pem)
    if identity is not None and identity.kind is not Kind.VEHICLE:
        raise Denied(f"the client certificate is that of a {identity.kind}, not of a vehicle")
    if identity is not None and region and identity.scope.region != region:
        raise Denied(
            f"the client certificate is of region {identity.scope.region}, and this is {region}"
        )
    return name, sha256


def user_shown(certificate_pem: bytes) -> str:
    """Return which user nats-server takes a certificate for: its number, or its subject.  Raises BadInput."""
    name, identity, _ = shown(certificate_pem)
    return subject_user(name) if identity is None else identity.certificate_urn


def shown(certificate_pem: bytes) -> tuple[str, Identity | None, str]:
    """Return whose a certificate is, its identity (None: none of ours) and its hash.  Raises BadInput."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        uris = _uris(certificate)
    except ValueError as error:
        raise BadInput(f"the client certificate cannot be read: {error}") from error
    name = str(names[0].value) if len(names) == 1 else ""
    if any(uri.startswith(_OURS) for uri in uris):
        identity = identity_of(uris)
        if identity.common_name != name:
            raise BadInput(
                f"the client certificate is for {identity.common_name!r} and calls itself {name[:80]!r}"
            )
        return identity.name, identity, fingerprint(certificate)
    try:
        vehicle_id(name)
    except BadInput as error:
        raise BadInput("the client certificate names no vehicle") from error
    return name, None, fingerprint(certificate)


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.UniformResourceIdentifier)
