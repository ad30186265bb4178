"""Series: raw and in buckets, in four formats, a page at a time."""

import io
from urllib.parse import quote

import pyarrow as pa
import pytest
from pyarrow import csv, ipc, parquet

from tests.fleet_cloud.api.conftest import START_NS, Client, Cloud, batch

S = 1_000_000_000
SPEED = "/v1/vehicles/VIN1/signals/Vehicle.Speed/series"
GEAR = "/v1/vehicles/VIN1/signals/Vehicle.Gear/series"
BELT = "/v1/vehicles/VIN1/signals/Vehicle.Belt/series"


def test_a_series_is_two_columns(client: Client):
    found = client.get(SPEED).json()

    assert found == {
        "vehicle": "VIN1",
        "signal": "Vehicle.Speed",
        "unit": "km/h",
        "next": None,
        "time_ns": [START_NS, START_NS + S, START_NS + 2 * S, START_NS + 61 * S],
        "value": [10.0, 20.0, 30.0, 7.5],
    }


def test_texts_and_booleans_are_texts_and_booleans(client: Client):
    assert client.get(GEAR).json()["value"] == ["P", "D"]
    assert client.get(BELT).json()["value"] == [True]


def test_a_signal_may_be_called_anything(client: Client):
    found = client.get(f"/v1/vehicles/VIN1/signals/{quote('PT.Motor/Temp é', safe='')}/series")

    assert found.json()["value"] == [-40.0]


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        (str(START_NS + S), str(START_NS + 3 * S)),
        ("2023-11-14T22:13:21Z", "2023-11-14T22:13:23.000000000Z"),
        ("2023-11-14T23:13:21+01:00", "2023-11-15T06:13:23+08:00"),
        ("2023-11-14 22:13:20.5", "2023-11-14T22:13:22,000000001"),
    ],
)
def test_a_span_is_told_in_many_ways(client: Client, from_: str, to: str):
    found = client.get(SPEED, params={"from": from_, "to": to}).json()

    assert found["value"] == [20.0, 30.0]


def test_a_span_may_be_told_from_now(client: Client, cloud: Cloud):
    cloud.clock.jump(START_NS + 62 * S - cloud.clock.now_ns())

    assert client.get(SPEED, params={"from": "-1m"}).json()["value"] == [30.0, 7.5]


def test_pages_are_linked(client: Client):
    values = []
    link: str | None = f"{SPEED}?limit=2"
    while link is not None:
        answer = client.get(link)
        values.append(answer.json()["value"])
        assert answer.links.get("next", {}).get("url") == answer.json()["next"]
        link = answer.json()["next"]

    assert values == [[10.0, 20.0], [30.0, 7.5]]


def test_buckets_aggregate(client: Client):
    found = client.get(
        SPEED, params={"bucket": "1m", "aggregates": "min,max,mean,last,count"}
    ).json()

    start_ns = START_NS // (60 * S) * 60 * S
    assert found["bucket_ns"] == 60 * S
    assert found["start_ns"] == [start_ns, start_ns + 60 * S]
    assert [found[name] for name in ("min", "max", "mean", "last", "count")] == [
        [10.0, 7.5],
        [30.0, 7.5],
        [20.0, 7.5],
        [30.0, 7.5],
        [3, 1],
    ]


def test_only_the_aggregates_asked_for_are_given(client: Client):
    found = client.get(SPEED, params={"bucket": "1h", "aggregates": "last"}).json()

    assert (found["last"], "min" in found) == ([7.5], False)


@pytest.mark.parametrize("how", ["format", "accept"])
def test_csv(client: Client, how: str):
    answer = client.get(SPEED, **asked(how, "csv", "text/csv"))

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    table = csv.read_csv(io.BytesIO(answer.content))
    assert table.to_pydict()["value"] == [10.0, 20.0, 30.0, 7.5]
    assert table.to_pydict()["time_ns"][0] == START_NS


@pytest.mark.parametrize("how", ["format", "accept"])
def test_arrow(client: Client, how: str):
    media = "application/vnd.apache.arrow.stream"
    answer = client.get(GEAR, **asked(how, "arrow", media))

    assert answer.headers["content-type"] == media
    table = ipc.open_stream(answer.content).read_all()
    assert table.schema.field("time").type == pa.timestamp("ns", tz="UTC")
    assert table.column("value").to_pylist() == ["P", "D"]
    assert table.schema.metadata[b"signal"] == b"Vehicle.Gear"


@pytest.mark.parametrize("how", ["format", "accept"])
def test_parquet(client: Client, how: str):
    media = "application/vnd.apache.parquet"
    answer = client.get(f"{SPEED}?bucket=1m", **asked(how, "parquet", media))

    assert answer.headers["content-type"] == media
    table = parquet.read_table(io.BytesIO(answer.content))
    assert table.column_names == ["start", "min", "max", "mean", "last"]
    assert table.column("mean").to_pylist() == [20.0, 7.5]


def asked(how: str, form: str, media: str) -> dict[str, dict[str, str]]:
    if how == "format":
        return {
            "params": {"format": form, "bucket": "1m"} if form == "parquet" else {"format": form}
        }
    return {"headers": {"Accept": f"text/plain;q=0.9, {media}, */*;q=0.1"}}


def test_csv_quotes_texts(client: Client):
    assert client.get(f"{GEAR}?format=csv").text.splitlines()[1] == f'{START_NS},"P"'


def test_what_nobody_can_give_is_not_acceptable(client: Client):
    answer = client.get(SPEED, headers={"Accept": "image/png"})

    assert (answer.status_code, answer.headers["content-type"]) == (406, "application/problem+json")


def test_numbers_without_a_json_word_are_null(client: Client, cloud: Cloud):
    cloud.telemetry.append(
        [batch("VIN2", (0, 0, float("nan")), (0, 1, float("-inf")), (0, 2, 1.0))]
    )

    found = client.get("/v1/vehicles/VIN2/signals/Vehicle.Speed/series").json()
    assert found["value"] == [None, None, 1.0]


def test_an_unknown_signal_is_not_found(client: Client):
    for query in ("", "?bucket=1m"):
        answer = client.get(f"/v1/vehicles/VIN1/signals/Vehicle.Nothing/series{query}")
        assert answer.status_code == 404
        assert "Vehicle.Nothing" in answer.json()["detail"]


def test_a_span_without_samples_is_an_empty_page(client: Client):
    for query in ("to=5", "to=5&bucket=1m", "to=5&format=csv", "to=5&format=parquet"):
        assert client.get(f"{SPEED}?{query}").status_code == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("from=yesterday", "from"),
        ("to=2023-13-40T00:00:00Z", "to"),
        ("from=99999999999999999999", "from"),
        ("from=1&to=0", "from"),
        ("limit=0", "limit"),
        ("limit=1000001", "limit"),
        ("limit=many", "limit"),
        ("bucket=1y", "bucket"),
        ("bucket=0s", "bucket"),
        ("bucket=99999999999d", "bucket"),
        ("bucket=1m&aggregates=median", "aggregates"),
        ("format=xml", "format"),
        ("from=-", "from"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(client: Client, query: str, names: str):
    answer = client.get(f"{SPEED}?{query}")

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(names)
    assert "\n" not in answer.json()["detail"]


def test_texts_have_no_buckets(client: Client):
    answer = client.get(f"{GEAR}?bucket=1m")

    assert (answer.status_code, "holds texts" in answer.json()["detail"]) == (400, True)
