"""Signals that nobody sends unasked, and trouble codes: who is asked for them."""

from typing import Protocol


class Fetcher(Protocol):
    """Asks the vehicle.  Contract: tests/contracts/test_fetcher.py."""

    async def fetch(self, action: str, /) -> str:
        """Return what came of an action of a campaign, such as custom_function("DTC_QUERY", -1, 4, -1).

        Raises Unavailable (who did not answer) or BadInput (there is no such action).
        """
        ...

    async def active_dtcs(self) -> tuple[str, ...]:
        """Return the active trouble codes of all ECUs.  Raises Unavailable."""
        ...
