"""At the gate: what is said to whom, how often one may come, and what the audit log keeps of it."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import Unavailable
from fleet_cloud.access.grants import Grant
from fleet_cloud.access.keys import fresh_key
from fleet_cloud.access.roles import Role
from fleet_cloud.api import gate
from fleet_cloud.audit.acts import Outcome
from tests.fleet_cloud.api.conftest import Client, Cloud, bearer, client_of, small_fleet

UNKNOWN = f"fwk_{'0' * 16}_{'0' * 48}"
S = 1_000_000_000


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ([], 'Bearer realm="fairway"'),
        ([("Authorization", f"Bearer {UNKNOWN}")], 'Bearer realm="fairway", error="invalid_token"'),
        ([("Authorization", "Basic YTpi")], 'Bearer realm="fairway", error="invalid_token"'),
        ([("Authorization", "Bearer")], 'Bearer realm="fairway", error="invalid_token"'),
    ],
)
def test_whoever_is_nobody_is_challenged(cloud: Cloud, headers, challenge: str):
    with client_of(cloud, "") as client:
        answer = client.get("/v1/vehicles/VIN1", headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "VIN1" not in answer.text


def test_two_credentials_are_none(cloud: Cloud):
    good = f"Bearer {cloud.key()}"
    with client_of(cloud, "") as client:
        both = client.get("/v1/me", headers=[("Authorization", good), ("Authorization", good)])

    assert both.status_code == 401


def test_whoever_may_not_is_told_which_permission_is_missing_and_nothing_else(cloud: Cloud):
    with client_of(cloud, cloud.key("viewer")) as client:
        answer = client.get("/v1/quarantine/1/payload")

    assert answer.status_code == 403
    assert answer.json()["detail"] == "this needs the permission quarantine:read"
    assert (
        'error="insufficient_scope", scope="quarantine:read"' in answer.headers["www-authenticate"]
    )


def test_who_one_is_can_be_asked(cloud: Cloud):
    with client_of(cloud, cloud.key("viewer", "default", "north")) as client:
        found = client.get("/v1/me").json()

    assert found["actor"].startswith("key:")
    assert found["grants"] == [
        {
            "role": "viewer",
            "tenant": "default",
            "fleet": "north",
            "permissions": [
                "campaigns:read",
                "models:read",
                "releases:read",
                "rollouts:read",
                "self:read",
                "services:read",
                "telemetry:read",
                "vehicles:read",
            ],
        }
    ]


def test_a_key_that_was_made_here_lets_in_until_it_is_revoked(client: Client, cloud: Cloud):
    wish = {"name": "ci", "role": "viewer", "tenant": "default", "days": 1}
    made = client.request("POST", "/v1/keys", json=wish).json()
    shown = bearer(made["secret"])
    assert client.get("/v1/vehicles", headers=shown).status_code == 200
    listed = client.get("/v1/keys").json()["keys"]
    gone = client.request("DELETE", f"/v1/keys/{made['key']['id']}").status_code
    again = client.request("DELETE", f"/v1/keys/{made['key']['id']}").status_code

    assert (gone, again) == (204, 404)
    assert client.get("/v1/vehicles", headers=shown).status_code == 401
    assert next(key for key in listed if key["name"] == "ci")["last_used"] is not None
    secret = made["secret"].split("_")[2]
    assert secret not in str(listed)
    assert secret not in str(cloud.audit.acts)


@pytest.mark.parametrize(
    "wish",
    [
        {"role": "viewer", "tenant": "default"},
        {"name": "x", "role": "king", "tenant": "default"},
        {"name": "x", "role": "viewer", "tenant": "../x"},
        {"name": "x", "role": "viewer", "tenant": "default", "days": 0},
        {"name": "x\n", "role": "viewer", "tenant": "default"},
        ["x"],
        None,
    ],
)
def test_a_wish_that_is_none_is_a_problem_and_makes_no_key(client: Client, cloud: Cloud, wish):
    before = len(cloud.keys.listed())

    assert client.request("POST", "/v1/keys", json=wish).status_code == 400
    assert len(cloud.keys.listed()) == before


def test_what_changes_something_is_in_the_audit_log_before_it_is_done(client: Client, cloud: Cloud):
    wish = {"name": "ci", "role": "viewer", "tenant": "default"}
    made = client.request("POST", "/v1/keys", json=wish).json()["key"]
    client.request("DELETE", f"/v1/keys/{made['id']}")
    kept = [(act.action, act.object, act.tenant) for act in cloud.audit.acts]

    assert kept == [
        ("api.post", "route:POST /v1/keys", "_platform"),
        ("key.create", f"key:{made['id']}", "default"),
        ("api.delete", f"route:DELETE /v1/keys/{made['id']}", "_platform"),
        ("key.revoke", f"key:{made['id']}", "default"),
    ]


def test_what_cannot_be_audited_is_not_done(client: Client, cloud: Cloud, monkeypatch):
    def away(_act: object) -> None:
        raise Unavailable("the audit log is away")

    monkeypatch.setattr(cloud.audit, "write", away)
    before = len(cloud.keys.listed())
    wish = {"name": "ci", "role": "viewer", "tenant": "default"}

    assert client.request("POST", "/v1/keys", json=wish).status_code == 503
    assert len(cloud.keys.listed()) == before
    assert client.get("/metrics", headers=bearer(UNKNOWN)).status_code == 401


def test_denials_are_folded_to_one_a_minute_for_each_actor_and_route(cloud: Cloud):
    shown = cloud.key("viewer")
    with client_of(cloud, shown) as client:
        for _ in range(3):
            client.get("/v1/keys")
            client.get("/v1/vehicles/VIN1", headers=bearer(UNKNOWN))
            client.get("/v1/vehicles/VIN2", headers=bearer(UNKNOWN))
        cloud.clock.advance(60 * S)
        client.get("/v1/keys")
    actor = f"key:{shown.split('_')[1]}"
    kept = [(act.actor, act.object, act.details["why"]) for act in cloud.audit.acts]

    assert kept == [
        (actor, "route:GET /v1/keys", "403 keys:read"),
        ("anonymous", "route:GET /v1/vehicles/{vehicle}", "401"),
        (actor, "route:GET /v1/keys", "403 keys:read"),
    ]
    assert {act.outcome for act in cloud.audit.acts} == {Outcome.DENIED}


def test_whoever_asks_too_often_waits_and_nobody_else(cloud: Cloud):
    first, second = cloud.key("viewer"), cloud.key("viewer")
    with client_of(cloud, first) as client:
        statuses = [client.get("/v1/me").status_code for _ in range(gate.REQUESTS.burst + 1)]
        late = client.get("/v1/me")
        other = client.get("/v1/me", headers=bearer(second))
        cloud.clock.advance(S)
        after = client.get("/v1/me")

    assert statuses == [200] * gate.REQUESTS.burst + [429]
    assert (late.headers["retry-after"], late.json()["title"]) == ("1", "Too often")
    assert (other.status_code, after.status_code) == (200, 200)


def test_whoever_guesses_waits_and_neighbours_that_were_let_in_do_not(cloud: Cloud):
    good, new = cloud.key("viewer"), cloud.key("viewer")
    with client_of(cloud, good) as client:
        assert client.get("/v1/me").status_code == 200
        guesses = [
            client.get("/v1/me", headers=bearer(f"fwk_{n:016x}_{'0' * 48}")).status_code
            for n in range(gate.FAILURES.burst + 2)
        ]
        assert guesses == [401] * gate.FAILURES.burst + [429] * 2
        assert client.get("/v1/me").status_code == 200
        assert client.get("/v1/me", headers=bearer(new)).status_code == 429
        cloud.clock.advance(5 * S)
        assert client.get("/v1/me", headers=bearer(new)).status_code == 200


def test_a_registry_that_is_away_is_not_told_of_to_strangers(cloud: Cloud, monkeypatch):
    def away(_key: str) -> None:
        raise Unavailable("the registry cannot be used now: db.internal refused")

    shown = cloud.key()
    monkeypatch.setattr(cloud.keys, "key", away)
    with client_of(cloud, shown) as client:
        answer = client.get("/v1/me")

    assert (answer.status_code, "db.internal" in answer.text) == (503, False)


def test_when_a_key_was_used_is_noted_once_a_minute_and_need_not_be(cloud: Cloud, monkeypatch):
    noted: list[int] = []

    def note(_key: str, now_ns: int) -> None:
        noted.append(now_ns)
        raise Unavailable("the disk is full")

    monkeypatch.setattr(cloud.keys, "used", note)
    with client_of(cloud) as client:
        assert [client.get("/v1/me").status_code for _ in range(3)] == [200] * 3
        cloud.clock.advance(60 * S)
        client.get("/v1/me")

    assert len(noted) == 2


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/v1/live?signal=" + "x" * 9000, {}, 414),
        ("GET", "/", {"headers": {"X": "x" * 17_000}}, 431),
        ("POST", "/v1/keys", {"content": b"x" * 70_000}, 413),
        ("POST", "/v1/keys", {"headers": {"Content-Length": "9" * 40}}, 413),
        ("GET", "/v1/vehicles", {"content": b"x" * 70_000}, 413),
    ],
)
def test_requests_that_are_too_large_are_turned_away(client: Client, method, path, options, status):
    answer = client.request(method, path, **options)

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


def test_a_body_that_hides_its_length_is_counted(client: Client):
    async def pieces():
        for _ in range(70):
            yield b"x" * 1024

    answer = client.request("POST", "/v1/keys", content=pieces())

    assert (answer.status_code, answer.json()["title"]) == (413, "Too large")


@pytest.fixture(scope="module")
def strangers() -> Iterator[Client]:
    cloud = small_fleet()
    with client_of(cloud, "") as client:
        yield client


@given(shown=st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"Bearer " + data))
def test_any_bytes_in_the_header_are_refused_with_one_sentence(strangers: Client, shown: bytes):
    answer = strangers.get("/v1/vehicles", headers=[(b"Authorization", shown)])

    assert answer.status_code in (401, 429)
    assert set(answer.json()) == {"type", "title", "status", "detail"}


def test_an_expired_key_is_refused(cloud: Cloud):
    now_ns = cloud.clock.now_ns()
    kept, shown = fresh_key("old", Grant(Role.VIEWER, "default"), 1, expires_time_ns=now_ns)
    cloud.keys.add(kept)
    with client_of(cloud, shown) as client:
        assert client.get("/v1/me").status_code == 401
