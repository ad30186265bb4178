"""The control plane of FleetWise's clients, put together from what a cloud has; and what it knows of a vehicle.

Rule 1: a vehicle's decoder manifest is ACTIVE, and so never changes: whoever has read it reads it once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fleet_cloud.adapters.aws_root import aws_root
from fleet_cloud.adapters.fleetwise_campaigns import ServiceCampaigns
from fleet_cloud.adapters.fleetwise_manifests import Model
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.campaigns.service import Service
from fleet_cloud.models.control_plane import ControlPlane
from fleet_cloud.models.documents import Documents, Kind, Reference


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


class KeptModels:
    """Knows the documents of vehicles that were made by FleetWise's operations."""

    def __init__(self, documents: Documents, tenants: Callable[[], Mapping[str, str]]) -> None:
        """`tenants` names the tenant of every vehicle."""
        self._documents, self._tenants = documents, tenants

    def __call__(self, vehicle: str) -> Model | None:
        """Return the documents of a vehicle; None: it was made otherwise.  Raises Unavailable."""
        tenant = self._tenants().get(vehicle, "")
        known = self._documents.document(tenant, Reference(Kind.VEHICLE, vehicle))
        if known is None:
            return None
        name, model = known.content["decoder"], known.content["model"]
        decoder = self._documents.document(tenant, Reference(Kind.DECODER, name))
        if decoder is None:  # deleted a moment ago, with the vehicle
            return None
        version = f"{decoder.created_time_ns}/{decoder.changed_time_ns}"
        return Model(name, version, lambda: self._read(tenant, name, model))

    def _read(self, tenant: str, name: str, model: str) -> tuple[list[Any], list[Any]]:
        """Return the decoders of a manifest, and the nodes that they are for."""

        def content(kind: Kind, of: str) -> Mapping[str, Any]:
            found = self._documents.document(tenant, Reference(kind, of))
            return found.content if found else {}

        signals = content(Kind.DECODER_SIGNALS, name)
        nodes = content(Kind.CATALOG_NODES, content(Kind.MODEL, model).get("catalog", ""))
        return list(signals.values()), [nodes[path] for path in signals if path in nodes]
