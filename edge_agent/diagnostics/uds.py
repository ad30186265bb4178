"""Unified diagnostic services (ISO 14229-1): answers as such, and ReadDTCInformation.

    19 02 MM                 reportDTCByStatusMask               59 02 AA (DDDDDD SS)*
    19 03                    reportDTCSnapshotIdentification     59 03 (DDDDDD RR)*
    19 04 DDDDDD RR          reportDTCSnapshotRecordByDTCNumber  59 04 DDDDDD SS (RR NN data)*
    19 06 DDDDDD RR          reportDTCExtDataRecordByDTCNumber   59 06 DDDDDD SS (RR data)*

    D code, S its status, R record, N identifiers in it, M mask, A the status bits that the ECU knows

Rule 1: what a record holds only the maker of the ECU knows (its length, too): it stays bytes.
Rule 2: an answer to another request than was made is BadInput, never taken for ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from edge_agent.diagnostics.dtc import UDS_DTC_BYTES, Dtc, Status
from fairway.errors import BadInput

# A positive answer names the service of the request plus this.
POSITIVE = 0x40
_NEGATIVE = 0x7F
# All status bits: what a client asks for that wants every code.
EVERY_STATUS = 0xFF


class Service(IntEnum):
    """Services we speak."""

    READ_DTC_INFORMATION = 0x19
    TESTER_PRESENT = 0x3E


class Report(IntEnum):
    """Sub-functions of ReadDTCInformation (clause 12.3)."""

    DTC_BY_STATUS_MASK = 0x02
    SNAPSHOT_IDENTIFICATION = 0x03
    SNAPSHOT_RECORD_BY_DTC = 0x04
    EXT_DATA_RECORD_BY_DTC = 0x06


class Nrc(IntEnum):
    """Negative response codes (annex A.1) that have a meaning to us beyond their name."""

    SERVICE_NOT_SUPPORTED = 0x11
    SUB_FUNCTION_NOT_SUPPORTED = 0x12
    INCORRECT_LENGTH = 0x13
    BUSY_REPEAT_REQUEST = 0x21
    CONDITIONS_NOT_CORRECT = 0x22
    REQUEST_OUT_OF_RANGE = 0x31
    RESPONSE_PENDING = 0x78
    SUB_FUNCTION_NOT_SUPPORTED_IN_SESSION = 0x7E
    SERVICE_NOT_SUPPORTED_IN_SESSION = 0x7F


NRC_NAMES = {
    0x10: "generalReject",
    0x11: "serviceNotSupported",
    0x12: "subFunctionNotSupported",
    0x13: "incorrectMessageLengthOrInvalidFormat",
    0x14: "responseTooLong",
    0x21: "busyRepeatRequest",
    0x22: "conditionsNotCorrect",
    0x24: "requestSequenceError",
    0x25: "noResponseFromSubnetComponent",
    0x26: "failurePreventsExecutionOfRequestedAction",
    0x31: "requestOutOfRange",
    0x33: "securityAccessDenied",
    0x34: "authenticationRequired",
    0x35: "invalidKey",
    0x36: "exceedNumberOfAttempts",
    0x37: "requiredTimeDelayNotExpired",
    0x70: "uploadDownloadNotAccepted",
    0x71: "transferDataSuspended",
    0x72: "generalProgrammingFailure",
    0x73: "wrongBlockSequenceCounter",
    0x78: "requestCorrectlyReceived-ResponsePending",
    0x7E: "subFunctionNotSupportedInActiveSession",
    0x7F: "serviceNotSupportedInActiveSession",
    0x81: "rpmTooHigh",
    0x82: "rpmTooLow",
    0x83: "engineIsRunning",
    0x84: "engineIsNotRunning",
    0x85: "engineRunTimeTooLow",
    0x86: "temperatureTooHigh",
    0x87: "temperatureTooLow",
    0x88: "vehicleSpeedTooHigh",
    0x89: "vehicleSpeedTooLow",
    0x8A: "throttle/PedalTooHigh",
    0x8B: "throttle/PedalTooLow",
    0x8C: "transmissionRangeNotInNeutral",
    0x8D: "transmissionRangeNotInGear",
    0x8F: "brakeSwitch(es)NotClosed",
    0x90: "shifterLeverNotInPark",
    0x91: "torqueConverterClutchLocked",
    0x92: "voltageTooHigh",
    0x93: "voltageTooLow",
}

_WITH_SUB_FUNCTION = frozenset(Service)
# The bit of a sub-function that asks for no positive answer (clause 8.2.2).
_SUPPRESS = 0x80

# A request to all ECUs gets no answer from those to whom it means nothing (clause 8.7).
SILENT_WHEN_FUNCTIONAL = frozenset(
    {
        Nrc.SERVICE_NOT_SUPPORTED,
        Nrc.SUB_FUNCTION_NOT_SUPPORTED,
        Nrc.REQUEST_OUT_OF_RANGE,
        Nrc.SUB_FUNCTION_NOT_SUPPORTED_IN_SESSION,
        Nrc.SERVICE_NOT_SUPPORTED_IN_SESSION,
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A negative answer."""

    service: int
    code: int

    def __str__(self) -> str:
        name = NRC_NAMES.get(self.code, "reserved")
        return f"service 0x{self.service:02X} is refused: {name} (0x{self.code:02X})"


def refusal(response: bytes) -> Refusal | None:
    """Return what a negative answer says, None for any other."""
    if len(response) != 3 or response[0] != _NEGATIVE:
        return None
    return Refusal(response[1], response[2])


def refusal_response(service: int, code: int) -> bytes:
    """Return a negative answer."""
    return bytes([_NEGATIVE, service, code])


def answers(response: bytes, request: bytes) -> bool:
    """Whether `response` is an answer to `request`: of the same service and sub-function."""
    said = refusal(response)
    if said is not None:
        return said.service == request[0]
    if not response or response[0] != request[0] + POSITIVE:
        return False
    if request[0] not in _WITH_SUB_FUNCTION or len(request) < 2:
        return True
    return len(response) > 1 and response[1] == request[1] & ~_SUPPRESS


@dataclass(frozen=True, slots=True)
class DtcList:
    """What an ECU answers to reportDTCByStatusMask."""

    availability_mask: int
    dtcs: tuple[Dtc, ...]


@dataclass(frozen=True, slots=True)
class DtcRecord:
    """What an ECU answers to a request for a snapshot or extended data record."""

    dtc: Dtc
    data: bytes  # record numbers, counts and contents, as the ECU has them

    @property
    def whole(self) -> bytes:
        """Code, status and data end to end, as they came."""
        return _row(self.dtc.code, self.dtc.status) + self.data


def dtc_list_request(status_mask: int) -> bytes:
    """Return the request for the codes of which a bit of the status is in the mask (12.3.2.1)."""
    return bytes([Service.READ_DTC_INFORMATION, Report.DTC_BY_STATUS_MASK, status_mask])


def dtc_list_response(answer: DtcList) -> bytes:
    """Return an ECU's answer to it."""
    rows = (_row(dtc.code, dtc.status) for dtc in answer.dtcs)
    return _head(Report.DTC_BY_STATUS_MASK) + bytes([answer.availability_mask]) + b"".join(rows)


def dtc_list(response: bytes) -> DtcList:
    """Read the answer.  Raises BadInput."""
    data = _body(response, Report.DTC_BY_STATUS_MASK, least=1)
    return DtcList(data[0], tuple(Dtc(code, Status(status)) for code, status in _rows(data[1:])))


def snapshots_request() -> bytes:
    """Return the request for the numbers of all snapshots (12.3.2.1)."""
    return bytes([Service.READ_DTC_INFORMATION, Report.SNAPSHOT_IDENTIFICATION])


def snapshots_response(records: Sequence[tuple[int, int]]) -> bytes:
    """Return an ECU's answer to it: pairs of a code and a record number."""
    rows = (_row(code, number) for code, number in records)
    return _head(Report.SNAPSHOT_IDENTIFICATION) + b"".join(rows)


def snapshots(response: bytes) -> tuple[tuple[int, int], ...]:
    """Read the answer: pairs of a code and a record number.  Raises BadInput."""
    return _rows(_body(response, Report.SNAPSHOT_IDENTIFICATION))


def record_request(report: Report, code: int, number: int) -> bytes:
    """Return the request for a snapshot or extended data record; 0xFF asks for all of a code."""
    return bytes([Service.READ_DTC_INFORMATION, report]) + _row(code, number)


def record_response(report: Report, answer: DtcRecord) -> bytes:
    """Return an ECU's answer to it."""
    return _head(report) + answer.whole


def record(response: bytes, report: Report) -> DtcRecord:
    """Read the answer.  Raises BadInput."""
    data = _body(response, report, least=UDS_DTC_BYTES + 1)
    ((code, status),) = _rows(data[: UDS_DTC_BYTES + 1])
    return DtcRecord(Dtc(code, Status(status)), data[UDS_DTC_BYTES + 1 :])


def _head(report: Report) -> bytes:
    return bytes([Service.READ_DTC_INFORMATION + POSITIVE, report])


def _body(response: bytes, report: Report, *, least: int = 0) -> bytes:
    """Return what follows the head of an answer to `report`."""
    if not response.startswith(_head(report)):
        raise BadInput(f"{response[:8].hex(' ')} is no answer to {report.name} (19 {report:02x})")
    if len(response) < 2 + least:
        raise BadInput(f"{response.hex(' ')} is too short an answer to {report.name}")
    return response[2:]


def _row(code: int, byte: int) -> bytes:
    return code.to_bytes(UDS_DTC_BYTES, "big") + bytes([byte])


def _rows(data: bytes) -> tuple[tuple[int, int], ...]:
    size = UDS_DTC_BYTES + 1
    if len(data) % size:
        raise BadInput(f"{len(data)} bytes of trouble codes are not a whole number of {size}")
    return tuple(
        (int.from_bytes(data[at : at + UDS_DTC_BYTES], "big"), data[at + UDS_DTC_BYTES])
        for at in range(0, len(data), size)
    )
