"""The keys of an issuer, found as OpenID Connect Discovery 1.0 says and kept.

    https://issuer/.well-known/openid-configuration --jwks_uri--> keys

Rule 1: keys are kept for FRESH_S; an unknown id asks anew before, but only so often, whoever sends such tokens.
Rule 2: while an issuer does not answer, keys last known count for STALE_S; then nobody it speaks for is let in.
Rule 3: over HTTPS, or HTTP on a loopback address; no redirect is followed, and an answer has a size and a time.
"""

import ipaddress
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Denied, Unavailable
from fleet_cloud.adapters.oidc import IssuerKey, key_set

log = logs.get("fleet_cloud.oidc")

FRESH_S = 3600
STALE_S = 24 * 3600
# Issuers show a new key hours before they sign with it; whoever asks for unknown keys in between waits.
UNKNOWN_ASK_S = 30
AGAIN_S = 5
ANSWER_S = 5.0
ANSWER_MAX_BYTES = 512 * 1024

Fetch = Callable[[str], Any]


class DiscoveredKeys:
    """The keys that an issuer publishes."""

    def __init__(self, issuer: str, clock: Clock, fetch: Fetch | None = None) -> None:
        self._issuer = issuer
        self._clock = clock
        self._fetch = fetch or fetched
        self._lock = threading.Lock()  # one asks, the others wait for the same answer
        self._keys: Mapping[str, IssuerKey] = {}
        self._asked_ns: int | None = None  # when it was asked last, whatever came of it
        self._known_ns: int | None = None  # when it answered last
        checked_url(issuer)

    def key(self, kid: str) -> IssuerKey:
        known = self._keys.get(kid)
        if known is not None and self._is_younger(self._known_ns, FRESH_S):
            return known
        with self._lock:
            known = self._keys.get(kid)
            if not self._is_younger(self._known_ns, UNKNOWN_ASK_S if known is None else FRESH_S):
                self._ask()
            if not self._is_younger(self._known_ns, STALE_S):
                raise Unavailable(f"the issuer {self._issuer} does not answer: come again later")
            found = self._keys.get(kid)
        if found is None:
            raise Denied("the token is signed by a key that its issuer does not publish")
        return found

    def _ask(self) -> None:
        if self._is_younger(self._asked_ns, AGAIN_S):
            return
        self._asked_ns = self._clock.monotonic_ns()
        try:
            self._keys = self._published()
            self._known_ns = self._clock.monotonic_ns()
        except (BadInput, Unavailable) as error:
            log.warning("issuer_unusable", issuer=self._issuer, reason=str(error))

    def _published(self) -> Mapping[str, IssuerKey]:
        about = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(about, Mapping) or about.get("issuer") != self._issuer:
            raise BadInput("its configuration is that of another issuer, or none")
        place = about.get("jwks_uri")
        if not isinstance(place, str):
            raise BadInput("its configuration does not say where its keys are (jwks_uri)")
        return key_set(self._fetch(checked_url(place)))

    def _is_younger(self, at_ns: int | None, span_s: float) -> bool:
        return at_ns is not None and self._clock.monotonic_ns() - at_ns < span_s * NS_PER_S


def checked_url(url: str) -> str:
    """Return `url` when an issuer may be asked there.  Raises BadInput."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_odd = parts.port == 0 or parts.username is not None
    except ValueError as error:
        raise BadInput(f"{url[:120]!r} is no URL: {error}") from error
    if is_odd or not host or not url.isprintable() or " " in url:
        raise BadInput(f"{url[:120]!r} is not the URL of an issuer")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return url
    raise BadInput(f"{url[:120]!r} is not https://: anybody on the way could be the issuer")


def fetched(url: str) -> Any:
    """Return the JSON that `url` answers with.  Raises Unavailable, BadInput for what is none."""
    wanted = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked_url
    try:
        opener = _NEAR if _is_loopback(urlsplit(url).hostname or "") else _FAR
        with opener.open(wanted, timeout=ANSWER_S) as answer:
            body: bytes = answer.read(ANSWER_MAX_BYTES + 1)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise Unavailable(f"{url} does not answer: {error}") from error
    if len(body) > ANSWER_MAX_BYTES:
        raise BadInput(f"{url} answers with more than {ANSWER_MAX_BYTES} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{url} answers with something else than JSON: {error}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: the operator named an address, not where that leads."""


# Beyond this machine the environment's proxy is used where there is one; TLS goes through it to the issuer.
_FAR = urllib.request.build_opener(_NoRedirect)
_NEAR = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
