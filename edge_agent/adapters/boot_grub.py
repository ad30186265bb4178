"""GRUB: its environment block, as grub-reboot and grub-set-default write it; a slot is the id of a menu entry.

    # GRUB Environment Block
    saved_entry=a
    next_entry=b
    ######...                 1024 bytes in all

Rule 1: GRUB clears next_entry before it starts it: what does not come up is not started again.
Rule 2: the block is replaced whole; variables of others stay as they are.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from edge_agent.adapters.update_files import Files, RealFiles, got, put
from edge_agent.updates.boot import BootState
from fairway.errors import BadInput, Unavailable

BLOCK_BYTES = 1024
_HEAD = b"# GRUB Environment Block\n"
_KEPT, _TRIED = "saved_entry", "next_entry"


class Grub:
    """The block, in `path`: usually /boot/grub/grubenv."""

    def __init__(self, booted: Callable[[], str], path: Path, files: Files | None = None) -> None:
        self._booted, self._path, self._files = booted, path, files or RealFiles()

    async def state(self) -> BootState:
        said, booted = self._read(), self._booted()
        return BootState(booted, said.get(_KEPT, "") or booted, said.get(_TRIED, ""))

    async def try_slot(self, slot: str) -> None:
        said = self._read()
        await self._write({_KEPT: self._booted()} | said | {_TRIED: slot})

    async def keep_slot(self, slot: str) -> None:
        said = {name: value for name, value in self._read().items() if name != _TRIED}
        await self._write(said | {_KEPT: slot})

    def _read(self) -> dict[str, str]:
        try:
            return read(got(self._files, self._path) or b"")
        except (OSError, BadInput) as error:
            raise Unavailable(f"{self._path} cannot be read: {error}") from error

    async def _write(self, said: dict[str, str]) -> None:
        try:
            await asyncio.to_thread(put, self._files, self._path, written(said))
        except (OSError, BadInput) as error:
            raise Unavailable(f"{self._path} cannot be written: {error}") from error


def read(block: bytes) -> dict[str, str]:
    """Return the variables of a block; an empty file is a block without any.  Raises BadInput."""
    if not block:
        return {}
    if not block.startswith(_HEAD) or len(block) != BLOCK_BYTES:
        raise BadInput("it is no environment block of GRUB")
    said: dict[str, str] = {}
    line, is_escaped = bytearray(), False
    for byte in block[len(_HEAD) :]:
        if is_escaped or byte not in b"\\\n":
            line.append(byte)
            is_escaped = False
        elif byte == ord("\\"):
            is_escaped = True
        else:
            name, equals, value = line.decode(errors="surrogateescape").partition("=")
            if equals and not name.startswith("#"):
                said[name] = value
            line = bytearray()
    return said


def written(said: dict[str, str]) -> bytes:
    """Return a block of these variables.  Raises BadInput when it has no room for them."""
    block = bytearray(_HEAD)
    for name, value in said.items():
        raw = f"{name}={value}".encode(errors="surrogateescape")
        block += raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\\n") + b"\n"
    if len(block) > BLOCK_BYTES:
        raise BadInput(f"the variables take {len(block)} bytes, and {BLOCK_BYTES} are there")
    return bytes(block.ljust(BLOCK_BYTES, b"#"))
