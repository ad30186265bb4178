"""Names that vehicle and cloud must spell alike.

A vehicle id is a VIN (ISO 3779) or any fleet's own name of 1 to 64 characters out of A-Z a-z 0-9 . _ -
It stands in certificates, MQTT topics, file names and SQL, so nothing else is let in.
"""

import re
from dataclasses import dataclass

from fairway.errors import BadInput

_VEHICLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STREAM = re.compile(r"[0-9a-f]{16}")


def vehicle_id(text: str) -> str:
    """Return `text` when it may name a vehicle.  Raises BadInput."""
    if not _VEHICLE.fullmatch(text):
        raise BadInput(
            f"{text[:80]!r} is not a vehicle id: 1 to 64 of A-Z a-z 0-9 . _ - beginning with a letter or digit"
        )
    return text


def stream_id(text: str) -> str:
    """Return `text` when it names a stream: 16 lower-case hexadecimal digits.  Raises BadInput."""
    if not _STREAM.fullmatch(text):
        raise BadInput(f"{text[:80]!r} is not a stream id: 16 lower-case hexadecimal digits")
    return text


@dataclass(frozen=True, slots=True, order=True)
class BatchName:
    """What makes a batch this batch and no other: exactly-once storage stands on it.

    A stream begins when a spool directory is made and ends with it; its sequence counts 1, 2, 3 ...
    without gaps for as long as the spool lives, across restarts of the agent.
    """

    vehicle: str
    stream: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.vehicle}/{self.stream}/{self.sequence}"
