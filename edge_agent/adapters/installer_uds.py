"""Installs firmware in an ECU behind a bus: what flashes it is a port, and this decides what is written when.

    two banks   the spare one is written > swapped > well: kept; else swapped back
    one bank    the old image lies here first > written over > well: kept; else the old one is written back

Rule 1: an ECU with one bank is touched only when the image that it holds lies here, whole and verified.
Rule 2: an ECU whose writing was cut waits in its bootloader: writing begins anew.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_agent.adapters.update_files import PART_BYTES, Files, RealFiles, put
from edge_agent.updates.ports import Health, Stored, Verdict
from fairway.errors import BadInput, Tampered, Unavailable
from ota.trust.model import Assigned, Ecu


@dataclass(frozen=True, slots=True)
class FlashState:
    """What an ECU says of its memory."""

    active_sha256: str  # "": nothing whole: it waits in its bootloader
    spare_sha256: str | None = (
        None  # of the other bank, "" for nothing whole; None: there is no other
    )


class Flash(Protocol):
    """An ECU that can be written.  Contract: tests/contracts/test_flash.py."""

    async def look(self) -> FlashState:
        """Ask what it holds.  Raises Unavailable."""
        ...

    async def write(self, path: Path) -> None:
        """Write an image into the spare bank, or over the only one, and have the ECU check it.

        Raises Unavailable when the ECU does not answer, Tampered when it does not keep what it is given.
        """
        ...

    async def swap(self) -> None:
        """Have the spare bank run, and the one that ran be the spare.  Raises Unavailable."""
        ...


class UdsInstaller:
    """One ECU."""

    def __init__(self, flash: Flash, folder: Path, files: Files | None = None) -> None:
        """`folder` keeps images to come back to."""
        self._flash, self._folder, self._files = flash, folder, files or RealFiles()

    async def probe(self, ecu: Ecu) -> str:
        del ecu
        return (await self._flash.look()).active_sha256

    async def check(self, assigned: Assigned) -> None:
        state = await self._flash.look()
        if state.spare_sha256 is None and not await asyncio.to_thread(
            self._is_whole, state.active_sha256
        ):
            raise BadInput(
                f"{assigned.ecu.serial} has one bank, and the image that it holds does not lie in "
                f"{self._folder}: it could not be brought back"
            )

    async def prepare(self, token: str, assigned: Assigned, stored: Stored) -> None:
        try:
            await asyncio.to_thread(self._keep, assigned.image.sha256, stored.path)
            state = await self._flash.look()
            await asyncio.to_thread(self._note, token, state.active_sha256)
        except OSError as error:
            raise self._failing(error) from error
        if state.spare_sha256 not in (None, assigned.image.sha256):
            await self._flash.write(self._image(assigned.image.sha256))
            if (await self._flash.look()).spare_sha256 != assigned.image.sha256:
                raise Tampered(f"{assigned.ecu.serial} does not keep what it is given")

    async def activate(self, token: str, assigned: Assigned) -> bool:
        del token
        await self._have(assigned.image.sha256, assigned.ecu)
        return False

    async def verify(self, token: str, assigned: Assigned) -> Verdict:
        del token
        state = await self._flash.look()
        if state.active_sha256 == assigned.image.sha256:
            return Verdict(Health.WELL)
        return Verdict(
            Health.ILL,
            f"{assigned.ecu.serial} holds {state.active_sha256[:12] or 'nothing whole'}, "
            f"not {assigned.image.sha256[:12]}",
        )

    async def commit(self, token: str, assigned: Assigned) -> bool:
        del token
        await self._have(assigned.image.sha256, assigned.ecu)
        try:
            for name in self._files.names(self._folder):
                if name != f"{assigned.image.sha256}.bin":
                    self._files.remove(self._folder / name)
            self._files.sync_folder(self._folder)
        except OSError as error:
            raise self._failing(error) from error
        return False

    async def rollback(self, token: str, assigned: Assigned) -> bool:
        before = self._noted(token)
        if before is None:
            return False
        await self._have(before, assigned.ecu)
        try:
            if before != assigned.image.sha256:
                self._files.remove(self._image(assigned.image.sha256))
            self._files.remove(self._folder / f"{token}.order")
            self._files.sync_folder(self._folder)
        except OSError as error:
            raise self._failing(error) from error
        return False

    async def base(self, ecu: Ecu) -> Path | None:
        """Return the image that the ECU holds, where it lies here."""
        path = self._image(await self.probe(ecu))
        return path if self._files.size(path) is not None else None

    async def _have(self, sha256: str, ecu: Ecu) -> None:
        """Have an image run: it runs already, or waits in the spare bank, or is written."""
        state = await self._flash.look()
        if state.active_sha256 == sha256:
            return
        if state.spare_sha256 is None or state.spare_sha256 != sha256:
            if not await asyncio.to_thread(self._is_whole, sha256):
                raise Unavailable(
                    f"the image {sha256[:12]} for {ecu.serial} does not lie here whole"
                )
            await self._flash.write(self._image(sha256))
            state = await self._flash.look()
        if state.active_sha256 != sha256 and state.spare_sha256 == sha256:
            await self._flash.swap()
            state = await self._flash.look()
        if state.active_sha256 != sha256:
            raise Tampered(f"{ecu.serial} does not keep what it is given")

    def _image(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.bin"

    def _is_whole(self, sha256: str) -> bool:
        path, digest, offset = self._image(sha256), hashlib.sha256(), 0
        size = self._files.size(path) if sha256 else None
        if size is None:
            return False
        while offset < size:
            part = self._files.read(path, offset, min(PART_BYTES, size - offset))
            digest.update(part)
            offset += len(part) or size
        return digest.hexdigest() == sha256

    def _keep(self, sha256: str, source: Path) -> None:
        files, path = self._files, self._image(sha256)
        files.make_folder(self._folder)
        if self._is_whole(sha256):
            return
        fresh, size = path.with_name(path.name + ".new"), files.size(source) or 0
        for offset in range(0, size, PART_BYTES):
            files.write(fresh, files.read(source, offset, min(PART_BYTES, size - offset)), offset)
        files.sync(fresh)
        files.rename(fresh, path)
        files.sync_folder(self._folder)
        if not self._is_whole(sha256):
            raise Tampered(f"{path} does not keep what it is given: the disk fails")

    def _note(self, token: str, active_sha256: str) -> None:
        if self._noted(token) is None:
            put(self._files, self._folder / f"{token}.order", active_sha256.encode() or b"-")

    def _noted(self, token: str) -> str | None:
        """Return what the ECU held when the order began, None when it did not begin."""
        path = self._folder / f"{token}.order"
        size = self._files.size(path)
        return None if not size else self._files.read(path, 0, size).decode().strip("-")

    def _failing(self, error: OSError) -> Unavailable:
        return Unavailable(f"{self._folder} fails: {error.strerror or error}")
