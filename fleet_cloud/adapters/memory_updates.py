"""Updates in memory, for trials and tests: the same statements, over a database that ends with the process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.pool import StaticPool

from fairway.crypto import Signer
from fleet_cloud.adapters.registry_director import Keys
from fleet_cloud.adapters.registry_fleet_pages import FleetPagesOf
from fleet_cloud.adapters.registry_rollout_tables import update_tables
from fleet_cloud.adapters.registry_schema import counters, metadata
from fleet_cloud.adapters.registry_sql import Database, memory_engine
from fleet_cloud.adapters.updates import Updates, make_updates
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.control.ports import FactsKeeper
from fleet_cloud.rollouts.ports import ImageRepository
from fleet_cloud.vehicles.registry import VehicleReader


class MemoryDatabase(Database):
    """A database of the tables of updates; its one connection serves one thread at a time."""

    def __init__(self) -> None:
        self._engine = memory_engine(StaticPool)
        self.is_sqlite = True
        self._turn = threading.RLock()
        with self.writing() as connection:
            metadata.create_all(connection, [*update_tables, counters])

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._turn, super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._turn, super().writing() as connection:
            yield connection


def memory_updates(  # noqa: PLR0913, PLR0917 - as make_updates
    region: str,
    signer: Signer,
    repository: ImageRepository,
    artifacts: Artifacts,
    vehicles: VehicleReader,
    facts: FactsKeeper,
    keys: Keys,
) -> Updates:
    """Return the parts of updates, empty."""
    fleet = FleetPagesOf(vehicles, facts)
    return make_updates(MemoryDatabase(), region, signer, repository, artifacts, fleet, keys)
