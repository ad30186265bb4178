"""Whatever is asked, the answer is data or a problem document: never a failure of ours."""

import contextlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clickhouse import embedded_store  # noqa: F401 - a fixture
from tests.fleet_cloud.api.conftest import Client, client_of, small_fleet

ODD = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "..",
        "/",
        "%00",
        "'",
        "\0",
        "\udfff",
        "-1",
        "1e9",
        "9" * 30,
        "nan",
        "2023-11-14T22:13:20Z",
        "١٢٣",
    ]
)
TIMES = (
    ODD
    | st.integers(-5, 2**64).map(str)
    | st.sampled_from(["-5m", "-0s", "2262-04-11T23:47:16.9Z"])
)
SPANS = ODD | st.sampled_from(["1m", "10ms", "1ms", "106751d", "106752d"])

PATHS = st.one_of(
    st.sampled_from(
        ["/", "/docs", "/healthz", "/metrics", "/v1/ingest", "/v1/quarantine", "/v1/vehicles"]
    ),
    ODD.map(lambda name: f"/v1/vehicles/{escaped(name)}"),
    ODD.map(lambda name: f"/v1/vehicles/{escaped(name)}/signals"),
    ODD.map(lambda name: f"/v1/quarantine/{escaped(name)}/payload"),
    st.sampled_from(["Vehicle.Speed", "Vehicle.Gear", "Vehicle.Belt"]).map(
        lambda name: f"/v1/vehicles/VIN1/signals/{name}/series"
    ),
    ODD.map(lambda name: f"/v1/vehicles/VIN1/signals/{escaped(name)}/series"),
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "from": TIMES,
        "to": TIMES,
        "limit": ODD | st.integers(-1, 2000).map(str),
        "bucket": SPANS,
        "aggregates": ODD | st.sampled_from(["min", "last,min", "count,count"]),
        "format": ODD | st.sampled_from(["json", "csv", "arrow", "parquet"]),
        "after": ODD,
        "signal": ODD | st.sampled_from(["*", "[", "[!]", "***", "(?s"]),
    },
)
ACCEPTS = st.text("abc*/;q=0.9, ", max_size=20) | st.sampled_from(
    ["*/*", "text/*;q=x", "text/csv;q=0"]
)


def escaped(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="/")


@pytest.fixture(scope="module", params=["memory", "embedded"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """The API over memory, and over the real engine: its SQL is made of what was asked."""
    cloud = small_fleet()
    if request.param == "embedded":
        store = request.getfixturevalue("embedded_store")
        store.append(list(cloud.telemetry.batches.values()))
        cloud.telemetry = store
    with client_of(cloud) as client:
        yield client


@given(path=PATHS, query=QUERIES, accept=ACCEPTS)
@settings(max_examples=150)
def test_the_answer_is_data_or_a_problem(
    client: Client, path: str, query: dict[str, str], accept: str
):
    pairs = "&".join(f"{name}={escaped(value)}" for name, value in query.items())
    answer = client.get(f"{path}?{pairs}", headers={"Accept": accept})

    assert answer.status_code in (200, 400, 404, 406)
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


@given(path=st.binary(max_size=20), query=st.binary(max_size=20))
@settings(max_examples=100)
def test_bytes_for_a_path_do_no_harm(client: Client, path: bytes, query: bytes):
    with contextlib.suppress(ValueError):  # the test's own client does not send everything
        answer = client.get("/" + quote(path, safe="/%") + "?" + quote(query, safe="&=%+"))
        assert answer.status_code in (200, 307, 400, 404)
