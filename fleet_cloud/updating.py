"""What is given of updates: to the API, to the doors of vehicles, and to the worker that moves rollouts on.

registry, artifacts, audit key, Director's keys --> Updates --> API, device door, notices, worker
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fairway.clock import Clock
from fairway.errors import BadInput
from fairway.signers.opening import open_signer
from fleet_cloud.adapters.director_keys import DirectorKeys
from fleet_cloud.adapters.fleet_files import audit_key
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.adapters.registry_fleet_pages import SqlFleetPages
from fleet_cloud.adapters.registry_repository import SqlImageRepository
from fleet_cloud.adapters.rollout_images import StoredValues
from fleet_cloud.adapters.rollout_worker import Advancer, Rollouter
from fleet_cloud.adapters.updates import Updates, make_updates
from fleet_cloud.api.ports import UpdatePorts
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.audit.acts import Audit
from fleet_cloud.config import Config
from fleet_cloud.rollouts.desk import Desk
from fleet_cloud.rollouts.notices import NoticeDesk
from fleet_cloud.vehicles.telemetry import TelemetryReader


def director_keys(config: Config) -> DirectorKeys:
    """Return where the Directors' online keys are."""
    return DirectorKeys(config.folder / "director", config.rollouts.director_key)


def open_updates(config: Config, registry: Registry, artifacts: Artifacts) -> Updates:
    """Return the parts of updates over one registry.  Raises BadInput, Unavailable."""
    database = registry.database
    if database is None:
        raise BadInput("updates need a registry in a database")
    repository = SqlImageRepository(database, config.region, registry.holdings.held)
    return make_updates(
        database,
        config.region,
        open_signer(audit_key(config)),
        repository,
        artifacts,
        SqlFleetPages(database, config.region),
        director_keys(config),
    )


def rollout_desk(config: Config, updates: Updates, audit: Audit) -> Desk:
    """Return where people act on rollouts."""
    return Desk(
        updates.rollouts,
        updates.rollouts,
        updates.images,
        audit,
        lambda: secrets.token_hex(8),
        self_approval=config.rollouts.self_approval,
    )


def update_ports(
    config: Config, updates: Updates, audit: Audit, poke: Callable[[], None]
) -> UpdatePorts:
    """Return what the API is given; `poke` has this process's worker look at once."""
    return UpdatePorts(
        desk=rollout_desk(config, updates, audit),
        rollouts=updates.rollouts,
        standings=updates.rollouts,
        offers=updates.offers,
        records=updates.records,
        ecus=updates.ecus,
        rxswin=updates.vehicles,
        poke=poke,
    )


def notice_desk(updates: Updates, url: Callable[[], str]) -> NoticeDesk:
    """Return what tells vehicles to look; `url` says where the door for updates is."""
    return NoticeDesk(updates.offers, updates.vehicles, url)


@contextmanager
def rolling(
    updates: Updates,
    telemetry: TelemetryReader,
    owner: str,
    clock: Clock,
    failed: Callable[[BaseException], None],
) -> Iterator[Callable[[], None]]:
    """Move rollouts on while the body runs; what is yielded has the worker look at once."""
    advancer = Advancer(
        updates.advancing,
        updates.rollouts,
        updates.rollouts,
        StoredValues(telemetry),
        # Of this start of this process, and no other: what was killed does not come back to its leases.
        f"{owner[:40]}-{secrets.token_hex(8)}",
    )
    worker = Rollouter(advancer, clock, failed)
    worker.start()
    try:
        yield worker.poke
    finally:
        worker.stop()
