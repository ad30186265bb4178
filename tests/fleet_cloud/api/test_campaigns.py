"""Campaigns over the API: from a document to what vehicles make of it."""

from dataclasses import replace
from typing import Any

import pytest

from fairway.control import CampaignState, CampaignStatus, CheckIn
from fairway.ids import BatchName
from fairway.samples import Kind, Signal, SignalTable
from fairway.telemetry import CampaignEvent, CampaignPart
from fairway.wire.telemetry import dictionary_of
from fleet_cloud.adapters.catalogues import KeptCatalogues
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.control.ports import (
    Vehicle,
)
from fleet_cloud.control.targets import (
    Facts,
)
from fleet_cloud.ingest.records import BatchKey, Claimant, Collected
from tests.fleet_cloud.api.conftest import (
    DOCUMENT,
    START_NS,
    STREAM,
    Client,
    Cloud,
    batch,
    client_of,
)

S = 1_000_000_000
SPEEDING = {
    "name": "speeding",
    "collectionScheme": {
        "conditionBasedCollectionScheme": {"expression": "$variable.`Vehicle.Speed` > 130"}
    },
    "signalsToCollect": [{"name": "Vehicle.Speed"}, {"name": "Vehicle.Gear"}],
}


def wish(**more: Any) -> dict[str, Any]:
    return {"campaign": SPEEDING, "target": {"vehicle": "VIN1"}, **more}


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]


def test_a_campaign_goes_from_a_document_to_its_end(cloud: Cloud):
    author, boss = cloud.key("operator"), cloud.key("fleet-manager")
    with client_of(cloud, author) as writes, client_of(cloud, boss) as approves:
        made = writes.request("POST", "/v1/campaigns", json=wish())
        assert made.status_code == 201
        assert made.json()["state"] == "WAITING_FOR_APPROVAL"
        assert made.json()["document"] == SPEEDING
        at = "/v1/campaigns/speeding"
        assert writes.request("POST", f"{at}/start").status_code == 409
        assert approves.request("POST", f"{at}/approve").json()["state"] == "APPROVED"
        states = [
            writes.request("POST", f"{at}/{verb}").json()["state"]
            for verb in ("start", "suspend", "resume")
        ]
        assert states == ["RUNNING", "SUSPENDED", "RUNNING"]
        assert writes.request("PUT", at, json=wish()).status_code == 409
        assert writes.request("DELETE", at).status_code == 204
        assert writes.get(at).status_code == 404

    done = [act.action for act in cloud.audit.acts if act.action.startswith("campaign.")]
    assert done == [
        f"campaign.{verb}" for verb in ("create", "approve", "start", "suspend", "resume", "delete")
    ]
    assert cloud.poked


def test_nobody_approves_what_they_wrote_unless_the_operator_says_so(cloud: Cloud):
    key = cloud.key("admin")
    with client_of(cloud, key) as client:
        client.request("POST", "/v1/campaigns", json=wish())
        status, detail = problem(client.request("POST", "/v1/campaigns/speeding/approve"))
    assert (status, "somebody else approves it" in detail) == (403, True)

    cloud.self_approval = True
    with client_of(cloud, key) as client:
        assert client.request("POST", "/v1/campaigns/speeding/approve").status_code == 200


def test_whoever_changes_an_approved_campaign_waits_for_approval_anew(cloud: Cloud):
    kept = cloud.campaign("APPROVED", name="speeding", approved_by="user:boss")
    with client_of(cloud) as client:
        changed = client.request("PUT", "/v1/campaigns/speeding", json=wish()).json()

    assert (changed["state"], changed["approved_by"]) == ("WAITING_FOR_APPROVAL", None)
    assert changed["sync_id"] != kept.sync_id


def test_a_fleetwise_document_alone_says_whom_it_is_for(client: Client):
    arn = "arn:aws:iotfleetwise:eu-central-1:123456789012:fleet/north"
    made = client.request("POST", "/v1/campaigns", json={**SPEEDING, "targetArn": arn}).json()

    assert made["target"] == {"kind": "fleet", "text": "north"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "name: a campaign has one"),
        (SPEEDING, "target: whom is it for?"),
        (wish(target={}), "target: give one of vehicle, fleet, query"),
        (wish(target={"vehicle": "a", "fleet": "b"}), "target: give one of"),
        (wish(target={"vehicle": "a b"}), "is not a vehicle id"),
        (wish(target={"query": "year >"}), "query, character 7"),
        (wish(stages=[{"percent": 0}]), "stages[0]: percent is above 0"),
        (wish(stages=[{"after_s": 0}]), "stages[0].percent: is missing"),
        (wish(maxRefusedPercent=101), "maxRefusedPercent: must be a number"),
        (wish(colour=1), "colour: there is no such field"),
        (
            wish(
                campaign={
                    **SPEEDING,
                    "collectionScheme": {
                        "conditionBasedCollectionScheme": {"expression": "$variable.`A` >"}
                    },
                }
            ),
            "collectionScheme.conditionBasedCollectionScheme.expression: character",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_the_place(client: Client, body: Any, said: str):
    status, detail = problem(client.request("POST", "/v1/campaigns", json=body))

    assert status == 400
    assert said in detail


def test_a_name_is_taken_once_in_a_tenant(client: Client):
    first = client.request("POST", "/v1/campaigns", json=wish())
    again = client.request("POST", "/v1/campaigns", json=wish())
    other = client.request("POST", "/v1/campaigns?tenant=umbrella", json=wish())

    assert (first.status_code, again.status_code, other.status_code) == (201, 409, 201)


def test_a_share_is_raised_by_hand_and_never_lowered(cloud: Cloud, client: Client):
    cloud.campaign("RUNNING", name="c", percent=5.0, halted="too many refused")
    raised = client.request("POST", "/v1/campaigns/c/stage", json={"percent": 50}).json()
    status, detail = problem(client.request("POST", "/v1/campaigns/c/stage", json={"percent": 20}))

    assert (raised["percent"], raised["halted"]) == (50, None)
    assert (status, "only raised" in detail) == (400, True)


def test_a_grant_over_a_fleet_covers_campaigns_for_that_fleet_alone(cloud: Cloud):
    with client_of(cloud, cloud.key("operator", "default", "north")) as client:
        mine = client.request("POST", "/v1/campaigns", json=wish(target={"fleet": "north"}))
        theirs = client.request("POST", "/v1/campaigns", json=wish(target={"fleet": "south"}))
        everybody = client.request("POST", "/v1/campaigns", json=wish(target={"query": "a"}))
        listed = client.get("/v1/campaigns").json()["campaigns"]
    cloud.campaign(name="hidden")

    assert (mine.status_code, theirs.status_code, everybody.status_code) == (201, 403, 403)
    assert [one["name"] for one in listed] == ["speeding"]


def test_campaigns_are_listed_page_by_page(cloud: Cloud, client: Client):
    for name in ("a", "b", "c"):
        cloud.campaign(name=name)
    first = client.get("/v1/campaigns?limit=2").json()
    rest = client.get("/v1/campaigns", params={"after": first["next"], "limit": 2}).json()

    assert [one["name"] for one in first["campaigns"]] == ["a", "b"]
    assert ([one["name"] for one in rest["campaigns"]], rest["next"]) == (["c"], None)


def test_the_status_of_a_vehicle_is_what_it_said_last(cloud: Cloud, client: Client):
    kept = cloud.campaign("RUNNING", name="c")
    before = client.get("/v1/campaigns/c/vehicles").json()["vehicles"]
    refused = CampaignStatus(
        kept.sync_id, CampaignState.REFUSED, "no such signal", ("budget",), triggers=3
    )
    said = CheckIn("1.0", START_NS, campaigns=(refused,))
    cloud.registry.said.note([CheckedIn(Vehicle("default", "VIN1"), said, START_NS)])
    (after,) = client.get("/v1/campaigns/c/vehicles").json()["vehicles"]

    assert [(one["vehicle"], one["status"]) for one in before] == [("VIN1", "created")]
    assert (after["status"], after["reason"], after["warnings"]) == (
        "refused",
        "no such signal",
        ["budget"],
    )
    assert after["triggers"] == 3
    assert client.get("/v1/campaigns/c").json()["vehicles"]["refused"] == 1


def test_the_vehicles_of_a_campaign_are_listed_page_by_page(cloud: Cloud, client: Client):
    for name in ("VIN1", "VIN2"):
        cloud.registry.plan.put_facts(Vehicle("default", name), Facts({}, frozenset({"north"})))
    made = client.request("POST", "/v1/campaigns", json={**wish(), "target": {"fleet": "north"}})
    assert made.status_code == 201
    first = client.get("/v1/campaigns/speeding/vehicles?limit=1").json()
    rest = client.get(f"/v1/campaigns/speeding/vehicles?limit=5&after={first['next']}").json()

    assert [one["vehicle"] for one in first["vehicles"]] == ["VIN1"]
    assert ([one["vehicle"] for one in rest["vehicles"]], rest["next"]) == (["VIN2"], None)


def told_catalogue(cloud: Cloud, vehicle: str, *signals: Signal) -> None:
    catalogue = dictionary_of(SignalTable(signals))
    KeptCatalogues(cloud.registry.dictionaries).keep_catalogue("default", catalogue)
    said = CheckIn("1.0", START_NS, catalogue_id=catalogue.id)
    cloud.registry.said.note([CheckedIn(Vehicle("default", vehicle), said, START_NS)])


@pytest.mark.parametrize(
    ("signals", "fit", "missing", "errors"),
    [
        ((Signal("Vehicle.Speed"), Signal("Vehicle.Gear", Kind.TEXT)), "whole", {}, 0),
        ((Signal("Vehicle.Speed"),), "partly", {"Vehicle.Gear": 1}, 0),
        ((Signal("Vehicle.Gear"),), "not", {"Vehicle.Speed": 1}, 0),
        ((Signal("Vehicle.Speed", Kind.TEXT), Signal("Vehicle.Gear")), "not", {}, 1),
    ],
)
def test_a_campaign_is_held_against_what_its_vehicles_can_collect(
    cloud: Cloud, client: Client, signals: Any, fit: str, missing: Any, errors: int
):
    client.request("POST", "/v1/campaigns", json=wish(target={"query": 'not id == ""'}))
    told_catalogue(cloud, "VIN1", *signals)
    found = client.get("/v1/campaigns/speeding/check").json()

    assert found["vehicles"] == 2
    wanted = dict.fromkeys(("whole", "partly", "not", "unknown"), 0) | {fit: 1, "unknown": 1}
    assert found["counts"] == wanted
    assert found["missing"] == missing
    assert len(found["errors"]) == errors
    assert found["examples"][fit] == ["VIN1"]


def brought(cloud: Cloud, sync_id: str, stream: str = STREAM) -> None:
    """Have VIN1's first batch be of a campaign."""
    part = CampaignPart(sync_id, "crash", (CampaignEvent(7, START_NS, 4, ("P0420",)),))
    key = BatchKey("default", BatchName("VIN1", stream, 1))
    claimant = Claimant("ann", START_NS, lease_ns=S)
    cloud.registry.ledger.claim([key], claimant)
    collected = {key: Collected(part, 4, 2_500_000, START_NS)}
    cloud.registry.ledger.settle([key], claimant, collected)


def test_progress_and_cost_are_what_arrived(cloud: Cloud):
    kept = cloud.campaign("RUNNING", name="c")
    brought(cloud, kept.sync_id)
    cloud.price_per_mb = 0.4
    with client_of(cloud) as client:
        shown = client.get("/v1/campaigns/c").json()["progress"]
        (vehicle,) = client.get("/v1/campaigns/c/vehicles").json()["vehicles"]

    assert (shown["events"], shown["samples"], shown["received_bytes"]) == (1, 4, 2_500_000)
    assert shown["cost"] == {"amount": 1.0, "currency": "EUR"}
    assert vehicle["progress"] == shown
    cloud.price_per_mb = 0.0
    with client_of(cloud) as client:
        assert client.get("/v1/campaigns/c").json()["progress"]["cost"] is None


def test_events_are_listed_with_their_trouble_codes(cloud: Cloud, client: Client):
    kept = cloud.campaign("RUNNING", name="c")
    brought(cloud, kept.sync_id)
    (event,) = client.get("/v1/campaigns/c/events").json()["events"]

    assert (event["vehicle"], event["id"], event["samples"]) == ("VIN1", 7, 4)
    assert (event["time_ns"], event["dtcs"]) == (START_NS, ["P0420"])
    assert client.get("/v1/campaigns/c/events?before=nonsense").status_code == 400


def test_data_are_the_samples_of_the_campaigns_own_streams(cloud: Cloud, client: Client):
    kept = cloud.campaign("RUNNING", name="c")
    other = batch("VIN1", (0, 5, 99.0))
    key = replace(other.name, stream="00000000000000bb")
    cloud.telemetry.append([replace(other, name=key)])
    brought(cloud, kept.sync_id, "00000000000000bb")
    at = "/v1/campaigns/c/data?vehicle=VIN1&signal=Vehicle.Speed"

    assert client.get(at).json()["value"] == [99.0]
    assert client.get(f"{at}&partition=crash").json()["value"] == [99.0]
    assert client.get(f"{at}&partition=other").json()["value"] == []
    assert client.get(f"{at}&format=csv").text.splitlines()[0] == '"time_ns","value"'
    assert client.get(at.replace("VIN1", "VIN9")).status_code == 404


def test_a_document_larger_than_any_is_refused_before_it_is_read(client: Client):
    large = {**DOCUMENT, "name": "c", "description": "x" * 2_000_000}
    answer = client.request("POST", "/v1/campaigns", json=large)

    assert answer.status_code == 413
