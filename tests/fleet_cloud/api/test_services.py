"""Services over the API: desired, approved, removed; what vehicles say; images; commands inside."""

from dataclasses import replace
from typing import Any

import pytest

from fairway.control import (
    ExecuteInService,
    FetchServiceLogs,
    RestartService,
    ServiceDenial,
    ServiceStatus,
    StopService,
)
from fairway.oci.model import digest_of
from fairway.services.states import State, Sub
from fleet_cloud.api.parameters import iso
from fleet_cloud.control.ports import Vehicle
from fleet_cloud.control.targets import Facts
from fleet_cloud.services.model import Said
from tests.fleet_cloud.api.conftest import (
    CONFIG_BYTES,
    IMAGE,
    IMAGE_BYTES,
    LAYER,
    LAYER_BYTES,
    MANIFEST,
    START_NS,
    Client,
    Cloud,
    client_of,
)

VIN1 = Vehicle("default", "VIN1")
STATUS = ServiceStatus(
    "tyre-watch", "1.2.0", State.FAILED, Sub.EXEC_FAILED, "it ended with 3", bad=("1.3.0",)
)


def runs_services(cloud: Cloud, *statuses: ServiceStatus, vehicle: Vehicle = VIN1) -> None:
    cloud.registry.service_statuses.note_services([Said(vehicle, 4, statuses, START_NS)], ())


def test_a_service_is_applied_shown_changed_and_removed(cloud: Cloud, client: Client):
    made = client.request("POST", "/v1/services", json={"manifest": MANIFEST, "fleet": "north"})
    assert made.status_code == 201
    shown = made.json()
    at = f"/v1/services/{shown['id']}"
    assert (shown["service"], shown["state"]) == ("tyre-watch", "IN_FORCE")
    assert shown["target"] == {"kind": "fleet", "text": "north"}
    assert shown["in_force"]["manifest"] == MANIFEST
    assert client.get(at).json() == shown
    assert client.get("/v1/services").json() == {"services": [shown], "next": None}
    assert client.get("/v1/services?service=other").json()["services"] == []

    text = f"name: tyre-watch\nversion: 1.3.0\nimage: {IMAGE}\n"
    again = client.request("POST", "/v1/services", json={"manifest": text, "fleet": "north"})
    assert again.json()["id"] == shown["id"]
    assert again.json()["in_force"]["version"] == "1.3.0"
    assert len(cloud.poked) == 2  # vehicles are told at once

    assert client.request("DELETE", at).status_code == 204
    assert client.get(at).status_code == 404


def test_where_a_tenant_demands_it_somebody_else_approves(cloud: Cloud):
    cloud.approval = True
    author, other = cloud.key("release-author"), cloud.key("release-approver")
    wish = {"manifest": MANIFEST, "vehicle": "VIN1"}
    with client_of(cloud, author) as client:
        made = client.request("POST", "/v1/services", json=wish).json()
        approve = f"/v1/services/{made['id']}/approve"
        assert (made["state"], made["in_force"]) == ("WAITING_FOR_APPROVAL", None)
        assert client.request("POST", approve, json={}).status_code == 403
    with client_of(cloud, other) as client:
        stale = client.request("POST", approve, json={"sync_id": "0" * 64})
        assert stale.status_code == 409
        wanted = {"sync_id": made["proposed"]["sync_id"]}
        done = client.request("POST", approve, json=wanted).json()

    assert done["state"] == "IN_FORCE"
    assert done["in_force"]["approved_by"].startswith("key:")
    assert done["in_force"]["approved_by"] != done["in_force"]["author"]


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"manifest": MANIFEST}, "whom is it for?"),
        ({"manifest": MANIFEST, "fleet": "a", "vehicle": "VIN1"}, "whom is it for?"),
        ({"manifest": MANIFEST, "query": "year >"}, "query, character"),
        ({"manifest": {**MANIFEST, "holograms": 1}, "fleet": "a"}, "holograms"),
        ({"manifest": {**MANIFEST, "image": "latest"}, "fleet": "a"}, "name it by digest"),
        ({"manifest": "name: [", "fleet": "a"}, "the manifest"),
        ({"manifest": 7, "fleet": "a"}, "manifest"),
        ({"manifest": "a: &a [*a]", "fleet": "a"}, "the manifest"),
    ],
)
def test_a_wish_that_no_vehicle_could_take_is_refused(client: Client, wish, sentence):
    answer = client.request("POST", "/v1/services", json=wish)

    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]


def test_a_manifest_that_is_too_large_is_refused(client: Client):
    tags = {f"t{number}": "x" * 1000 for number in range(300)}
    wish: dict[str, Any] = {"manifest": "# " + "x" * 300_000, "fleet": "a"}

    assert client.request("POST", "/v1/services", json=wish).status_code == 400
    wish = {"manifest": {**MANIFEST, "tags": tags, "more": "x" * 900_000}, "fleet": "a"}
    assert client.request("POST", "/v1/services", json=wish).status_code == 413


def test_what_a_vehicle_is_to_run_is_merged_and_conflicts_are_told(cloud: Cloud, client: Client):
    cloud.registry.plan.put_facts(VIN1, Facts({}, frozenset({"north", "east"})))
    for version, target in (("1", {"fleet": "north"}), ("2", {"fleet": "east"})):
        manifest = {**MANIFEST, "version": version}
        client.request("POST", "/v1/services", json={"manifest": manifest, **target})
        cloud.clock.advance(1)
    shown = client.get("/v1/vehicles/VIN1/services").json()
    assert (shown["runs_services"], shown["services"]) == (False, [])
    (wanted,) = shown["desired"]
    assert wanted["version"] == "1"
    assert "fleet east want another" in wanted["conflict"]

    own = {"manifest": {**MANIFEST, "version": "3"}, "vehicle": "VIN1"}
    client.request("POST", "/v1/services", json=own)
    (wanted,) = client.get("/v1/vehicles/VIN1/services").json()["desired"]
    assert (wanted["version"], wanted["conflict"], len(wanted["overrides"])) == ("3", None, 2)
    assert client.get("/v1/vehicles/VIN2/services").json()["desired"] == []


def test_what_a_service_was_denied_is_shown_with_its_status(cloud: Cloud, client: Client):
    denials = (
        ServiceDenial("read", "Vehicle.Speed", 3, START_NS, "its manifest does not say so"),
        ServiceDenial("call", "battery.health"),
    )
    runs_services(cloud, replace(STATUS, denials=denials, denied=4))

    (status,) = client.get("/v1/vehicles/VIN1/services").json()["services"]

    assert status["denied"] == 4
    assert status["denials"] == [
        {
            "kind": "read",
            "what": "Vehicle.Speed",
            "count": 3,
            "last": iso(START_NS),
            "why": "its manifest does not say so",
        },
        {"kind": "call", "what": "battery.health", "count": 1, "last": None, "why": None},
    ]


def test_what_vehicles_say_is_shown_by_vehicle_and_by_service(cloud: Cloud, client: Client):
    made = client.request("POST", "/v1/services", json={"manifest": MANIFEST, "fleet": "north"})
    runs_services(cloud, STATUS)
    runs_services(cloud, STATUS, vehicle=Vehicle("default", "VIN2"))

    shown = client.get("/v1/vehicles/VIN1/services").json()
    assert (shown["runs_services"], shown["revision"]) == (True, 4)
    (status,) = shown["services"]
    assert (status["state"], status["sub_state"]) == ("Failed", "ExecFailed")
    assert (status["why"], status["bad_versions"]) == ("it ended with 3", ["1.3.0"])

    at = f"/v1/services/{made.json()['id']}/vehicles"
    page = client.get(f"{at}?limit=1").json()
    assert [one["vehicle"] for one in page["vehicles"]] == ["VIN1"]
    assert page["counts"] == [{"version": "1.2.0", "state": "Failed", "vehicles": 2}]
    rest = client.get(f"{at}?limit=5&after={page['next']}").json()
    assert [one["vehicle"] for one in rest["vehicles"]] == ["VIN2"]
    assert rest["next"] is None


def test_whoever_sees_one_fleet_is_told_of_its_vehicles_alone(cloud: Cloud):
    cloud.registry.plan.put_facts(VIN1, Facts({}, frozenset({"north"})))
    runs_services(cloud, STATUS)
    runs_services(cloud, STATUS, vehicle=Vehicle("default", "VIN2"))
    kept = cloud.desired(fleet="north")
    with client_of(cloud, cloud.key("admin", "default", "north")) as client:
        page = client.get(f"/v1/services/{kept.id}/vehicles").json()
        hidden = client.request("POST", "/v1/services", json={"manifest": MANIFEST, "fleet": "a"})

    assert [one["vehicle"] for one in page["vehicles"]] == ["VIN1"]
    assert page["counts"] == []  # of all fleets, which are not theirs to see
    assert hidden.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("GET", "logs?lines=7&", FetchServiceLogs("tyre-watch", 7)),
        ("POST", "restart?", RestartService("tyre-watch")),
        ("POST", "stop?", StopService("tyre-watch")),
    ],
)
def test_a_vehicle_is_asked_what_was_asked_here(cloud, client, method, path, what):
    at = f"/v1/vehicles/VIN1/services/tyre-watch/{path}wait=0"
    nobody = client.request(method, at)
    assert nobody.status_code == 409
    assert "has not said that it runs services" in nobody.json()["detail"]
    runs_services(cloud)

    asked = client.request(method, at)

    assert asked.status_code == 202
    (order,) = cloud.registry.commands.open_commands(START_NS)
    assert (order.id, order.what) == (asked.json()["id"], what)
    assert cloud.audit.acts[-1].details["service"] == "tyre-watch"


def test_a_command_inside_needs_a_permission_that_an_admin_does_not_have(cloud: Cloud):
    runs_services(cloud)
    at = "/v1/vehicles/VIN1/services/tyre-watch/execute?wait=0"
    with client_of(cloud, cloud.key("admin")) as client:
        refused = client.request("POST", at, json={"argv": ["/bin/sh"]})
        roles = client.request(
            "POST", "/v1/keys", json={"name": "k", "role": "service-executor", "tenant": "default"}
        )
    assert refused.status_code == 403
    assert "services:execute" in refused.json()["detail"]
    assert roles.status_code == 403  # nobody hands on what they do not hold
    assert cloud.registry.commands.open_commands(START_NS) == []
    denied = [act for act in cloud.audit.acts if act.action == "api.deny"]
    assert any("services:execute" in act.details["why"] for act in denied)

    with client_of(cloud, cloud.key("service-executor")) as client:
        asked = client.request("POST", at, json={"argv": ["/bin/ls", "-l"], "timeout_s": 3})
        empty = client.request("POST", at, json={"argv": [""]})
    assert (asked.status_code, empty.status_code) == (202, 400)
    (order,) = cloud.registry.commands.open_commands(START_NS)
    assert order.what == ExecuteInService("tyre-watch", ("/bin/ls", "-l"), 3)
    assert cloud.audit.acts[-2].details["argv"] == "/bin/ls -l"


def test_an_image_is_put_part_by_part_and_then_known(cloud: Cloud, client: Client):
    known = client.request("POST", "/v1/images", json={"digest": IMAGE})
    assert (known.status_code, "push it first" in known.json()["detail"]) == (400, True)
    for data in (LAYER_BYTES, CONFIG_BYTES, IMAGE_BYTES):
        digest = digest_of(data)
        put = client.request("PUT", f"/v1/artifacts/{digest}", content=data)
        assert (put.status_code, put.json()) == (201, {"digest": digest, "size_bytes": len(data)})
        assert client.get(f"/v1/artifacts/{digest}").json() == put.json()

    made = client.request("POST", "/v1/images", json={"digest": IMAGE, "name": "tyre-watch:1"})

    assert made.status_code == 201
    assert made.json()["parts"] == 2
    assert client.get("/v1/images").json() == {"images": [made.json()], "next": None}
    assert cloud.audit.acts[-1].action == "image.push"


def test_what_is_put_is_what_it_is_called_or_not_kept(cloud: Cloud, client: Client):
    put = client.request("PUT", f"/v1/artifacts/{LAYER}", content=b"another")

    assert put.status_code == 400
    assert "what was sent as" in put.json()["detail"]
    assert client.get(f"/v1/artifacts/{LAYER}").status_code == 404
    assert cloud.artifacts.kept == {}


def test_large_artifacts_pass_the_limit_of_other_bodies(client: Client):
    data = bytes(3_000_000)
    digest = digest_of(data)

    put = client.request("PUT", f"/v1/artifacts/{digest}", content=data)

    assert put.json() == {"digest": digest, "size_bytes": 3_000_000}


def test_artifacts_of_another_tenant_are_not_there(cloud: Cloud):
    cloud.push_image("umbrella")
    with client_of(cloud, cloud.key("admin", "default")) as client:
        assert client.get(f"/v1/artifacts/{LAYER}").status_code == 404
        assert client.get(f"/v1/artifacts/{LAYER}?tenant=umbrella").status_code == 404
        assert client.request("POST", "/v1/images", json={"digest": IMAGE}).status_code == 400
        there = {"tenant": "umbrella"}
        put = client.request("PUT", f"/v1/artifacts/{LAYER}", content=LAYER_BYTES, params=there)
        assert put.status_code == 403
