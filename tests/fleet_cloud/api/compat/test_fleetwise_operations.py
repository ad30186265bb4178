"""Every operation of FleetWise's model: answered as the model says, or refused by name; and who may ask for it.

Rule 1: the table of roles is written by hand, and compared with what is answered.
"""

import json
from typing import Any

import pytest
from botocore.model import Shape

from fleet_cloud.api.compat.fleetwise_operations import OPERATIONS
from fleet_cloud.api.compat.fleetwise_shapes import faults, service
from fleet_cloud.models.accounts import Account
from tests.fleet_cloud.api.compat.conftest import Door
from tests.fleet_cloud.api.compat.small import REFUSED, REQUESTS, filled

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

ROLES = (
    "viewer", "operator", "fleet-manager", "release-author", "release-approver", "privacy-officer", "admin",
)  # fmt: skip

#                                                                       vw op fm au ap po ad
TABLE = {
    "models:read":     "y  y  y  y  y  y  y",
    "models:write":    "-  -  y  -  -  -  y",
    "vehicles:read":   "y  y  y  y  y  y  y",
    "vehicles:write":  "-  -  y  -  -  -  y",
    "campaigns:read":  "y  y  y  -  -  y  y",
    "campaigns:write": "-  y  y  -  -  -  y",
}  # fmt: skip
READS = {"Get", "List"}
GROUPS = {
    "models": ("SignalCatalog", "ModelManifest", "DecoderManifest", "StateTemplate", "Resource", "Account",
               "LoggingOptions", "EncryptionConfiguration"),
    "vehicles": ("Vehicle", "Fleet"),
    "campaigns": ("Campaign", "VehicleStatus"),
}  # fmt: skip


def needed(operation: str) -> str:
    """What an operation needs, told from its name."""
    group = "campaigns" if operation == "GetVehicleStatus" else next(
        group for group, nouns in GROUPS.items() if any(noun in operation for noun in nouns)
    )  # fmt: skip
    reads = any(operation.startswith(verb) for verb in READS)
    return f"{group}:{'read' if reads else 'write'}"


def test_every_operation_of_the_model_is_answered_or_refused_by_name():
    assert set(OPERATIONS) == set(service().operation_names)
    assert set(REQUESTS) | set(REFUSED) == set(OPERATIONS)
    assert not set(REQUESTS) & set(REFUSED)


@pytest.mark.parametrize("operation", REQUESTS)
def test_each_is_answered_with_what_the_model_calls_its_output(
    door: Door, tenant: str, operation: str
):
    keys, account = door.small_account(tenant, f"CAR-{tenant}")
    answer = door.ask(keys, operation, filled(REQUESTS[operation], account, f"CAR-{tenant}"))

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    output: Shape | None = service().operation_model(operation).output_shape
    assert output is not None
    assert faults(output, answer.json()) == []


@pytest.mark.parametrize("operation", REFUSED)
def test_what_makes_no_sense_here_says_so_and_what_to_do(door: Door, tenant: str, operation: str):
    request, said = REFUSED[operation]
    answer = door.ask(door.keys("admin", tenant), operation, request)

    assert answer.status_code == 400
    assert answer.json()["__type"] == "ValidationException"
    assert said in answer.json()["message"]


def test_each_role_may_ask_for_what_the_table_says(door: Door, tenant: str):
    found, wanted = {}, {}
    for role, column in zip(ROLES, range(7), strict=True):
        keys = door.keys(role, tenant)
        for operation in OPERATIONS:
            answer = door.ask(keys, operation, {"?": 1})
            denied = answer.json()["__type"] == "AccessDeniedException"
            assert answer.status_code == (403 if denied else 400)
            found[operation, role] = not denied
            wanted[operation, role] = TABLE[needed(operation)].split()[column] == "y"

    assert found == wanted


def test_to_approve_a_campaign_is_a_permission_of_its_own(door: Door, tenant: str):
    door.small_account(tenant, f"CAR-{tenant}")
    answers = {
        role: door.ask(
            door.keys(role, tenant), "UpdateCampaign", {"name": "hot", "action": "APPROVE"}
        )
        for role in ("operator", "fleet-manager")
    }

    assert answers["operator"].json()["__type"] == "AccessDeniedException"
    assert answers["fleet-manager"].json()["status"] == "RUNNING"


def everything(door: Door, tenant: str) -> Any:
    """All that there is of a tenant."""
    kept = door.cloud.documents._kept.get(tenant, {})
    return {f"{reference}": repr(document) for reference, document in kept.items()}


def told(
    door: Door, keys: tuple[str, str], account: Account, operation: str, theirs: Account
) -> Any:
    request = REQUESTS.get(operation) or REFUSED.get(operation, ({}, ""))[0]
    answer = door.ask(keys, operation, filled(request, theirs, "CAR-theirs"))
    text = answer.text.replace(account.number, "ACCOUNT").replace(account.tenant, "TENANT")
    content = json.loads(text)
    for name in ("creationTime", "lastModificationTime", "id"):
        content.pop(name, None)
    return answer.status_code, content


# With a vehicle of their own: the registry is the region's, and a name in it is one vehicle's.
NEW = {"CreateVehicle", "BatchCreateVehicle"}


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - NEW))
def test_another_tenant_is_answered_as_if_nothing_were_there_and_changes_nothing(
    door: Door, operation: str
):
    if not everything(door, "theirs"):
        door.small_account("theirs", "CAR-theirs")
    theirs, before = Account("local", "theirs"), everything(door, "theirs")
    number = len(door.cloud.keys.listed())
    curious, nobody = (Account("local", f"{word}-{number}") for word in ("curious", "nobody"))
    answers = []
    for account in (curious, nobody):
        keys = door.keys("admin", account.tenant)
        answers.append(
            told(door, keys, account, operation, theirs if account is curious else nobody)
        )

    assert everything(door, "theirs") == before
    assert "CAR-theirs" not in str(answers[0][1]) or answers[0] == answers[1]
    if (
        answers[0] != answers[1]
    ):  # an ARN of theirs is refused as another account's, and nothing more is said
        assert answers[0][0] == 400
        assert "of another account" in answers[0][1]["message"]


def test_a_vehicle_of_another_tenant_is_not_to_be_had(door: Door):
    door.small_account("owner", "OWNED")
    keys, account = door.small_account("taker", "OWN")
    request = filled(REQUESTS["BatchCreateVehicle"], account, "OWNED")
    (failed,) = [
        one
        for one in door.ask(keys, "BatchCreateVehicle", request).json()["errors"]
        if one["vehicleName"] == "OWNED"
    ]

    assert failed["code"] == "ConflictException"
    assert "owner" not in failed["message"]
    vehicle = door.cloud.vehicles.vehicle("OWNED")
    assert vehicle is not None
    assert vehicle.tenant == "owner"
