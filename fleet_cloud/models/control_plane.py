"""What a control plane for models and vehicles stands on, whichever door it is reached by."""

from dataclasses import dataclass

from fleet_cloud.models.campaigns import Campaigns
from fleet_cloud.models.documents import Documents
from fleet_cloud.vehicles.certificates import Certificates
from fleet_cloud.vehicles.registry import VehicleRegistry


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """All that FleetWise's operations read and change."""

    region: str
    root: bytes  # what secrets of AWS keys and page tokens are made of
    documents: Documents
    vehicles: VehicleRegistry
    certificates: Certificates
    campaigns: Campaigns
