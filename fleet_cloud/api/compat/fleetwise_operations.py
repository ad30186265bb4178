"""Every operation of FleetWise's control plane: by which file it is answered, and what it needs."""

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat import (
    fleetwise_account,
    fleetwise_campaigns,
    fleetwise_catalogs,
    fleetwise_decoders,
    fleetwise_fleets,
    fleetwise_manifests,
    fleetwise_tags,
    fleetwise_templates,
    fleetwise_vehicles,
    fleetwise_vss,
)

OPERATIONS = {
    **fleetwise_catalogs.OPERATIONS,
    **fleetwise_vss.OPERATIONS,
    **fleetwise_manifests.OPERATIONS,
    **fleetwise_decoders.OPERATIONS,
    **fleetwise_fleets.OPERATIONS,
    **fleetwise_vehicles.OPERATIONS,
    **fleetwise_campaigns.OPERATIONS,
    **fleetwise_templates.OPERATIONS,
    **fleetwise_tags.OPERATIONS,
    **fleetwise_account.OPERATIONS,
}

# To approve is one of several moves of UpdateCampaign, and asked for there.
PERMISSIONS = frozenset(operation.permission for operation in OPERATIONS.values()) | {
    Permission.CAMPAIGNS_APPROVE
}
