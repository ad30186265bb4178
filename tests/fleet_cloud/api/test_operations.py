"""What operators and their machines look at: /, /docs, /healthz, /metrics, ingest and quarantine."""

from dataclasses import replace

import pytest

from fairway.errors import Unavailable
from fleet_cloud.ingest.status import STARTING, Counts
from tests.fleet_cloud.api.conftest import Client, Cloud


def test_the_front_page_says_what_this_is_and_links_work(client: Client):
    page = client.get("/")
    links = [part.split('"')[0] for part in page.text.split('href="')[1:]]

    assert "Fairway fleet cloud" in page.text
    assert links
    assert [client.get(link, headers={"Authorization": ""}).status_code for link in links] == [
        200
    ] * len(links)


def test_the_description_names_every_route_and_needs_nobody_else(client: Client):
    page = client.get("/docs").text

    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    assert "http" not in page.replace("HTTP", "")


def test_health_follows_ingest(client: Client, cloud: Cloud):
    healthy = client.get("/healthz")
    cloud.status = replace(STARTING, healthy=False, last_error="the disk is full")
    failing = client.get("/healthz")

    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    assert (failing.status_code, failing.json()["detail"]) == (
        503,
        "samples are not being stored: GET /v1/ingest, with a key, says why",
    )
    assert client.get("/v1/ingest").json()["last_error"] == "the disk is full"


def test_metrics_are_prometheus_text(client: Client):
    answer = client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    assert "fairway_probe_total 3.0" in answer.text


def test_ingest_tells_its_counts_and_what_is_stored(client: Client, cloud: Cloud):
    cloud.status = replace(STARTING, counts=Counts(batches=2, duplicates=1), last_error_time_ns=5)
    found = client.get("/v1/ingest").json()

    assert (found["counts"]["duplicates"], found["in_quarantine"]) == (1, 1)
    assert found["stored"]["rows"] == 8
    assert found["last_error_time"] == "1970-01-01T00:00:00.000000005Z"


def test_ingest_is_told_of_although_the_stores_are_gone(
    client: Client, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
):
    def gone(*_: object) -> None:
        raise Unavailable("it does not answer")

    monkeypatch.setattr(type(cloud.quarantine), "count", gone)
    monkeypatch.setattr(type(cloud.telemetry), "statistics", gone)
    answer = client.get("/v1/ingest")

    assert answer.status_code == 200
    assert (answer.json()["in_quarantine"], answer.json()["stored"]) == (None, None)
    assert answer.json()["healthy"] is True


def test_quarantine_lists_misfits_and_lends_their_bytes(client: Client):
    found = client.get("/v1/quarantine").json()
    entry = found["entries"][0]

    assert (found["kept"], entry["vehicle"], entry["reason"]) == (1, "VIN1", "not a batch")
    assert client.get(f"/v1/quarantine/{entry['id']}/payload").content == b"\x00\xff"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/quarantine/77/payload", 404),
        ("POST", "/v1/vehicles", 405),
        ("DELETE", "/", 405),
        ("GET", "/v1/vehicles?limit=1001", 400),
        ("GET", "/v1/vehicles?after=%00", 400),
        ("GET", "/v1/quarantine?limit=0", 400),
        ("GET", "/v1/quarantine/x/payload", 400),
        ("GET", "/v1/quarantine/99999999999999999999/payload", 400),
        ("GET", "/v1/live?signal=" + "x" * 300, 400),
    ],
)
def test_every_error_is_a_problem_document(client: Client, method: str, path: str, status: int):
    answer = client.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status


def test_a_wrong_method_is_told_the_right_ones(client: Client):
    answer = client.request("PUT", "/v1/keys")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_what_should_not_happen_is_a_problem_without_a_traceback(
    client: Client, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cloud.telemetry, "latest", None)
    answer = client.get("/v1/vehicles/VIN1/signals")

    assert (answer.status_code, "Traceback" in answer.text) == (500, False)
    assert answer.headers["content-type"] == "application/problem+json"
