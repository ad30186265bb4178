"""Releases over one registry: the Image repositories, their online keys, and who keeps them fresh."""

from pathlib import Path

from fairway.clock import Clock
from fairway.crypto import Signer
from fairway.errors import BadInput
from fairway.signers.opening import is_file, make_signer, open_signer
from fleet_cloud.adapters.fleet_files import open_artifacts
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.adapters.registry_images import SqlHoldings, SqlNaming
from fleet_cloud.adapters.registry_repository import SqlImageRepository
from fleet_cloud.adapters.repository_keeper import RepositoryKeeper
from fleet_cloud.api.ports import ReleasePorts
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.artifacts.tidying import Shelves
from fleet_cloud.config import Config


def open_repository(config: Config, registry: Registry) -> SqlImageRepository:
    """Return the Image repositories of a registry.  Raises BadInput for one in memory."""
    if registry.database is None:
        raise BadInput("releases need a registry in a database")
    return SqlImageRepository(registry.database, config.region, registry.holdings.held)


def release_ports(config: Config, registry: Registry, artifacts: Artifacts) -> ReleasePorts:
    """Return what the API is given of releases."""
    return ReleasePorts(open_repository(config, registry), artifacts)


def repository_keeper(
    config: Config, repository: SqlImageRepository, clock: Clock
) -> RepositoryKeeper:
    """Return who signs snapshot and timestamp anew."""
    return RepositoryKeeper(repository, lambda tenant: online_key(config, tenant), clock)


def shelves(config: Config, registry: Registry) -> Shelves:
    """Return what artifacts are tidied by.  Raises BadInput, Unavailable."""
    if registry.database is None:
        raise BadInput("artifacts are tidied beside a registry in a database")
    holdings = SqlHoldings(registry.database, config.region)
    naming = SqlNaming(registry.database, config.region)
    return Shelves(holdings, naming, open_artifacts(config), holdings.hold)


def online_key_name(config: Config, tenant: str) -> str:
    """Return what a tenant's online key is called: by default a file in data_dir."""
    named = config.updates.online_key.replace("{tenant}", tenant)
    return named or str(config.folder / "updates" / f"{tenant}-online-key.pem")


def online_key(config: Config, tenant: str) -> Signer | None:
    """Return a tenant's online key, None when none was made.  Raises BadInput, Unavailable."""
    name = online_key_name(config, tenant)
    if is_file(name) and not Path(name).exists():
        return None
    return open_signer(name)


def make_online_key(config: Config, tenant: str) -> Signer:
    """Return a tenant's online key, made if there is none.  Raises BadInput, Unavailable."""
    found = online_key(config, tenant)
    if found is not None:
        return found
    name = online_key_name(config, tenant)
    if is_file(name):
        Path(name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return make_signer(name)
