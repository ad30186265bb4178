"""Errors as RFC 9457 problem documents: one sentence that says what was wrong and what to do.

BadInput 400   NotSignedIn 401   Denied 403   NotFound 404   NotAcceptable 406   Conflict 409   TooOften 429
Unavailable 503   else 500      (413, 414 and 431 are the size limits': limits.py)
"""

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from fairway import log as logs
from fairway.errors import Conflict, Denied, FairwayError, Unavailable
from fleet_cloud.api.ports import NotAcceptable, NotAllowed, NotFound, NotSignedIn, TooOften

log = logs.get("fleet_cloud.api")

MEDIA_TYPE = "application/problem+json"

# A store that is restarted or out of disk is worth asking again after this long.
RETRY_AFTER_S = 5

_TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Denied",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Too large",
    414: "Too long",
    429: "Too often",
    431: "Too large",
    500: "Internal error",
    503: "Unavailable",
}

# The first that fits: what is more particular stands before what it is a kind of.
_STATUSES: tuple[tuple[type[FairwayError], int], ...] = (
    (NotSignedIn, 401),
    (Denied, 403),
    (NotFound, 404),
    (NotAcceptable, 406),
    (Conflict, 409),
    (TooOften, 429),
    (Unavailable, 503),
)

PROBLEM_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"schema": {"type": "integer"}}},
    503: {"Retry-After": {"schema": {"type": "integer"}}},
}


def problem(status: int, detail: str, **headers: str) -> Response:
    """Return the problem document for an answer."""
    title = _TITLES.get(status, "Problem")
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def add(app: FastAPI) -> None:
    """Have `app` answer every error with a problem document."""
    app.add_exception_handler(FairwayError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_routing)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: FairwayError) -> int:
    """Return the HTTP status that says what a caller can do about `error`."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 400)


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, FairwayError)
    return problem(status_of(error), _printable(str(error)), **headers_of(error))


def headers_of(error: FairwayError) -> dict[str, str]:
    """Return what a client's library wants to know of `error`."""
    match error:
        case NotSignedIn():
            return {"WWW-Authenticate": _challenge("invalid_token" if error.is_wrong else "")}
        case NotAllowed():
            return {"WWW-Authenticate": _challenge("insufficient_scope", scope=error.permission)}
        case TooOften():
            return {"Retry-After": str(max(1, math.ceil(error.wait_s)))}
        case Unavailable():
            return {"Retry-After": str(RETRY_AFTER_S)}
        case _:
            return {}


def _challenge(error: str, **more: str) -> str:
    parts = {"realm": "fairway", **({"error": error} if error else {}), **more}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parts.items())


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems that a route may answer with, for its description; a URL may always be too long."""
    return {
        status: {
            "description": _TITLES[status],
            "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
        for status in sorted({*statuses, 414})
    }


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    said = first["msg"].removeprefix("Input ").replace("\n", " ")
    return problem(400, _printable(f"{where} is {str(first['input'])[:40]!r}: it {said}"))


async def _of_routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        404: f"there is nothing at {request.url.path[:200]}: see / for what there is",
        405: f"{request.method} is not possible at {request.url.path[:200]}",
    }
    detail = details.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(error.status_code, _printable(detail), **headers)


def _methods(request: Request) -> list[str]:
    """Return what can be done at a path: each of its methods is a route of its own.

    A path that stands in a route as it is, such as /v1/campaigns/dry-run, is no name in another's.
    """
    app: FastAPI = request.app
    routes = [
        route
        for route in iter_route_contexts(app.routes)
        if route.path_regex.match(request.url.path)
    ]
    exact = [route for route in routes if route.path == request.url.path]
    return sorted({method for route in exact or routes for method in route.methods or ()})


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, error=repr(error))
    return problem(500, "this should not have happened: it is in the log of fleet-cloud")


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
