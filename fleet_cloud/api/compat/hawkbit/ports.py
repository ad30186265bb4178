"""What the doors of hawkBit's clients stand on."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from fleet_cloud.api.device.ports import DevicePorts
from fleet_cloud.api.gate import Gate
from fleet_cloud.audit.acts import Audit
from fleet_cloud.rollouts.foreign import settings
from fleet_cloud.rollouts.foreign.direct import DirectOffers
from fleet_cloud.rollouts.foreign.model import Target
from fleet_cloud.rollouts.foreign.ports import Documents, Kind, Numbers, Sealer, change, found
from fleet_cloud.vehicles.registry import VehicleRegistry


@dataclass(frozen=True, slots=True)
class HawkbitPorts:
    """What the routes are given."""

    device: DevicePorts  # whose offers are direct ones, too
    gate: Gate  # the API's own: keys are keys
    documents: Documents
    numbers: Numbers
    direct: DirectOffers
    vehicles: VehicleRegistry
    audit: Audit
    sealer: Sealer | None = None  # None: tokens are shown once, when they are made
    proxies: Collection[str] = ()  # addresses whose word on their clients' certificates is believed

    def setting(self, tenant: str, key: str) -> Any:
        """Return what a tenant has set, or the default; of a secret what is kept of it."""
        kept = self.documents.document(tenant, Kind.SETTING, key)
        return settings.SETTINGS[key].default if kept is None else kept.content

    def target(self, tenant: str, vehicle: str) -> Target:
        """Return what is known of a vehicle as a target."""
        return found(self.documents, tenant, Kind.TARGET, vehicle, Target) or Target(vehicle)

    def change_target(self, tenant: str, vehicle: str, **changes: Any) -> None:
        """Note something of a target."""
        change(
            self.documents,
            tenant,
            Kind.TARGET,
            vehicle,
            lambda kept: replace(kept or Target(vehicle), **changes),
            Target,
        )
