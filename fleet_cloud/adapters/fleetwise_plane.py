"""The control plane of FleetWise's clients, put together from what a cloud has."""

from collections.abc import Callable
from pathlib import Path

from fleet_cloud.adapters.aws_root import aws_root
from fleet_cloud.adapters.fleetwise_campaigns import ServiceCampaigns
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.campaigns.service import Service
from fleet_cloud.models.control_plane import ControlPlane


def control_plane(
    region: str, folder: Path, registry: Registry, service: Service, poke: Callable[[], None]
) -> ControlPlane:
    """Return it, over `registry` and the data directory `folder`.  Raises BadInput, Unavailable."""
    return ControlPlane(
        region=region,
        root=aws_root(folder),
        documents=registry.models,
        vehicles=registry.vehicles,
        certificates=registry.certificates,
        campaigns=ServiceCampaigns(service, registry.plan, registry.said, poke),
    )
