"""What became of an update, as JSON: the body of POST /events at the device door.

    [{"action": "a1", "sequence": 7, "time_ns": 1, "stage": "downloading", "percent": 40}, ...]

Rule 1: what has its default is not written; what is not known is not read: either side may be newer.
Rule 2: texts are cut to their length when they are written, and refused beyond it when they are read.
"""

import json
from collections.abc import Sequence
from typing import Any

from fairway.errors import BadInput
from fairway.update import Fault, Stage, UpdateEvent

EVENTS_MAX = 256
# What a person reads, and the last lines of a boot that failed.
SENTENCE_MAX = 2_000
LOG_MAX = 16_384
_NAME_MAX = 200
_NUMBER_MAX = 2**63 - 1


def events_to_json(events: Sequence[UpdateEvent]) -> bytes:
    """Return the body that tells `events`."""
    return json.dumps([_written(event) for event in events], separators=(",", ":")).encode()


def events_from_json(data: bytes) -> tuple[UpdateEvent, ...]:
    """Read what a vehicle tells.  Raises BadInput."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the events are no JSON: {str(error)[:200]}") from error
    if not isinstance(found, list) or len(found) > EVENTS_MAX:
        raise BadInput(f"events are a list of {EVENTS_MAX} at most")
    return tuple(_read(one, f"event {number}") for number, one in enumerate(found))


def _written(event: UpdateEvent) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "action": event.action,
        "sequence": event.sequence,
        "time_ns": event.time_ns,
        "stage": event.stage.value,
    }
    optional: dict[str, Any] = {
        "ecu": event.ecu,
        "fault": event.fault.value if event.fault else "",
        "sentence": _cut(event.sentence, SENTENCE_MAX),
        "log": _cut(event.log, LOG_MAX),
    }
    tree |= {name: value for name, value in optional.items() if value}
    return tree if event.percent is None else {**tree, "percent": event.percent}


def _cut(text: str, most: int) -> str:
    """Return the end of a text: what failed stands in the last lines."""
    return text.encode("utf-8", "replace").decode()[-most:]


def _read(found: object, where: str) -> UpdateEvent:
    if not isinstance(found, dict):
        raise BadInput(f"{where} is no object")
    stage, fault = _text(found, "stage", where, _NAME_MAX), _text(found, "fault", where, _NAME_MAX)
    try:
        known_stage, known_fault = Stage(stage), Fault(fault) if fault else None
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from error
    action = _text(found, "action", where, _NAME_MAX)
    if not action:
        raise BadInput(f"{where} names no action")
    percent = None if found.get("percent") is None else _number(found, "percent", where, 100)
    return UpdateEvent(
        action=action,
        sequence=_number(found, "sequence", where, _NUMBER_MAX),
        time_ns=_number(found, "time_ns", where, _NUMBER_MAX),
        stage=known_stage,
        ecu=_text(found, "ecu", where, _NAME_MAX),
        percent=percent,
        fault=known_fault,
        sentence=_text(found, "sentence", where, SENTENCE_MAX),
        log=_text(found, "log", where, LOG_MAX),
    )


def _text(tree: dict[str, Any], name: str, where: str, most: int) -> str:
    found = tree.get(name, "")
    if not isinstance(found, str) or len(found) > most:
        raise BadInput(f"{where}: {name} is a text of {most} characters at most")
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{where}: {name} has what is no character") from error
    return found


def _number(tree: dict[str, Any], name: str, where: str, most: int) -> int:
    found = tree.get(name, 0)
    if type(found) is not int or not 0 <= found <= most:
        raise BadInput(f"{where}: {name} is a whole number from 0 to {most}")
    return found
