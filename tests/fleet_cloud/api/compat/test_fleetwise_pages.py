"""Listings of more than a page, by boto3's own paginators: whole, in order, stable while others change them."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fleet_cloud.models.accounts import Account
from fleet_cloud.models.documents import Changes, Document, Kind, Reference
from tests.fleet_cloud.api.compat.conftest import Door
from tests.fleet_cloud.api.compat.small import CAN, HORN, SCHEME

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

MANY = 250
ACCOUNT = Account("local", "many")
NAMES = [f"n{number:03}" for number in range(MANY)]
OF_CATALOG = Reference(Kind.CATALOG, "n000")
OF_MODEL, OF_DECODER = Reference(Kind.MODEL, "n000"), Reference(Kind.DECODER, "n000")

SENSORS = {
    f"V.{name}": {"sensor": {"fullyQualifiedName": f"V.{name}", "dataType": "INT8"}}
    for name in NAMES
}


def many() -> Iterator[Document]:
    """250 of everything that is listed, as if 250 requests had made each."""

    def kept(kind: Kind, name: str, content: Any, *refers: Reference) -> Document:
        return Document(kind, name, content, 1, 2, frozenset(refers))

    yield kept(Kind.CATALOG_NODES, "n000", SENSORS)
    yield kept(Kind.MODEL_NODES, "n000", list(SENSORS))
    yield kept(
        Kind.DECODER_SIGNALS,
        "n000",
        {name: {**HORN, "fullyQualifiedName": name} for name in SENSORS},
    )
    yield kept(
        Kind.DECODER_INTERFACES, "n000", {name: {**CAN, "interfaceId": name} for name in NAMES}
    )
    car = {
        "model": "n000",
        "decoder": "n000",
        "attributes": {},
        "stateTemplates": {},
        "isAddedHere": False,
    }
    manifest = {"catalog": "n000", "model": "n000", "status": "ACTIVE"}
    for name in NAMES:
        yield kept(Kind.CATALOG, name, {"nodeCounts": {}})
        yield kept(Kind.MODEL, name, manifest, OF_CATALOG)
        yield kept(Kind.DECODER, name, manifest, OF_MODEL)
        yield kept(Kind.FLEET, name, {"catalog": "n000"}, OF_CATALOG)
        yield kept(Kind.VEHICLE, name, car, OF_MODEL, OF_DECODER)
        template = {"catalog": "n000", "id": "A" * 26, "stateTemplateProperties": ["V.n000"]}
        yield kept(Kind.TEMPLATE, name, template, OF_CATALOG)
        for fleet, vehicle in {("n000", name), (name, "n000")}:
            refers = (Reference(Kind.FLEET, fleet), Reference(Kind.VEHICLE, vehicle))
            yield kept(Kind.MEMBER, f"{fleet}/{vehicle}", {}, *refers)


@pytest.fixture(scope="module")
def client(door: Door) -> Any:
    door.cloud.documents.commit("many", Changes(tuple(many())), 0)
    client = door.client("admin", "many")
    target = ACCOUNT.arn("vehicle", "n000")
    catalog = ACCOUNT.arn("signal-catalog", "n000")
    for name in NAMES:
        client.create_campaign(
            name=name, signalCatalogArn=catalog, targetArn=target, collectionScheme=SCHEME
        )
    return client


LISTINGS: dict[str, tuple[str, dict[str, str], str]] = {
    "list_signal_catalogs": ("summaries", {}, "name"),
    "list_signal_catalog_nodes": ("nodes", {"name": "n000"}, "sensor.fullyQualifiedName"),
    "list_model_manifests": ("summaries", {}, "name"),
    "list_model_manifest_nodes": ("nodes", {"name": "n000"}, "sensor.fullyQualifiedName"),
    "list_decoder_manifests": ("summaries", {}, "name"),
    "list_decoder_manifest_signals": ("signalDecoders", {"name": "n000"}, "fullyQualifiedName"),
    "list_decoder_manifest_network_interfaces": (
        "networkInterfaces",
        {"name": "n000"},
        "interfaceId",
    ),
    "list_fleets": ("fleetSummaries", {}, "id"),
    "list_vehicles": ("vehicleSummaries", {}, "vehicleName"),
    "list_vehicles_in_fleet": ("vehicles", {"fleetId": "n000"}, ""),
    "list_fleets_for_vehicle": ("fleets", {"vehicleName": "n000"}, ""),
    "list_campaigns": ("campaignSummaries", {}, "name"),
    "list_state_templates": ("summaries", {}, "name"),
    "get_vehicle_status": ("campaigns", {"vehicleName": "n000"}, "campaignName"),
}


def named(item: Any, path: str) -> str:
    for part in filter(None, path.split(".")):
        item = item[part]
    return str(item).removeprefix("V.")


def test_every_listing_that_has_pages_is_here(client: Any):
    paged = {
        client.meta.method_to_api_mapping[method]
        for method in client.meta.method_to_api_mapping
        if client.can_paginate(method)
    }

    assert {client.meta.method_to_api_mapping[method] for method in LISTINGS} == paged


@pytest.mark.parametrize("method", LISTINGS)
@pytest.mark.parametrize("page", [1, 7, None], ids=["by-97", "by-7", "by-default"])
def test_all_250_are_listed_once_and_in_order(client: Any, method: str, page: int | None):
    member, request, path = LISTINGS[method]
    size = {1: 97, 7: 7, None: None}[page]
    options = {"PaginationConfig": {"PageSize": size}} if size else {}
    pages = list(client.get_paginator(method).paginate(**request, **options))
    found = [named(item, path) for page_ in pages for item in page_[member]]

    assert found == NAMES
    assert len(pages) == -(-MANY // (size or 100))
    assert all(len(page_[member]) <= (size or 100) for page_ in pages)


def test_a_listing_goes_on_although_others_add_and_remove(client: Any, door: Door):
    other = door.client("admin", "many")
    first = client.list_fleets(maxResults=100)
    other.create_fleet(fleetId="a-new-one", signalCatalogArn=ACCOUNT.arn("signal-catalog", "n000"))
    rest, token = [], first["nextToken"]
    while token:
        page = client.list_fleets(maxResults=100, nextToken=token)
        rest += [one["id"] for one in page["fleetSummaries"]]
        token = page.get("nextToken")
    other.delete_fleet(fleetId="a-new-one")

    assert [one["id"] for one in first["fleetSummaries"]] + rest == NAMES


def test_a_token_is_good_for_the_listing_it_was_given_for_and_no_other(client: Any, door: Door):
    token = client.list_fleets(maxResults=10)["nextToken"]
    assert "n009" not in token
    changed = ("A" if token[0] != "A" else "B") + token[1:]

    for ask in (
        lambda: client.list_fleets(nextToken=changed),
        lambda: client.list_fleets(nextToken="n009"),
        lambda: client.list_fleets(nextToken="é"),
        lambda: client.list_vehicles(nextToken=token),
        lambda: client.list_fleets(nextToken=token, listResponseScope="METADATA_ONLY"),
        lambda: door.client("admin", "others").list_fleets(nextToken=token),
    ):
        with pytest.raises(ClientError, match="nextToken"):
            ask()


def test_metadata_alone_is_names_arns_and_times(client: Any):
    (found,) = client.list_vehicles(maxResults=1, listResponseScope="METADATA_ONLY")[
        "vehicleSummaries"
    ]

    assert set(found) == {"vehicleName", "arn", "creationTime", "lastModificationTime"}


def test_vehicles_are_found_by_model_and_by_attributes(door: Door, tenant: str):
    _, account = door.small_account(tenant, f"A-{tenant}")
    client = door.client("admin", tenant)
    car = {"modelManifestArn": account.arn("model-manifest", "car"),
           "decoderManifestArn": account.arn("decoder-manifest", "car")}  # fmt: skip
    client.create_vehicle(
        vehicleName=f"B-{tenant}", attributes={"colour": "blue", "year": "2024"}, **car
    )

    def found(**filters: Any) -> list[str]:
        return [
            one["vehicleName"][0] for one in client.list_vehicles(**filters)["vehicleSummaries"]
        ]

    assert found() == ["A", "B"]
    assert found(modelManifestArn=car["modelManifestArn"]) == ["A", "B"]
    assert found(modelManifestArn=account.arn("model-manifest", "draft")) == []
    assert found(attributeNames=["colour"], attributeValues=["blue"]) == ["B"]
    assert found(attributeNames=["colour", "year"], attributeValues=["blue", "2023"]) == []
    for names, values in ((["a"], ["b", "c"]), (["a", "a"], ["b", "c"])):
        with pytest.raises(ClientError, match="attributeNames"):
            found(attributeNames=names, attributeValues=values)
