"""The part of hawkBit's management API that its users' scripts and test-suites need."""

import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairway.update import Fault, Stage
from tests.fleet_cloud.rollouts.foreign.test_feedback import json as any_json
from tests.foreign_site import TENANT, Client, ForeignSite

REST = "/rest/v1"
CONTENT = b"bundle" * 1000


@pytest.fixture
def site() -> ForeignSite:
    made = ForeignSite()
    made.vehicle("VIN1")
    return made


@pytest.fixture
def manager(site: ForeignSite) -> Client:
    return site.manager()


def made(manager: Client, what: str, **wish: Any) -> int:
    done = manager.post(f"{REST}/{what}", json=[wish])
    assert done.status_code == 201, done.text
    return int(done.json()[0]["id"])


def a_set(manager: Client, version: str = "1.0") -> int:
    module = made(manager, "softwaremodules", name="os", version=version, type="os")
    files = {"file": ("bundle.raucb", CONTENT)}
    done = manager.post(f"{REST}/softwaremodules/{module}/artifacts", files=files)
    assert done.status_code == 201, done.text
    modules = [{"id": module}]
    return made(manager, "distributionsets", name="os", version=version, type="os", modules=modules)


def assign(manager: Client, number: int, **wish: Any) -> int:
    done = manager.post(
        f"{REST}/distributionsets/{number}/assignedTargets", json=[{"id": "VIN1", **wish}]
    )
    assert done.status_code == 200, done.text
    return int(done.json()["assignedActions"][0]["id"])


def test_a_set_is_made_assigned_and_offered(site: ForeignSite, manager: Client):
    action = assign(manager, a_set(manager))

    base = site.vehicle_client("VIN1").get(f"/{TENANT}/controller/v1/VIN1").json()
    assert f"/deploymentBase/{action}?" in base["_links"]["deploymentBase"]["href"]
    shown = manager.get(f"{REST}/targets/VIN1/actions/{action}").json()
    assert (shown["id"], shown["type"], shown["status"]) == (action, "update", "pending")
    assert manager.get(f"{REST}/targets/VIN1").json()["updateStatus"] == "pending"
    (status,) = manager.get(f"{REST}/targets/VIN1/actions/{action}/status").json()["content"]
    assert status["messages"][0].startswith("Assignment initiated by key:")


def test_files_are_kept_by_their_hash_and_shown_with_all_of_them(
    site: ForeignSite, manager: Client
):
    module = made(manager, "softwaremodules", name="os", version="1", type="os")
    files = {"file": ("a.swu", CONTENT)}
    path = f"{REST}/softwaremodules/{module}/artifacts"
    found = manager.post(path, files=files).json()

    digest = hashlib.sha256(CONTENT).hexdigest()
    assert found["hashes"]["sha256"] == digest
    assert found["hashes"]["sha1"] == hashlib.sha1(CONTENT).hexdigest()
    assert site.artifacts.kept[f"sha256:{digest}"] == CONTENT
    assert site.holdings.held(TENANT, f"sha256:{digest}") == len(CONTENT)
    assert manager.post(path, files=files).status_code == 409
    assert manager.get(f"{path}/{found['id']}").json() == found
    assert manager.delete(f"{path}/{found['id']}").status_code == 200
    assert manager.get(f"{path}/{found['id']}").status_code == 404
    assert manager.get(path).json() == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a\nb", "x.MD5SUM", ".hidden"])
def test_a_file_whose_name_could_mean_something_else_is_refused(manager: Client, name: str):
    module = made(manager, "softwaremodules", name="os", version="1", type="os")

    answer = manager.post(
        f"{REST}/softwaremodules/{module}/artifacts",
        files={"file": ("a.swu", b"x")},
        params={"filename": name} if name else {},
    )
    assert answer.status_code == (400 if name else 201)


def test_a_body_that_is_no_form_is_refused(manager: Client):
    module = made(manager, "softwaremodules", name="os", version="1", type="os")
    path = f"{REST}/softwaremodules/{module}/artifacts"

    assert manager.post(path, content=b"x").status_code == 400
    broken = {"Content-Type": "multipart/form-data"}
    assert manager.post(path, content=b"x", headers=broken).status_code == 400
    assert manager.post(path, files={"other": ("a", b"x")}).status_code == 400


def test_a_set_that_is_not_complete_is_not_assigned(manager: Client):
    module = made(manager, "softwaremodules", name="os", version="1", type="os")
    modules = [{"id": module}]
    empty = made(manager, "distributionsets", name="s", version="1", type="os", modules=modules)
    path = f"{REST}/distributionsets/{empty}/assignedTargets"

    assert manager.post(path, json=[{"id": "VIN1"}]).status_code == 400
    manager.delete(f"{REST}/softwaremodules/{module}")
    assert manager.get(f"{REST}/softwaremodules/{module}").json()["deleted"] is True
    assert manager.delete(f"{REST}/softwaremodules/{module}").status_code == 200  # as hawkBit does
    assert manager.post(path, json=[{"id": "VIN1"}]).status_code == 400
    assert manager.get(f"{REST}/distributionsets/{empty}").json()["complete"] is False


@pytest.mark.parametrize(
    "wish",
    [
        {"type": "sometimes"},
        {"forcetime": -1},
        {"maintenanceWindow": {"schedule": "now", "duration": "01:00:00"}},
        {"maintenanceWindow": {"schedule": "0 0 2 ? * SUN", "duration": "25:00:00"}},
        {"maintenanceWindow": 5},
        {"id": "VIN9"},
        {"id": 7},
    ],
)
def test_a_wish_that_cannot_be_is_refused(manager: Client, wish: dict[str, Any]):
    number = a_set(manager)
    done = manager.post(
        f"{REST}/distributionsets/{number}/assignedTargets", json=[{"id": "VIN1", **wish}]
    )
    assert done.status_code in (400, 404)
    assert manager.get(f"{REST}/targets/VIN1/actions").json()["total"] == 0


def test_an_action_is_cancelled_and_by_force_without_asking(site: ForeignSite, manager: Client):
    action = assign(manager, a_set(manager))
    path = f"{REST}/targets/VIN1/actions/{action}"

    assert manager.delete(path).status_code == 204
    assert manager.get(path).json()["type"] == "cancel"
    assert manager.delete(path).status_code == 409
    assert manager.delete(f"{path}?force=true").status_code == 204
    assert manager.get(path).json()["status"] == "canceled"
    assert manager.delete(f"{path}?force=true").status_code == 409
    last = site.direct.ended(TENANT, "VIN1")[0].events[-1]
    assert (last.stage, last.fault) == (Stage.FAILED, Fault.CANCELLED)


def test_a_new_target_is_a_vehicle_and_a_removed_one_is_none(site: ForeignSite, manager: Client):
    found = manager.post(f"{REST}/targets", json=[{"controllerId": "VIN2", "name": "two"}]).json()[
        0
    ]
    assert len(found["securityToken"]) == 32
    vehicle = site.vehicles.vehicle("VIN2")
    assert vehicle is not None
    assert vehicle.tenant == TENANT
    assert manager.post(f"{REST}/targets", json=[{"controllerId": "VIN2"}]).status_code == 409
    listed = manager.get(f"{REST}/targets").json()
    assert [one["controllerId"] for one in listed["content"]] == ["VIN1", "VIN2"]

    assert manager.delete(f"{REST}/targets/VIN2").status_code == 200
    assert manager.get(f"{REST}/targets/VIN2").status_code == 404
    again = manager.post(f"{REST}/targets", json=[{"controllerId": "VIN2"}]).json()[0]
    assert again["securityToken"] != found["securityToken"]


def test_tokens_are_kept_as_hashes_and_shown_again_only_where_that_is_wanted():
    for sealer in (None, ForeignSite().sealer):
        site = ForeignSite(sealer=sealer)
        manager = site.manager()
        token = "chosen-by-somebody"
        manager.post(f"{REST}/targets", json=[{"controllerId": "VIN2", "securityToken": token}])
        manager.put(f"{REST}/system/configs/authentication.gatewaytoken.key", json={"value": token})
        shown = manager.get(f"{REST}/targets/VIN2").json()
        key = manager.get(f"{REST}/system/configs/authentication.gatewaytoken.key").json()

        assert ("securityToken" in shown) is (sealer is not None)
        assert key["value"] == (token if sealer else "*****")
        if sealer is None:
            assert token not in str(site.foreign.listed(TENANT, "target"))
            assert token not in str(site.foreign.listed(TENANT, "setting"))
        assert token not in str(site.audit.__dict__)


def test_settings_have_defaults_and_refuse_what_they_cannot_be(manager: Client):
    path = f"{REST}/system/configs"

    assert manager.get(f"{path}/pollingTime").json() == {"value": "00:05:00", "global": True}
    changed = manager.put(f"{path}/pollingTime", json={"value": "00:01:00"}).json()
    assert changed == {"value": "00:01:00", "global": False}
    assert manager.delete(f"{path}/pollingTime").status_code == 204
    for value in ("00:00:01", "1 minute", 5, None):
        assert manager.put(f"{path}/pollingTime", json={"value": value}).status_code == 400
    assert (
        manager.put(f"{path}/anonymous.download.enabled", json={"value": True}).status_code == 400
    )
    assert manager.get(f"{path}/unknown").status_code == 404
    assert set(manager.get(path).json()) >= {"pollingTime", "authentication.targettoken.enabled"}


@pytest.mark.parametrize(
    ("role", "may_read", "may_make", "may_assign"),
    [
        ("viewer", True, False, False),
        ("release-author", True, True, False),
        ("fleet-manager", True, False, True),
        ("admin", True, True, True),
    ],
)
def test_a_key_may_do_what_its_role_may(
    site: ForeignSite,
    role: str,
    may_read: bool,  # noqa: FBT001 - of the table
    may_make: bool,  # noqa: FBT001
    may_assign: bool,  # noqa: FBT001
):
    number = a_set(site.manager())
    manager = site.manager(role)

    read = manager.get(f"{REST}/softwaremodules").status_code
    wish = {"name": "n", "version": "1", "type": "os"}
    make = manager.post(f"{REST}/softwaremodules", json=[wish]).status_code
    given = manager.post(
        f"{REST}/distributionsets/{number}/assignedTargets", json=[{"id": "VIN1"}]
    ).status_code

    assert (read, make, given) == (
        200 if may_read else 403,
        201 if may_make else 403,
        200 if may_assign else 403,
    )


def test_nobody_and_keys_of_others_see_nothing(site: ForeignSite):
    number = a_set(site.manager())
    other = site.manager(tenant="other")

    assert site.client().get(f"{REST}/targets").status_code == 401
    assert site.client(Authorization="Basic eDp5").get(f"{REST}/targets").status_code == 401
    assert site.client(Authorization="Basic ***").get(f"{REST}/targets").status_code == 401
    assert site.manager(tenant="*").get(f"{REST}/targets").status_code == 403
    assert other.get(f"{REST}/targets").json()["total"] == 0
    assert other.get(f"{REST}/targets/VIN1").status_code == 404
    assert other.get(f"{REST}/distributionsets/{number}").status_code == 404


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=any_json | st.lists(any_json, max_size=2),
    place=st.sampled_from(
        [
            ("POST", "targets"),
            ("POST", "softwaremodules"),
            ("POST", "distributionsets"),
            ("POST", "distributionsets/1/assignedTargets"),
            ("PUT", "system/configs/pollingTime"),
            ("PUT", "system/configs/authentication.gatewaytoken.key"),
        ]
    ),
)
def test_garbage_is_the_callers_fault_and_never_ours(
    manager: Client, body: Any, place: tuple[str, str]
):
    method, path = place
    import json  # noqa: PLC0415

    answer = manager.request(method, f"{REST}/{path}", content=json.dumps(body).encode())

    assert answer.status_code < 500, answer.text


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.text(max_size=30), path=st.sampled_from(["softwaremodules", "distributionsets"]))
def test_a_number_that_is_none_is_not_there(manager: Client, number: str, path: str):
    from urllib.parse import quote  # noqa: PLC0415

    answer = manager.get(f"{REST}/{path}/{quote(number, safe='')}")

    assert answer.status_code in (200, 404, 405), answer.text
