"""The account as a whole (registration, logging, encryption): what is true of it here, in FleetWise's words.

Rule 1: nothing is taken that would have no effect: a log group, a key of KMS and tables of Timestream are AWS's
own, and a request that names one is refused with the reason.
"""

from typing import Any

from fleet_cloud.access.roles import Permission
from fleet_cloud.api.compat.fleetwise_calls import Call, Operation, times
from fleet_cloud.models.documents import Document, Kind
from fleet_cloud.models.refusals import BadField, NotThere
from fleet_cloud.models.transactions import Transaction

_SUCCESS = "REGISTRATION_SUCCESS"
_NAME = "registration"


def _register(call: Call) -> dict[str, Any]:
    if "timestreamResources" in call.request:
        raise BadField(
            "timestreamResources", "there is no Timestream here: samples are kept by the cloud"
        )
    role = call.request.get("iamResources") or {
        "roleArn": f"arn:aws:iam::{call.account.number}:role/fairway"
    }

    def work(transaction: Transaction) -> Document:
        transaction.put(Kind.ACCOUNT, _NAME, role)
        return transaction.get(Kind.ACCOUNT, _NAME)

    found = call.change("register", Kind.ACCOUNT, call.account.number, work)
    return {"registerAccountStatus": _SUCCESS, "iamResources": found.content, **times(found)}


def _registration(call: Call) -> dict[str, Any]:
    found = call.reading().find(Kind.ACCOUNT, _NAME)
    if found is None:
        raise NotThere(Kind.ACCOUNT, call.account.number)
    return {
        "customerAccountId": call.account.number,
        "accountStatus": _SUCCESS,
        "iamRegistrationResponse": {**found.content, "registrationStatus": _SUCCESS},
        **times(found),
    }


def _put_logging(call: Call) -> dict[str, Any]:
    wanted = call.request["cloudWatchLogDelivery"]
    if wanted["logType"] != "OFF" or "logGroupName" in wanted:
        raise BadField(
            "cloudWatchLogDelivery",
            "there is no CloudWatch here: what happens is in the log of fleet-cloud",
        )
    return {}


def _logging(_call: Call) -> dict[str, Any]:
    return {"cloudWatchLogDelivery": {"logType": "OFF"}}


def _put_encryption(call: Call) -> dict[str, Any]:
    if call.request["encryptionType"] != _encryption(call)["encryptionType"] or call.request.get(
        "kmsKeyId"
    ):
        raise BadField(
            "encryptionType", "there is no KMS here: data is encrypted by the disks that it is on"
        )
    return _encryption(call)


def _encryption(_call: Call) -> dict[str, Any]:
    return {"encryptionStatus": "SUCCESS", "encryptionType": "FLEETWISE_DEFAULT_ENCRYPTION"}


OPERATIONS = {
    "RegisterAccount": Operation(Permission.MODELS_WRITE, _register),
    "GetRegisterAccountStatus": Operation(Permission.MODELS_READ, _registration),
    "PutLoggingOptions": Operation(Permission.MODELS_WRITE, _put_logging),
    "GetLoggingOptions": Operation(Permission.MODELS_READ, _logging),
    "PutEncryptionConfiguration": Operation(Permission.MODELS_WRITE, _put_encryption),
    "GetEncryptionConfiguration": Operation(Permission.MODELS_READ, _encryption),
}
