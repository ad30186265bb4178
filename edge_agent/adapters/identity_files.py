"""What a vehicle needs to be let in, in a folder of its own.

    identity.json       who it is, the name of its key, and where its cloud is
    ca.pem              whom to trust
    certificate.pem     its certificate, and the authority's behind it
    key.pem             its key, unless that lies in a token or a TPM

Rule 1: a file is replaced whole, synced, and readable by its owner only; the certificate comes last.  Whatever
moment the power fails at, what is there belongs together: the key never changes.
Rule 2: a renewal keeps the key.  A new key is a new enrolment.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from edge_agent.adapters.disk import RealDisk, replace_file
from edge_agent.adapters.uplink_tls import Address, address
from edge_agent.enrolment.answer import Leaf, Wanted, check, leaf_of
from fairway.crypto import Signer, SignerKey
from fairway.enrolment import Endpoints, Granted
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.ids import vehicle_id
from fairway.signers.opening import is_file, make_signer, open_signer

DEFAULT_KEY = "key.pem"
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Me:
    """Who a vehicle is, and where its cloud is."""

    vehicle: str
    key: str  # a name: relative ones lie in the folder
    endpoints: Endpoints = field(default_factory=Endpoints)


class IdentityFiles:
    """The identity in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.certificate = folder / "certificate.pem"
        self._self = folder / "identity.json"

    def read(self) -> Me:
        """Return who we are.  Raises BadInput when nobody has enrolled here, or for garbage."""
        try:
            content = self._self.read_bytes()
        except OSError as error:
            raise BadInput(
                f"there is no identity in {self.folder} ({error.strerror}): run `edge-agent enroll`"
            ) from error
        try:
            tree = json.loads(content[:_MAX_BYTES])
            texts = [str(tree[name]) for name in ("vehicle", "key")]
            urls = [str(tree.get(name, "")) for name in ("mqtt_url", "grpc_url", "region")]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadInput(
                f"{self._self} is not what `edge-agent enroll` wrote: {error}"
            ) from error
        return Me(vehicle_id(texts[0]), texts[1], Endpoints(*urls))

    def leaf(self) -> Leaf:
        """Return our certificate.  Raises BadInput."""
        try:
            return leaf_of(self.certificate.read_bytes())
        except OSError as error:
            raise BadInput(
                f"there is no certificate yet: {self.certificate}: {error.strerror}"
            ) from error

    def address(self, url: str) -> Address:
        """Return how `url` is reached with this identity.  Raises BadInput."""
        name = self.read().key
        return address(
            url,
            ca=self.ca,
            certificate=self.certificate,
            key=self._key_path(name) if is_file(name) else None,
            hardware_key="" if is_file(name) else name,
        )

    def signer(self, name: str, *, make: bool = False) -> Signer:
        """Open the key called `name`, or `make` it if it is not there.  Raises BadInput, Unavailable."""
        where = self._key_path(name) if is_file(name) else name
        if not make:
            return open_signer(where)
        self._make_folder()
        try:
            return make_signer(where)
        except Conflict:
            return open_signer(where)

    def begin(self, vehicle: str, key: str, region: str = "") -> None:
        """Note who we are going to be, and by which key.  Raises Conflict when we are somebody, Unavailable."""
        if self.certificate.exists():
            known = self.read()
            if (known.vehicle, known.key) != (vehicle, key):
                raise Conflict(
                    f"{self.folder} is the identity of {known.vehicle} with key {known.key}: use another folder"
                )
            return
        self._write_self(Me(vehicle, key, Endpoints(region=region)))

    def install(self, granted: Granted, key: Signer, now_ns: int) -> Leaf:
        """Check a certificate and install it.  Raises BadInput, Unavailable."""
        me = self.read()
        wanted = Wanted(me.vehicle, key.public_key(), me.endpoints.region)
        leaf = check(granted.certificate_pem, granted.anchors_pem, wanted, now_ns)
        endpoints = granted.endpoints
        if not endpoints.region:
            endpoints = Endpoints(
                endpoints.mqtt_url, endpoints.grpc_url, leaf.identity.scope.region
            )
        self._write(self.ca, granted.anchors_pem)
        self._write_self(Me(me.vehicle, me.key, endpoints))
        self._write(self.certificate, granted.certificate_pem)
        return leaf

    def _key_path(self, name: str) -> Path:
        return self.folder / name.removeprefix("file:")

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"cannot make {self.folder}: {error.strerror}") from error

    def _write_self(self, me: Me) -> None:
        tree: dict[str, Any] = {"vehicle": me.vehicle, "key": me.key, **asdict(me.endpoints)}
        self._write(self._self, json.dumps(tree, indent=1).encode() + b"\n")

    def _write(self, path: Path, content: bytes) -> None:
        self._make_folder()
        try:
            replace_file(RealDisk(), path, content, mode=0o600)
        except OSError as error:
            raise Unavailable(f"cannot write {path}: {error.strerror}") from error


def signing_request(vehicle: str, key: Signer) -> bytes:
    """Return a signing request for our key (PKCS#10, DER).  Raises Unavailable when the key cannot be used."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, vehicle)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(SignerKey(key), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def identity_target(folder: Path, url: str, vehicle: str) -> Address:
    """Return where the uplink of `vehicle` goes with the identity in `folder`.  Raises BadInput."""
    files = IdentityFiles(folder)
    me = files.read()
    if me.vehicle != vehicle:
        raise BadInput(
            f"vehicle.id is {vehicle}, and the identity in {folder} is that of {me.vehicle}"
        )
    if not files.certificate.exists():
        raise BadInput(
            f"{vehicle} has no certificate in {folder} yet: run `edge-agent enroll` again"
        )
    endpoints = me.endpoints
    known = [endpoints.mqtt_url, endpoints.grpc_url]
    if not is_file(me.key):
        known.reverse()  # the TLS of MQTT cannot use such a key
    chosen = url or known[0] or known[1]
    if not chosen:
        raise BadInput(f"the identity in {folder} knows no cloud: set uplink.url")
    return files.address(chosen)
