"""The authorities of one region, in a folder: a root above them, one for services, one for each tenant.

    root.pem                                        the fleet's root
    offline/root-key.pem                            its key, until somebody takes it away
    services/        certificate.pem anchor.pem key.pem      signs servers, and the cloud as a client
    tenants/<name>/  certificate.pem anchor.pem key.pem      signs the vehicles and claims of a tenant

Rule 1: an authority is made with the root's key at hand; what it signs later needs only its own.
Rule 2: a tenant's key may lie elsewhere (PKCS#11, KMS): the name of the key is then the configuration's.
Rule 3: a folder of the first version has ca.pem and ca-key.pem, one authority for everything: it goes on so.
"""

from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from fairway.crypto import Signer, fingerprint
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.identity import tenant_name
from fairway.signers import file
from fairway.signers.opening import is_file, make_signer, open_signer
from fleet_cloud.adapters.pki_certificates import Authority, authority_of, pem, root_of
from fleet_cloud.adapters.whole_files import write_whole

ROOT_KEY = "root-key.pem"
_CERTIFICATE, _ANCHOR, _KEY = "certificate.pem", "anchor.pem", "key.pem"


class Authorities:
    """The authorities in `folder`."""

    def __init__(self, folder: Path, region: str, tenant_key: str) -> None:
        self._folder = folder
        self._region = region
        self._tenant_key = tenant_key
        self.root = folder / "root.pem"
        self.offline = folder / "offline"
        self._legacy = folder / "ca.pem", folder / "ca-key.pem"
        self._opened: dict[Path, Authority] = {}

    @property
    def is_legacy(self) -> bool:
        """Whether one authority of the first version signs everything."""
        return self._legacy[1].exists()

    @property
    def exist(self) -> bool:
        """Whether any were made."""
        return self.is_legacy or self.root.exists()

    @property
    def root_key_is_here(self) -> bool:
        """Whether the root's key lies in the data directory, where it should not stay."""
        return (self.offline / ROOT_KEY).exists()

    def make_root(self, place: Path, now_ns: int, *, password: bytes | None = None) -> None:
        """Make the root, with its key in `place`.  Raises Conflict when there is one, Unavailable."""
        if self.exist:
            raise Conflict(f"{self._folder} has authorities already: nothing was changed")
        path = place / ROOT_KEY
        # A process may have ended between writing the key and the certificate.
        signer = (
            file.load(path, password=password)
            if path.exists()
            else file.make(path, password=password)
        )
        certificate = pem(root_of(signer, "Fairway fleet root", now_ns))
        write_whole(place / "root.pem", certificate)
        write_whole(self.root, certificate)

    def services(self) -> Authority:
        """Return who signs servers.  Raises BadInput, Unavailable."""
        return self._found(self._folder / "services", "services", "")

    def tenant(self, tenant: str) -> Authority:
        """Return who signs for a tenant.  Raises BadInput when it was never made, Unavailable."""
        return self._found(self._of_tenant(tenant), tenant, self._key_of(tenant))

    def tenants(self) -> list[str]:
        """Return whose authorities there are."""
        found = (self._folder / "tenants").glob(f"*/{_ANCHOR}")
        return ["default"] if self.is_legacy else sorted(path.parent.name for path in found)

    def all(self) -> Iterator[Authority]:
        """Yield every authority of this region, once."""
        yield self.services()
        if not self.is_legacy:
            for tenant in self.tenants():
                yield self.tenant(tenant)

    def make_services(
        self, now_ns: int, place: Path | None = None, password: bytes | None = None
    ) -> None:
        """Make who signs servers, unless there is one.  Raises Unavailable when the root's key is not there."""
        folder = self._folder / "services"
        self._make(folder, f"Fairway services {self._region}", "", now_ns, (place, password))

    def make_tenant(
        self, tenant: str, now_ns: int, place: Path | None = None, password: bytes | None = None
    ) -> None:
        """Make who signs for a tenant, unless there is one.  Raises Unavailable without the root's key."""
        if self.is_legacy:
            return
        name = f"Fairway {tenant_name(tenant)} {self._region}"
        self._make(self._of_tenant(tenant), name, self._key_of(tenant), now_ns, (place, password))

    def _of_tenant(self, tenant: str) -> Path:
        return self._folder / "tenants" / tenant_name(tenant)

    def _key_of(self, tenant: str) -> str:
        return self._tenant_key.replace("{tenant}", tenant)

    def _found(self, folder: Path, name: str, key: str) -> Authority:
        if self.is_legacy:
            certificate = load_certificate(self._legacy[0])
            return Authority(certificate, certificate, file.load(self._legacy[1]))
        known = self._opened.get(folder)
        if known is not None:
            return known
        if not (folder / _ANCHOR).exists():
            raise BadInput(
                f"{name!r} has no issuing authority in region {self._region}: make it with"
                f" `fleet-cloud pki authority --tenant {name}`"
            )
        signer = open_signer(key or folder / _KEY)
        opened = Authority(
            load_certificate(folder / _CERTIFICATE), load_certificate(folder / _ANCHOR), signer
        )
        if opened.anchor.public_key() != signer.public_key():
            raise BadInput(f"the issuing key of {name!r} is not that of {folder / _ANCHOR}")
        self._opened[folder] = opened
        return opened

    def _make(
        self,
        folder: Path,
        name: str,
        key: str,
        now_ns: int,
        root_at: tuple[Path | None, bytes | None],
    ) -> None:
        if (folder / _ANCHOR).exists():
            return
        root, root_signer = self._root_signer(*root_at)
        where = key or str(folder / _KEY)
        made = authority_of(_made_or_left(where), name, root, root_signer, now_ns)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(folder / _CERTIFICATE, pem(made.certificate))
        write_whole(folder / _ANCHOR, pem(made.anchor))

    def _root_signer(
        self, place: Path | None, password: bytes | None
    ) -> tuple[x509.Certificate, Signer]:
        path = (place or self.offline) / ROOT_KEY
        if not path.exists():
            raise Unavailable(f"the root's key is not at {path}: bring it, and say --root DIR")
        root = load_certificate(self.root)
        signer = file.load(path, password=password)
        if root.public_key() != signer.public_key():
            raise BadInput(f"{path} is not the key of {self.root} ({fingerprint(root)[:16]}...)")
        return root, signer


def load_certificate(path: Path) -> x509.Certificate:
    """Read a certificate.  Raises BadInput, Unavailable."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path} is not a certificate: {error}") from error


def _made_or_left(where: str) -> Signer:
    """Make a key; one that a process left before it could write the certificate serves as well."""
    try:
        return make_signer(where)
    except Conflict:
        if not is_file(where):
            raise
        return open_signer(where)
