"""What FleetWise's clients are told when something is refused: the type, its members as the model has them.

Rule 1: the model's own errors are 400, as AWS sends them (and as botocore retries ThrottlingException); who is
not let in is told so with 403, and what is not there now with 503.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import Response

from fairway.errors import Conflict, Denied, FairwayError, Unavailable
from fleet_cloud.api.compat.fleetwise_shapes import Fault
from fleet_cloud.api.ports import NotSignedIn, TooOften
from fleet_cloud.api.problems import RETRY_AFTER_S
from fleet_cloud.models.refusals import (
    BadDecoders,
    BadField,
    BadNodes,
    BadSignals,
    InTheWay,
    NotThere,
    TooMany,
)

MEDIA_TYPE = "application/x-amz-json-1.0"
_VALIDATION = "ValidationException"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error, as a client sees it."""

    type: str
    message: str
    members: Mapping[str, Any] = field(default_factory=dict)
    status: int = 400
    retry_after_s: int = 0


def refusal(error: FairwayError) -> Refusal:
    """Return how `error` is told."""
    for kind, told in _TOLD:
        if isinstance(error, kind):
            return told(error)
    return Refusal(_VALIDATION, str(error), {"reason": "other"})


def misshapen(faults: Sequence[Fault]) -> Refusal:
    """Return what is said of a request that is not as the model says."""
    first = faults[0]
    where = first.path or "the request"
    fields = [{"name": fault.path or "request", "message": fault.why} for fault in faults]
    members = {"reason": "fieldValidationFailed", "fieldList": fields}
    return Refusal(_VALIDATION, f"{where} {first.why}", members)


def unknown_operation(target: str) -> Refusal:
    """Return what is said when nobody knows what is asked for."""
    message = f"{target[:80]!r} is no operation of FleetWise's"
    return Refusal("UnknownOperationException", message)


def not_parsed() -> Refusal:
    """Return what is said of a body that is no JSON."""
    members = {"reason": "cannotParse"}
    return Refusal(_VALIDATION, "the body is no JSON object in UTF-8", members)


def answered(refused: Refusal, request_id: str) -> Response:
    """Return the answer that tells a refusal."""
    headers = {"x-amzn-RequestId": request_id, "x-amzn-ErrorType": refused.type}
    if refused.retry_after_s:
        headers["Retry-After"] = str(refused.retry_after_s)
    content = {"__type": refused.type, "message": refused.message, **refused.members}
    return Response(json.dumps(content), refused.status, headers, MEDIA_TYPE)


def _field(error: Any) -> Refusal:
    members = {
        "reason": "fieldValidationFailed",
        "fieldList": [{"name": error.field, "message": error.why}],
    }
    return Refusal(_VALIDATION, str(error), members)


def _not_there(error: Any) -> Refusal:
    members = {"resourceId": error.name, "resourceType": error.kind}
    return Refusal("ResourceNotFoundException", str(error), members)


def _in_the_way(error: Any) -> Refusal:
    members = {"resource": error.name, "resourceType": error.kind}
    return Refusal("ConflictException", str(error), members)


def _conflict(error: Any) -> Refusal:
    members = {"resource": "unknown", "resourceType": "unknown"}
    return Refusal("ConflictException", str(error), members)


def _too_many(error: Any) -> Refusal:
    members = {"resourceId": error.name, "resourceType": error.kind}
    return Refusal("LimitExceededException", str(error), members)


def _nodes(error: Any) -> Refusal:
    members = {"invalidNodes": list(error.nodes), "reason": error.why}
    return Refusal("InvalidNodeException", str(error), members)


def _signals(error: Any) -> Refusal:
    signals = [{"name": name, "reason": why} for name, why in error.signals]
    return Refusal("InvalidSignalsException", str(error), {"invalidSignals": signals})


def _decoders(error: Any) -> Refusal:
    signals = [
        {"name": one.name, "reason": one.reason, **({"hint": one.hint} if one.hint else {})}
        for one in error.signals
    ]
    interfaces = [{"interfaceId": one.name, "reason": one.reason} for one in error.interfaces]
    members = {"invalidSignals": signals, "invalidNetworkInterfaces": interfaces}
    return Refusal("DecoderManifestValidationException", str(error), members)


def _not_signed_in(error: Any) -> Refusal:
    kind = "InvalidSignatureException" if error.is_wrong else "MissingAuthenticationTokenException"
    return Refusal(kind, str(error), status=403)


def _denied(error: Any) -> Refusal:
    return Refusal("AccessDeniedException", str(error), status=403)


def _too_often(error: Any) -> Refusal:
    wait_s = max(1, math.ceil(error.wait_s))
    members = {"quotaCode": "requests", "serviceCode": "fairway", "retryAfterSeconds": wait_s}
    return Refusal("ThrottlingException", str(error), members, retry_after_s=wait_s)


def _unavailable(error: Any) -> Refusal:
    members = {"retryAfterSeconds": RETRY_AFTER_S}
    return Refusal("InternalServerException", str(error), members, 503, RETRY_AFTER_S)


# The first that fits: what is more particular stands before what it is a kind of.
_TOLD: tuple[tuple[type[FairwayError], Callable[[Any], Refusal]], ...] = (
    (BadField, _field),
    (NotThere, _not_there),
    (InTheWay, _in_the_way),
    (TooMany, _too_many),
    (BadNodes, _nodes),
    (BadSignals, _signals),
    (BadDecoders, _decoders),
    (Conflict, _conflict),
    (NotSignedIn, _not_signed_in),
    (Denied, _denied),
    (TooOften, _too_often),
    (Unavailable, _unavailable),
)
