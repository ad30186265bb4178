"""Commands over the API: asked, answered in time or later; state templates, twins and facts."""

import asyncio
import json

import httpx

from fairway.control import Answer, AnswerState, StateValue
from fleet_cloud.api.service import make_api
from fleet_cloud.control.ports import (
    Vehicle,
)
from tests.fleet_cloud.api.conftest import START_NS, Client, Cloud, bearer, client_of

VIN1 = Vehicle("default", "VIN1")


def test_a_vehicle_that_answers_in_time_is_told_at_once(cloud: Cloud):
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(make_api(cloud.ports()))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://c", headers=bearer(cloud.key())
        ) as http:
            asking = asyncio.create_task(http.get("/v1/vehicles/VIN1/campaigns/speed/why?wait=5"))
            while not cloud.registry.commands.open_commands(START_NS):
                await asyncio.sleep(0.01)
            (order,) = cloud.registry.commands.open_commands(START_NS)
            why = json.dumps({"missing": ["Vehicle.Gear"]})
            answer = Answer(order.id, AnswerState.SUCCEEDED, 0, "it waits", why)
            cloud.registry.commands.answered([(VIN1, answer)])
            return await asking

    answer = asyncio.run(ask())
    told = answer.json()

    assert answer.status_code == 200
    assert (told["state"], told["command"]) == ("succeeded", "ExplainCampaign")
    assert (told["sentence"], told["answer"]) == ("it waits", {"missing": ["Vehicle.Gear"]})


def test_a_vehicle_that_is_away_may_answer_later(cloud: Cloud, client: Client):
    asked = client.get("/v1/vehicles/VIN1/campaigns/speed/why?wait=0")
    at = f"/v1/commands/{asked.json()['id']}"
    assert (asked.status_code, asked.json()["state"]) == (202, "open")
    assert client.get(at).json()["state"] == "open"

    answer = Answer(asked.json()["id"], AnswerState.FAILED, 5, "no such campaign", "no json {")
    cloud.registry.commands.answered([(VIN1, answer)])
    told = client.get(at).json()

    assert (told["state"], told["reason_code"]) == ("failed", 5)
    assert (told["sentence"], told["answer"]) == ("no such campaign", "no json {")


def test_a_command_that_nobody_answered_expires(cloud: Cloud, client: Client):
    asked = client.request(
        "POST", "/v1/vehicles/VIN1/campaigns/c/upload?wait=0", json={"partition": "crash"}
    ).json()
    cloud.clock.advance(3601 * 10**9)
    with client_of(cloud) as later:
        assert later.get(f"/v1/commands/{asked['id']}").json()["state"] == "expired"


def test_every_command_is_in_the_audit_log_with_who_gave_it(cloud: Cloud, client: Client):
    for verb in ("activate", "deactivate", "snapshot"):
        at = f"/v1/vehicles/VIN1/state-templates/doors/{verb}?wait=0"
        assert client.request("POST", at, json={}).status_code == 202

    acts = [act for act in cloud.audit.acts if act.action == "vehicle.command"]
    assert [act.details["what"] for act in acts] == [
        "ActivateState",
        "DeactivateState",
        "SnapshotState",
    ]
    assert {act.object for act in acts} == {"vehicle:VIN1"}


def test_templates_are_made_replaced_and_forgotten(cloud: Cloud, client: Client):
    wish = {"signals": ["Vehicle.Door", "Vehicle.Door", "Vehicle.Lock"], "period_ms": 5000}
    made = client.request("PUT", "/v1/state-templates/doors", json=wish).json()

    assert made["signals"] == ["Vehicle.Door", "Vehicle.Lock"]
    assert client.get("/v1/state-templates/doors").json() == made
    assert client.get("/v1/state-templates").json() == {"templates": [made]}
    assert client.request("DELETE", "/v1/state-templates/doors").status_code == 204
    assert client.request("DELETE", "/v1/state-templates/doors").status_code == 404
    assert client.request("PUT", "/v1/state-templates/x", json={"signals": []}).status_code == 400
    assert cloud.poked


def test_a_twin_shows_the_last_known_values_with_their_times(cloud: Cloud, client: Client):
    values = [
        StateValue("Vehicle.Speed", START_NS, float("nan")),
        StateValue("Vehicle.Door", START_NS, value=True),
    ]
    cloud.registry.said.report([(VIN1, "doors", values)], START_NS)
    told = client.get("/v1/vehicles/VIN1/twin").json()

    assert told["vehicle"] == "VIN1"
    assert [(one["signal"], one["value"], one["template"]) for one in told["values"]] == [
        ("Vehicle.Door", True, "doors"),
        ("Vehicle.Speed", None, "doors"),
    ]


def test_facts_are_replaced_whole_and_kept_within_bounds(client: Client):
    at = "/v1/vehicles/VIN1/facts"
    facts = {"attributes": {"model": "ID.4", "year": 2024, "is_rental": True}, "fleets": ["north"]}

    assert client.request("PUT", at, json=facts).json() == facts
    assert client.get(at).json() == facts
    wrong = [
        {"attributes": {"id": "x"}, "fleets": []},
        {"attributes": {"a b": 1}, "fleets": []},
        {"attributes": {f"a{number}": 1 for number in range(65)}, "fleets": []},
        {"attributes": {}, "fleets": ["a b"]},
        {"attributes": {"a": None}, "fleets": []},
    ]
    assert [client.request("PUT", at, json=one).status_code for one in wrong] == [400] * 5
    assert client.get(at).json() == facts


def test_a_vehicle_is_there_for_the_fleets_it_is_in_and_moved_by_whoever_holds_both(cloud: Cloud):
    at = "/v1/vehicles/VIN1/facts"
    both = {"attributes": {}, "fleets": ["north", "south"]}
    with client_of(cloud, cloud.key("fleet-manager", "default", "north")) as north:
        assert north.get("/v1/vehicles/VIN1").status_code == 404
        with client_of(cloud) as boss:
            boss.request("PUT", at, json={"attributes": {}, "fleets": ["north"]})
        assert north.get("/v1/vehicles/VIN1").status_code == 200
        assert north.get("/v1/vehicles/VIN2").status_code == 404
        assert north.request("PUT", at, json=both).status_code == 403
        named = {"attributes": {"year": 2024}, "fleets": ["north"]}
        assert north.request("PUT", at, json=named).status_code == 200


def test_another_tenants_command_is_not_there(cloud: Cloud, client: Client):
    asked = client.get("/v1/vehicles/VIN1/campaigns/speed/why?wait=0").json()
    with client_of(cloud, cloud.key("admin", "umbrella")) as other:
        assert other.get(f"/v1/commands/{asked['id']}").status_code == 404
    assert cloud.registry.commands.command(None, asked["id"]) is not None
