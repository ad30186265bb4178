"""What decides which half of an A/B pair runs: the bootloader, behind a port.

    a runs, b is written > try_slot("b") > the vehicle starts anew > b runs, on trial > keep_slot("b")
                                                '-> b does not start: the bootloader goes back to a by itself

Rule 1: two facts decide: which slot is kept, and whether another is tried; each is set in one durable write.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BootState:
    """What runs, and what the bootloader would start."""

    booted: str  # the slot that runs
    kept: str  # the one that is started, whatever happens
    tried: str = ""  # the one that is started next, on trial; "": none


class BootControl(Protocol):
    """A bootloader.  Contract: tests/contracts/test_boot_control.py.

    All of them raise Unavailable when the bootloader's memory cannot be read or written.
    """

    async def state(self) -> BootState:
        """Return how it stands."""
        ...

    async def try_slot(self, slot: str) -> None:
        """Have `slot` started next, on trial: who does not keep it finds the old one after one start more."""
        ...

    async def keep_slot(self, slot: str) -> None:
        """Have `slot` started from now on; nothing is on trial after this."""
        ...
