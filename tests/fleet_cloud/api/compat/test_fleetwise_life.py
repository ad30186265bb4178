"""A whole life with FleetWise's own documents, by boto3: from the catalog to a campaign, and back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fleet_cloud.api.compat import real
from tests.fleet_cloud.api.compat.conftest import Served
from tests.shared_data import SHARED

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

CAMPAIGNS = sorted((SHARED / real.FOLDER / "campaigns").glob("*.json"))


@dataclass
class Site:
    """An account in which everything that FleetWise's tools make is made."""

    client: Any
    approver: Any  # somebody else
    catalog_arn: str
    fleet_arn: str
    paths: list[str]


@pytest.fixture(scope="module")
def site(served: Served) -> Site:
    client = served.client("admin", "real-site")
    nodes = real.nodes()
    catalog = client.create_signal_catalog(name="site", nodes=nodes[:1])["arn"]
    for start in range(1, len(nodes), 500):
        client.update_signal_catalog(name="site", nodesToUpdate=nodes[start : start + 500])
    paths = [real.path_of(node) for node in nodes if {"sensor", "actuator"} & node.keys()]
    model = client.create_model_manifest(name="site", signalCatalogArn=catalog, nodes=[])["arn"]
    for start in range(0, len(paths), 499):
        client.update_model_manifest(name="site", nodesToAdd=paths[start : start + 499])
    client.update_model_manifest(name="site", status="ACTIVE")
    decoder = client.create_decoder_manifest(
        name="site", modelManifestArn=model, networkInterfaces=real.interfaces()
    )["arn"]
    decoders = real.decoders()
    for start in range(0, len(decoders), 200):
        client.update_decoder_manifest(
            name="site", signalDecodersToAdd=decoders[start : start + 200]
        )
    client.update_decoder_manifest(name="site", defaultForUnmappedSignals="CUSTOM_DECODING")
    client.update_decoder_manifest(name="site", status="ACTIVE")
    fleet = client.create_fleet(fleetId="site", signalCatalogArn=catalog)["arn"]
    for number in range(3):
        client.create_vehicle(
            vehicleName=f"SITE-{number}", modelManifestArn=model, decoderManifestArn=decoder
        )
        client.associate_vehicle_fleet(fleetId="site", vehicleName=f"SITE-{number}")
    approver = served.client("fleet-manager", "real-site")
    return Site(client, approver, catalog, fleet, paths)


def test_what_was_made_of_real_documents_is_read_as_it_was_written(site: Site):
    def every(operation: str, member: str) -> list[Any]:
        pages = site.client.get_paginator(operation).paginate(name="site")
        return [item for page in pages for item in page[member]]

    def by_path(nodes: list[Any]) -> dict[str, Any]:
        return {real.path_of(node): node for node in nodes}

    assert by_path(every("list_signal_catalog_nodes", "nodes")) == by_path(real.nodes())
    assert [real.path_of(node) for node in every("list_model_manifest_nodes", "nodes")] == sorted(
        site.paths
    )
    signals = {one["fullyQualifiedName"]: one for one in real.decoders()}
    assert {
        one["fullyQualifiedName"]: one
        for one in every("list_decoder_manifest_signals", "signalDecoders")
    } == signals
    interfaces = {one["interfaceId"]: one for one in real.interfaces()}
    assert {
        one["interfaceId"]: one
        for one in every("list_decoder_manifest_network_interfaces", "networkInterfaces")
    } == interfaces
    assert site.client.get_model_manifest(name="site")["status"] == "ACTIVE"
    assert site.client.get_decoder_manifest(name="site")["status"] == "ACTIVE"
    assert site.client.list_vehicles_in_fleet(fleetId="site")["vehicles"] == [
        "SITE-0",
        "SITE-1",
        "SITE-2",
    ]


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.stem)
def test_each_real_campaign_is_made_read_equal_run_and_deleted(site: Site, path: Path):
    document = {**real.campaign(path), "name": path.stem}
    document |= {"signalCatalogArn": site.catalog_arn, "targetArn": site.fleet_arn}

    site.client.create_campaign(**document)

    found = site.client.get_campaign(name=path.stem)
    assert {name: found[name] for name in document} == document
    assert found["status"] == "WAITING_FOR_APPROVAL"
    for action, status in (
        ("APPROVE", "RUNNING"),
        ("SUSPEND", "SUSPENDED"),
        ("RESUME", "RUNNING"),
    ):
        moved = site.approver.update_campaign(name=path.stem, action=action)
        assert moved["status"] == status
    (told,) = site.client.get_vehicle_status(vehicleName="SITE-1")["campaigns"]
    assert told == {"campaignName": path.stem, "vehicleName": "SITE-1", "status": "READY"}
    site.client.delete_campaign(name=path.stem)
    assert site.client.list_campaigns()["campaignSummaries"] == []


def test_there_are_sixteen_real_campaigns():
    assert len(real.campaigns()) == 16


def test_who_made_a_campaign_does_not_approve_it(site: Site):
    scheme = {"timeBasedCollectionScheme": {"periodMs": 10_000}}
    site.client.create_campaign(
        name="own",
        signalCatalogArn=site.catalog_arn,
        targetArn=site.fleet_arn,
        collectionScheme=scheme,
    )

    with pytest.raises(ClientError, match="AccessDeniedException.*somebody else approves it"):
        site.client.update_campaign(name="own", action="APPROVE")
    site.client.delete_campaign(name="own")


def test_the_secret_of_a_key_is_in_its_file_and_nowhere_else(served: Served):
    _, secret = served.keys("viewer", "real-site")
    (served.folder / "credentials").unlink()

    for path in served.folder.rglob("*"):
        if path.is_file() and not path.is_socket():
            assert secret.encode() not in path.read_bytes(), path
    assert (served.data / "aws-key-root").stat().st_mode & 0o777 == 0o600


def test_everything_is_there_after_a_restart(site: Site, served: Served):
    served.program.kill()
    served.program.log.write_bytes(b"")
    served.start()

    assert site.client.get_model_manifest(name="site")["status"] == "ACTIVE"
    assert len(site.client.list_vehicles()["vehicleSummaries"]) == 3
