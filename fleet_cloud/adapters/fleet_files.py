"""What `fleet-cloud vehicle` works on: registry, certificates and data directory, beside a running cloud."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fairway.clock import SystemClock
from fleet_cloud.adapters.addresses import registry_url
from fleet_cloud.adapters.data_dir import DataDir
from fleet_cloud.adapters.log_audit import LogAudit
from fleet_cloud.adapters.pki_files import FilePki
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.audit.acts import Audit
from fleet_cloud.config import Config


@dataclass(frozen=True, slots=True)
class FleetFiles:
    """The fleet as it is kept."""

    registry: Registry
    pki: FilePki
    data: DataDir
    audit: Audit


def open_pki(config: Config) -> FilePki:
    """Return the certificates of the configured directory and region, as they are."""
    folder = DataDir(config.folder).folder / "pki"
    return FilePki(folder, region=config.region, tenant_key=config.pki.issuing_key)


@contextmanager
def open_fleet(config: Config) -> Iterator[FleetFiles]:
    """Open the fleet, making what is missing.  Raises BadInput, Unavailable."""
    data = DataDir(config.folder)
    data.pin(config.region)
    pki = open_pki(config)
    pki.ensure(config.tls.names, SystemClock().now_ns())
    registry = open_registry(registry_url(config, data.folder), config.region)
    try:
        yield FleetFiles(registry, pki, data, LogAudit())
    finally:
        registry.close()
