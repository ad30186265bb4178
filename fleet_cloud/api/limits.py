"""How much one request may be: checked before anything else looks at it.

    URL 8 KiB -> 414      headers 16 KiB -> 431      body 64 KiB -> 413
    (a campaign 1.5 MiB, a service 1 MiB, FleetWise's requests at POST / 4 MiB, metadata of releases 64 MiB, an
    artifact 16 GiB)

Rule 1: a body is counted as it comes; what a client says of its length is believed only when it is too much.
Rule 2: who sends too much is answered at once, and what is still on its way is taken and dropped for a moment:
        a connection that is closed over unread bytes is reset, and the answer with it (RFC 9112, 9.6).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet_cloud.api.problems import problem
from fleet_cloud.artifacts.ports import ARTIFACT_MAX_BYTES

# A choice of 100 vehicles and 100 patterns fits; a longer one is a script that should ask twice.
URL_MAX_BYTES = 8 * 1024
# A token is 8 KiB at most.
HEADERS_MAX_BYTES = 16 * 1024
# A body here is a form or a wish; telemetry comes by other doors.
BODY_MAX_BYTES = 64 * 1024
# A campaign's document, which has a limit of its own, and what is said around it.
CAMPAIGN_MAX_BYTES = 3 * 512 * 1024
# A service's manifest, 256 KiB at most, as JSON text or as a table, and whom it is for.
MANIFEST_MAX_BYTES = 1024 * 1024
# All metadata of an Image repository at once, in Base64: 100,000 targets in hash bins are 25 MB.
METADATA_MAX_BYTES = 64 * 1024 * 1024
# FleetWise's requests: 500 nodes with 2,048 characters of description and of comment each, or a whole
# vocabulary as one text.  Its door reads no body before it knows whose it is said to be.
FLEETWISE_MAX_BYTES = 4 * 1024 * 1024
# Twice the largest body that is usual: who sends more than that after an answer is not listening.
LINGER_MAX_BYTES = 8 * 1024 * 1024
LINGER_MAX_S = 2.0


class SizeLimits:
    """Turns away requests that are too large."""

    def __init__(self, app: ASGIApp, most: Callable[[Scope], int] | None = None) -> None:
        """`most` says how many bytes a request's body may have; by default as of the REST API."""
        self._app, self._most = app, most or _most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes = self._most(scope)
        found = _refusal(scope, most_bytes)
        if found is not None:
            status, detail = found
            answer = problem(status, detail, Connection="close")
            await answer(scope, receive, _Lingering(scope, receive, send))
            return
        counted = _Counted(receive, most_bytes)
        lingering = _Lingering(scope, receive, send)

        async def answered(message: Message) -> None:
            await (lingering if counted.is_over else send)(message)

        await self._app(scope, counted, answered)


class _Counted:
    """Receives a request, and counts its body."""

    def __init__(self, receive: Receive, most_bytes: int) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        self._bytes = 0

    @property
    def is_over(self) -> bool:
        """Whether there was too much."""
        return self._bytes > self._most_bytes

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self.is_over:
            # Of the framework's own kind, which it passes on from wherever it reads a body.
            raise HTTPException(413, _too_large(self._most_bytes), {"Connection": "close"})
        return message


class _Lingering:
    """Sends an answer, and lets it end only when the client has sent what it was sending."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Who asks whether to send a body has not sent any, and would be told to.
        self._may_take = not any(name == b"expect" for name, _ in scope["headers"])
        self._receive, self._send = receive, send

    async def __call__(self, message: Message) -> None:
        is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (is_end and self._may_take):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_MAX_S):
                await self._take()
        await self._send({"type": "http.response.body", "body": b""})

    async def _take(self) -> None:
        left = LINGER_MAX_BYTES
        while left > 0:
            message = await self._receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
            left -= len(message.get("body", b""))


def _refusal(scope: Scope, most_bytes: int) -> tuple[int, str] | None:
    url_bytes = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
    if url_bytes > URL_MAX_BYTES:
        return 414, f"the URL has {url_bytes} bytes: {URL_MAX_BYTES} are the most"
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX_BYTES:
        return 431, f"the headers have more than {HEADERS_MAX_BYTES} bytes together"
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > most_bytes:
            return 413, _too_large(most_bytes)
    return None


def _most(scope: Scope) -> int:
    if scope["path"].startswith("/v1/campaigns"):
        return CAMPAIGN_MAX_BYTES
    if scope["path"] == "/v1/services":
        return MANIFEST_MAX_BYTES
    if scope["path"] == "/v1/releases/repository":
        return METADATA_MAX_BYTES
    if scope["method"] == "PUT" and scope["path"].startswith("/v1/artifacts/"):
        return ARTIFACT_MAX_BYTES
    is_fleetwise = (scope["method"], scope["path"]) == ("POST", "/")
    return FLEETWISE_MAX_BYTES if is_fleetwise else BODY_MAX_BYTES


def _too_large(most_bytes: int) -> str:
    return f"the body has more than {most_bytes} bytes"
