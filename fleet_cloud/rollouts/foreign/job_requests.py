"""What devices ask of AWS IoT Jobs, read, and the answers in AWS's words.

Rule 1: what cannot be read is refused with AWS's code for it; nothing a device sends ends a conversation.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fairway.errors import BadInput
from fairway.iot_jobs import Verb
from fleet_cloud.rollouts.foreign.chunks import filename_of
from fleet_cloud.rollouts.foreign.jobs import Code, Execution, Refusal, Status, Update
from fleet_cloud.rollouts.ports import Offer

# As AWS limits them.
REQUEST_MAX_BYTES = 128 * 1024
TOKEN_MAX_CHARS = 64
DETAILS_MAX = 10
DETAIL_NAME_MAX_CHARS, DETAIL_MAX_CHARS = 128, 1024
STEP_MAX_MINUTES = 10_080
_NAME = re.compile(r"[A-Za-z0-9:_-]+")
_SETTABLE = (Status.IN_PROGRESS, Status.SUCCEEDED, Status.FAILED, Status.REJECTED)


def request_of(payload: bytes) -> dict[str, Any] | Refusal:
    """Return a request, or why it is none."""
    if len(payload) > REQUEST_MAX_BYTES:
        return Refusal(Code.INVALID_REQUEST, f"a request has {REQUEST_MAX_BYTES} bytes at most")
    try:
        said = json.loads(payload) if payload.strip() else {}
    except (ValueError, RecursionError):
        return Refusal(Code.INVALID_JSON, "the payload is no JSON")
    if not isinstance(said, dict):
        return Refusal(Code.INVALID_REQUEST, "the payload is no object")
    token = said.get("clientToken")
    if token is not None and not _is_text(token, TOKEN_MAX_CHARS):
        return Refusal(
            Code.INVALID_REQUEST, f"clientToken is a text of {TOKEN_MAX_CHARS} characters at most"
        )
    return said


def update_of(said: Mapping[str, Any], verb: Verb) -> Update | Refusal:
    """Return how a device says that a job stands, or why that cannot be."""
    try:
        status = Status.IN_PROGRESS if verb is Verb.START else _status(said)
        return Update(
            status,
            _details(said.get("statusDetails")),
            _whole(said, "expectedVersion", 1, 1 << 53),
            _minutes(said),
        )
    except BadInput as error:
        return Refusal(Code.INVALID_REQUEST, str(error))


def summary(execution: Execution) -> dict[str, Any]:
    """Return an execution as it stands in a list."""
    started = {} if execution.started_s is None else {"startedAt": execution.started_s}
    return {
        "jobId": execution.job,
        "queuedAt": execution.queued_s,
        "lastUpdatedAt": execution.updated_s,
        **started,
        "versionNumber": execution.version,
        "executionNumber": 1,
    }


def shown(vehicle: str, execution: Execution, document: Any) -> dict[str, Any]:
    """Return an execution whole; `document` is None when it is not wanted."""
    return {
        **summary(execution),
        "thingName": vehicle,
        "status": execution.status.value,
        **({"statusDetails": dict(execution.details)} if execution.details else {}),
        **({} if document is None else {"jobDocument": document}),
    }


def state(execution: Execution) -> dict[str, Any]:
    """Return how an execution stands."""
    details = {"statusDetails": dict(execution.details)} if execution.details else {}
    return {"status": execution.status.value, **details, "versionNumber": execution.version}


def document_of(offer: Offer, blobs_url: str) -> dict[str, Any]:
    """Return what a device is to do, as a job's document; bytes are fetched at the device door."""
    bundle = offer.bundle
    return {
        "fairway": 1,
        "operation": "update",
        "action": offer.action,
        "rollout": offer.rollout,
        "bundle": {"name": bundle.name, "version": bundle.version, "purpose": bundle.purpose},
        "images": [
            {
                "path": image.path,
                "filename": filename_of(image),
                "kind": image.kind.value,
                "name": image.name,
                "version": image.version,
                "length": image.length,
                "sha256": image.sha256,
                "hardware_ids": list(image.hardware_ids),
                "conditions": list(image.install.conditions),
                "sources": [asdict(source) for source in image.sources],
                **({"url": f"{blobs_url}/blobs/{image.sha256}"} if blobs_url else {}),
            }
            for image in offer.images
        ],
        "needs_consent": offer.needs_consent,
        "window_open": offer.window_open,
        "is_forced": offer.is_forced,
        "is_download_only": offer.is_download_only,
    }


def _status(said: Mapping[str, Any]) -> Status:
    status = said.get("status")
    if status not in _SETTABLE:
        raise BadInput(f"status is {status!r:.40}: a device says {', '.join(_SETTABLE)}")
    return Status(status)


def _details(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > DETAILS_MAX:
        raise BadInput(f"statusDetails has {DETAILS_MAX} names at most, each with a text")
    for name, text in value.items():
        is_name = _NAME.fullmatch(name) and len(name) <= DETAIL_NAME_MAX_CHARS
        if not is_name or not _is_text(text, DETAIL_MAX_CHARS):
            raise BadInput(f"statusDetails.{name[:40]} is a text of {DETAIL_MAX_CHARS} characters")
    return dict(value)


def _minutes(said: Mapping[str, Any]) -> int | None:
    if said.get("stepTimeoutInMinutes") == -1:
        return -1
    return _whole(said, "stepTimeoutInMinutes", 1, STEP_MAX_MINUTES)


def _whole(said: Mapping[str, Any], key: str, least: int, most: int) -> int | None:
    value = said.get(key)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 16:
        value = int(value)  # AWS's documentation shows both
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadInput(f"{key} is {value!r:.40}: a whole number from {least} to {most}")
    return value


def _is_text(value: Any, most_chars: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most_chars and value.isprintable()
