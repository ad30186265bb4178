"""Asking a real issuer over HTTP: what it publishes is found, and what is odd is an error of ours."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput, Denied, Unavailable
from fleet_cloud.adapters import oidc_discovery
from fleet_cloud.adapters.issuers import tokens_of
from fleet_cloud.adapters.oidc_discovery import fetched
from fleet_cloud.config import Oidc
from tests.issuers import NOW_S, published, token

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


class Site:
    """A web server on this machine."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, headers = site.pages.get(self.path, (404, b"", {}))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, path: str, content: object) -> None:
        self.pages[path] = (200, json.dumps(content).encode(), {})


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_tokens_of_a_configured_issuer_let_in(site: Site):
    issuer = f"{site.url}/realms/fleet"
    site.page("/realms/fleet/.well-known/openid-configuration",
              {"issuer": issuer, "jwks_uri": f"{site.url}/keys"})  # fmt: skip
    site.page("/keys", published("ES256"))
    named = Oidc(issuer, "fairway", tenant="acme", grants={"ops": "operator"})
    tokens = tokens_of([named], None, ManualClock(NOW_S * NS_PER_S))

    found = tokens.principal(token(iss=issuer, roles=["ops"]))
    assert found.actor == "user:ann@127.0.0.1"
    assert [str(grant) for grant in found.grants] == ["operator@acme"]
    with pytest.raises(Denied):
        tokens.principal(token(iss=site.url))


def test_a_redirect_is_not_followed(site: Site):
    site.page("/there", {"keys": []})
    site.pages["/"] = (302, b"", {"Location": f"{site.url}/there"})

    with pytest.raises(Unavailable):
        fetched(f"{site.url}/")


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 100_000, b""])
def test_what_is_no_json_is_an_error_of_ours(site: Site, body: bytes):
    site.pages["/"] = (200, body, {})

    with pytest.raises(BadInput):
        fetched(f"{site.url}/")


def test_an_endless_answer_and_one_that_never_comes_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    site.pages["/"] = (200, b" " * (oidc_discovery.ANSWER_MAX_BYTES + 1), {})
    with pytest.raises(BadInput):
        fetched(f"{site.url}/")

    site.server.shutdown()
    monkeypatch.setattr(oidc_discovery, "ANSWER_S", 0.2)
    with pytest.raises(Unavailable):
        fetched(f"{site.url}/")


@pytest.mark.parametrize(
    "named",
    [
        [Oidc("https://x", "")],
        [Oidc("http://login.example", "a")],
        [Oidc("https://x", "a"), Oidc("https://x", "b")],
        [Oidc("https://x", "a", grants={"ops": "king@acme"})],
        [Oidc("https://x", "a", grants={"ops": "viewer"})],
    ],
)
def test_an_issuer_that_cannot_be_believed_is_refused_at_the_start(named: list[Oidc]):
    with pytest.raises(BadInput):
        tokens_of(named, None, ManualClock())
