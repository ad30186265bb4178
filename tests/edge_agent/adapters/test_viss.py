"""VISS over real WebSockets and HTTP: versions 2 and 3, filters, tokens, errors and limits."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from edge_agent.broker.providers import Target
from fairway.errors import BadInput, Conflict, Denied
from tests.edge_agent.vehicle_api import (
    GEAR,
    IS_OPEN,
    MODE,
    PATHS,
    POSITION,
    SPEED,
    take,
)
from tests.edge_agent.viss_apps import VissApi, served_by_viss

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

S = 1_000_000_000
NOW = 1_700_000_000 * S


@pytest.fixture
async def api(tmp_path) -> AsyncIterator[VissApi]:
    async with served_by_viss(tmp_path) as made:
        yield made


def error(said):
    assert set(said["error"]) in (
        {"number", "reason", "message"},
        {"number", "reason", "description"},
    )
    return int(said["error"]["number"]), said["error"]["reason"]


class Outlet:
    """Where target values go."""

    def __init__(self):
        self.has_room, self.taken, self.refusal = True, [], None

    def admit(self, targets: list[Target]):
        if self.refusal is not None:
            raise self.refusal

    def offer(self, targets: list[Target]):
        self.taken += targets


async def test_a_value_is_read_with_its_time(api):
    take(api.data, [(SPEED, NOW + 5000, 13.1), (GEAR, NOW, -1), (IS_OPEN, NOW, 1.0)])

    async with api.client() as app:
        said = await app.ask("get", path=PATHS[SPEED])
        gear = await app.ask("get", path=PATHS[GEAR].replace(".", "/"))
        is_open = await app.ask("get", path=PATHS[IS_OPEN])

    assert said["data"] == {
        "path": "Vehicle.Speed",
        "dp": {"value": "13.1", "ts": "2023-11-14T22:13:20.000005Z"},
    }
    assert (said["action"], said["requestId"]) == ("get", "1")
    assert said["ts"].endswith("Z")
    assert (gear["data"]["dp"]["value"], is_open["data"]["dp"]["value"]) == ("-1", "true")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            "VISSv2",
            [
                (404, "invalid_path"),
                (404, "unavailable_data"),
                (404, "invalid_path"),
                (400, "bad_request"),
                (401, "read_only"),
                (400, "invalid_value"),
                (503, "service_unavailable"),
                (404, "invalid_subscription_id"),
                (400, "filter_invalid"),
                (400, "invalid_duration"),
            ],
        ),
        (
            "VISSv3",
            [
                (404, "unavailable_data"),
                (404, "unavailable_data"),
                (400, "invalid_data"),
                (400, "bad_request"),
                (400, "invalid_data"),
                (400, "invalid_data"),
                (503, "service_unavailable"),
                (404, "unavailable_data"),
                (400, "bad_request"),
                (400, "bad_request"),
            ],
        ),
    ],
)
async def test_each_version_has_its_numbers_and_reasons(api, version, expected):
    async with api.client(version=version) as app:
        said = [
            await app.ask("get", path="Vehicle.Boat"),
            await app.ask("get", path=PATHS[SPEED]),
            await app.ask("get", path="Vehicle.Cabin"),
            await app.ask("get", path="Vehicle.*"),
            await app.ask("set", path=PATHS[SPEED], value="1"),
            await app.ask("set", path=PATHS[POSITION], value="101"),
            await app.ask("set", path=PATHS[POSITION], value="10"),
            await app.ask("unsubscribe", subscriptionId="17"),
            await app.ask("get", path=PATHS[SPEED], filter={"variant": "range", "parameter": {}}),
            await app.ask(
                "get", path=PATHS[SPEED], filter={"variant": "history", "parameter": "P1Y"}
            ),
        ]

    assert [error(one) for one in said] == expected


async def test_without_a_token_only_what_the_server_can_do_is_told(api):
    take(api.data, [(SPEED, NOW, 1.0)])

    async with api.client(None) as app:
        assert error(await app.ask("get", path=PATHS[SPEED])) == (401, "invalid_token")
        can = await app.ask("get", path="Server.Support.Filter")
        assert "curvelog" in can["data"]["dp"]["value"]
        said = await app.ask("get", path=PATHS[SPEED], authorization="a.b.c")
        assert error(said) == (401, "invalid_token")
    assert api.counts.refused == dict.fromkeys(api.counts.refused, 0) | {
        "no_token": 1,
        "bad_token": 1,
    }


async def test_a_token_is_for_its_scopes_and_does_not_learn_of_others(api):
    take(api.data, [(SPEED, NOW, 1.0), (GEAR, NOW, 2)])

    async with api.client("read:Vehicle.Speed") as app:
        assert (await app.ask("get", path=PATHS[SPEED]))["data"]["dp"]["value"] == "1.0"
        for path in (PATHS[GEAR], "Vehicle.Boat"):
            assert error(await app.ask("get", path=path)) == (403, "forbidden_request")
        said = await app.ask("set", path=PATHS[IS_OPEN], value="true")
        assert error(said) == (403, "forbidden_request")
        wild = await app.ask("get", path="Vehicle", filter={"variant": "paths", "parameter": ["*"]})
        assert wild["data"]["path"] == PATHS[SPEED]
        tree = await app.ask("get", path="Vehicle", filter={"variant": "metadata", "parameter": 0})
        assert list(tree["metadata"]["Vehicle"]["children"]) == ["Speed"]


async def test_paths_name_leaves_branches_and_wildcards(api):
    take(
        api.data, [(IS_OPEN, NOW, 0.0), (POSITION, NOW, 40), (MODE, NOW, "AUTO"), (SPEED, NOW, 1.0)]
    )

    async def read(*paths):
        said = await app.ask(
            "get", path="Vehicle.Cabin", filter={"variant": "paths", "parameter": paths}
        )
        return [one["path"] for one in said["data"]] if "data" in said else error(said)

    async with api.client() as app:
        door = [PATHS[IS_OPEN], PATHS[POSITION]]
        assert await read("Door.*.*.IsOpen", "Door") == door
        assert await read("*", "Lights.Mode") == [*door, PATHS[MODE]]
        assert await read("Door", "Roof.*") == (404, "unavailable_data")


async def test_metadata_is_nested_and_so_deep(api):
    async with api.client() as app:
        said = await app.ask(
            "get", path="Vehicle.Cabin", filter={"variant": "metadata", "parameter": "2"}
        )
        speed = await app.ask("get", path=PATHS[SPEED], filter={"type": "static-metadata"})

    assert said["metadata"]["Cabin"]["children"]["Door"] == {"type": "branch", "children": ["Row2"]}
    assert speed["metadata"]["Speed"] == {
        "type": "sensor",
        "datatype": "float",
        "description": "How fast.",
        "unit": "km/h",
        "min": "0",
        "max": "250",
    }


async def test_metadata_of_a_pattern_is_by_the_path_of_each_node(api):
    paths = {"variant": "paths", "parameter": ["Cabin.*", "Speed"]}

    async with api.client() as app:
        said = await app.ask(
            "get", path="Vehicle", filter=[paths, {"variant": "metadata", "parameter": "1"}]
        )

    kinds = {path: node["type"] for path, node in said["metadata"].items()}
    assert kinds == {
        "Vehicle.Cabin.Door": "branch",
        "Vehicle.Cabin.Lights": "branch",
        PATHS[SPEED]: "sensor",
    }


async def test_history_is_what_came_before_the_current_value(api):
    take(api.data, [(SPEED, NOW + n, float(n)) for n in range(4)])
    asked = {"variant": "history", "parameter": "PT10M"}

    async with api.client() as app:
        said = await app.ask("get", path=PATHS[SPEED], filter=asked)
        none = await app.ask("get", path=PATHS[GEAR], filter=asked)

    assert [point["value"] for point in said["data"]["dp"]] == ["0.0", "1.0", "2.0"]
    assert error(none) == (404, "unavailable_data")


async def test_a_range_tells_each_value_that_is_inside(api):
    take(api.data, [(SPEED, NOW, 60.0)])
    parameter = [
        {"logic-op": "lt", "boundary": "50", "combination-op": "OR"},
        {"logic-op": "gt", "boundary": "55"},
    ]

    async with api.client() as app:
        said = await app.ask(
            "subscribe", path=PATHS[SPEED], filter={"variant": "range", "parameter": parameter}
        )
        take(
            api.data, [(SPEED, NOW + n, value) for n, value in enumerate((52.0, 49.0, 55.0, 55.5))]
        )
        assert await app.values(3) == ["60.0", "49.0", "55.5"]
        assert (await app.ask("unsubscribe", subscriptionId=said["subscriptionId"]))[
            "action"
        ] == "unsubscribe"
        take(api.data, [(SPEED, NOW, 1.0)])
        assert await app.is_quiet()


async def test_a_change_is_measured_from_what_was_told_last_and_tells_all_signals(api):
    take(api.data, [(SPEED, NOW, 10.0), (GEAR, NOW, 1)])
    change = {"variant": "change", "parameter": {"logic-op": "gt", "diff": "5"}}
    paths = {"variant": "paths", "parameter": ["Speed", "Powertrain.*.CurrentGear"]}

    async with api.client() as app:
        await app.ask("subscribe", path="Vehicle", filter=[paths, change])
        take(
            api.data, [(SPEED, NOW + n, value) for n, value in enumerate((13.0, 15.5, 20.0, 21.0))]
        )
        first, second = await app.event(), await app.event()

    assert [one["dp"]["value"] for one in first["data"]] == ["15.5", "1"]
    assert [one["dp"]["value"] for one in second["data"]] == ["21.0", "1"]


async def test_a_truth_and_a_text_change_too_but_have_no_range(api):
    take(api.data, [(IS_OPEN, NOW, 0.0), (MODE, NOW, "OFF")])
    rising = {"variant": "change", "parameter": {"logic-op": "gt", "diff": "0"}}
    differs = {"variant": "change", "parameter": {"logic-op": "ne", "diff": "0"}}

    async with api.client() as app:
        await app.ask("subscribe", path=PATHS[IS_OPEN], filter=rising)
        await app.ask("subscribe", path=PATHS[MODE], filter=differs)
        take(api.data, [(IS_OPEN, NOW + 1, 1.0)])
        take(api.data, [(MODE, NOW + 1, "OFF")])
        take(api.data, [(MODE, NOW + 2, "ON")])
        assert sorted(await app.values(2)) == ["ON", "true"]
        refused = await app.ask("subscribe", path=PATHS[MODE], filter=rising)
        assert error(refused) == (400, "bad_request")


async def test_curve_logging_tells_the_shape_of_a_full_buffer(api):
    curve = {"variant": "curvelog", "parameter": {"maxerr": "0.1", "bufsize": "11"}}

    async with api.client() as app:
        await app.ask("subscribe", path=PATHS[SPEED], filter=curve)
        ramp = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
        take(api.data, [(SPEED, NOW + n * S, value) for n, value in enumerate(ramp)])
        said = await app.event()

    assert [point["value"] for point in said["data"]["dp"]] == ["0.0", "5.0", "0.0"]


async def test_a_period_tells_what_is_there_again_and_again(api):
    take(api.data, [(SPEED, NOW, 7.0)])

    async with api.client() as app:
        await app.ask(
            "subscribe",
            path=PATHS[SPEED],
            filter={"variant": "timebased", "parameter": {"period": "50"}},
        )
        assert await app.values(4) == ["7.0"] * 4


async def test_version_2_subscribes_without_a_filter_and_begins_with_what_is_there(api):
    take(api.data, [(SPEED, NOW, 7.0)])

    async with api.client(version=None) as app:
        said = await app.ask("subscribe", path=PATHS[SPEED])
        assert await app.values(1) == ["7.0"]
        take(api.data, [(SPEED, NOW + 1, 8.0)])
        event = await app.event()
        assert event["subscriptionId"] == said["subscriptionId"]
        assert event["data"]["dp"]["value"] == "8.0"
    async with api.client() as app:
        assert error(await app.ask("subscribe", path=PATHS[SPEED])) == (400, "bad_request")


async def test_a_target_value_goes_to_who_provides_the_actuator(api):
    outlet = Outlet()
    provider = api.data.providers.open("window", outlet)
    api.data.providers.claim_actuators(provider, [POSITION, IS_OPEN, MODE])

    async with api.client() as app:
        for path, value in ((POSITION, "40"), (IS_OPEN, "true"), (MODE, "AUTO"), (POSITION, 41)):
            said = await app.ask("set", path=PATHS[path], value=value)
            assert "error" not in said, said
        for outlet.refusal, expected in (
            (Conflict("the car moves"), (503, "service_unavailable")),
            (Denied("not for this app"), (403, "forbidden_request")),
            (BadInput("no"), (400, "invalid_data")),
        ):
            assert error(await app.ask("set", path=PATHS[POSITION], value="1")) == expected
        outlet.refusal, outlet.has_room = None, False
        assert error(await app.ask("set", path=PATHS[POSITION], value="1"))[0] == 503

    assert [target.value for target in outlet.taken] == [40, True, "AUTO", 41]


async def test_http_reads_filters_and_updates(api):
    take(api.data, [(SPEED, NOW, 7.5), (IS_OPEN, NOW, 1.0)])
    outlet = Outlet()
    provider = api.data.providers.open("lights", outlet)
    api.data.providers.claim_actuators(provider, [MODE])

    status, said = await api.http("/Vehicle/Speed")
    assert (status, said["data"]["dp"]["value"], set(said)) == (200, "7.5", {"data", "ts"})
    paths = {"variant": "paths", "parameter": "*/*/IsOpen"}
    status, said = await api.http("/Vehicle/Cabin/Door", filtered=paths)
    assert (status, said["data"]["path"]) == (200, PATHS[IS_OPEN])
    assert (await api.http("/Vehicle.Cabin.Lights.Mode", body={"value": "ON"}))[0] == 200
    assert [target.value for target in outlet.taken] == ["ON"]
    light, period = (
        "/Vehicle/Cabin/Lights/Mode",
        {"variant": "timebased", "parameter": {"period": 100}},
    )
    cases: list[tuple[Any, Any, dict[str, Any], Any]] = [
        ("/", "read", {}, (400, "bad_request")),
        ("/Vehicle/Boat", "read", {}, (404, "unavailable_data")),
        ("/Vehicle/Speed", None, {}, (401, "invalid_token")),
        ("/Vehicle/Speed", "read:Vehicle.Cabin", {}, (403, "forbidden_request")),
        (light, "read provide", {"body": {"value": "ON"}}, (403, "forbidden_request")),
        (light, "actuate", {"body": ["ON"]}, (400, "bad_request")),
        (
            light,
            "read",
            {"filtered": {"type": "history", "parameter": "x"}},
            (400, "invalid_duration"),
        ),
        (light, "read", {"filtered": period}, (400, "bad_request")),
    ]
    for path, scope, more, expected in cases:
        status, said = await api.http(path, scope, **more)
        assert (status, error(said)) == (expected[0], expected), path
