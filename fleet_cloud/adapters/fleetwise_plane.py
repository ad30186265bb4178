"""The control plane of FleetWise's clients, put together from what a cloud has; and what it knows of a vehicle.

Rule 1: a vehicle's decoder manifest is ACTIVE, and so never changes: it is read once for all of its vehicles.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from fleet_cloud.adapters.aws_root import aws_root
from fleet_cloud.adapters.fleetwise_campaigns import ServiceCampaigns
from fleet_cloud.adapters.fleetwise_manifests import Model
from fleet_cloud.adapters.registry import Registry
from fleet_cloud.campaigns.service import Service
from fleet_cloud.models.control_plane import ControlPlane
from fleet_cloud.models.documents import Documents, Kind, Reference

# A fleet has tens of kinds of vehicles at a time; each is a megabyte or so.
MODELS_KEPT_MAX = 64


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
        self._read: OrderedDict[tuple[str, str, int], Model] = OrderedDict()

    def __call__(self, vehicle: str) -> Model | None:
        """Return the documents of a vehicle; None: it was made otherwise.  Raises Unavailable."""
        tenant = self._tenants().get(vehicle, "")
        known = self._documents.document(tenant, Reference(Kind.VEHICLE, vehicle))
        if known is None:
            return None
        name = known.content["decoder"]
        decoder = self._documents.document(tenant, Reference(Kind.DECODER, name))
        if decoder is None:  # deleted a moment ago, with the vehicle
            return None
        key = (tenant, name, decoder.created_time_ns)
        found = self._read.get(key)
        if found is None:
            found = self._model(tenant, name, decoder.content["model"])
            self._read[key] = found
            if len(self._read) > MODELS_KEPT_MAX:
                self._read.popitem(last=False)
        return found

    def _model(self, tenant: str, name: str, model: str) -> Model:
        def content(kind: Kind, of: str) -> Mapping[str, object]:
            found = self._documents.document(tenant, Reference(kind, of))
            return found.content if found else {}

        signals = content(Kind.DECODER_SIGNALS, name)
        catalog = str(content(Kind.MODEL, model).get("catalog", ""))
        nodes = content(Kind.CATALOG_NODES, catalog)
        return Model(
            name, list(signals.values()), [nodes[path] for path in signals if path in nodes]
        )
