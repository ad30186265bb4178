"""Vehicles made by FleetWise's API are vehicles of the registry: who they are, and when they get in."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from fleet_cloud.models.accounts import Account
from fleet_cloud.vehicles.certificates import members
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.fleet_cloud.api.compat.conftest import Door

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


class Fleet:
    """An account with a model, and its client."""

    def __init__(self, door: Door, tenant: str) -> None:
        self.door, self.tenant = door, tenant
        door.small_account(tenant, f"OLD-{tenant}")
        self.account = Account("local", tenant)
        self.client = door.client("admin", tenant)
        self.car = {
            "modelManifestArn": self.account.arn("model-manifest", "car"),
            "decoderManifestArn": self.account.arn("decoder-manifest", "car"),
        }

    def registered(self, name: str) -> Vehicle | None:
        return self.door.cloud.vehicles.vehicle(name)

    def register(self, name: str, tenant: str) -> None:
        self.door.cloud.vehicles.add(Vehicle(name, tenant, VehicleState.ACTIVE, 5, None))

    def create(self, name: str, **more: Any) -> Any:
        return self.client.create_vehicle(vehicleName=name, **self.car, **more)


@pytest.fixture
def fleet(door: Door, tenant: str) -> Fleet:
    return Fleet(door, tenant)


def test_a_new_vehicle_is_registered_without_a_certificate(fleet: Fleet):
    name = f"NEW-{fleet.tenant}"
    made = fleet.create(name)

    found = fleet.registered(name)
    assert found is not None
    assert (found.tenant, found.may_connect, found.certificate_sha256) == (fleet.tenant, True, "")
    assert made["arn"] == fleet.account.arn("vehicle", name)
    assert made["thingArn"].endswith(f":thing/{name}")
    (member,) = members([found], [], 0)
    assert member.sha256s == frozenset()


def test_deleting_denies_what_was_added_here_and_leaves_what_was_there_before(fleet: Fleet):
    new, known = f"NEW-{fleet.tenant}", f"KNOWN-{fleet.tenant}"
    fleet.register(known, fleet.tenant)
    for name in (new, known):
        fleet.create(name)
        fleet.client.associate_vehicle_fleet(fleetId="all", vehicleName=name)
        fleet.client.delete_vehicle(vehicleName=name)
        fleet.client.delete_vehicle(vehicleName=name)

    left = {name: fleet.registered(name) for name in (new, known)}
    assert {name: one.may_connect for name, one in left.items() if one} == {new: False, known: True}
    assert fleet.client.list_vehicles_in_fleet(fleetId="all")["vehicles"] == [f"OLD-{fleet.tenant}"]
    fleet.create(new)
    again = fleet.registered(new)
    assert again is not None
    assert again.may_connect


def test_a_thing_that_must_exist_must(fleet: Fleet):
    name = f"THING-{fleet.tenant}"
    with pytest.raises(ClientError, match="no thing called"):
        fleet.create(name, associationBehavior="ValidateIotThingExists")
    assert fleet.registered(name) is None

    fleet.register(name, fleet.tenant)
    fleet.create(name, associationBehavior="ValidateIotThingExists")


def test_a_vehicle_that_is_or_was_another_tenants_is_not_to_be_had(fleet: Fleet):
    theirs, was_theirs = f"THEIRS-{fleet.tenant}", f"WAS-{fleet.tenant}"
    for name in (theirs, was_theirs):
        fleet.register(name, "somebody-else")
    fleet.door.cloud.vehicles.remove(was_theirs)

    for name in (theirs, was_theirs):
        with pytest.raises(ClientError, match="choose another name") as refused:
            fleet.create(name)
        assert refused.value.response["Error"]["Code"] == "ConflictException"
        assert "somebody" not in str(refused.value)
        with pytest.raises(ClientError, match="ResourceNotFound"):
            fleet.client.get_vehicle(vehicleName=name)


@pytest.mark.parametrize("name", ["a:b", "-a", "x" * 65, "fairway-cloud", "fairway-cloud-x"])
def test_a_name_that_cannot_stand_in_a_certificate_is_refused_with_the_reason(
    fleet: Fleet, name: str
):
    with pytest.raises(ClientError, match="vehicleName"):
        fleet.create(name)
    assert fleet.registered(name) is None


def test_what_is_refused_registers_nobody(fleet: Fleet):
    name = f"NOBODY-{fleet.tenant}"
    draft = fleet.account.arn("decoder-manifest", "draft")
    for more, said in (
        ({"decoderManifestArn": draft}, "not ACTIVE"),
        (
            {"decoderManifestArn": fleet.account.arn("decoder-manifest", "none")},
            "no decoder-manifest",
        ),
        (
            {"modelManifestArn": fleet.account.arn("model-manifest", "draft")},
            "is not for the model",
        ),
        (
            {"modelManifestArn": "arn:aws:iotfleetwise:local:000000000000:model-manifest/car"},
            "another account",
        ),
        ({"modelManifestArn": "car"}, "is no ARN"),
        ({"attributes": {"a": "x" * 3000}}, "2048 characters"),
        ({"tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "twice"),
    ):
        with pytest.raises(ClientError, match=said):
            fleet.client.create_vehicle(**{"vehicleName": name, **fleet.car, **more})

    assert fleet.registered(name) is None


def test_an_arn_that_was_brought_along_from_aws_means_its_name(fleet: Fleet):
    from_aws = "arn:aws:iotfleetwise:us-east-1:123456789012"
    fleet.client.create_vehicle(
        vehicleName=f"BROUGHT-{fleet.tenant}",
        modelManifestArn=f"{from_aws}:model-manifest/car",
        decoderManifestArn=f"{from_aws}:decoder-manifest/car",
    )

    found = fleet.client.get_vehicle(vehicleName=f"BROUGHT-{fleet.tenant}")
    assert found["modelManifestArn"] == fleet.car["modelManifestArn"]


def test_attributes_are_merged_or_overwritten_as_was_said(fleet: Fleet):
    name = f"NEW-{fleet.tenant}"
    fleet.create(name, attributes={"colour": "red", "year": "2024"})

    def after(attributes: dict[str, str], mode: str) -> Any:
        fleet.client.update_vehicle(
            vehicleName=name, attributes=attributes, attributeUpdateMode=mode
        )
        return fleet.client.get_vehicle(vehicleName=name)["attributes"]

    assert after({"colour": "blue"}, "Merge") == {"colour": "blue", "year": "2024"}
    assert after({"seats": "5"}, "Overwrite") == {"seats": "5"}
    with pytest.raises(ClientError, match="attributeUpdateMode"):
        fleet.client.update_vehicle(vehicleName=name, attributes={"seats": "4"})


def test_state_templates_come_and_go_by_name_or_id(fleet: Fleet):
    name = f"NEW-{fleet.tenant}"
    identifier = fleet.client.get_state_template(identifier="state")["id"]
    fleet.create(name)
    on_change = {"identifier": identifier, "stateTemplateUpdateStrategy": {"onChange": {}}}
    rate = {"stateTemplateUpdateRate": {"unit": "SECOND", "value": 5}}
    periodic = {"identifier": "state", "stateTemplateUpdateStrategy": {"periodic": rate}}

    fleet.client.update_vehicle(vehicleName=name, stateTemplatesToAdd=[on_change])
    with pytest.raises(ClientError, match="already"):
        fleet.client.update_vehicle(vehicleName=name, stateTemplatesToAdd=[on_change])
    fleet.client.update_vehicle(vehicleName=name, stateTemplatesToUpdate=[periodic])
    assert fleet.client.get_vehicle(vehicleName=name)["stateTemplates"] == [periodic]
    with pytest.raises(ClientError, match="has the state template"):
        fleet.client.delete_state_template(identifier="state")
    fleet.client.update_vehicle(vehicleName=name, stateTemplatesToRemove=[identifier])
    assert "stateTemplates" not in fleet.client.get_vehicle(vehicleName=name)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        fleet.client.update_vehicle(vehicleName=name, stateTemplatesToRemove=[identifier])


def test_of_a_batch_each_succeeds_or_fails_for_itself(fleet: Fleet):
    old, new = f"OLD-{fleet.tenant}", f"NEW-{fleet.tenant}"
    made = fleet.client.batch_create_vehicle(
        vehicles=[{"vehicleName": name, **fleet.car} for name in (old, new, "a:b")]
    )
    changed = fleet.client.batch_update_vehicle(
        vehicles=[
            {"vehicleName": name, "attributes": {"n": "1"}, "attributeUpdateMode": "Merge"}
            for name in (new, "nobody")
        ]
    )

    assert [one["vehicleName"] for one in made["vehicles"]] == [new]
    assert [(one["vehicleName"], one["code"]) for one in made["errors"]] == [
        (old, "ConflictException"),
        ("a:b", "ValidationException"),
    ]
    assert [one["vehicleName"] for one in changed["vehicles"]] == [new]
    assert [(one["vehicleName"], one["code"]) for one in changed["errors"]] == [("nobody", 400)]


def test_a_vehicle_is_in_ten_fleets_at_most_and_twice_in_none(fleet: Fleet):
    name = f"OLD-{fleet.tenant}"
    catalog = fleet.account.arn("signal-catalog", "cars")
    for number in range(9):
        fleet.client.create_fleet(fleetId=f"f{number}", signalCatalogArn=catalog)
        for _ in range(2):
            fleet.client.associate_vehicle_fleet(fleetId=f"f{number}", vehicleName=name)
    with pytest.raises(ClientError, match="LimitExceeded"):
        fleet.client.associate_vehicle_fleet(fleetId="none", vehicleName=name)

    assert len(fleet.client.list_fleets_for_vehicle(vehicleName=name)["fleets"]) == 10
    with pytest.raises(ClientError, match="disassociate them first"):
        fleet.client.delete_fleet(fleetId="f0")
    for _ in range(2):
        fleet.client.disassociate_vehicle_fleet(fleetId="f0", vehicleName=name)
    fleet.client.delete_fleet(fleetId="f0")
