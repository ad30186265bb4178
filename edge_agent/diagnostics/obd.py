"""On-board diagnostics (SAE J1979, ISO 15031-5) over CAN: the trouble codes that the law wants to be told.

    03  stored codes      07  pending codes of this and the last drive      04  clear them
    43 NN  N codes of two bytes

Rule 1: every ECU that knows the service answers a request to all of them; one without codes says none.
"""

from collections.abc import Sequence
from enum import IntEnum

from edge_agent.diagnostics.dtc import OBD_DTC_BYTES, text_of
from edge_agent.diagnostics.uds import POSITIVE
from fairway.errors import BadInput

# ISO 15765-4: the ids that emission-related ECUs answer with.
FIRST_RESPONSE_ID, LAST_RESPONSE_ID = 0x7E8, 0x7EF
# With 29 bits, 0x18DAxxyy: xx is who is meant, yy who speaks, F1 the tester.
RESPONSE_ID_29 = 0x18DAF100


class Service(IntEnum):
    """What a tester asks."""

    CURRENT_DATA = 0x01
    STORED_DTCS = 0x03
    CLEAR_DTCS = 0x04
    PENDING_DTCS = 0x07


def is_response_id(can_id: int, *, is_extended: bool) -> bool:
    """Whether an emission-related ECU answers with this id (ISO 15765-4, tables 5 and 8)."""
    if is_extended:
        return can_id & ~0xFF == RESPONSE_ID_29
    return FIRST_RESPONSE_ID <= can_id <= LAST_RESPONSE_ID


def dtcs_request(service: Service = Service.STORED_DTCS) -> bytes:
    """Return the request for stored or pending codes."""
    return bytes([service])


def dtcs_response(codes: Sequence[bytes], service: Service = Service.STORED_DTCS) -> bytes:
    """Return the answer of an ECU that has these codes of two bytes."""
    return bytes([service + POSITIVE, len(codes)]) + b"".join(codes)


def dtcs(response: bytes, service: Service = Service.STORED_DTCS) -> tuple[str, ...]:
    """Return the codes of an answer as P0123.  Raises BadInput when it is none, or its count is wrong."""
    if len(response) < 2 or response[0] != service + POSITIVE:
        raise BadInput(f"{response[:8].hex(' ')} is no answer to service {service:02x} of OBD")
    if len(response) != 2 + OBD_DTC_BYTES * response[1]:
        raise BadInput(f"{response[1]} trouble codes in an answer of {len(response)} bytes")
    codes = (response[at : at + OBD_DTC_BYTES] for at in range(2, len(response), OBD_DTC_BYTES))
    return tuple(text_of(code) for code in codes)
