"""DTC_QUERY, the action that campaigns fetch trouble codes by, as AWS IoT FleetWise has it.

    custom_function("DTC_QUERY", ECU, SUBFUNCTION, STATUS_MASK[, "DTC"[, RECORD]])

    ECU          target address of an ECU, -1 for all
    SUBFUNCTION  2 codes, 4 codes with their snapshots, 6 codes with their extended data
    STATUS_MASK  which status bits count, -1 for all
    "DTC"        only this code, as "0xAAA123"; "" or "-1" for all
    RECORD       the number of the snapshot or record; 0 or -1 for the last one the ECU lists

    {"DetectedDTCs": [{"DTCAndSnapshot": {"DTCStatusAvailabilityMask": "FF", "dtcCodes": [
        {"DTC": "AAA123", "DTCExtendedData": "", "DTCSnapshotRecord": "AAA123AF0101AABB01"}]}, "ECUID": "01"}]}

Rule 1: an action is at most ACTION_MAX_CHARS long, and literal: what it asks for is known before any ECU is.
Rule 2: one record and one code together need one ECU: what is on record belongs to it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.diagnostics.uds import EVERY_STATUS, Report
from fairway.errors import BadInput

FUNCTION = "DTC_QUERY"
ALL = -1
# FleetWise takes actions of 100 characters; the longest DTC_QUERY has 60.
ACTION_MAX_CHARS = 100
DTC_MAX = 0xFF_FFFF
# Target addresses are bytes on the wire of ISO 15765-2; FleetWise has 32 bits for them.
ADDRESS_MAX = 0x7FFF_FFFF

Literal = float | str | bool

_CODE = re.compile(r"0[xX][0-9A-Fa-f]+|[1-9][0-9]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CALL = re.compile(r"\s*custom_function\s*\((.*)\)\s*", re.DOTALL)
_ARGUMENT = re.compile(
    r"""\s*(?:(?P<number>[-+]?[0-9]+(?:\.[0-9]+)?)|(?P<text>"[^"\\]*"|'[^'\\]*')|(?P<truth>true|false))\s*(?:,|\Z)"""
)


@dataclass(frozen=True, slots=True)
class Action:
    """A call of a function with literal arguments."""

    function: str
    arguments: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What a DTC_QUERY asks for."""

    ecu: int  # target address, or ALL
    report: Report
    status_mask: int
    dtc: int | None = None
    record: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A trouble code, and what is on record for it."""

    dtc: int
    snapshot: bytes = b""
    extended: bytes = b""


@dataclass(frozen=True, slots=True)
class EcuFindings:
    """The trouble codes of an ECU."""

    target_address: int
    availability_mask: int
    found: Sequence[Found]


def action(text: str) -> Action:
    """Read an action of a campaign.  Raises BadInput."""
    if len(text) > ACTION_MAX_CHARS:
        raise BadInput(f"an action has at most {ACTION_MAX_CHARS} characters, not {len(text)}")
    match = _CALL.fullmatch(text)
    if match is None:
        raise BadInput(f'{text!r} is no action: write custom_function("NAME", ...)')
    name, *arguments = _arguments(match[1], text)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInput(f"{text!r} does not begin with the name of a function")
    return Action(name, tuple(arguments))


def _arguments(inside: str, text: str) -> list[Literal]:
    found, at = list[Literal](), 0
    while True:
        match = _ARGUMENT.match(inside, at)
        if match is None:
            raise BadInput(f"{text!r}: {inside[at : at + 20].strip()!r} is no literal argument")
        found.append(_literal(match))
        at = match.end()
        if not match[0].endswith(","):
            return found


def _literal(match: "re.Match[str]") -> Literal:
    if match["number"] is not None:
        return float(match["number"])
    if match["text"] is not None:
        return match["text"][1:-1]
    return match["truth"] == "true"


def query(text: str) -> Query:
    """Read an action that has to be a DTC_QUERY.  Raises BadInput."""
    made = action(text)
    if made.function != FUNCTION:
        raise BadInput(f"{made.function} fetches nothing: the function is {FUNCTION}")
    if not 3 <= len(made.arguments) <= 5:
        raise BadInput(
            f"{FUNCTION} takes an ECU, a sub-function and a status mask, then perhaps a code and a record; "
            f"not {len(made.arguments)} arguments"
        )
    ecu, sub_function, mask, *rest = made.arguments
    result = Query(
        _whole("the ECU", ecu, ALL, ADDRESS_MAX),
        _report(sub_function),
        _mask(mask),
        _dtc(rest[0]) if rest else None,
        _record(rest[1]) if len(rest) > 1 else None,
    )
    if result.ecu == ALL and result.dtc is not None and result.record is not None:
        raise BadInput(f"{FUNCTION}: record {result.record} of one code needs one ECU, not -1")
    return result


def _whole(what: str, value: Literal, least: int, most: int) -> int:
    if isinstance(value, str):
        raise BadInput(f"{FUNCTION}: {what} is a number, not {value!r}")
    whole = int(value)
    if not least <= whole <= most or whole != value:
        raise BadInput(
            f"{FUNCTION}: {what} is {value:g}; choose a whole number from {least} to {most}"
        )
    return whole


def _report(value: Literal) -> Report:
    number = _whole("the sub-function", value, 1, 0xFF)
    if number not in (
        Report.DTC_BY_STATUS_MASK,
        Report.SNAPSHOT_RECORD_BY_DTC,
        Report.EXT_DATA_RECORD_BY_DTC,
    ):
        raise BadInput(f"{FUNCTION}: sub-function {number} fetches nothing; choose 2, 4 or 6")
    return Report(number)


def _mask(value: Literal) -> int:
    mask = _whole("the status mask", value, ALL, EVERY_STATUS)
    if mask == 0:
        raise BadInput(f"{FUNCTION}: a status mask of 0 lets no code through; -1 lets all")
    return EVERY_STATUS if mask == ALL else mask


def _dtc(value: Literal) -> int | None:
    if not isinstance(value, str):
        raise BadInput(f'{FUNCTION}: a trouble code is a text such as "0xAAA123", not {value}')
    if value in ("", "-1"):
        return None
    code = int(value, 0) if _CODE.fullmatch(value) else 0
    if not 0 < code <= DTC_MAX:
        raise BadInput(f'{FUNCTION}: {value!r} is no trouble code from "0x1" to "0x{DTC_MAX:X}"')
    return code


def _record(value: Literal) -> int | None:
    number = _whole("the record", value, -1, 0xFF)
    return number if number > 0 else None


def result_text(findings: Sequence[EcuFindings]) -> str:
    """Return what was found as FleetWise writes it: JSON of schema udsDtcSchema, hexadecimal in capitals."""
    tree = {
        "DetectedDTCs": [
            {
                "DTCAndSnapshot": {
                    "DTCStatusAvailabilityMask": f"{one.availability_mask:02X}",
                    "dtcCodes": [
                        {
                            "DTC": f"{found.dtc:06X}",
                            "DTCExtendedData": found.extended.hex().upper(),
                            "DTCSnapshotRecord": found.snapshot.hex().upper(),
                        }
                        for found in one.found
                    ],
                },
                "ECUID": f"{one.target_address:02X}",
            }
            for one in findings
        ]
    }
    return json.dumps(tree, separators=(",", ":"))
