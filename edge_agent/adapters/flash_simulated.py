"""An ECU with flash in blocks: each message of a transfer counts, and the power may go between any two.

    flash = SimulatedFlash(b"old", banks=2, message=lambda what: None)

Rule 1: its memory outlives the power; what was half written is nothing: the ECU waits in its bootloader.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from edge_agent.adapters.installer_uds import FlashState
from edge_agent.adapters.update_files import Files, RealFiles
from fairway.errors import Tampered, Unavailable

BLOCK_BYTES = 256


def _nothing(_what: str) -> None:
    pass


class SimulatedFlash:
    """The ECU."""

    def __init__(
        self,
        image: bytes,
        *,
        banks: int = 1,
        message: Callable[[str], None] = _nothing,
        files: Files | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        """`message` is called for each message of the bus, and may end the world."""
        self.banks: list[bytes | None] = [image] + [None] * (banks - 1)
        self.active = 0
        self.message, self._files = message, files or RealFiles()
        self._block_bytes = block_bytes
        self.refused = ""  # SHA-256 of an image in which a bit flips, each time it is written
        self.is_silent = False

    async def look(self) -> FlashState:
        if self.is_silent:
            raise Unavailable("the ECU does not answer")
        found = ["" if one is None else hashlib.sha256(one).hexdigest() for one in self.banks]
        return FlashState(found[self.active], found[1 - self.active] if len(found) > 1 else None)

    async def write(self, path: Path) -> None:
        if self.is_silent:
            raise Unavailable("the ECU does not answer")
        bank = 1 - self.active if len(self.banks) > 1 else 0
        data = self._files.read(path, 0, self._files.size(path) or 0)
        self.message("10 02")
        self.banks[bank] = None  # erased
        self.message("31 01 FF 00")
        taken = bytearray()
        self.message("34")
        for offset in range(0, len(data), self._block_bytes):
            taken += data[offset : offset + self._block_bytes]
            self.message("36")
        self.message("37")
        if hashlib.sha256(data).hexdigest() == self.refused:
            taken[len(taken) // 2] ^= 1
        if bytes(taken) != data:
            self.message("31 01 02 02")
            raise Tampered("the ECU's check of its memory fails: it does not hold what was sent")
        self.banks[bank] = bytes(taken)
        self.message("31 01 02 02")

    async def swap(self) -> None:
        if self.is_silent:
            raise Unavailable("the ECU does not answer")
        self.message("31 01 FF 01")
        self.active = 1 - self.active
        self.message("11 01")
