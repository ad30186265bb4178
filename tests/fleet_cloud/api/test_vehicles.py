"""/v1/vehicles: pages of the fleet, one vehicle, its newest values."""

import pytest

from fairway.errors import Unavailable
from tests.fleet_cloud.api.conftest import Client, Cloud, batch


def test_the_fleet_says_when_each_vehicle_was_last_heard_of(client: Client):
    fleet = client.get("/v1/vehicles").json()

    assert [vehicle["id"] for vehicle in fleet["vehicles"]] == ["VIN1", "VIN2"]
    assert fleet["vehicles"][0]["last_seen"] == "2023-11-14T22:13:20.000000005Z"
    assert fleet["vehicles"][0]["last_seen_time_ns"] == 1_700_000_000_000_000_005
    assert fleet["vehicles"][1]["last_seen"] is None
    assert fleet["next"] is None


def test_the_fleet_comes_in_pages(client: Client):
    first = client.get("/v1/vehicles", params={"limit": 1}).json()
    second = client.get("/v1/vehicles", params={"limit": 1, "after": first["next"]}).json()
    third = client.get("/v1/vehicles", params={"limit": 1, "after": second["next"]}).json()

    names = [vehicle["id"] for page in (first, second, third) for vehicle in page["vehicles"]]
    assert (names, third["next"]) == (["VIN1", "VIN2"], None)


def test_one_vehicle_says_how_much_of_it_is_stored(client: Client):
    found = client.get("/v1/vehicles/VIN1").json()

    assert (found["vehicle"]["state"], found["samples"]) == ("active", 8)


def test_the_newest_values_are_what_they_are(client: Client):
    found = client.get("/v1/vehicles/VIN1/signals").json()

    told = {
        entry["signal"]: (entry["value"], entry["unit"], entry["time"])
        for entry in found["signals"]
    }
    assert told == {
        "PT.Motor/Temp é": (-40.0, "", "2023-11-14T22:13:21.000000000Z"),
        "Vehicle.Belt": (True, "", "2023-11-14T22:13:21.000000000Z"),
        "Vehicle.Gear": ("D", "", "2023-11-14T22:13:23.000000000Z"),
        "Vehicle.Speed": (7.5, "km/h", "2023-11-14T22:14:21.000000000Z"),
    }


def test_newest_values_are_chosen_by_pattern(client: Client):
    found = client.get("/v1/vehicles/VIN1/signals", params={"signal": ["*.Gear", "*.Sp?ed"]}).json()

    assert [entry["signal"] for entry in found["signals"]] == ["Vehicle.Gear", "Vehicle.Speed"]


def test_a_number_that_json_cannot_say_is_null(client: Client, cloud: Cloud):
    cloud.telemetry.append([batch("VIN2", (0, 0, float("nan")), (3, 0, float("inf")))])

    found = client.get("/v1/vehicles/VIN2/signals").json()
    assert [entry["value"] for entry in found["signals"]] == [None, None]


@pytest.mark.parametrize("path", ["", "/signals", "/signals/Vehicle.Speed/series"])
@pytest.mark.parametrize("name", ["VIN3", "no such", "%00", "%ff", "x" * 200])
def test_an_unknown_vehicle_is_not_found(client: Client, name: str, path: str):
    answer = client.get(f"/v1/vehicles/{name}{path}")

    assert answer.status_code == 404
    assert "no vehicle is called" in answer.json()["detail"]


def test_a_store_that_is_away_is_unavailable_and_says_when_to_come_again(
    client: Client, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: object) -> None:
        raise Unavailable("the telemetry store at x does not answer")

    monkeypatch.setattr(cloud.telemetry, "latest", away)
    answer = client.get("/v1/vehicles/VIN1/signals")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["detail"] == "the telemetry store at x does not answer"
