"""Certificates and revocation lists, built: what stands in each kind of them.

Rule 1: names, purposes and lives are ours; of who asks for a certificate only the public key is taken.
Rule 2: an authority exists in two forms of one key and one name: signed by the root, which auditors follow, and
signed by itself (the anchor), which the doors of its region trust.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fairway.clock import NS_PER_S
from fairway.crypto import Signer, SignerKey, p256
from fairway.errors import BadInput
from fairway.identity import Identity

DAY = dt.timedelta(days=1)
# A vehicle's clock may be behind until it has heard of the time.
EARLIER = DAY
# A root outlives the cars it was made for; an authority some of them.
ROOT_DAYS = 30 * 365
AUTHORITY_DAYS = 15 * 365
# Doors refuse everybody once a list is too old; it is written anew every day, so this is a month of outage.
CRL_DAYS = 30


@dataclass(frozen=True, slots=True)
class Authority:
    """Somebody who signs certificates: the two forms of its own, and its key."""

    certificate: x509.Certificate
    anchor: x509.Certificate
    signer: Signer


def time_of(now_ns: int) -> dt.datetime:
    """Return a moment as certificates say it: in whole seconds."""
    return dt.datetime.fromtimestamp(now_ns // NS_PER_S, tz=dt.UTC)


def pem(*certificates: x509.Certificate) -> bytes:
    """Return certificates as PEM, one behind the other."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def root_of(signer: Signer, name: str, now_ns: int) -> x509.Certificate:
    """Return the certificate of a root, signed by itself."""
    return _authority(name, signer.public_key(), now_ns, ROOT_DAYS, path_length=1).sign(
        SignerKey(signer), hashes.SHA256()
    )


def authority_of(
    signer: Signer, name: str, root: x509.Certificate, root_signer: Signer, now_ns: int
) -> Authority:
    """Return an authority below `root`, in both of its forms."""
    builder = _authority(name, signer.public_key(), now_ns, AUTHORITY_DAYS, path_length=0)
    anchor = builder.sign(SignerKey(signer), hashes.SHA256())
    below = (
        _authority(name, signer.public_key(), now_ns, AUTHORITY_DAYS, path_length=0, issuer=root)
        .add_extension(_key_of(root), critical=False)
        .sign(SignerKey(root_signer), hashes.SHA256())
    )
    return Authority(below, anchor, signer)


def leaf_of(
    authority: Authority,
    identity: Identity,
    key: ec.EllipticCurvePublicKey,
    now_ns: int,
    life: dt.timedelta,
    *,
    names: Sequence[x509.GeneralName] | None = None,
) -> x509.Certificate:
    """Return a certificate for `identity`; with `names` it is a server's, otherwise a client's."""
    now = time_of(now_ns)
    purpose = (
        ExtendedKeyUsageOID.SERVER_AUTH if names is not None else ExtendedKeyUsageOID.CLIENT_AUTH
    )
    uris = [
        x509.UniformResourceIdentifier(identity.urn),
        x509.UniformResourceIdentifier(identity.certificate_urn),
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(identity.common_name))
        .issuer_name(authority.anchor.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*(names or []), *uris]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_key_of(authority.anchor), critical=False)
        .sign(SignerKey(authority.signer), hashes.SHA256())
    )


def revocations_of(authority: Authority, serials: Sequence[int], now_ns: int) -> bytes:
    """Return the authority's revocation list (RFC 5280, 5) as PEM."""
    now = time_of(now_ns)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.anchor.subject)
        .last_update(now)
        .next_update(now + CRL_DAYS * DAY)
        .add_extension(x509.CRLNumber(now_ns // NS_PER_S), critical=False)
        .add_extension(_key_of(authority.anchor), critical=False)
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
        builder = builder.add_revoked_certificate(revoked.build())
    signed = builder.sign(SignerKey(authority.signer), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Return hosts and addresses as a certificate says them.  Raises BadInput."""
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            try:
                found.append(x509.DNSName(name))
            except ValueError as error:
                raise BadInput(f"{name!r} cannot stand in a certificate: {error}") from error
    return found


def _authority(
    name: str,
    key: ec.EllipticCurvePublicKey,
    now_ns: int,
    days: int,
    *,
    path_length: int,
    issuer: x509.Certificate | None = None,
) -> x509.CertificateBuilder:
    now = time_of(now_ns)
    subject = _name(name)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_of(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:  # somebody else's
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(
            p256(certificate.public_key(), whose="the authority")
        )
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
