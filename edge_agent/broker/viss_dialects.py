"""What VISS answers when something is refused, in the words of version 2 and of version 3.

    UNKNOWN_PATH    v2  {"number": 404, "reason": "invalid_path", "message": "The specified data path ..."}
                    v3  {"number": "404", "reason": "unavailable_data", "description": "Data is unknown"}

Rule 1: numbers and reasons are those of the tables of the standards; no reason of our own is added.
Rule 2: a sentence that helps replaces the standard's where that is allowed, and never says what was not asked.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Dialect(Enum):
    """A version of VISS, named as its WebSocket subprotocol."""

    V2 = "VISSv2"
    V3 = "VISSv3"


class Problem(Enum):
    """Why something is refused."""

    BAD_REQUEST = auto()
    BAD_FILTER = auto()
    BAD_PERIOD = auto()
    BAD_VALUE = auto()
    BRANCH = auto()
    READ_ONLY = auto()
    NO_TOKEN = auto()
    BAD_TOKEN = auto()
    TOKEN_OVER = auto()
    FORBIDDEN = auto()
    UNKNOWN_PATH = auto()
    NO_DATA = auto()
    UNKNOWN_SUBSCRIPTION = auto()
    TOO_MANY = auto()
    UNAVAILABLE = auto()


@dataclass(frozen=True, slots=True)
class _Said:
    number: int
    reason: str
    sentence: str


_V2: dict[Problem, _Said] = {
    Problem.BAD_REQUEST: _Said(
        400,
        "bad_request",
        "The server is unable to fulfil the client request because the request is malformed.",
    ),
    Problem.BAD_FILTER: _Said(400, "filter_invalid", "Filter requested on non-primitive type."),
    Problem.BAD_PERIOD: _Said(400, "invalid_duration", "Time duration is invalid."),
    Problem.BAD_VALUE: _Said(400, "invalid_value", "The requested set value is invalid."),
    Problem.BRANCH: _Said(404, "invalid_path", "The specified data path does not exist."),
    Problem.READ_ONLY: _Said(
        401,
        "read_only",
        "The desired signal cannot be set since it is a read only signal.",
    ),
    Problem.NO_TOKEN: _Said(401, "token_missing", "Access token is missing."),
    Problem.BAD_TOKEN: _Said(401, "token_invalid", "Access token is invalid."),
    Problem.TOKEN_OVER: _Said(401, "token_expired", "Access token has expired."),
    Problem.FORBIDDEN: _Said(
        403,
        "user_forbidden",
        "The user is not permitted to access the requested resource. Retrying does not help.",
    ),
    Problem.UNKNOWN_PATH: _Said(404, "invalid_path", "The specified data path does not exist."),
    Problem.NO_DATA: _Said(404, "unavailable_data", "The requested data was not found."),
    Problem.UNKNOWN_SUBSCRIPTION: _Said(
        404, "invalid_subscription_id", "The specified subscription was not found."
    ),
    Problem.TOO_MANY: _Said(
        429,
        "too_many_requests",
        "The client has sent the server too many requests in a given amount of time.",
    ),
    Problem.UNAVAILABLE: _Said(
        503, "service_unavailable", "The server is temporarily unable to handle the request."
    ),
}
_V3: dict[Problem, _Said] = {
    Problem.BAD_REQUEST: _Said(400, "bad_request", "The request is malformed"),
    Problem.BAD_FILTER: _Said(400, "bad_request", "Missing or invalid filter"),
    Problem.BAD_PERIOD: _Said(400, "bad_request", "Missing or invalid filter"),
    Problem.BAD_VALUE: _Said(400, "invalid_data", "Data in the request is invalid"),
    Problem.BRANCH: _Said(400, "invalid_data", "Requested action on a branch is not supported"),
    Problem.READ_ONLY: _Said(400, "invalid_data", "Update of a sensor is not supported"),
    Problem.NO_TOKEN: _Said(401, "invalid_token", "Access token is missing"),
    Problem.BAD_TOKEN: _Said(401, "invalid_token", "Access token is invalid"),
    Problem.TOKEN_OVER: _Said(401, "invalid_token", "Access token has expired"),
    Problem.FORBIDDEN: _Said(
        403, "forbidden_request", "The server refuses to carry out the request"
    ),
    Problem.UNKNOWN_PATH: _Said(404, "unavailable_data", "Data is unknown"),
    Problem.NO_DATA: _Said(404, "unavailable_data", "Data temporarily unaccessible"),
    Problem.UNKNOWN_SUBSCRIPTION: _Said(404, "unavailable_data", "Unknown subscription Id"),
    Problem.TOO_MANY: _Said(429, "too_many_requests", "Rate-limiting due to too many requests"),
    Problem.UNAVAILABLE: _Said(
        503, "service_unavailable", "The server is temporarily unable to handle the request"
    ),
}
# What clients of version 2 compare whole: KUKSA's do.
_FIXED = (Problem.READ_ONLY, Problem.UNKNOWN_PATH, Problem.UNAVAILABLE)


class Refused(Exception):
    """A request ends with this problem; `sentence` says more than the standard's, when it is given."""

    def __init__(self, problem: Problem, sentence: str = "") -> None:
        super().__init__(sentence or problem.name)
        self.problem, self.sentence = problem, sentence


def error_of(refused: Refused, dialect: Dialect) -> dict[str, Any]:
    """Return the error as a message of `dialect` carries it."""
    problem = refused.problem
    if dialect is Dialect.V2:
        said = _V2[problem]
        sentence = said.sentence if problem in _FIXED else refused.sentence or said.sentence
        return {"number": said.number, "reason": said.reason, "message": sentence}
    said = _V3[problem]
    sentence = refused.sentence or said.sentence
    return {"number": str(said.number), "reason": said.reason, "description": sentence}


def status_of(refused: Refused, dialect: Dialect) -> int:
    """Return the status of HTTP that goes with a problem."""
    return (_V2 if dialect is Dialect.V2 else _V3)[refused.problem].number
