"""Dry runs over the API: what a campaign would have done on drives that are stored."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from fairway.clock import NS_PER_S
from fairway.identity import DEFAULT_TENANT
from fairway.ids import BatchName
from fairway.samples import SampleBlock
from fairway.telemetry import CampaignPart
from fleet_cloud.adapters.telemetry_store_memory import MemoryTelemetryStore
from fleet_cloud.campaigns.trial import TRIAL_MAX_S
from fleet_cloud.ingest.ports import AcceptedBatch
from fleet_cloud.ingest.records import BatchKey, Claimant, Collected
from fleet_cloud.vehicles.drives import DriveSpan
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.fleet_cloud.api.conftest import (
    START_NS,
    STREAM,
    TABLE,
    Client,
    Cloud,
    client_of,
    small_fleet,
)

FAST = {
    "name": "fast",
    "collectionScheme": {
        "conditionBasedCollectionScheme": {
            "expression": "$variable.`Vehicle.Speed` > 100",
            "triggerMode": "RISING_EDGE",
        }
    },
    "signalsToCollect": [{"name": "Vehicle.Speed"}],
}
CAMPAIGN_STREAM = "00000000000000cc"
HOUR = 3600


def driven(vehicle: str, first_s: float, *speeds: float, **more: Any) -> AcceptedBatch:
    """Speeds, one a second."""
    count = len(speeds)
    times = START_NS + np.arange(count, dtype=np.int64) * NS_PER_S + int(first_s * NS_PER_S)
    block = SampleBlock(TABLE, np.zeros(count, np.int32), times, np.array(speeds, np.float64))
    name = BatchName(vehicle, more.get("stream", STREAM), more.get("sequence", 10))
    return AcceptedBatch(DEFAULT_TENANT, name, block, START_NS)


@pytest.fixture
def cloud() -> Cloud:
    """The small fleet, of which both vehicles have driven an hour before."""
    cloud = small_fleet()
    cloud.price_per_mb = 2.0
    cloud.telemetry.append(
        [
            driven("VIN1", -HOUR, 90, 110, 120, 80, 130, 70),
            driven("VIN1", -HOUR + 900, 50, 101, 50, sequence=11),  # after a break
            driven("VIN2", -HOUR, 10, 20, 30),
        ]
    )
    cloud.clock.advance(START_NS + 60 * NS_PER_S - cloud.clock.now_ns())
    return cloud


def ask(client: Client, path: str = "/v1/campaigns/dry-run", **wish: Any) -> Any:
    body = {"campaign": FAST, "vehicles": ["VIN1"], "from": "-2h", "to": "-30m", **wish}
    if path != "/v1/campaigns/dry-run":
        del body["campaign"]
    return client.request("POST", path, json={k: v for k, v in body.items() if v is not None})


def test_a_document_is_tried_on_each_drive_of_the_span(client: Client):
    answer = ask(client)

    assert answer.status_code == 200
    said = answer.json()
    prediction = said["prediction"]
    assert (prediction["campaign"], prediction["refused"]) == ("fast", None)
    assert (prediction["drives"], prediction["drive_s"]) == (2, 7.0)
    assert prediction["triggers"] == 3
    first_ns = START_NS - HOUR * NS_PER_S
    offsets = [(at - first_ns) // NS_PER_S for at in prediction["trigger_times_ns"]]
    assert offsets == [1, 4, 901]
    # Two of the first drive before it was too fast, the three since, and the second drive's two.
    assert prediction["samples"] == 2 + 3 + 2
    assert said["vehicles"] == [{"vehicle": "VIN1", "rows": 9, "prediction": prediction}]
    assert said["currency"] == "EUR"


def test_a_month_costs_what_the_configured_price_says(client: Client):
    prediction = ask(client, hoursPerMonth=7 / 3600 * 10).json()["prediction"]

    assert prediction["month"]["triggers"] == 30.0
    assert prediction["month"]["megabytes"] == pytest.approx(prediction["bytes"] * 10 / 1e6)
    assert prediction["month"]["cost"] == pytest.approx(prediction["bytes"] * 20 / 1e6)


def test_several_vehicles_add_up(client: Client):
    said = ask(client, vehicles=["VIN1", "VIN2"]).json()

    each = [one["prediction"] for one in said["vehicles"]]
    assert [one["triggers"] for one in each] == [3, 0]
    assert said["prediction"]["drives"] == 3
    for name in ("triggers", "samples", "bytes", "drive_s"):
        assert said["prediction"][name] == sum(one[name] for one in each), name


def test_a_campaign_that_is_there_is_tried_by_its_name(client: Client, cloud: Cloud):
    kept = cloud.campaign(name="there", document=FAST | {"name": "there"})

    said = ask(client, f"/v1/campaigns/{kept.name}/dry-run").json()["prediction"]

    assert (said["campaign"], said["sync_id"], said["triggers"]) == ("there", kept.sync_id, 3)


def test_what_campaigns_brought_is_not_counted_again_unless_it_is_asked_for(
    client: Client, cloud: Cloud
):
    cloud.telemetry.append([driven("VIN1", -HOUR + 0.5, 140, 0, 140, stream=CAMPAIGN_STREAM)])
    key = BatchKey(DEFAULT_TENANT, BatchName("VIN1", CAMPAIGN_STREAM, 10))
    who = Claimant("ann", START_NS, lease_ns=NS_PER_S)
    cloud.registry.ledger.claim([key], who)
    brought = Collected(CampaignPart("other@1", ""), 3, 100, START_NS)
    cloud.registry.ledger.settle([key], who, {key: brought})

    assert ask(client).json()["prediction"]["triggers"] == 3
    alone = ask(client, stream=CAMPAIGN_STREAM).json()
    assert (alone["vehicles"][0]["rows"], alone["prediction"]["triggers"]) == (3, 1)
    assert f"the stream {CAMPAIGN_STREAM}" in alone["prediction"]["notes"][0]


def test_what_makes_it_inexact_is_said_and_what_was_never_stored_is_named(client: Client):
    signals = [{"name": "Vehicle.Speed"}, {"name": "Vehicle.Door"}, {"name": "Nothing.*"}]
    said = ask(client, campaign=FAST | {"signalsToCollect": signals}).json()["prediction"]

    assert "standing collection" in said["notes"][0]
    assert "of VIN1 nothing was ever stored of Vehicle.Door" in said["notes"]
    assert any(warning.startswith("Nothing.* collects nothing") for warning in said["warnings"])


def test_a_span_without_samples_says_so(client: Client):
    said = ask(client, to="-90m").json()["prediction"]

    assert (said["drives"], said["triggers"], said["month"]["megabytes"]) == (0, 0, 0.0)
    assert "of VIN1 nothing of what the campaign needs is stored in this span" in said["notes"]


def test_functions_in_python_are_refused_with_a_sentence(client: Client):
    scheme = {"conditionBasedCollectionScheme": {"expression": "custom_function('python', 'f', 1)"}}
    said = ask(client, campaign=FAST | {"collectionScheme": scheme}).json()["prediction"]

    assert said["refused"].startswith("fast: collectionScheme.conditionBasedCollectionScheme")
    assert "the cloud runs no custom function such as 'python'" in said["refused"]


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"vehicles": []}, "vehicles: give at least one"),
        ({"vehicles": ["VIN1"] * 2}, "vehicles: give 1 to 10 different ones"),
        ({"vehicles": None}, "vehicles"),
        ({"from": None}, "from: is missing"),
        ({"from": "soon"}, "from is 'soon'"),
        ({"from": "-1m"}, "from is not before to"),
        ({"from": "-40d"}, "more than 31 days apart"),
        ({"hoursPerMonth": 0}, "hoursPerMonth"),
        ({"hoursPerMonth": 745}, "hoursPerMonth"),
        ({"stream": "zz"}, "stream"),
        ({"more": 1}, "more: there is no such field"),
        ({"campaign": None}, ""),
        ({"campaign": FAST | {"collectionScheme": {}}}, "collectionScheme"),
    ],
)
def test_a_wish_that_makes_no_sense_is_a_bad_request(
    client: Client, wish: dict[str, Any], sentence: str
):
    answer = ask(client, **wish)

    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]


def test_a_vehicle_that_is_not_the_callers_is_not_there(cloud: Cloud):
    cloud.vehicles.add(Vehicle("OTHER", "umbrella", VehicleState.ACTIVE, START_NS, None))
    with client_of(cloud) as everybodys:
        answers = [ask(everybodys, vehicles=["VIN1", name]) for name in ("OTHER", "NOBODY")]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_an_act_is_audited_with_its_vehicles_and_span(client: Client, cloud: Cloud):
    ask(client)

    act = next(act for act in cloud.audit.acts if act.action == "campaign.dry-run")
    assert (act.object, act.tenant, act.details["vehicles"]) == ("campaign:fast", "default", "VIN1")


class Slow(MemoryTelemetryStore):
    """A store that takes its time."""

    cloud: Cloud

    def rows(self, span: DriveSpan, *, limit: int) -> SampleBlock:
        self.cloud.clock.advance((TRIAL_MAX_S + 1) * NS_PER_S)
        return super().rows(span, limit=limit)


def test_a_dry_run_that_takes_too_long_ends_with_a_sentence(cloud: Cloud):
    slow = Slow()
    slow.append(list(cloud.telemetry.batches.values()))
    slow.cloud, cloud.telemetry = cloud, slow
    with client_of(cloud) as client:
        answer = ask(client)

    assert answer.status_code == 503
    assert "choose a shorter span" in answer.json()["detail"]


class Held(MemoryTelemetryStore):
    """A store that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = threading.Event(), threading.Event()

    def rows(self, span: DriveSpan, *, limit: int) -> SampleBlock:
        self.asked.set()
        assert self.let.wait(20)
        return super().rows(span, limit=limit)


def test_a_tenant_has_one_dry_run_at_a_time(cloud: Cloud):
    held = Held()
    held.append(list(cloud.telemetry.batches.values()))
    cloud.telemetry = held
    statuses: list[int] = []
    with client_of(cloud) as client:

        async def both() -> None:
            http = client._http
            body = {"campaign": FAST, "vehicles": ["VIN1"], "from": "-2h"}
            first = asyncio.create_task(http.post("/v1/campaigns/dry-run", json=body))
            await asyncio.to_thread(held.asked.wait, 20)
            second = await http.post("/v1/campaigns/dry-run", json=body)
            held.let.set()
            statuses.extend([second.status_code, (await first).status_code])
            third = await http.post("/v1/campaigns/dry-run", json=body)
            statuses.append(third.status_code)

        client._runner.run(both())

    assert statuses == [429, 200, 200]
