"""Decoder manifests from what FleetWise's control plane was told: a vehicle's decoder, and its model's catalog.

Rule 1: a vehicle that the control plane does not know, or whose model is not whole, has none: files serve it.
Rule 2: the version is that of every document it is made of; they are loaded only when one has changed.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fleet_cloud.adapters.fleetwise_manifests import Model
from fleet_cloud.models.documents import Document, Documents, Kind, Reference


class Models:
    """Finds the documents of a vehicle among those of its tenant."""

    def __init__(self, documents: Documents, tenants: Callable[[], Mapping[str, str]]) -> None:
        """`tenants` names the tenant of every vehicle."""
        self._documents, self._tenants = documents, tenants

    def of_vehicle(self, vehicle: str) -> Model | None:
        """Return what a vehicle's manifest is made of; None: nothing is known.  Raises Unavailable."""
        tenant = self._tenants().get(vehicle, "")
        found = self._get(tenant, Kind.VEHICLE, vehicle) if tenant else None
        if found is None:
            return None
        decoder, model = (
            found.content["decoder"],
            self._get(tenant, Kind.MODEL, found.content["model"]),
        )
        signals = self._get(tenant, Kind.DECODER_SIGNALS, decoder)
        nodes = self._get(tenant, Kind.CATALOG_NODES, model.content["catalog"]) if model else None
        if signals is None or nodes is None:
            return None

        def documents() -> tuple[Any, Any]:
            return list(signals.content.values()), list(nodes.content.values())

        version = f"{decoder}:{signals.changed_time_ns}:{nodes.changed_time_ns}"
        return Model(decoder, version, documents)

    def _get(self, tenant: str, kind: Kind, name: str) -> Document | None:
        return self._documents.document(tenant, Reference(kind, name))
