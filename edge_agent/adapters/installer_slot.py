"""Installs system images: into the half of an A/B pair that does not run, and lets the bootloader try it.

    slots/a  runs       <- boot control: kept
    slots/b  is written <- boot control: tried; a.json and b.json say what lies in each

Rule 1: the slot that runs is never written.  What says what a slot holds goes before it is written, and comes
        back once what was read from the medium is what it has to be.
Rule 2: only the bootloader's word counts for what runs: a slot that it left has failed.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_agent.adapters.update_files import PART_BYTES, Files, RealFiles, got, put
from edge_agent.updates.boot import BootControl
from edge_agent.updates.ports import Health, Stored, Verdict
from fairway.errors import BadInput, Tampered, Unavailable
from ota.trust.model import Assigned, Ecu


@dataclass(frozen=True, slots=True)
class _Held:
    """What a slot holds."""

    token: str
    sha256: str
    length: int


async def _no_log() -> str:
    return ""


class SlotInstaller:
    """Two slots and a bootloader."""

    def __init__(
        self,
        slots: Mapping[str, Path],
        boot: BootControl,
        folder: Path,
        files: Files | None = None,
        *,
        last_log: Callable[[], Awaitable[str]] = _no_log,
    ) -> None:
        """`folder` is for records; `last_log` returns the log of the boot before this one."""
        if len(slots) != 2:
            raise BadInput(f"a pair has two slots, and these are {len(slots)}")
        self._slots, self._boot, self._folder = dict(slots), boot, folder
        self._files, self._last_log = files or RealFiles(), last_log

    async def probe(self, ecu: Ecu) -> str:
        del ecu
        held = self._held((await self._boot.state()).booted)
        return held.sha256 if held else ""

    async def check(self, assigned: Assigned) -> None:
        slot = self._slots[self._other((await self._boot.state()).booted)]
        try:
            room = self._files.size(slot) if slot.is_block_device() else None
        except OSError as error:
            raise _failing(slot, error) from error
        if room is not None and assigned.image.length > room:
            raise BadInput(
                f"{assigned.image.name} is {assigned.image.length} bytes long, and {slot} has room for {room}"
            )

    async def prepare(self, token: str, assigned: Assigned, stored: Stored) -> None:
        state = await self._boot.state()
        target = self._other(state.booted)
        held = self._held(target)
        if held is not None and (held.token, held.sha256) == (token, assigned.image.sha256):
            return
        if state.kept != state.booted or state.tried:
            await self._boot.keep_slot(state.booted)
        try:
            await asyncio.to_thread(self._write, target, token, assigned, stored.path)
        except OSError as error:
            raise _failing(self._slots[target], error) from error

    def _write(self, target: str, token: str, assigned: Assigned, source: Path) -> None:
        files, path, image = self._files, self._slots[target], assigned.image
        files.make_folder(self._folder)
        put(files, self._record(target), b"")
        offset = 0
        while offset < image.length:
            part = files.read(source, offset, min(PART_BYTES, image.length - offset))
            if not part:
                raise Tampered(f"{source} ends after {offset} bytes of {image.length}")
            files.write(path, part, offset)
            offset += len(part)
        files.sync(path)
        found = self._hash(path, image.length)
        if found != image.sha256:
            raise Tampered(
                f"{path} does not keep what it is given: it was to hold {image.sha256} and holds {found}"
            )
        if not path.is_block_device():
            files.sync_folder(path.parent)
        record = json.dumps(asdict(_Held(token, image.sha256, image.length)))
        put(files, self._record(target), record.encode())

    def _hash(self, path: Path, length: int) -> str:
        digest, offset = hashlib.sha256(), 0
        while offset < length:
            part = self._files.read(path, offset, min(PART_BYTES, length - offset))
            if not part:
                break
            digest.update(part)
            offset += len(part)
        return digest.hexdigest()

    async def activate(self, token: str, assigned: Assigned) -> bool:
        target = self._target(token)
        if target is None:
            raise Unavailable(f"no slot holds {assigned.image.name} {assigned.image.version}")
        state = await self._boot.state()
        if state.booted == target:
            return False
        await self._boot.try_slot(target)
        return True

    async def verify(self, token: str, assigned: Assigned) -> Verdict:
        del assigned
        target, state = self._target(token), await self._boot.state()
        if target is not None and state.booted == target:
            if not state.tried and state.kept != target:
                # Some bootloaders try once: a power cut now is to come back here, where it is looked at.
                await self._boot.try_slot(target)
            return Verdict(Health.WELL)
        sentence = (
            f"the bootloader went back to slot {state.booted}: slot {target or '?'} did not start"
        )
        return Verdict(Health.ILL, sentence, await self._last_log())

    async def commit(self, token: str, assigned: Assigned) -> bool:
        target, state = self._target(token), await self._boot.state()
        if target is None:
            raise Unavailable(f"no slot holds {assigned.image.name} {assigned.image.version}")
        if state.kept != target or state.tried:
            await self._boot.keep_slot(target)
        return state.booted != target

    async def rollback(self, token: str, assigned: Assigned) -> bool:
        del assigned
        target, state = self._target(token), await self._boot.state()
        old = self._other(target) if target is not None else state.booted
        if state.kept != old or state.tried:
            await self._boot.keep_slot(old)
        if state.booted != old:
            return True
        if target is not None:
            try:
                put(self._files, self._record(target), b"")
            except OSError as error:
                raise _failing(self._record(target), error) from error
        return False

    async def base(self, ecu: Ecu) -> Path | None:
        """Return the slot that runs: differences apply to its bytes."""
        del ecu
        booted = (await self._boot.state()).booted
        return self._slots[booted] if self._held(booted) else None

    def _other(self, slot: str) -> str:
        others = [name for name in self._slots if name != slot]
        if len(others) != 1:
            raise Unavailable(
                f"the bootloader says that slot {slot!r} runs, and the pair is {', '.join(self._slots)}"
            )
        return others[0]

    def _target(self, token: str) -> str | None:
        for name in self._slots:
            held = self._held(name)
            if held is not None and held.token == token:
                return name
        return None

    def _record(self, slot: str) -> Path:
        return self._folder / f"{slot}.json"

    def _held(self, slot: str) -> _Held | None:
        try:
            content = got(self._files, self._record(slot))
            return _Held(**json.loads(content)) if content else None
        except OSError as error:
            raise _failing(self._record(slot), error) from error
        except (ValueError, TypeError):
            return None


def _failing(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{path} fails: {error.strerror or error}")
