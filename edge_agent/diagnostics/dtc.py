"""Diagnostic trouble codes: what they are called, and what their status says.

two bytes, OBD (SAE J1979)        01 23     P0123
three bytes, UDS (ISO 14229-1)    01 23 45  P0123-45, the last one being the type of failure (ISO 15031-6)

system  first digit  three hexadecimal digits
P C B U     0-3              0-FFF
"""

from dataclasses import dataclass
from enum import IntFlag

from fairway.errors import BadInput

OBD_DTC_BYTES = 2
UDS_DTC_BYTES = 3

_SYSTEMS = "PCBU"  # powertrain, chassis, body, network: the two highest bits (SAE J2012)


class Status(IntFlag):
    """The status of a trouble code: ISO 14229-1, D.2."""

    TEST_FAILED = 0x01
    TEST_FAILED_THIS_OPERATION_CYCLE = 0x02
    PENDING = 0x04
    CONFIRMED = 0x08
    TEST_NOT_COMPLETED_SINCE_LAST_CLEAR = 0x10
    TEST_FAILED_SINCE_LAST_CLEAR = 0x20
    TEST_NOT_COMPLETED_THIS_OPERATION_CYCLE = 0x40
    WARNING_INDICATOR_REQUESTED = 0x80


# Of a code after ClearDiagnosticInformation: nothing was tested yet (D.2.3).
CLEARED = (
    Status.TEST_NOT_COMPLETED_SINCE_LAST_CLEAR | Status.TEST_NOT_COMPLETED_THIS_OPERATION_CYCLE
)


@dataclass(frozen=True, slots=True, order=True)
class Dtc:
    """A trouble code of UDS with its status."""

    code: int  # 24 bits
    status: Status

    @property
    def text(self) -> str:
        """The code as people write it: P0123-45."""
        return text_of(self.code.to_bytes(UDS_DTC_BYTES, "big"))


def text_of(code: bytes) -> str:
    """Return two or three bytes as P0123 or P0123-45.  Raises BadInput for any other number."""
    if len(code) not in (OBD_DTC_BYTES, UDS_DTC_BYTES):
        raise BadInput(f"a trouble code has 2 or 3 bytes, not {len(code)}")
    head = code[0] << 8 | code[1]
    failure = f"-{code[2]:02X}" if len(code) == UDS_DTC_BYTES else ""
    return f"{_SYSTEMS[head >> 14]}{head >> 12 & 3}{head & 0xFFF:03X}{failure}"
