"""Settings of the ECUs that may be asked for trouble codes; without a table [[ecu]] nobody is asked anything.

[[ecu]]
name = "engine"
bus = "can0"
target_address = 1
request_id = 0x7E0
response_id = 0x7E8
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fairway.errors import BadInput

STANDARD_ID_MAX = 0x7FF
EXTENDED_ID_MAX = 0x1FFF_FFFF
# ISO 15765-4: what every emission-related ECU listens to, with ids of 11 and of 29 bits.
FUNCTIONAL_ID = 0x7DF
FUNCTIONAL_ID_29 = 0x18DB33F1
# An ECU that needs longer than this to begin an answer says so (response pending).
WAIT_MAX_MS = 60_000


@dataclass(frozen=True, slots=True)
class Ecu:
    """An ECU that may be asked for trouble codes; nothing is sent to one that is not named."""

    name: str
    bus: str
    target_address: int  # by which a campaign's DTC_QUERY means it
    request_id: int  # of frames to it; above 0x7FF it is one of 29 bits
    response_id: int  # of frames from it
    functional_id: int = (
        0  # of requests to all ECUs; 0: 0x7DF, or 0x18DB33F1 where ids have 29 bits
    )
    p2_ms: int = 50  # how long it takes to begin an answer
    p2_star_ms: int = 5000  # the same once it has said that it needs longer
    fd: bool = False  # asked by CAN FD frames of 64 bytes

    def __post_init__(self) -> None:
        if not self.name:
            raise BadInput("the name of an ECU is empty")
        if not 0 <= self.target_address <= 0x7FFF_FFFF:
            raise BadInput(f"target_address is {self.target_address}; choose from 0 to 0x7FFFFFFF")
        for what in ("request_id", "response_id", "functional_id"):
            can_id = getattr(self, what)
            if not 0 <= can_id <= EXTENDED_ID_MAX:
                raise BadInput(f"{what} is {can_id}; choose from 0 to 0x1FFFFFFF")
        if self.is_extended != (self.response_id > STANDARD_ID_MAX):
            raise BadInput("request_id and response_id are not both of 11 bits, or of 29")
        if self.request_id == self.response_id:
            raise BadInput(f"request_id and response_id are both 0x{self.request_id:X}")
        for what in ("p2_ms", "p2_star_ms"):
            wait_ms = getattr(self, what)
            if not 1 <= wait_ms <= WAIT_MAX_MS:
                raise BadInput(f"{what} is {wait_ms}; choose from 1 to {WAIT_MAX_MS}")

    @property
    def is_extended(self) -> bool:
        """Whether its ids have 29 bits."""
        return self.request_id > STANDARD_ID_MAX

    @property
    def asked_by_all_id(self) -> int:
        """The id of requests to all ECUs."""
        return self.functional_id or (FUNCTIONAL_ID_29 if self.is_extended else FUNCTIONAL_ID)


def check_ecus(
    ecus: Sequence[Ecu], live: Collection[str], outbound: Collection[tuple[str, int]]
) -> None:
    """Raise BadInput unless each ECU is one, on a bus of `live`, and not what `outbound` sends."""
    taken: set[tuple[str, str | int, str]] = set()
    for ecu in ecus:
        if ecu.bus not in live:
            raise BadInput(
                f"[[ecu]] {ecu.name}: there is no [[bus]] {ecu.bus} with a source to ask it on"
            )
        if (ecu.bus, ecu.request_id) in outbound:
            raise BadInput(
                f"[[ecu]] {ecu.name} and [[outbound]] both send 0x{ecu.request_id:X} on {ecu.bus}"
            )
        for what, value, where in (
            ("name", ecu.name, ""),
            ("target_address", ecu.target_address, ""),
            ("request_id", ecu.request_id, ecu.bus),
            ("response_id", ecu.response_id, ecu.bus),
        ):
            if (what, value, where) in taken:
                raise BadInput(f"[[ecu]] {ecu.name}: another one has its {what} already")
            taken.add((what, value, where))
