"""What vehicle and cloud say to each other about a certificate; `fairway.wire.enrolment` turns it into bytes.

vehicle  --Ask-->                     cloud
vehicle  <--Granted or Waiting------  cloud      anything else is an error, with a sentence

Rule 1: the private key is in neither: a signing request has the public half, and proves that the other is
at hand.
"""

from dataclasses import dataclass

# A signing request on P-384 with every attribute anybody adds is under 2 KiB.
CSR_MAX_BYTES = 16 * 1024
FACT_MAX_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Ask:
    """A vehicle asks for a certificate."""

    vehicle: str
    csr_der: bytes
    hardware_serial: str = ""
    agent_version: str = ""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a vehicle's cloud is reached; an empty URL: there is no such door."""

    mqtt_url: str = ""
    grpc_url: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """A certificate was issued: here it is, with its authority's behind it, and whom to trust."""

    certificate_pem: bytes
    anchors_pem: bytes
    endpoints: Endpoints


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person has to approve it; ask again, with the same key."""

    retry_after_s: int
    region: str = ""
