"""Puts the parts of updates together over one database: who asks for one gets them all.

database, key --> records --> rollouts, offers, ECUs --> the Director, the worker's store
"""

from dataclasses import dataclass

from fairway.crypto import Signer
from fleet_cloud.adapters.registry_advancing import SqlAdvancing
from fleet_cloud.adapters.registry_director import Keys, SqlDirector
from fleet_cloud.adapters.registry_ecus import SqlEcus
from fleet_cloud.adapters.registry_offers import SqlOffers
from fleet_cloud.adapters.registry_records import SqlRecords
from fleet_cloud.adapters.registry_rollouts import SqlRollouts
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.registry_update_vehicles import SqlUpdateVehicles
from fleet_cloud.adapters.rollout_images import RepositoryImages
from fleet_cloud.artifacts.ports import Artifacts
from fleet_cloud.rollouts.keeping import FleetPages
from fleet_cloud.rollouts.ports import ImageRepository


@dataclass(frozen=True, slots=True)
class Updates:
    """Everything that updates are kept in."""

    rollouts: SqlRollouts
    advancing: SqlAdvancing
    offers: SqlOffers
    director: SqlDirector
    ecus: SqlEcus
    vehicles: SqlUpdateVehicles
    records: SqlRecords
    images: RepositoryImages
    repository: ImageRepository


def make_updates(  # noqa: PLR0913, PLR0917 - all that updates stand on
    database: Database,
    region: str,
    signer: Signer,
    repository: ImageRepository,
    artifacts: Artifacts,
    fleet: FleetPages,
    keys: Keys,
) -> Updates:
    """Return the parts of updates; `signer` signs records, `keys` has what signs for the Director."""
    records = SqlRecords(database, region, signer)
    images = RepositoryImages(repository, artifacts)
    rollouts = SqlRollouts(database, region, records)
    offers = SqlOffers(database, region, records, images)
    ecus = SqlEcus(database, region, records)
    return Updates(
        rollouts=rollouts,
        advancing=SqlAdvancing(database, region, rollouts, records, images, fleet),
        offers=offers,
        director=SqlDirector(database, region, ecus, offers, keys),
        ecus=ecus,
        vehicles=SqlUpdateVehicles(database, region),
        records=records,
        images=images,
        repository=repository,
    )
