"""The region's certificates, in a folder: what doors and vehicles trust, what the cloud shows, what it issues.

    ca.pem                         what vehicles trust of servers: the services authority of this region
    anchors.pem                    what doors trust of clients: every authority of this region, signed by itself
    revoked.pem                    the revocation lists of all of them
    server.pem, server-key.pem     broker, gRPC and API: localhost, 127.0.0.1 and the names of the configuration
    cloud.pem, cloud-key.pem       the cloud itself, as a client of its broker
    keeper.pem, keeper-key.pem     whoever tells the broker of changes in the fleet
    fleetwise.pem, fleetwise-key.pem   whoever serves agents of AWS IoT FleetWise at the broker

Rule 1: keys are P-256 and readable by their owner only; a file is replaced whole or not at all.
Rule 2: the root's key is needed to make authorities, and for nothing else: pki_authorities.py.
Rule 3: revocation lists are dated later than the ones before, whatever the clock says: doors take the latest.
They are dated a day back, or a second list within a second would be of the future, and not believed yet.
Rule 4: a list names every certificate that lets nobody in although it has not expired: revoked ones, and those
superseded long ago.  It is written when that changes, and once a day: brokers keep all they ever read.
"""

import datetime as dt
import fcntl
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from fairway import log as logs
from fairway.clock import NS_PER_S
from fairway.crypto import fingerprint
from fairway.errors import Unavailable
from fairway.identity import DEFAULT_REGION, DEFAULT_TENANT, Identity, Kind, Scope
from fairway.signers import file
from fleet_cloud.adapters.pki_authorities import Authorities, load_certificate
from fleet_cloud.adapters.pki_certificates import (
    DAY,
    alternative_names,
    leaf_of,
    pem,
    revocations_of,
    time_of,
)
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.vehicles.certificates import Certificate
from fleet_cloud.vehicles.registry import CLOUD_NAME, FLEETWISE_NAME, KEEPER_NAME

log = logs.get("fleet_cloud.pki")

VEHICLE_DAYS = 90
_SERVER_DAYS = 397
_RENEW_DAYS = 60
_LIST_EARLIER_NS = 86_400 * NS_PER_S
_LIST_END = b"-----END X509 CRL-----\n"
_ALWAYS = ("localhost", "127.0.0.1", "::1")
SERVER_NAME = "fairway"


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate as it was issued: PEM, its authority's behind it, and what the registry keeps of it."""

    certificate_pem: bytes
    record: Certificate

    @property
    def sha256(self) -> str:
        """Of its DER, hexadecimal."""
        return self.record.sha256


class FilePki:
    """The certificates in `folder`."""

    def __init__(self, folder: Path, *, region: str = DEFAULT_REGION, tenant_key: str = "") -> None:
        self._folder = folder
        self.region = region
        self.authorities = Authorities(folder, region, tenant_key)
        self.ca = folder / "ca.pem"
        self.anchors = folder / "anchors.pem"
        self.crl = folder / "revoked.pem"
        self.server = folder / "server.pem"
        self.server_key = folder / "server-key.pem"
        self.cloud = folder / "cloud.pem"
        self.cloud_key = folder / "cloud-key.pem"
        self.keeper = folder / "keeper.pem"
        self.keeper_key = folder / "keeper-key.pem"
        self.fleetwise = folder / "fleetwise.pem"
        self.fleetwise_key = folder / "fleetwise-key.pem"
        self._listed: tuple[bytes, dict[str, list[int]], list[str]] | None = None

    def ensure(self, names: Sequence[str], now_ns: int) -> None:
        """Make what is missing or about to expire.  `names` are the server's further names.

        Raises Unavailable when the folder cannot be written, BadInput when what is there is no certificate.
        """
        hosts = alternative_names([*_ALWAYS, *names])
        with self._locked():
            if not self.authorities.exist:
                self.authorities.make_root(self.authorities.offline, now_ns)
            if not self.authorities.is_legacy:
                self._ensure_authorities(now_ns)
            self._ensure(SERVER_NAME, self.server, self.server_key, now_ns, hosts)
            self._ensure(CLOUD_NAME, self.cloud, self.cloud_key, now_ns, None)
            self._ensure(KEEPER_NAME, self.keeper, self.keeper_key, now_ns, None)
            self._ensure(FLEETWISE_NAME, self.fleetwise, self.fleetwise_key, now_ns, None)
            self._write_anchors()
            if not self.crl.exists():
                self._write_revocations({}, now_ns)

    def init(self, place: Path, now_ns: int, *, password: bytes | None = None) -> None:
        """Make the root with its key in `place`, and authorities below it.  Raises Conflict, Unavailable."""
        with self._locked():
            self.authorities.make_root(place, now_ns, password=password)
            self.authorities.make_services(now_ns, place, password)
            self.authorities.make_tenant(DEFAULT_TENANT, now_ns, place, password)

    def add_tenant(
        self, tenant: str, now_ns: int, place: Path | None = None, *, password: bytes | None = None
    ) -> None:
        """Make the authority of a tenant unless there is one.  Raises Unavailable without the root's key."""
        with self._locked():
            before = self.authorities.tenants()
            self.authorities.make_tenant(tenant, now_ns, place, password)
            self._write_anchors()
            if tenant not in before and self.crl.exists():
                # Doors that look for revoked ones want a list of every authority.
                self._add_list(tenant, now_ns)

    def identity(self, kind: Kind, tenant: str, name: str) -> Identity:
        """Return an identity in this region, with a certificate number that nobody had before."""
        return Identity(Scope(self.region, tenant), kind, name, secrets.token_hex(16))

    def issue(
        self, identity: Identity, key: ec.EllipticCurvePublicKey, now_ns: int, life: dt.timedelta
    ) -> Issued:
        """Return a client certificate for `key`.  Raises BadInput without an authority, Unavailable."""
        authority = self.authorities.tenant(identity.scope.tenant)
        leaf = leaf_of(authority, identity, key, now_ns, life)
        chain = (leaf,) if self.authorities.is_legacy else (leaf, authority.certificate)
        return Issued(pem(*chain), record_of(leaf, identity, now_ns))

    def write_revocations(
        self, certificates: Iterable[Certificate], now_ns: int, *, renews: bool = False
    ) -> None:
        """Have doors refuse those of `certificates` that let nobody in any more.  Raises Unavailable.

        The lists stay as they are when nothing would change in them but the date, unless that `renews` them.
        """
        serials: dict[str, list[int]] = {}
        for one in certificates:
            if one.serial and one.lets_in_until_ns <= now_ns < one.expires_time_ns:
                serials.setdefault(one.tenant, []).append(int(one.serial, 16))
        with self._locked():
            there = self.crl.read_bytes() if self.crl.exists() else b""
            # What is there may be another process's, which knew less.
            if renews or (there, serials, self.authorities.tenants()) != self._listed:
                written = self._write_revocations(serials, now_ns)
                self._listed = (written, serials, self.authorities.tenants())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # `vehicle add` may run while `serve` makes the authorities.
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self._folder / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise Unavailable(f"cannot keep certificates in {self._folder}: {error}") from error

    def _ensure_authorities(self, now_ns: int) -> None:
        authorities = self.authorities
        authorities.make_services(now_ns)
        if not authorities.tenants():
            authorities.make_tenant(DEFAULT_TENANT, now_ns)
        anchor = pem(authorities.services().anchor)
        if not self.ca.exists() or self.ca.read_bytes() != anchor:
            write_whole(self.ca, anchor)

    def _write_anchors(self) -> None:
        content = pem(*(authority.anchor for authority in self.authorities.all()))
        if not self.anchors.exists() or self.anchors.read_bytes() != content:
            write_whole(self.anchors, content)

    def _write_revocations(self, serials: dict[str, list[int]], now_ns: int) -> bytes:
        at_ns = self._list_date_ns(now_ns)
        lists = [revocations_of(self.authorities.services(), [], at_ns)]
        if self.authorities.is_legacy:
            every = [serial for some in serials.values() for serial in some]
            lists = [revocations_of(self.authorities.services(), every, at_ns)]
        else:
            lists += [
                revocations_of(self.authorities.tenant(tenant), serials.get(tenant, []), at_ns)
                for tenant in self.authorities.tenants()
            ]
        content = b"".join(lists)
        write_whole(self.crl, content)
        return content

    def _add_list(self, tenant: str, now_ns: int) -> None:
        at_ns = self._list_date_ns(now_ns)
        fresh = revocations_of(self.authorities.tenant(tenant), [], at_ns)
        write_whole(self.crl, self.crl.read_bytes() + fresh)

    def _list_date_ns(self, now_ns: int) -> int:
        """Return a date later than that of every list that is there and can be read."""
        dates = [0]
        with suppress(OSError, ValueError):
            for block in self.crl.read_bytes().split(_LIST_END)[:-1]:
                listed = x509.load_pem_x509_crl(block + _LIST_END).last_update_utc
                dates.append(int(listed.timestamp()) * NS_PER_S)
        return max(now_ns - _LIST_EARLIER_NS, max(dates) + NS_PER_S)

    def _ensure(
        self,
        name: str,
        path: Path,
        key_path: Path,
        now_ns: int,
        names: list[x509.GeneralName] | None,
    ) -> None:
        if not self._is_due(path, key_path, now_ns, names):
            return
        signer = file.fresh()
        identity = self.identity(Kind.CLOUD, DEFAULT_TENANT, name)
        authority = self.authorities.services()
        life = _SERVER_DAYS * DAY
        leaf = leaf_of(authority, identity, signer.public_key(), now_ns, life, names=names)
        write_whole(key_path, signer.pem(), secret=True)
        write_whole(path, pem(leaf))

    def _is_due(
        self, path: Path, key_path: Path, now_ns: int, names: list[x509.GeneralName] | None
    ) -> bool:
        if not path.exists() or not key_path.exists():
            return True
        certificate = load_certificate(path)
        if certificate.not_valid_after_utc - time_of(now_ns) < _RENEW_DAYS * DAY:
            return True
        try:
            # A process may have died between writing the one and the other, or a folder been put together.
            certificate.verify_directly_issued_by(self.authorities.services().anchor)
            if file.load(key_path).public_key() != certificate.public_key():
                return True
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
            return True
        wanted = self.identity(Kind.CLOUD, DEFAULT_TENANT, "x").urn.rpartition(":")[0]
        uris = found.value.get_values_for_type(x509.UniformResourceIdentifier)
        hosts = [one for one in found.value if not isinstance(one, x509.UniformResourceIdentifier)]
        is_of_region = any(uri.rpartition(":")[0] == wanted for uri in uris)
        return not is_of_region or (names is not None and hosts != names)


def record_of(leaf: x509.Certificate, identity: Identity, now_ns: int) -> Certificate:
    """Return what the registry keeps of a certificate."""
    return Certificate(
        sha256=fingerprint(leaf),
        number=identity.number,
        vehicle=identity.name,
        serial=f"{leaf.serial_number:x}",
        issued_time_ns=now_ns,
        expires_time_ns=int(leaf.not_valid_after_utc.timestamp()) * NS_PER_S,
        tenant=identity.scope.tenant,
    )
