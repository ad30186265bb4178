"""FleetWise's users as they are: boto3 makes everything, an agent of FleetWise runs it, boto3 sees it run."""

import configparser
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.e2e.fleetwise_agent import FleetWiseAgent
from tests.e2e.test_campaigns.test_fleetwise_served import DECODERS, NODES, until
from tests.fleet_cloud.cli.test_serve import Cloud

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

VIN = "VIN-OF-BOTO3"
INTERFACES = [
    {
        "interfaceId": "1",
        "type": "CAN_INTERFACE",
        "canInterface": {"name": "can0", "protocolName": "CAN", "protocolVersion": "2.0B"},
    },
    {
        "interfaceId": "NAMED",
        "type": "CUSTOM_DECODING_INTERFACE",
        "customDecodingInterface": {"name": "NamedSignal"},
    },
]
CAMPAIGN = {
    "name": "braking",
    "collectionScheme": {
        "conditionBasedCollectionScheme": {
            "expression": "$variable.`Vehicle.Speed` > 50",
            "minimumTriggerIntervalMs": 1000,
            "triggerMode": "RISING_EDGE",
        }
    },
    "signalsToCollect": [{"name": "Vehicle.Speed"}, {"name": "Vehicle.Gear"}],
    "compression": "SNAPPY",
}


@pytest.fixture
def cloud(tmp_path, socket_enabled) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, "mosquitto")
    config = cloud.folder / "cloud.toml"
    config.write_text(config.read_text() + "[fleetwise]\nenabled = true\n")
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.program.close()


def client(cloud: Cloud, role: str) -> Any:
    path = cloud.folder / f"{role}.ini"
    assert cloud.command("key", "create", role, "--aws", "--role", role, "--out", path) == 0
    found = configparser.ConfigParser()
    found.read(path)
    pair = found["default"]
    return boto3.client(
        "iotfleetwise",
        endpoint_url=cloud.url("api"),
        region_name="eu-west-1",
        aws_access_key_id=pair["aws_access_key_id"],
        aws_secret_access_key=pair["aws_secret_access_key"],
    )


def made(author: Any) -> dict[str, str]:
    """Make catalog, model, decoder manifest, vehicle and fleet; return their ARNs."""
    branch = {"branch": {"fullyQualifiedName": "Vehicle"}}
    catalog = author.create_signal_catalog(name="cars", nodes=[branch, *NODES])["arn"]
    names = ["Vehicle.Speed", "Vehicle.Gear"]
    model = author.create_model_manifest(name="car", signalCatalogArn=catalog, nodes=names)["arn"]
    author.update_model_manifest(name="car", status="ACTIVE")
    decoder = author.create_decoder_manifest(
        name="car",
        modelManifestArn=model,
        networkInterfaces=INTERFACES,
        signalDecoders=DECODERS,
    )["arn"]
    author.update_decoder_manifest(name="car", status="ACTIVE")
    vehicle = author.create_vehicle(
        vehicleName=VIN, modelManifestArn=model, decoderManifestArn=decoder
    )["arn"]
    author.create_fleet(fleetId="all", signalCatalogArn=catalog)
    author.associate_vehicle_fleet(fleetId="all", vehicleName=VIN)
    return {"catalog": catalog, "vehicle": vehicle}


def test_boto3_drives_a_whole_life_and_an_agent_of_fleetwise_lives_it(cloud: Cloud):
    cloud.add(VIN)
    author, approver = client(cloud, "admin"), client(cloud, "fleet-manager")
    arns = made(author)
    author.create_campaign(**CAMPAIGN, signalCatalogArn=arns["catalog"], targetArn=arns["vehicle"])
    assert author.get_campaign(name="braking")["status"] == "WAITING_FOR_APPROVAL"
    keys = cloud.folder / VIN
    with FleetWiseAgent(
        cloud.port("mqtt"),
        vehicle=VIN,
        ca=keys / "ca.pem",
        certificate=keys / "certificate.pem",
        key=keys / "key.pem",
    ) as agent:
        agent.check_in()
        agent.until(lambda one: one.manifest is not None)
        begun = time.monotonic()
        approver.update_campaign(name="braking", action="APPROVE")
        agent.until(lambda one: len(one.schemes) == 1)
        enacted_s = time.monotonic() - begun
        (sync_id,) = agent.schemes
        agent.check_in()

        def status() -> str:
            (one,) = author.get_vehicle_status(vehicleName=VIN)["campaigns"]
            return str(one["status"])

        until(lambda: status() == "HEALTHY")
        rows = cloud.rows()
        # Numbers go by names: Vehicle.Gear is 1, Vehicle.Speed is 2.
        agent.collect(sync_id, [(2, -10, 61.5), (2, 0, 60.0), (1, 0, "D")])
        until(lambda: cloud.rows() == rows + 3)

        author.update_campaign(name="braking", action="SUSPEND")
        agent.until(lambda one: not one.schemes)
        author.update_campaign(name="braking", action="RESUME")
        agent.until(lambda one: len(one.schemes) == 1)
        author.delete_campaign(name="braking")
        agent.until(lambda one: not one.schemes)
    assert author.list_campaigns()["campaignSummaries"] == []
    print(f"approved by boto3 to scheme in the agent: {enacted_s:.2f} s")
