"""Opens the registry by URL: all of its ports over one database."""

from dataclasses import dataclass

from fairway.identity import DEFAULT_REGION
from fleet_cloud.access.keys import Keys
from fleet_cloud.access.users import Users
from fleet_cloud.adapters.registry_access import SqlKeys, SqlUsers
from fleet_cloud.adapters.registry_campaigns import SqlCampaigns, SqlLists
from fleet_cloud.adapters.registry_certificates import SqlCertificates
from fleet_cloud.adapters.registry_check_ins import SqlCheckIns
from fleet_cloud.adapters.registry_commands import SqlCommands
from fleet_cloud.adapters.registry_enrolments import SqlEnrolments
from fleet_cloud.adapters.registry_images import SqlHoldings, SqlImages
from fleet_cloud.adapters.registry_ledger import SqlLedger
from fleet_cloud.adapters.registry_models import SqlDocuments
from fleet_cloud.adapters.registry_progress import SqlProgress
from fleet_cloud.adapters.registry_quarantine import SqlDictionaries, SqlQuarantine
from fleet_cloud.adapters.registry_service_states import SqlServiceStatuses
from fleet_cloud.adapters.registry_services import SqlServices
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.adapters.registry_vehicles import SqlVehicles
from fleet_cloud.artifacts.ports import Holdings
from fleet_cloud.campaigns.ports import (
    PlanKeeper,
    ProgressReader,
    Said,
)
from fleet_cloud.control.ports import (
    Commands,
    Lists,
)
from fleet_cloud.enrolment.model import Claims, Enrolments
from fleet_cloud.ingest.records import Dictionaries, Ledger, Quarantine
from fleet_cloud.models.documents import Documents
from fleet_cloud.services.ports import DesiredKeeper, Images, Statuses
from fleet_cloud.vehicles.certificates import Certificates
from fleet_cloud.vehicles.registry import VehicleRegistry


@dataclass(frozen=True, slots=True)
class Registry:
    """What the cloud knows beside telemetry."""

    vehicles: VehicleRegistry
    ledger: Ledger
    dictionaries: Dictionaries
    quarantine: Quarantine
    certificates: Certificates
    keys: Keys
    users: Users
    claims: Claims
    enrolments: Enrolments
    models: Documents
    plan: PlanKeeper
    lists: Lists
    said: Said
    commands: Commands
    progress: ProgressReader
    services: DesiredKeeper
    service_statuses: Statuses
    images: Images
    holdings: Holdings
    database: Database | None = None  # None: in memory

    def close(self) -> None:
        """Close the database."""
        if self.database is not None:
            self.database.close()


def open_registry(url: str, region: str = DEFAULT_REGION) -> Registry:
    """Open (and migrate) `sqlite:///FILE` or `postgresql+psycopg://...`.

    Raises BadInput for a URL that cannot work, Unavailable when the database does not answer.
    """
    database = Database(url, region)
    enrolments = SqlEnrolments(database, region)
    return Registry(
        SqlVehicles(database, region),
        SqlLedger(database, region),
        SqlDictionaries(database, region),
        SqlQuarantine(database, region),
        SqlCertificates(database, region),
        SqlKeys(database, region),
        SqlUsers(database, region),
        enrolments,
        enrolments,
        SqlDocuments(database, region),
        SqlCampaigns(database, region),
        SqlLists(database, region),
        SqlCheckIns(database, region),
        SqlCommands(database, region),
        SqlProgress(database, region),
        SqlServices(database, region),
        SqlServiceStatuses(database, region),
        SqlImages(database, region),
        SqlHoldings(database, region),
        database,
    )
