"""The fleet's certificates, in a folder: its CA, the server, the cloud as a client, the vehicles.

    ca.pem, ca-key.pem             signs everything below; keep ca-key.pem safe, it is the fleet
    server.pem, server-key.pem     broker and gRPC: localhost, 127.0.0.1 and the names of the configuration
    cloud.pem, cloud-key.pem       the cloud itself, as a client of its broker

Rule 1: keys are P-256 and readable by their owner only; a file is replaced whole or not at all.
Rule 2: a certificate's common name is who it is: a vehicle's id, or the cloud's reserved name.
Rule 3: the CA is made once and never replaced here; the other two are renewed before they expire.
"""

import datetime as dt
import fcntl
import hashlib
import ipaddress
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Unavailable
from fleet_cloud.vehicles.registry import CLOUD_NAME

_DAY = dt.timedelta(days=1)
# A vehicle's clock may be behind until it has heard of the time.
_EARLIER = _DAY
_CA_DAYS = 20 * 365
# A vehicle lives long between visits; identity with renewal on the way comes with enrolment.
_VEHICLE_DAYS = 5 * 365
_SERVER_DAYS = 397
_RENEW_DAYS = 60

_ALWAYS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate for a vehicle, with its key."""

    certificate_pem: bytes
    key_pem: bytes
    sha256: str
    expires_time_ns: int


class FilePki:
    """The certificates in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = folder / "ca.pem"
        self.server = folder / "server.pem"
        self.server_key = folder / "server-key.pem"
        self.cloud = folder / "cloud.pem"
        self.cloud_key = folder / "cloud-key.pem"

    def ensure(self, names: Sequence[str], now_ns: int) -> None:
        """Make what is missing or about to expire.  `names` are the server's further names.

        Raises Unavailable when the folder cannot be written, BadInput when what is there is no certificate.
        """
        now = _time(now_ns)
        with self._locked():
            self._ensure_ca(now)
            wanted = _alternative_names([*_ALWAYS, *names])
            if self._is_due(self.server, self.server_key, now, wanted):
                self._issue("fairway", self.server, self.server_key, now, wanted)
            if self._is_due(self.cloud, self.cloud_key, now, None):
                self._issue(CLOUD_NAME, self.cloud, self.cloud_key, now, None)

    def issue(self, vehicle: str, now_ns: int) -> Issued:
        """Return a new client certificate for `vehicle`.  Raises Unavailable, BadInput."""
        with self._locked():
            certificate, key = self._signed(vehicle, _time(now_ns), None, days=_VEHICLE_DAYS)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        sha256 = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
        expires_ns = int(certificate.not_valid_after_utc.timestamp()) * NS_PER_S
        return Issued(pem, _key_pem(key), sha256, expires_ns)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # `vehicle add` may run while `serve` makes the CA.
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise Unavailable(f"cannot keep certificates in {self._folder}: {error}") from error

    def _ensure_ca(self, now: dt.datetime) -> None:
        key_file = self._folder / "ca-key.pem"
        if self.ca.exists():
            return
        if key_file.exists():
            key = self._ca_key()  # the process ended between the two writes below
        else:
            key = ec.generate_private_key(ec.SECP256R1())
            write_whole(key_file, _key_pem(key), secret=True)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fairway fleet CA")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + _CA_DAYS * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        write_whole(self.ca, certificate.public_bytes(serialization.Encoding.PEM))

    def _is_due(
        self,
        path: Path,
        key_path: Path,
        now: dt.datetime,
        names: x509.SubjectAlternativeName | None,
    ) -> bool:
        if not path.exists() or not key_path.exists():
            return True
        certificate = _load(path)
        if certificate.not_valid_after_utc - now < _RENEW_DAYS * _DAY:
            return True
        try:
            # A process may have died between writing the one and the other, or a folder been put together.
            certificate.verify_directly_issued_by(_load(self.ca))
            if _private_key(key_path).public_key() != certificate.public_key():
                return True
            if names is None:
                return False
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
            return True
        return found.value != names

    def _issue(
        self,
        name: str,
        path: Path,
        key_path: Path,
        now: dt.datetime,
        names: x509.SubjectAlternativeName | None,
    ) -> None:
        certificate, key = self._signed(name, now, names, days=_SERVER_DAYS)
        write_whole(key_path, _key_pem(key), secret=True)
        write_whole(path, certificate.public_bytes(serialization.Encoding.PEM))

    def _signed(
        self,
        name: str,
        now: dt.datetime,
        names: x509.SubjectAlternativeName | None,
        *,
        days: int,
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        authority = _load(self.ca)
        key = ec.generate_private_key(ec.SECP256R1())
        is_server = names is not None
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + days * _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value),
                critical=False,
            )
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._ca_key(), hashes.SHA256()), key

    def _ca_key(self) -> ec.EllipticCurvePrivateKey:
        return _private_key(self._folder / "ca-key.pem")


def write_whole(path: Path, content: bytes, *, secret: bool = False) -> None:
    """Put `content` at `path` so that a reader, or a crash, sees all of it or what was there before."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            try:
                found.append(x509.DNSName(name))
            except ValueError as error:
                raise BadInput(f"{name!r} cannot stand in a certificate: {error}") from error
    return x509.SubjectAlternativeName(found)


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


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path} is not a private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadInput(f"{path} is not a P-256 key")
    return key


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise BadInput(f"{path} is not a certificate: {error}") from error


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _time(now_ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(now_ns // NS_PER_S, tz=dt.UTC)
