"""Every route, with every role, over its own tenant, another's, a fleet and all: who is let in, and to what.

Rule 1: the table below is written by hand; what is answered is compared with it, not with the code's own table.
Rule 2: a route with many operations (`POST /`) has a table of its own, with a row for each.
Rule 3: a route that is not in it, or declares neither what it needs nor that it is public, fails a test here.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from fairway.control import ExplainCampaign, StateTemplate
from fairway.errors import Conflict
from fairway.signers import file
from fleet_cloud.access.grants import ALL, Grant
from fleet_cloud.access.keys import fresh_key
from fleet_cloud.access.roles import Permission, Role
from fleet_cloud.adapters.memory_access import MemoryUsers
from fleet_cloud.adapters.own_issuer import OwnIssuer
from fleet_cloud.api.ports import SignIn
from fleet_cloud.api.service import make_api
from fleet_cloud.audit.acts import Act
from fleet_cloud.control.ports import (
    Order,
)
from fleet_cloud.control.ports import (
    Vehicle as VehicleOf,
)
from fleet_cloud.ingest.records import Misfit
from fleet_cloud.rollouts.ports import RegisteredEcu
from fleet_cloud.services.model import Said
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.fleet_cloud.api.conftest import (
    DOCUMENT,
    IMAGE,
    LAYER,
    LAYER_BYTES,
    MANIFEST,
    START_NS,
    Client,
    Cloud,
    bearer,
    client_of,
    small_fleet,
)
from tests.rollouts_kit import BUNDLE

ROLES = (
    "viewer", "operator", "fleet-manager", "release-author", "release-approver", "privacy-officer", "admin",
    "service-executor",
)  # fmt: skip
# Grants over the tenant of what is asked for, over another, over a fleet without it, and over everything.
SCOPES = {
    "own": ("default", ALL),
    "other": ("umbrella", ALL),
    "fleet": ("default", "south"),
    "all": (ALL, ALL),
}

#     route                                            vw op fm au ap po ad sx   own  other fleet all
TABLE = """
GET   /v1/me                                           y  y  y  y  y  y  y  y    200  200  200  200
GET   /v1/vehicles                                     y  y  y  y  y  y  y  y    200  200  200  200
GET   /v1/vehicles/{vehicle}                           y  y  y  y  y  y  y  y    200  404  404  200
GET   /v1/vehicles/{vehicle}/signals                   y  y  y  -  -  -  y  -    200  404  404  200
GET   /v1/vehicles/{vehicle}/signals/{signal}/series   y  y  y  -  -  -  y  -    200  404  404  200
GET   /v1/live                                         y  y  y  -  -  -  y  -    200  200  200  200
GET   /v1/ingest                                       -  y  y  -  -  -  y  -    403  403  403  200
GET   /v1/quarantine                                   -  y  y  -  -  -  y  -    200  200  200  200
GET   /v1/quarantine/{entry}/payload                   -  y  y  -  -  -  y  -    200  404  404  200
GET   /metrics                                         -  y  y  -  -  -  y  -    403  403  403  200
GET   /v1/audit                                        -  -  -  -  -  y  y  -    200  200  200  200
GET   /v1/keys                                         -  -  -  -  -  -  y  -    200  200  200  200
POST  /v1/keys                                         -  -  -  -  -  -  y  -    201  403  403  201
DELETE /v1/keys/{key}                                  -  -  -  -  -  -  y  -    204  404  404  204
GET   /v1/vehicles/{vehicle}/twin                      y  y  y  -  -  -  y  -    200  404  404  200
GET   /v1/vehicles/{vehicle}/facts                     y  y  y  y  y  y  y  y    200  404  404  200
PUT   /v1/vehicles/{vehicle}/facts                     -  -  y  -  -  -  y  -    200  404  404  200
GET   /v1/campaigns                                    y  y  y  -  -  y  y  -    200  200  200  200
POST  /v1/campaigns                                    -  y  y  -  -  -  y  -    201  403  403  201
GET   /v1/campaigns/{name}                             y  y  y  -  -  y  y  -    200  404  404  200
PUT   /v1/campaigns/{name}                             -  y  y  -  -  -  y  -    200  404  404  200
DELETE /v1/campaigns/{name}                            -  y  y  -  -  -  y  -    204  404  404  204
POST  /v1/campaigns/{name}/approve                     -  -  y  -  -  -  y  -    200  404  404  200
POST  /v1/campaigns/{name}/start                       -  y  y  -  -  -  y  -    200  404  404  200
POST  /v1/campaigns/{name}/suspend                     -  y  y  -  -  -  y  -    200  404  404  200
POST  /v1/campaigns/{name}/resume                      -  y  y  -  -  -  y  -    200  404  404  200
POST  /v1/campaigns/{name}/stage                       -  y  y  -  -  -  y  -    200  404  404  200
POST  /v1/campaigns/dry-run                            -  y  y  -  -  -  y  -    200  404  404  200
POST  /v1/campaigns/{name}/dry-run                     -  y  y  -  -  -  y  -    200  404  404  200
GET   /v1/campaigns/{name}/document                    y  y  y  -  -  y  y  -    200  404  404  200
GET   /v1/campaigns/{name}/vehicles                    y  y  y  -  -  y  y  -    200  404  404  200
GET   /v1/campaigns/{name}/check                       y  y  y  -  -  y  y  -    200  404  404  200
GET   /v1/campaigns/{name}/events                      y  y  y  -  -  -  y  -    200  404  404  200
GET   /v1/campaigns/{name}/data                        y  y  y  -  -  -  y  -    200  404  404  200
GET   /v1/vehicles/{vehicle}/campaigns/{name}/why      y  y  y  -  -  -  y  -    202  404  404  202
POST  /v1/vehicles/{vehicle}/campaigns/{name}/upload   -  y  y  -  -  -  y  -    202  404  404  202
POST  /v1/vehicles/{vehicle}/state-templates/{template}/activate -  y  y  -  -  -  y  -    202  404  404  202
POST  /v1/vehicles/{vehicle}/state-templates/{template}/deactivate -  y  y  -  -  -  y  -    202  404  404  202
POST  /v1/vehicles/{vehicle}/state-templates/{template}/snapshot -  y  y  -  -  -  y  -    202  404  404  202
GET   /v1/commands/{command}                           y  y  y  -  -  -  y  -    200  404  404  200
GET   /v1/state-templates                              y  y  y  -  -  y  y  -    200  404  404  200
GET   /v1/state-templates/{template}                   y  y  y  -  -  y  y  -    200  404  404  200
PUT   /v1/state-templates/{template}                   -  y  y  -  -  -  y  -    200  404  404  200
DELETE /v1/state-templates/{template}                  -  y  y  -  -  -  y  -    204  404  404  204
GET   /v1/services                                     y  y  y  y  y  y  y  y    200  200  200  200
POST  /v1/services                                     -  y  y  y  -  -  y  -    201  403  403  201
GET   /v1/services/{id}                                y  y  y  y  y  y  y  y    200  404  404  200
POST  /v1/services/{id}/approve                        -  -  y  -  y  -  y  -    200  404  404  200
POST  /v1/services/{id}/withdraw                       -  y  y  y  -  -  y  -    200  404  404  200
DELETE /v1/services/{id}                               -  y  y  y  -  -  y  -    204  404  404  204
GET   /v1/services/{id}/vehicles                       y  y  y  y  y  y  y  y    200  404  404  200
GET   /v1/vehicles/{vehicle}/services                  y  y  y  y  y  y  y  y    200  404  404  200
GET   /v1/vehicles/{vehicle}/services/{service}/logs   y  y  y  y  y  y  y  y    202  404  404  202
GET   /v1/vehicles/{vehicle}/services/{service}/why    y  y  y  y  y  y  y  y    202  404  404  202
POST  /v1/vehicles/{vehicle}/services/{service}/restart -  y  y  y  -  -  y  -    202  404  404  202
POST  /v1/vehicles/{vehicle}/services/{service}/stop   -  y  y  y  -  -  y  -    202  404  404  202
POST  /v1/vehicles/{vehicle}/services/{service}/execute -  -  -  -  -  -  -  y    202  404  404  202
GET   /v1/artifacts/{digest}                           y  y  y  y  y  y  y  y    200  404  404  200
PUT   /v1/artifacts/{digest}                           -  y  y  y  -  -  y  -    201  403  403  201
GET   /v1/images                                       y  y  y  y  y  y  y  y    200  200  200  200
POST  /v1/images                                       -  y  y  y  -  -  y  -    201  403  403  201
GET   /v1/releases                                     y  y  y  y  y  y  y  -    200  403  403  200
GET   /v1/releases/images                              y  y  y  y  y  y  y  -    200  403  403  200
GET   /v1/releases/repository/{file}                   y  y  y  y  y  y  y  -    200  403  403  200
POST  /v1/releases/repository                          -  -  -  y  -  -  y  -    201  403  403  201
GET   /v1/rollouts                                     y  y  y  y  y  y  y  -    200  200  200  200
POST  /v1/rollouts                                     -  y  y  y  -  -  y  -    201  403  403  201
GET   /v1/rollouts/{rollout}                           y  y  y  y  y  y  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/submit                    -  y  y  y  -  -  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/approve                   -  -  y  -  y  -  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/reject                    -  -  y  -  y  -  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/start                     -  y  y  y  -  -  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/pause                     -  y  y  y  -  -  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/resume                    -  y  y  y  -  -  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/stop                      -  y  y  y  -  -  y  -    200  404  404  200
POST  /v1/rollouts/{rollout}/retry                     -  y  y  y  -  -  y  -    200  404  404  200
GET   /v1/rollouts/{rollout}/vehicles                  y  y  y  y  y  y  y  -    200  404  404  200
GET   /v1/rollouts/{rollout}/records                   -  -  y  -  y  y  y  -    200  404  404  200
GET   /v1/vehicles/{vehicle}/updates                   y  y  y  y  y  y  y  -    200  404  404  200
GET   /v1/ecus                                         y  y  y  y  y  y  y  -    200  200  200  200
POST  /v1/ecus/{vehicle}/accept                        -  -  y  -  y  -  y  -    200  404  404  200
GET   /v1/rxswin                                       -  -  y  -  y  y  y  -    200  200  200  200
"""
# The state in which a campaign takes an act.
BEFORE = {"start": "APPROVED", "suspend": "RUNNING", "resume": "SUSPENDED", "stage": "RUNNING"}
# The state in which a rollout does.
ROLLOUT_BEFORE = {
    "submit": "DRAFT",
    "start": "READY",
    "pause": "RUNNING",
    "resume": "PAUSED",
    "stop": "RUNNING",
    "retry": "RUNNING",
}
WINTER = {"name": "winter", "bundle": BUNDLE, "target": {"vehicle": "VIN1"}}
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/releases/repository": {"files": {"1.root.json": "e30="}},
    "POST /v1/rollouts": {"wish": WINTER},
    "POST /v1/rollouts/{rollout}/reject": {"why": "not now"},
    "POST /v1/rollouts/{rollout}/pause": {},
    "POST /v1/rollouts/{rollout}/stop": {"why": "another one is better"},
    "POST /v1/keys": {"name": "made", "role": "viewer", "tenant": "default"},
    "POST /v1/campaigns/{name}/stage": {"percent": 100},
    "POST /v1/campaigns/dry-run": {
        "campaign": {**DOCUMENT, "name": "tried"},
        "vehicles": ["VIN1"],
        "from": "-1h",
    },
    "POST /v1/campaigns/{name}/dry-run": {"vehicles": ["VIN1"], "from": "-1h"},
    "POST /v1/vehicles/{vehicle}/campaigns/{name}/upload": {},
    "POST /v1/vehicles/{vehicle}/state-templates/{template}/activate": {},
    "PUT /v1/state-templates/{template}": {"signals": ["Vehicle.Speed"]},
    "POST /v1/services": {"manifest": MANIFEST, "vehicle": "VIN2"},
    "POST /v1/services/{id}/approve": {},
    "POST /v1/vehicles/{vehicle}/services/{service}/execute": {"argv": ["/bin/true"]},
    "POST /v1/images": {"digest": IMAGE},
    "PUT /v1/vehicles/{vehicle}/facts": {"attributes": {"year": 2024}, "fleets": []},
}
PUBLIC = {
    "GET /", "GET /docs", "GET /openapi.json", "GET /healthz",
    "GET /.well-known/openid-configuration", "GET /jwks", "GET /authorize", "POST /authorize", "POST /token",
}  # fmt: skip

ROWS = [line.split() for line in TABLE.strip().splitlines()]
EXPECTED = {
    f"{method} {path}": (
        dict(zip(ROLES, cells[:8], strict=True)),
        dict(zip(SCOPES, cells[8:], strict=True)),
    )
    for method, path, *cells in ROWS
}


def two_tenants() -> Cloud:
    """The small fleet of the default tenant, and a vehicle and a misfit of another."""
    cloud = small_fleet()
    cloud.vehicles.add(Vehicle("OTHER", "umbrella", VehicleState.ACTIVE, START_NS, None))
    cloud.quarantine.keep([Misfit("umbrella", "OTHER", "not a batch", START_NS, b"\x01")])
    cloud.keys.add(fresh_key("theirs", Grant(Role.VIEWER, "umbrella"), START_NS)[0])
    cloud.campaign("RUNNING", name="speed")
    cloud.campaign("RUNNING", name="theirs", tenant="umbrella")
    cloud.registry.plan.put_template("default", StateTemplate("doors", ("Vehicle.Door",)))
    why = ExplainCampaign("speed")
    cloud.registry.commands.add_command(
        Order("known", VehicleOf("default", "VIN1"), why, "user:author", START_NS, START_NS + 1)
    )
    cloud.push_image()
    cloud.registry.service_statuses.note_services(
        [Said(VehicleOf("default", "VIN1"), 0, (), START_NS)], ()
    )
    return cloud


@pytest.fixture
def cloud() -> Cloud:
    return two_tenants()


def routes() -> Iterator[tuple[str, list[Any]]]:
    """Every route that a cloud can have, and what each declares."""
    people = SignIn(OwnIssuer("http://127.0.0.1", file.fresh()), MemoryUsers())
    for context in iter_route_contexts(make_api(Cloud(sign_in=people).ports()).routes):
        declared = [
            dependency.call.declares
            for dependency in context.dependant.dependencies
            if hasattr(dependency.call, "declares")
        ]
        for method in context.methods or {"?"}:
            yield f"{method} {context.path}".replace("{signal:path}", "{signal}"), declared


def test_every_route_declares_one_permission_or_that_it_is_public():
    odd = {name: declared for name, declared in routes() if len(declared) != 1}

    assert odd == {}


def test_the_table_has_every_route_and_the_public_ones_are_these():
    found = dict(routes())

    assert {name for name, declared in found.items() if declared == [None]} == PUBLIC
    assert found.keys() - PUBLIC - {"POST /"} == EXPECTED.keys()
    assert {row[0] for row in EXPECTED.values() if set(row[0]) != set(ROLES)} == set()


def test_every_permission_is_needed_by_a_route():
    found = dict(routes())
    by_operation = found.pop("POST /")[0]
    needed = {declared[0] for declared in found.values()} - {None}

    assert needed | by_operation == set(Permission)


def asked(client: Client, route: str, cloud: Cloud, key: str, credential: str) -> int:
    """Ask a route for what the default tenant has, and return the status."""
    method, path = route.split()
    if route == "POST /v1/services":
        cloud.forget_desired()
    if route == "DELETE /v1/state-templates/{template}":
        cloud.registry.plan.put_template("default", StateTemplate("doors", ("Vehicle.Door",)))
    rollout = ""
    if "rollouts" in path:
        act = path.rpartition("/")[2]
        rollout = cloud.rollout(ROLLOUT_BEFORE.get(act, "AWAITING_APPROVAL")).id
    if "accept" in path:
        for name in ("one", "another"):
            ecus = [RegisteredEcu(name, "gateway", is_primary=True)]
            with suppress(Conflict):
                cloud.updates.updates.ecus.register("default", "VIN1", ecus, START_NS)
    kept = cloud.campaign(BEFORE.get(path.rpartition("/")[2], "WAITING_FOR_APPROVAL"))
    filled = path.format(
        vehicle="VIN1",
        signal="Vehicle.Speed",
        entry=1,
        key=key,
        name=kept.name,
        command="known",
        template="doors",
        id=cloud.desired(waits=path.endswith(("/approve", "/withdraw"))).id,
        service="tyre-watch",
        digest=LAYER,
        file="1.root.json",
        rollout=rollout,
    )
    options: dict[str, Any] = {"json": BODIES[route]} if route in BODIES else {}
    if "releases" in path:
        cloud.updates.repository.publish("default", {"1.root.json": b"{}"}, START_NS)
        options["params"] = {"tenant": "default"}
    if route in ("POST /v1/campaigns", "PUT /v1/campaigns/{name}"):
        name = kept.name if method == "PUT" else f"{kept.name}-made"
        options = {"json": {"campaign": {**DOCUMENT, "name": name}, "target": {"vehicle": "VIN1"}}}
    if route == "PUT /v1/artifacts/{digest}":
        options = {"content": LAYER_BYTES}
    if path in ("/v1/services", "/v1/images", "/v1/artifacts/{digest}", "/v1/rollouts"):
        options["params"] = {"tenant": "default"} if method != "GET" or "rol" not in path else {}
    elif path.startswith(("/v1/campaigns", "/v1/state-templates")):
        query = {"tenant": "default", "vehicle": "VIN1", "signal": "Vehicle.Speed"}
        options["params"] = query if path.endswith("/data") else {"tenant": "default"}
    elif route.startswith(
        (
            "GET /v1/vehicles/{vehicle}/c",
            "GET /v1/vehicles/{vehicle}/services/",
            "POST /v1/vehicles/",
        )
    ):
        options["params"] = {"wait": 0}
    return client.request(method, filled, headers=bearer(credential), **options).status_code


@pytest.mark.parametrize("route", EXPECTED)
def test_each_role_is_let_in_where_the_table_says(route: str, cloud: Cloud):
    by_role, by_scope = EXPECTED[route]
    found, wanted = {}, {}
    with client_of(cloud, "", is_ending=True) as client:
        for role in ROLES:
            for scope, (tenant, fleet) in SCOPES.items():
                theirs = cloud.key("viewer", "default").split("_")[1]
                shown = cloud.key(role, tenant, fleet)
                found[role, scope] = asked(client, route, cloud, theirs, shown)
                wanted[role, scope] = int(by_scope[scope]) if by_role[role] == "y" else 403

    assert found == wanted


@pytest.mark.parametrize("route", [route for route in EXPECTED if not route.startswith("GET ")])
def test_whoever_changes_something_is_in_the_audit_log(route: str, cloud: Cloud):
    shown = cloud.key("service-executor" if route.endswith("/execute") else "admin")
    with client_of(cloud, "") as client:
        status = asked(client, route, cloud, cloud.key("viewer", "default").split("_")[1], shown)

    assert status < 300
    assert {act.actor for act in cloud.audit.acts} == {f"key:{shown.split('_')[1]}"}
    assert len(cloud.audit.acts) == 2  # that it was asked for, and what was done


@pytest.mark.parametrize("route", EXPECTED)
def test_nobody_is_let_in_without_a_credential(route: str, cloud: Cloud):
    with client_of(cloud, "", is_ending=True) as client:
        key = cloud.key("viewer", "default").split("_")[1]
        statuses = {
            asked(client, route, cloud, key, shown)
            for shown in ("", f"fwk_{'0' * 16}_{'0' * 48}", "a.b.c")
        }

    assert statuses == {401}
    assert [kept.revoked_time_ns for kept in cloud.keys.listed()] == [None, None]


def listed(cloud: Cloud, credential: str) -> dict[str, Any]:
    with client_of(cloud, credential) as client:
        quarantine = client.get("/v1/quarantine").json()
        return {
            "vehicles": [one["id"] for one in client.get("/v1/vehicles").json()["vehicles"]],
            "page": [one["id"] for one in client.get("/v1/vehicles?limit=1").json()["vehicles"]],
            "next": client.get("/v1/vehicles?limit=1").json()["next"],
            "quarantine": [one["vehicle"] for one in quarantine["entries"]],
            "kept": quarantine["kept"],
            "keys": [one["name"] for one in client.get("/v1/keys").json()["keys"]].count("theirs"),
        }


@pytest.mark.parametrize(
    ("tenant", "fleet", "vehicles", "quarantine", "keys"),
    [
        ("default", ALL, ["VIN1", "VIN2"], ["VIN1"], 0),
        ("default", "default", ["VIN1", "VIN2"], ["VIN1"], 0),
        ("default", "south", [], [], 0),
        ("umbrella", ALL, ["OTHER"], ["OTHER"], 1),
        ("nobody", ALL, [], [], 0),
        (ALL, ALL, ["OTHER", "VIN1", "VIN2"], ["OTHER", "VIN1"], 1),
    ],
)
def test_lists_hold_what_the_caller_may_see(cloud, tenant, fleet, vehicles, quarantine, keys):
    found = listed(cloud, cloud.key("admin", tenant, fleet))

    assert found == {
        "vehicles": vehicles,
        "page": vehicles[:1],
        "next": vehicles[0] if vehicles else None,
        "quarantine": quarantine,
        "kept": len(quarantine),
        "keys": keys,
    }


def test_another_tenants_vehicle_is_answered_like_one_that_never_was(cloud: Cloud):
    with client_of(cloud, cloud.key("admin", "umbrella")) as client:
        for path in ("", "/signals", "/signals/Vehicle.Speed/series"):
            theirs = client.get(f"/v1/vehicles/VIN1{path}")
            nobodys = client.get(f"/v1/vehicles/VIN9{path}")
            assert theirs.text.replace("VIN1", "VIN9") == nobodys.text
            assert theirs.headers == nobodys.headers


@pytest.mark.parametrize(
    ("tenant", "fleet", "seen"),
    [
        ("default", ALL, ["vehicle.add"]),
        ("default", "north", []),
        ("umbrella", ALL, ["vehicle.remove"]),
        (ALL, ALL, ["pki.init", "vehicle.remove", "vehicle.add"]),
    ],
)
def test_acts_are_seen_by_who_may_see_the_whole_tenant(cloud: Cloud, tenant, fleet, seen):
    cloud.audit.write(Act("vehicle.add", "cli:root", "vehicle:VIN1", "default"))
    cloud.audit.write(Act("vehicle.remove", "cli:root", "vehicle:OTHER", "umbrella"))
    cloud.audit.write(Act("pki.init", "cli:root", "pki:eu"))
    with client_of(cloud, cloud.key("privacy-officer", tenant, fleet)) as client:
        answer = client.get("/v1/audit").json()
        page = client.get("/v1/audit?limit=1").json()
        rest = client.get(f"/v1/audit?before={page['next']}").json() if page["next"] else None

    assert [act["action"] for act in answer["acts"]] == seen
    assert [act["action"] for act in page["acts"]] == seen[:1]
    assert rest is None or [act["action"] for act in rest["acts"]] == seen[1:]
