"""A bootloader that is a file: it starts the slot that is kept, or once the one that is tried.

    {"kept": "a", "tried": "b", "left": 1}

Rule 1: it is what a real one is to the agent, for benches and tests: who starts a machine calls `start`.
"""

import asyncio
import json
from pathlib import Path

from edge_agent.adapters.update_files import Files, RealFiles, got, put
from edge_agent.updates.boot import BootState
from fairway.errors import Unavailable


class SimulatedBoot:
    """The bootloader's memory, in `path`; `booted` is the slot that runs."""

    def __init__(
        self, path: Path, booted: str, files: Files | None = None, *, tries: int = 1
    ) -> None:
        self._path, self._files, self._tries = path, files or RealFiles(), tries
        self.booted = booted

    async def state(self) -> BootState:
        said = read(self._files, self._path, self.booted)
        return BootState(self.booted, said["kept"], said["tried"])

    async def try_slot(self, slot: str) -> None:
        said = read(self._files, self._path, self.booted)
        await self._set({"kept": said["kept"], "tried": slot, "left": self._tries})

    async def keep_slot(self, slot: str) -> None:
        await self._set({"kept": slot, "tried": "", "left": 0})

    async def _set(self, said: dict[str, object]) -> None:
        try:
            await asyncio.to_thread(put, self._files, self._path, json.dumps(said).encode())
        except OSError as error:
            raise Unavailable(f"{self._path} fails: {error.strerror or error}") from error


def read(files: Files, path: Path, usual: str) -> dict[str, str]:
    """Return what a bootloader would do."""
    content = got(files, path)
    if not content:
        return {"kept": usual, "tried": "", "left": "0"}
    said = json.loads(content)
    return {"kept": said["kept"], "tried": said["tried"], "left": str(said["left"])}


def start(files: Files, path: Path, usual: str) -> str:
    """Do what a bootloader does when the power comes; return the slot that it starts."""
    said = read(files, path, usual)
    left = int(said["left"])
    if said["tried"] and left > 0:
        put(files, path, json.dumps(said | {"left": left - 1}).encode())
        return said["tried"]
    if said["tried"]:
        put(files, path, json.dumps({"kept": said["kept"], "tried": "", "left": 0}).encode())
    return said["kept"]
