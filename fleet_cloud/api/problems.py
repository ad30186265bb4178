"""Errors as RFC 9457 problem documents: one sentence that says what was wrong and what to do.

BadInput 400   NotFound 404   NotAcceptable 406   Denied 403   Conflict 409   Unavailable 503   else 500
"""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from fairway import log as logs
from fairway.errors import Conflict, Denied, FairwayError, Unavailable
from fleet_cloud.api.ports import NotAcceptable, NotFound

log = logs.get("fleet_cloud.api")

MEDIA_TYPE = "application/problem+json"

# A store that is restarted or out of disk is worth asking again after this long.
RETRY_AFTER_S = 5

_TITLES = {
    400: "Bad request",
    403: "Denied",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    500: "Internal error",
    503: "Unavailable",
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
    match error:
        case NotFound():
            return 404
        case NotAcceptable():
            return 406
        case Denied():
            return 403
        case Conflict():
            return 409
        case Unavailable():
            return 503
        case _:
            return 400


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, FairwayError)
    status = status_of(error)
    retry = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    return problem(status, _printable(str(error)), **retry)


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
    return problem(error.status_code, _printable(detail), **dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, error=repr(error))
    return problem(500, "this should not have happened: it is in the log of fleet-cloud")


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
