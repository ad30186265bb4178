"""hawkBit's device API as its clients see it: links, orders, words, and who is let in."""

import hashlib
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairway.update import Fault, Stage
from fleet_cloud.rollouts.ports import Offer
from ota.manifest import Bundle, Image, Kind
from tests.fleet_cloud.rollouts.foreign.test_feedback import json as any_json
from tests.fleet_cloud.rollouts.foreign.test_feedback import near
from tests.foreign_site import TENANT, Client, ForeignSite

CONTENT = b"0123456789" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()
IMAGE = Image("gateway/gateway 2.img", 1000, SHA256, Kind.SLOT, "gateway", "2.0.0", 2, ())
BASE = f"/{TENANT}/controller/v1/VIN1"


def offer(**more: Any) -> Offer:
    return Offer("rollout-1/VIN1", "rollout-1", Bundle("r", "2", (IMAGE.path,)), (IMAGE,), **more)


@pytest.fixture
def site() -> ForeignSite:
    made = ForeignSite()
    made.vehicle("VIN1")
    made.artifacts.kept[f"sha256:{SHA256}"] = CONTENT
    made.holdings.hold(TENANT, f"sha256:{SHA256}", len(CONTENT), 1)
    return made


@pytest.fixture
def vehicle(site: ForeignSite) -> Client:
    return site.vehicle_client("VIN1")


def links(vehicle: Client) -> dict[str, str]:
    found = vehicle.get(BASE)
    assert found.status_code == 200, found.text
    return {
        name: link["href"].removeprefix("http://door.example")
        for name, link in found.json()["_links"].items()
    }


def say(vehicle: Client, path: str, execution: str, finished: str = "none", *details: str) -> int:
    status = {"execution": execution, "result": {"finished": finished}, "details": list(details)}
    return vehicle.post(f"{path.partition('?')[0]}/feedback", json={"status": status}).status_code


def test_a_vehicle_without_orders_is_told_when_to_ask_again(vehicle: Client):
    found = vehicle.get(BASE).json()

    assert found["config"] == {"polling": {"sleep": "00:05:00"}}
    assert set(found["_links"]) == {"configData"}


def test_a_rollout_reaches_a_client_of_hawkbit_and_hears_of_it(site: ForeignSite, vehicle: Client):
    site.offers.put(TENANT, "VIN1", offer())

    order = links(vehicle)["deploymentBase"]
    found = vehicle.get(order).json()
    (chunk,) = found["deployment"]["chunks"]
    (artifact,) = chunk["artifacts"]
    assert (found["deployment"]["download"], found["deployment"]["update"]) == ("forced", "forced")
    assert (chunk["part"], chunk["name"], chunk["version"]) == ("os", "gateway", "2.0.0")
    assert artifact["filename"] == "gateway 2.img"
    assert artifact["hashes"]["md5"] == hashlib.md5(CONTENT).hexdigest()
    assert artifact["size"] == 1000

    url = artifact["_links"]["download-http"]["href"].removeprefix("http://door.example")
    rest = vehicle.get(url, headers={"Range": "bytes=990-"})
    assert (rest.status_code, rest.content) == (206, CONTENT[990:])
    assert vehicle.get(url, headers={"Range": "bytes=1000-"}).status_code == 416
    assert vehicle.get(url + ".MD5SUM").text == f"{artifact['hashes']['md5']}  gateway 2.img\n"

    assert say(vehicle, order, "proceeding", "none", "halfway") == 200
    assert say(vehicle, order, "closed", "success") == 200
    assert say(vehicle, order, "closed", "failure") == 410
    stages = [one.stage for one in site.offers.history(TENANT, "VIN1", "rollout-1/VIN1")]
    assert stages == [Stage.OFFERED, Stage.INSTALLING, Stage.COMMITTED]
    assert set(links(vehicle)) == {"configData", "installedBase"}
    done = vehicle.get(links(vehicle)["installedBase"] + "?actionHistory=-1").json()
    assert done["deployment"]["chunks"] == found["deployment"]["chunks"]
    assert done["actionHistory"] == {
        "status": "FINISHED",
        "messages": ["halfway", "The vehicle has fetched its order"],
    }


@pytest.mark.parametrize(
    ("more", "download", "update", "window"),
    [
        ({"is_forced": False}, "attempt", "attempt", None),
        ({"is_download_only": True}, "forced", "skip", None),
        ({"has_window": True, "window_open": False}, "forced", "skip", "unavailable"),
        ({"has_window": True}, "forced", "forced", "available"),
    ],
)
def test_how_an_order_is_to_be_done_is_said_in_hawkbits_words(
    site: ForeignSite,
    vehicle: Client,
    more: dict[str, bool],
    download: str,
    update: str,
    window: str | None,
):
    site.offers.put(TENANT, "VIN1", offer(**more))

    said = vehicle.get(links(vehicle)["deploymentBase"]).json()["deployment"]

    assert (said["download"], said["update"]) == (download, update)
    assert said.get("maintenanceWindow") == window


def test_an_order_that_is_to_be_given_up_is_given_up_or_kept(site: ForeignSite, vehicle: Client):
    site.offers.put(TENANT, "VIN1", offer())
    order = links(vehicle)["deploymentBase"]
    vehicle.get(order)
    site.offers.put(TENANT, "VIN1", offer(is_cancelled=True))

    assert vehicle.get(order).status_code == 404
    cancel = links(vehicle)["cancelAction"]
    number = cancel.rpartition("/")[2]
    assert vehicle.get(cancel).json() == {"id": number, "cancelAction": {"stopId": number}}
    assert say(vehicle, cancel, "rejected") == 200
    assert "cancelAction" in links(vehicle)
    assert say(vehicle, cancel, "closed", "success") == 200
    last = site.offers.history(TENANT, "VIN1", "rollout-1/VIN1")[-1]
    assert (last.stage, last.fault) == (Stage.FAILED, Fault.CANCELLED)
    assert "cancelAction" not in links(vehicle)


def test_an_order_that_needs_consent_waits_for_it(site: ForeignSite, vehicle: Client):
    site.offers.put(TENANT, "VIN1", offer(needs_consent=True))

    waits = links(vehicle)["confirmationBase"]
    assert "deploymentBase" not in links(vehicle)
    assert vehicle.get(waits).json()["confirmation"]["chunks"]
    feedback = waits.partition("?")[0] + "/feedback"
    assert vehicle.post(feedback, json={"confirmation": "denied"}).status_code == 200
    assert "confirmationBase" in links(vehicle)  # denied is not the end
    assert vehicle.post(feedback, json={"confirmation": "maybe"}).status_code == 400
    assert vehicle.post(feedback, json={"confirmation": "confirmed"}).status_code == 200
    assert vehicle.post(feedback, json={"confirmation": "confirmed"}).status_code == 410
    assert vehicle.get(links(vehicle)["deploymentBase"]).status_code == 200


def test_whoever_confirms_by_himself_is_not_asked(site: ForeignSite, vehicle: Client):
    site.offers.put(TENANT, "VIN1", offer(needs_consent=True))
    base = f"{BASE}/confirmationBase"

    assert vehicle.post(f"{base}/activateAutoConfirm", json={"initiator": "me"}).status_code == 200
    assert "deploymentBase" in links(vehicle)
    auto = vehicle.get(base).json()["autoConfirm"]
    assert (auto["active"], auto["initiator"]) == (True, "me")
    assert vehicle.post(f"{base}/deactivateAutoConfirm").status_code == 200
    assert "confirmationBase" in links(vehicle)


def test_attributes_are_merged_replaced_and_removed(site: ForeignSite, vehicle: Client):
    manager = site.manager()

    def put(mode: str, **data: str) -> dict[str, str]:
        done = vehicle.put(f"{BASE}/configData", json={"mode": mode, "data": data})
        assert done.status_code == 200
        return dict(manager.get("/rest/v1/targets/VIN1/attributes").json())

    assert put("merge", a="1", b="2") == {"a": "1", "b": "2"}
    assert put("merge", b="3") == {"a": "1", "b": "3"}
    assert put("remove", a="") == {"b": "3"}
    assert put("replace", c="4") == {"c": "4"}
    assert "configData" not in links(vehicle)
    too_many = {"data": {str(number): "" for number in range(101)}}
    assert vehicle.put(f"{BASE}/configData", json=too_many).status_code == 400


def test_who_asks_for_cbor_is_answered_in_it_and_may_send_it(site: ForeignSite, vehicle: Client):
    site.offers.put(TENANT, "VIN1", offer())
    found = vehicle.get(BASE, headers={"Accept": "application/cbor"})

    assert found.headers["content-type"] == "application/cbor"
    order = cbor2.loads(found.content)["_links"]["deploymentBase"]["href"]
    path = order.removeprefix("http://door.example").partition("?")[0]
    vehicle.get(path)
    body = cbor2.dumps({"status": {"execution": "closed", "result": {"finished": "success"}}})
    said = vehicle.post(
        f"{path}/feedback", content=body, headers={"Content-Type": "application/cbor"}
    )
    assert said.status_code == 200
    assert site.offers.history(TENANT, "VIN1", "rollout-1/VIN1")[-1].stage is Stage.COMMITTED


def test_orders_and_files_of_others_are_not_there(site: ForeignSite, vehicle: Client):
    site.vehicle("VIN2")
    site.offers.put(TENANT, "VIN1", offer())
    order = links(vehicle)["deploymentBase"]
    found = vehicle.get(order).json()["deployment"]["chunks"][0]["artifacts"][0]
    url = found["_links"]["download"]["href"].removeprefix("http://door.example")
    other = site.vehicle_client("VIN2")

    assert other.get(order.replace("VIN1", "VIN2")).status_code == 404
    assert other.get(url.replace("VIN1", "VIN2")).status_code == 404
    assert say(other, order.replace("VIN1", "VIN2"), "closed", "success") == 404
    assert other.get(order).status_code == 401


def test_tokens_let_in_and_nothing_else_does(site: ForeignSite):
    manager = site.manager()
    token = manager.post("/rest/v1/targets", json=[{"controllerId": "VIN3"}]).json()[0][
        "securityToken"
    ]
    base = f"/{TENANT}/controller/v1/VIN3"

    def asks(*, of: str = base, **headers: str) -> int:
        return site.client(**headers).get(of).status_code

    assert asks() == 401
    assert asks(Authorization=f"TargetToken {token}") == 200
    assert asks(Authorization=f"TargetToken {token}x") == 401
    assert asks(Authorization=f"Bearer {token}") == 401
    assert asks(Authorization=f"TargetToken {token}", of=BASE) == 401  # not VIN1's
    assert asks(Authorization=f"TargetToken {token}", of=base.replace(TENANT, "other")) == 401
    assert (
        asks(Authorization=f"TargetToken {token}", of=base.replace(TENANT, TENANT.upper())) == 200
    )
    assert asks(Authorization="TargetToken ", of=BASE) == 401  # VIN1 has none

    key = "/rest/v1/system/configs/authentication.gatewaytoken"
    assert manager.put(f"{key}.key", json={"value": "gateway-secret"}).status_code == 200
    assert asks(Authorization="GatewayToken gateway-secret") == 401  # not switched on
    assert manager.put(f"{key}.enabled", json={"value": True}).status_code == 200
    assert asks(Authorization="GatewayToken gateway-secret") == 200
    assert asks(Authorization="GatewayToken gateway-secret", of=BASE) == 200

    manager.put("/rest/v1/system/configs/authentication.targettoken.enabled", json={"value": False})
    assert asks(Authorization=f"TargetToken {token}") == 401
    manager.delete("/rest/v1/targets/VIN3")
    assert asks(Authorization="GatewayToken gateway-secret") == 401


def test_a_proxy_is_believed_from_its_address_about_an_authority_that_was_named():
    site = ForeignSite(proxies=("192.0.2.9",))
    site.vehicle("VIN1")
    manager = site.manager()
    shown = {"X-Controller-Id": "VIN1", "X-Authority-1": "ab:cd"}

    def asks(address: str, path: str = BASE, **headers: str) -> int:
        client = site.client(address=address)
        return client.get(path, headers={**shown, **headers}).status_code

    assert asks("192.0.2.9") == 401
    config = "/rest/v1/system/configs/authentication.header"
    manager.put(f"{config}.authority", json={"value": "ef:01,ab:cd"})
    manager.put(f"{config}.enabled", json={"value": True})
    assert asks("192.0.2.9") == 200
    assert asks("192.0.2.8") == 401
    assert asks("192.0.2.9", BASE.replace("VIN1", "VIN2")) == 401
    assert asks("192.0.2.9", **{"X-Authority-1": "00:00"}) == 401
    # What the client beyond the proxy says of itself counts for nothing.
    claimed = {"X-Authority-1": "00:00", "X-Authority-2": "ab:cd"}
    assert asks("192.0.2.9", **claimed) == 401
    assert asks("192.0.2.9", **claimed, Authorization="proxy ab:cd") == 401
    assert asks("192.0.2.9", **{"X-Controller-Id": "VIN2"}) == 401


def test_who_guesses_is_slowed_down(site: ForeignSite):
    client = site.client(Authorization="TargetToken wrong-token")

    answers = [client.get(BASE).status_code for _ in range(25)]

    assert answers[0] == 401
    assert answers[-1] == 429


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=near | any_json.map(lambda value: {"data": value}) | any_json,
    place=st.sampled_from(
        ["feedback", "configData", "confirmation", "installed", "auto", "cancel"]
    ),
)
def test_garbage_is_the_clients_fault_and_never_ours(
    site: ForeignSite, vehicle: Client, body: Any, place: str
):
    site.offers.put(TENANT, "VIN1", offer(needs_consent=place == "confirmation"))
    order = next(value for key, value in links(vehicle).items() if key.endswith("Base"))
    number = order.rpartition("/")[2].partition("?")[0]
    path, method = {
        "feedback": (f"{BASE}/deploymentBase/{number}/feedback", "POST"),
        "configData": (f"{BASE}/configData", "PUT"),
        "confirmation": (f"{BASE}/confirmationBase/{number}/feedback", "POST"),
        "installed": (f"{BASE}/installedBase", "PUT"),
        "auto": (f"{BASE}/confirmationBase/activateAutoConfirm", "POST"),
        "cancel": (f"{BASE}/cancelAction/{number}/feedback", "POST"),
    }[place]
    import json  # noqa: PLC0415

    answer = vehicle.request(method, path, content=json.dumps(body).encode())

    assert answer.status_code < 500, answer.text


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=60), kind=st.sampled_from(["application/json", "application/cbor"]))
def test_bytes_that_say_nothing_are_refused(
    site: ForeignSite, vehicle: Client, body: bytes, kind: str
):
    answer = vehicle.put(f"{BASE}/configData", content=body, headers={"Content-Type": kind})

    assert answer.status_code in (200, 400), answer.text
