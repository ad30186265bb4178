"""ImportSignalCatalog: a catalog made of a tree of the Vehicle Signal Specification."""

from typing import Any

from fairway.errors import BadInput
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat import fleetwise_catalogs
from fleet_cloud.api.compat.fleetwise_calls import Call, Operation
from fleet_cloud.api.compat.fleetwise_shapes import faults, shape
from fleet_cloud.models.catalog import created
from fleet_cloud.models.refusals import BadField
from fleet_cloud.models.vss import nodes_of_vss


def _import(call: Call) -> dict[str, Any]:
    if "vss" not in call.request:
        raise BadField("vss", "is missing: there is nothing to import")
    try:
        nodes = nodes_of_vss(call.request["vss"]["vssJson"])
    except BadInput as error:
        raise BadField("vss.vssJson", str(error)) from error
    for node in nodes:
        found = faults(shape("Node"), node)
        if found:
            raise BadField("vss.vssJson", f"{found[0].path} {found[0].why}")
    return fleetwise_catalogs.make(call, created(nodes))


OPERATIONS = {"ImportSignalCatalog": Operation(Permission.MODELS_WRITE, _import)}
