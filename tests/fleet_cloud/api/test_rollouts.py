"""Rollouts over the API: from a wish to the record."""

import json
from typing import Any

import pytest

from fairway.errors import Conflict
from fairway.update import Stage
from fleet_cloud.audit.chain import key_name
from fleet_cloud.rollouts.ports import RegisteredEcu
from fleet_cloud.rollouts.records import verify_export
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.fleet_cloud.api.conftest import START_NS, Client, Cloud, client_of
from tests.rollouts_kit import BUNDLE

WISH = {"name": "winter", "bundle": BUNDLE, "target": {"vehicle": "VIN1"}, "takes_unknown": True}


@pytest.fixture
def ready(cloud: Cloud) -> Cloud:
    """VIN1 can be offered the release."""
    cloud.updates.release(tenant="default")
    cloud.updates.vehicles.add(Vehicle("VIN1", "default", VehicleState.ACTIVE, START_NS, None))
    return cloud


def created(client: Client, **more: object) -> dict[str, Any]:
    answer = client.request("POST", "/v1/rollouts", json={"wish": WISH, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def act(client: Client, rollout: str, verb: str, **body: str) -> dict[str, Any]:
    answer = client.request("POST", f"/v1/rollouts/{rollout}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_rollout_from_draft_to_record(ready: Cloud):
    kit = ready.updates
    with client_of(ready, ready.key("release-author")) as author:
        made = created(author, draft=True)
        assert made["state"] == "DRAFT"
        assert act(author, made["id"], "submit")["state"] == "AWAITING_APPROVAL"
        refused = author.request("POST", f"/v1/rollouts/{made['id']}/approve")
        assert refused.status_code == 403
    with client_of(ready, ready.key("admin")) as client:
        assert act(client, made["id"], "approve")["approved_by"].startswith("key:")
        act(client, made["id"], "start")
        kit.now = ready.clock.now_ns()
        kit.run()
        shown = client.get(f"/v1/rollouts/{made['id']}").json()
        assert shown["waves"][0]["vehicles"]["open"] == 1
        vehicles = client.get(f"/v1/rollouts/{made['id']}/vehicles?stage=offered").json()
        assert [one["vehicle"] for one in vehicles["vehicles"]] == ["VIN1"]
        of_vehicle = client.get("/v1/vehicles/VIN1/updates").json()
        assert of_vehicle["updates"][0]["standing"]["stage"] == Stage.OFFERED
        assert act(client, made["id"], "pause", why="a look")["why"] == "a look"
        assert act(client, made["id"], "resume")["state"] == "RUNNING"
        assert act(client, made["id"], "retry") == {"vehicles": 0}
        assert act(client, made["id"], "stop", why="no")["state"] == "STOPPED"
        records = client.get(f"/v1/rollouts/{made['id']}/records")
        late = client.request("POST", f"/v1/rollouts/{made['id']}/start")
    assert late.status_code == 409
    assert "cannot start" in late.json()["detail"]
    keys = {key_name(kit.signer.public_key()): kit.signer.public_key()}
    (proof,) = verify_export(records.content.splitlines(keepends=True), keys)
    said = [
        json.loads(line)["what"]
        for line in records.content.splitlines()
        if b'"is":"record"' in line
    ]
    assert proof.series == made["id"]
    assert {"create", "submit", "approve", "start", "offered", "pause", "resume", "stop"} <= set(
        said
    )


def test_its_author_does_not_approve_it(ready: Cloud):
    with client_of(ready, ready.key("admin")) as client:
        answer = client.request("POST", f"/v1/rollouts/{created(client)['id']}/approve")

    assert answer.status_code == 403
    assert "somebody else approves it" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({}, "name: is missing"),
        ({**WISH, "bundle": "nothing.json"}, "is no release of default"),
        ({**WISH, "waves": [{"percents": 5}]}, "did you mean percent"),
    ],
)
def test_a_wish_that_cannot_be_is_told_with_its_place(
    ready: Cloud, wish: dict[str, Any], said: str
):
    with client_of(ready) as client:
        answer = client.request("POST", "/v1/rollouts", json={"wish": wish})

    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_lists_go_on_behind_a_page(ready: Cloud):
    with client_of(ready) as client:
        made = [created(client)["id"] for _ in range(3)]
        first = client.get("/v1/rollouts?limit=2").json()
        second = client.get(f"/v1/rollouts?limit=2&after={first['next']}").json()

    assert sorted(one["id"] for one in first["rollouts"] + second["rollouts"]) == sorted(made)
    assert second["next"] is None


def test_ecus_that_wait_are_shown_and_accepted(ready: Cloud):
    ecus = ready.updates.updates.ecus
    ecus.register("default", "VIN1", [RegisteredEcu("a", "gateway", is_primary=True)], START_NS)
    with pytest.raises(Conflict):
        ecus.register("default", "VIN1", [RegisteredEcu("b", "gateway", is_primary=True)], START_NS)
    with client_of(ready) as client:
        waiting = client.get("/v1/ecus").json()["waiting"]
        client.request("POST", "/v1/ecus/VIN1/accept")
        after = client.get("/v1/ecus?vehicle=VIN1").json()

    assert [one["ecus"][0]["serial"] for one in waiting] == ["b"]
    assert ([one["serial"] for one in after["ecus"]], after["waiting"]) == (["b"], [])


def test_rxswins_are_counted_by_type(ready: Cloud):
    ready.updates.updates.vehicles.note_listening({("default", "VIN1"): True})
    with client_of(ready) as client:
        answer = client.get("/v1/rxswin?by=model&tenant=default").json()

    assert answer == {"by": "model", "types": []}
