"""A small account in which there is one of everything, and a request for each operation that goes with it."""

import json
from typing import Any

NODES: list[Any] = [
    {"branch": {"fullyQualifiedName": "Vehicle"}},
    {"sensor": {"fullyQualifiedName": "Vehicle.Speed", "dataType": "DOUBLE", "unit": "km/h", "max": 300.0}},
    {"actuator": {"fullyQualifiedName": "Vehicle.Horn", "dataType": "BOOLEAN"}},
    {"attribute": {"fullyQualifiedName": "Vehicle.Colour", "dataType": "STRING"}},
    {"sensor": {"fullyQualifiedName": "Vehicle.Unused", "dataType": "INT8"}},
]  # fmt: skip
PATHS = ["Vehicle.Colour", "Vehicle.Horn", "Vehicle.Speed"]
CAN: Any = {
    "interfaceId": "1",
    "type": "CAN_INTERFACE",
    "canInterface": {"name": "can0", "protocolName": "CAN", "protocolVersion": "2.0B"},
}
CUSTOM: Any = {
    "interfaceId": "2",
    "type": "CUSTOM_DECODING_INTERFACE",
    "customDecodingInterface": {"name": "NamedSignalInterface"},
}
SPEED: Any = {
    "fullyQualifiedName": "Vehicle.Speed",
    "type": "CAN_SIGNAL",
    "interfaceId": "1",
    "canSignal": {
        "messageId": 291,
        "isBigEndian": False,
        "isSigned": False,
        "startBit": 0,
        "offset": 0.0,
        "factor": 0.01,
        "length": 16,
    },
}
HORN: Any = {
    "fullyQualifiedName": "Vehicle.Horn",
    "type": "CUSTOM_DECODING_SIGNAL",
    "interfaceId": "2",
    "customDecodingSignal": {"id": "Vehicle.Horn"},
}
ON_CHANGE: Any = [{"identifier": "state", "stateTemplateUpdateStrategy": {"onChange": {}}}]
FLOAT: Any = {"type": "sensor", "datatype": "float"}
SCHEME: Any = {"timeBasedCollectionScheme": {"periodMs": 10_000}}

# What a fresh account gets, in this order.
MADE: list[tuple[str, dict[str, Any]]] = [
    ("CreateSignalCatalog", {"name": "cars", "nodes": NODES}),
    ("CreateModelManifest", {"name": "car", "signalCatalogArn": "{signal-catalog/cars}", "nodes": PATHS}),
    ("UpdateModelManifest", {"name": "car", "status": "ACTIVE"}),
    (
        "CreateDecoderManifest",
        {
            "name": "car",
            "modelManifestArn": "{model-manifest/car}",
            "networkInterfaces": [CAN, CUSTOM],
            "signalDecoders": [SPEED, HORN],
        },
    ),
    ("UpdateDecoderManifest", {"name": "car", "status": "ACTIVE"}),
    ("CreateModelManifest", {"name": "draft", "signalCatalogArn": "{signal-catalog/cars}", "nodes": []}),
    ("CreateDecoderManifest", {"name": "draft", "modelManifestArn": "{model-manifest/car}"}),
    (
        "CreateStateTemplate",
        {
            "name": "state",
            "signalCatalogArn": "{signal-catalog/cars}",
            "stateTemplateProperties": ["Vehicle.Speed"],
        },
    ),
    ("CreateFleet", {"fleetId": "all", "signalCatalogArn": "{signal-catalog/cars}"}),
    ("CreateFleet", {"fleetId": "none", "signalCatalogArn": "{signal-catalog/cars}"}),
    (
        "CreateVehicle",
        {
            "vehicleName": "{vehicle}",
            "modelManifestArn": "{model-manifest/car}",
            "decoderManifestArn": "{decoder-manifest/car}",
            "attributes": {"colour": "red"},
            "stateTemplates": ON_CHANGE,
        },
    ),
    ("AssociateVehicleFleet", {"fleetId": "all", "vehicleName": "{vehicle}"}),
    (
        "CreateCampaign",
        {
            "name": "hot",
            "signalCatalogArn": "{signal-catalog/cars}",
            "targetArn": "{fleet/all}",
            "collectionScheme": SCHEME,
        },
    ),
    ("RegisterAccount", {}),
]  # fmt: skip

_NEW_CAR: Any = {
    "modelManifestArn": "{model-manifest/car}",
    "decoderManifestArn": "{decoder-manifest/car}",
}
_NAMED_CAR: Any = {"name": "car"}
_VEHICLE: Any = {"vehicleName": "{vehicle}"}

# One request of each operation that is answered, in an account as above.
REQUESTS: dict[str, dict[str, Any]] = {
    "CreateSignalCatalog": {"name": "vans", "description": "of vans", "nodes": NODES[:1]},
    "ImportSignalCatalog": {
        "name": "vss",
        "vss": {"vssJson": json.dumps({"V": {"type": "branch", "children": {"S": FLOAT}}})},
    },
    "GetSignalCatalog": {"name": "cars"},
    "UpdateSignalCatalog": {"name": "cars", "nodesToRemove": ["Vehicle.Unused"]},
    "DeleteSignalCatalog": {"name": "none"},
    "ListSignalCatalogs": {},
    "ListSignalCatalogNodes": {"name": "cars", "signalNodeType": "SENSOR"},
    "CreateModelManifest": {
        "name": "van",
        "signalCatalogArn": "{signal-catalog/cars}",
        "nodes": PATHS,
        "tags": [{"Key": "a", "Value": ""}],
    },
    "GetModelManifest": _NAMED_CAR,
    "UpdateModelManifest": {
        "name": "draft",
        "nodesToAdd": ["Vehicle.Speed"],
        "description": "a draft",
    },
    "DeleteModelManifest": {"name": "draft"},
    "ListModelManifests": {"signalCatalogArn": "{signal-catalog/cars}"},
    "ListModelManifestNodes": _NAMED_CAR,
    "CreateDecoderManifest": {"name": "van", "modelManifestArn": "{model-manifest/car}"},
    "GetDecoderManifest": _NAMED_CAR,
    "UpdateDecoderManifest": {
        "name": "draft",
        "networkInterfacesToAdd": [CAN],
        "signalDecodersToAdd": [SPEED],
    },
    "DeleteDecoderManifest": {"name": "draft"},
    "ListDecoderManifests": {"modelManifestArn": "{model-manifest/car}"},
    "ListDecoderManifestSignals": _NAMED_CAR,
    "ListDecoderManifestNetworkInterfaces": _NAMED_CAR,
    "CreateFleet": {"fleetId": "new", "signalCatalogArn": "{signal-catalog/cars}"},
    "GetFleet": {"fleetId": "all"},
    "UpdateFleet": {"fleetId": "all", "description": "every car"},
    "DeleteFleet": {"fleetId": "none"},
    "ListFleets": {},
    "AssociateVehicleFleet": {"fleetId": "none", **_VEHICLE},
    "DisassociateVehicleFleet": {"fleetId": "all", **_VEHICLE},
    "ListVehiclesInFleet": {"fleetId": "all"},
    "ListFleetsForVehicle": _VEHICLE,
    "CreateVehicle": {"vehicleName": "{vehicle}-new", **_NEW_CAR},
    "BatchCreateVehicle": {
        "vehicles": [{"vehicleName": "{vehicle}-new", **_NEW_CAR}, {**_VEHICLE, **_NEW_CAR}]
    },
    "GetVehicle": _VEHICLE,
    "UpdateVehicle": {**_VEHICLE, "attributes": {"colour": "blue"}, "attributeUpdateMode": "Merge"},
    "BatchUpdateVehicle": {"vehicles": [_VEHICLE, {"vehicleName": "nobody"}]},
    "DeleteVehicle": _VEHICLE,
    "ListVehicles": {"attributeNames": ["colour"], "attributeValues": ["red"]},
    "GetVehicleStatus": _VEHICLE,
    "CreateCampaign": {
        "name": "cold",
        "signalCatalogArn": "{signal-catalog/cars}",
        "targetArn": "{vehicle/{vehicle}}",
        "collectionScheme": SCHEME,
    },
    "GetCampaign": {"name": "hot"},
    "UpdateCampaign": {"name": "hot", "action": "APPROVE"},
    "DeleteCampaign": {"name": "hot"},
    "ListCampaigns": {"status": "WAITING_FOR_APPROVAL"},
    "CreateStateTemplate": {
        "name": "new",
        "signalCatalogArn": "{signal-catalog/cars}",
        "stateTemplateProperties": ["Vehicle.Speed"],
    },
    "GetStateTemplate": {"identifier": "state"},
    "UpdateStateTemplate": {
        "identifier": "state",
        "stateTemplatePropertiesToAdd": ["Vehicle.Horn"],
    },
    "DeleteStateTemplate": {"identifier": "none"},
    "ListStateTemplates": {},
    "TagResource": {"ResourceARN": "{fleet/all}", "Tags": [{"Key": "a", "Value": "b"}]},
    "UntagResource": {"ResourceARN": "{fleet/all}", "TagKeys": ["a"]},
    "ListTagsForResource": {"ResourceARN": "{fleet/all}"},
    "RegisterAccount": {"iamResources": {"roleArn": "arn:aws:iam::123456789012:role/FleetWise"}},
    "GetRegisterAccountStatus": {},
    "PutLoggingOptions": {"cloudWatchLogDelivery": {"logType": "OFF"}},
    "GetLoggingOptions": {},
    "PutEncryptionConfiguration": {"encryptionType": "FLEETWISE_DEFAULT_ENCRYPTION"},
    "GetEncryptionConfiguration": {},
}

# Those that make no sense here, each with a request that would, and what is said of it.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "ImportDecoderManifest": (
        {
            "name": "dbc",
            "networkFileDefinitions": [
                {"canDbc": {"networkInterface": "1", "canDbcFiles": ["VkVSU0lPTiAiIg=="]}}
            ],
        },
        "CreateDecoderManifest",
    ),
}


def filled(request: Any, account: Any, vehicle: str) -> Any:
    """The request with the ARNs of an account, and the name of its vehicle, in their places."""
    if isinstance(request, dict):
        return {name: filled(value, account, vehicle) for name, value in request.items()}
    if isinstance(request, list):
        return [filled(value, account, vehicle) for value in request]
    if not isinstance(request, str):
        return request
    text = request.replace("{vehicle}", vehicle)
    if text.startswith("{") and text.endswith("}") and "/" in text:
        return account.arn(*text[1:-1].split("/"))
    return text
