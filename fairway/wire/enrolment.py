"""Enrolment nouns <-> bytes.

    ask_to_bytes, ask_from_bytes            EnrolRequest
    answer_to_bytes, answer_from_bytes      EnrolResponse

Rule 1: foreign bytes become nouns or BadInput, and are looked at only below the limits here.
"""

from google.protobuf.message import DecodeError

from fairway.enrolment import (
    CSR_MAX_BYTES,
    FACT_MAX_CHARACTERS,
    Ask,
    Endpoints,
    Granted,
    Waiting,
)
from fairway.errors import BadInput
from fairway.ids import vehicle_id
from fairway.v1 import enrolment_pb2 as v1

# A signing request, and some short texts.
ASK_MAX_BYTES = CSR_MAX_BYTES + 4096
# Chains and anchors are a few kilobytes, with keys of any kind.
ANSWER_MAX_BYTES = 256 * 1024
URL_MAX_CHARACTERS = 1024
RETRY_MAX_S = 86_400


def ask_to_bytes(ask: Ask) -> bytes:
    """Return an EnrolRequest."""
    return v1.EnrolRequest(
        vehicle=ask.vehicle,
        csr_der=ask.csr_der,
        hardware_serial=ask.hardware_serial[:FACT_MAX_CHARACTERS],
        agent_version=ask.agent_version[:FACT_MAX_CHARACTERS],
    ).SerializeToString()


def ask_from_bytes(data: bytes) -> Ask:
    """Read an EnrolRequest.  Raises BadInput."""
    if len(data) > ASK_MAX_BYTES:
        raise BadInput(f"a request of {len(data)} bytes is over the limit of {ASK_MAX_BYTES}")
    try:
        message = v1.EnrolRequest.FromString(data)
    except DecodeError as error:
        raise BadInput("the message is no EnrolRequest") from error
    if not 0 < len(message.csr_der) <= CSR_MAX_BYTES:
        raise BadInput(
            f"the signing request has {len(message.csr_der)} bytes: it must have 1 to {CSR_MAX_BYTES}"
        )
    return Ask(
        vehicle_id(message.vehicle),
        message.csr_der,
        _fact(message.hardware_serial, "hardware_serial"),
        _fact(message.agent_version, "agent_version"),
    )


def answer_to_bytes(answer: Granted | Waiting) -> bytes:
    """Return an EnrolResponse."""
    if isinstance(answer, Waiting):
        return v1.EnrolResponse(
            state=v1.ENROL_STATE_PENDING,
            retry_after_s=answer.retry_after_s,
            region=answer.region,
        ).SerializeToString()
    return v1.EnrolResponse(
        state=v1.ENROL_STATE_ISSUED,
        certificate_pem=answer.certificate_pem,
        anchors_pem=answer.anchors_pem,
        mqtt_url=answer.endpoints.mqtt_url,
        grpc_url=answer.endpoints.grpc_url,
        region=answer.endpoints.region,
    ).SerializeToString()


def answer_from_bytes(data: bytes) -> Granted | Waiting:
    """Read an EnrolResponse.  Raises BadInput."""
    if len(data) > ANSWER_MAX_BYTES:
        raise BadInput(f"an answer of {len(data)} bytes is over the limit of {ANSWER_MAX_BYTES}")
    try:
        message = v1.EnrolResponse.FromString(data)
    except DecodeError as error:
        raise BadInput("the answer is no EnrolResponse") from error
    if message.state == v1.ENROL_STATE_PENDING:
        return Waiting(min(message.retry_after_s, RETRY_MAX_S), message.region)
    if message.state != v1.ENROL_STATE_ISSUED:
        raise BadInput(f"the answer has state {message.state}, which is of a later version or none")
    if not message.certificate_pem or not message.anchors_pem:
        raise BadInput("the answer says issued, and lacks the certificate or whom to trust")
    urls = message.mqtt_url, message.grpc_url
    if any(len(url) > URL_MAX_CHARACTERS or not url.isprintable() for url in urls):
        raise BadInput("the answer has a URL that is none")
    return Granted(
        message.certificate_pem, message.anchors_pem, Endpoints(*urls, region=message.region)
    )


def _fact(text: str, name: str) -> str:
    if len(text) > FACT_MAX_CHARACTERS or not text.isprintable():
        raise BadInput(
            f"{name} is no plain text of at most {FACT_MAX_CHARACTERS} characters: {text[:40]!r}"
        )
    return text
