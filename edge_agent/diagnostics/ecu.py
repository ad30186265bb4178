"""The ECUs of the vehicle that may be asked, and the port to ask them by.

Rule 1: an ECU that the settings do not name is not asked: nothing is sent by default.
Rule 2: an ECU has one request at a time; who comes second waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairway.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Ecu:
    """An ECU that may be asked."""

    name: str
    target_address: int  # what DTC_QUERY calls it
    is_obd: bool = False  # whether it answers emission-related requests (ISO 15765-4)


class Ecus(Protocol):
    """Asks ECUs.  Contract: tests/contracts/test_ecus.py."""

    @property
    def known(self) -> Sequence[Ecu]:
        """The ECUs that may be asked, in the order of the settings."""
        ...

    async def ask(self, ecu: Ecu, request: bytes) -> bytes:
        """Return the ECU's last word on a request: positive or negative, never "pending".

        Raises Unavailable, naming the ECU, when it does not answer in time or in order (ask again later),
        BadInput when the request can be sent to none, or the ECU is not known.
        """
        ...

    async def ask_all(
        self, ecus: Sequence[Ecu], request: bytes
    ) -> Mapping[Ecu, bytes | Unavailable]:
        """Ask several ECUs with one request to all, and return what each said, or why it said nothing.

        An ECU to which the request means nothing says nothing.
        Raises BadInput when the request does not fit one frame, or an ECU is not known.
        """
        ...
