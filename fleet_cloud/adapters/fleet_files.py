"""What `fleet-cloud` works on: registry, certificates, data directory and audit log, beside a running cloud."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fairway.clock import SystemClock
from fairway.crypto import Signer
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.signers.opening import make_signer, open_signer
from fleet_cloud.adapters.addresses import registry_url
from fleet_cloud.adapters.artifacts_fs import FileArtifacts
from fleet_cloud.adapters.data_dir import DataDir
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.adapters.registry_audit import SqlAudit
from fleet_cloud.artifacts.tidying import Store
from fleet_cloud.config import Config


@dataclass(frozen=True, slots=True)
class FleetFiles:
    """The fleet as it is kept."""

    registry: Registry
    pki: FilePki
    data: DataDir
    audit: SqlAudit


def open_pki(config: Config) -> FilePki:
    """Return the certificates of the configured directory and region, as they are."""
    folder = DataDir(config.folder).folder / "pki"
    return FilePki(folder, region=config.region, tenant_key=config.pki.issuing_key)


def open_artifacts(config: Config) -> Store:
    """Open where artifacts lie, making what is missing.  Raises BadInput, Unavailable."""
    settings = config.artifacts
    if settings.s3:
        # Loaded for this alone: it is half a second of a start.
        from fleet_cloud.adapters.artifacts_s3 import (  # noqa: PLC0415
            S3Artifacts,
            bucket_of,
            s3_client,
        )

        return S3Artifacts(bucket_of(settings.s3), s3_client(settings.s3_endpoint))
    return FileArtifacts(settings.dir or config.folder / "artifacts")


def audit_key(config: Config) -> str:
    """Return where the key lies that the audit log is signed with."""
    return config.audit.key or str(config.folder.absolute() / "audit-key.pem")


def open_audit(config: Config, registry: Registry) -> SqlAudit:
    """Open the audit log in `registry`, with the key that is configured, or made in the data directory."""
    name = audit_key(config)
    try:
        signer = open_signer(name)
    except Unavailable:
        if config.audit.key:
            raise
        signer = _made(name)
    if registry.database is None:
        raise BadInput("the audit log needs a registry in a database")
    return SqlAudit(registry.database, config.region, signer, SystemClock())


def _made(name: str) -> Signer:
    try:
        return make_signer(name)
    except Conflict:  # another command was quicker
        return open_signer(name)


@contextmanager
def open_fleet(config: Config) -> Iterator[FleetFiles]:
    """Open the fleet, making what is missing.  Raises BadInput, Unavailable."""
    data = DataDir(config.folder)
    data.pin(config.region)
    pki = open_pki(config)
    pki.ensure(config.tls.names, SystemClock().now_ns())
    registry = open_registry(registry_url(config, data.folder), config.region)
    try:
        yield FleetFiles(registry, pki, data, open_audit(config, registry))
    finally:
        registry.close()
