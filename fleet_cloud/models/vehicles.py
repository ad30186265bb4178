"""What FleetWise keeps of a vehicle beside the registry: its model, its decoders, attributes, state templates.

Rule 1: a vehicle is decoded by an ACTIVE manifest of its own model.
Rule 2: a vehicle that the registry knows as this tenant's is taken as it is; one that nobody knows is added;
one that is, or was, another tenant's is not to be had.
Rule 3: what is added here has no certificate: it gets in once it enrols, and not before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fairway.errors import BadInput
from fairway.identity import tenant_name
from fleet_cloud.models.documents import Document, Kind
from fleet_cloud.models.manifests import Status
from fleet_cloud.models.refusals import BadField, InTheWay, NotThere, TooMany
from fleet_cloud.vehicles.registry import Vehicle, checked_vehicle_name

# As many as a request has nodes, each as long as a description.
ATTRIBUTES_MAX = 500
ATTRIBUTE_MAX_CHARS = 2048
# As FleetWise has it.
FLEETS_OF_VEHICLE_MAX = 10
TEMPLATES_MAX = 20

_VALIDATE = "ValidateIotThingExists"


def checked_name(name: str) -> str:
    """Return `name` when a vehicle may be called so here.  Raises BadField."""
    try:
        return checked_vehicle_name(name)
    except BadInput as error:
        raise BadField("vehicleName", str(error)) from error


def checked_fleet(name: str) -> str:
    """Return `name` when campaigns may be aimed at a fleet that is called so.  Raises BadField."""
    try:
        return tenant_name(name)
    except BadInput as error:
        why = "is no name of a fleet here: 1 to 64 of A-Z a-z 0-9 _ - beginning with a letter or digit"
        raise BadField("fleetId", why) from error


def is_to_be_added(name: str, known: Vehicle | None, tenant: str, behavior: str) -> bool:
    """Whether the registry has to be given this vehicle.  Raises InTheWay, NotThere."""
    if known is not None and known.tenant != tenant:
        raise InTheWay(Kind.VEHICLE, name, f"no vehicle can be called {name}: choose another name")
    is_there = known is not None and known.may_connect
    if behavior == _VALIDATE and not is_there:
        raise NotThere("thing", name)
    return not is_there


def check_decoding(model: Document, decoder: Document) -> None:
    """Raise BadField unless vehicles of this model may be decoded so."""
    if decoder.content["model"] != model.name:
        raise BadField("decoderManifestArn", f"{decoder.name} is not for the model {model.name}")
    if decoder.content["status"] != Status.ACTIVE:
        raise BadField("decoderManifestArn", f"{decoder.name} is not ACTIVE")


def attributes_after(
    before: Mapping[str, str], given: Mapping[str, str] | None, mode: str | None
) -> dict[str, str]:
    """Return a vehicle's attributes after an update.  Raises BadField, TooMany."""
    if given is None:
        return dict(before)
    if mode is None:
        raise BadField("attributeUpdateMode", "say Merge or Overwrite with attributes")
    long = [name for name, value in given.items() if len(value) > ATTRIBUTE_MAX_CHARS]
    if long:
        raise BadField(f"attributes.{long[0]}", f"has more than {ATTRIBUTE_MAX_CHARS} characters")
    after = {**(before if mode == "Merge" else {}), **given}
    if len(after) > ATTRIBUTES_MAX:
        raise TooMany(Kind.VEHICLE, "attributes", f"a vehicle has {ATTRIBUTES_MAX} at most")
    return after


Strategies = Mapping[str, Any]  # stateTemplateUpdateStrategy by the template's name


def templates_after(
    before: Strategies, add: Strategies, update: Strategies, remove: Sequence[str]
) -> dict[str, Any]:
    """Return a vehicle's state templates after an update.  Raises InTheWay, NotThere, TooMany."""
    for name in add:
        if name in before:
            raise InTheWay(
                Kind.TEMPLATE, name, f"the vehicle has the state template {name} already"
            )
    for name in (*update, *remove):
        if name not in before:
            raise NotThere(Kind.TEMPLATE, name)
    after = {name: how for name, how in before.items() if name not in set(remove)}
    after |= {**add, **update}
    if len(after) > TEMPLATES_MAX:
        raise TooMany(Kind.VEHICLE, "stateTemplates", f"a vehicle has {TEMPLATES_MAX} at most")
    return after


def fits(attributes: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a vehicle has all of the attributes that are asked for."""
    return all(attributes.get(name) == value for name, value in wanted.items())
