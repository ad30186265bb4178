"""UEFI: BootNext is tried once, the first of BootOrder is kept; a slot is the number of an entry, as "0001".

Rule 1: a variable is one write of its attributes and its value; the kernel wants it that way.
Rule 2: firmware removes BootNext before it starts it: what does not come up is not started again.
"""

import asyncio
import contextlib
import fcntl
import os
import struct
from pathlib import Path

from edge_agent.updates.boot import BootState
from fairway.errors import BadInput, Unavailable

EFIVARS = Path("/sys/firmware/efi/efivars")
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ATTRIBUTES = struct.pack("<I", 0x7)  # kept, seen at boot and at run time
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x8008_6601, 0x4008_6602, 0x10


class Efi:
    """The firmware's variables."""

    def __init__(self, folder: Path = EFIVARS) -> None:
        self._folder = folder

    async def state(self) -> BootState:
        current, order = self._numbers("BootCurrent"), self._numbers("BootOrder")
        if not current:
            raise Unavailable(
                f"the firmware does not say what it started: no BootCurrent in {self._folder}"
            )
        tried, booted = self._numbers("BootNext"), _slot(current[0])
        return BootState(
            booted, _slot(order[0]) if order else booted, _slot(tried[0]) if tried else ""
        )

    async def try_slot(self, slot: str) -> None:
        await asyncio.to_thread(self._set, "BootNext", [_number(slot)])

    async def keep_slot(self, slot: str) -> None:
        number, order = _number(slot), self._numbers("BootOrder")
        if order[:1] != [number]:
            others = [one for one in order if one != number]
            await asyncio.to_thread(self._set, "BootOrder", [number, *others])
        await asyncio.to_thread(self._remove, "BootNext")

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}-{_GLOBAL}"

    def _numbers(self, name: str) -> list[int]:
        try:
            content = self._path(name).read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"{self._path(name)} cannot be read: {error.strerror}") from error
        value = content[4:]
        return list(struct.unpack(f"<{len(value) // 2}H", value[: len(value) // 2 * 2]))

    def _set(self, name: str, numbers: list[int]) -> None:
        path, value = self._path(name), _ATTRIBUTES + struct.pack(f"<{len(numbers)}H", *numbers)
        try:
            _mutable(path)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.write(file, value)
                if os.fstat(file).st_size > len(value):
                    os.ftruncate(file, len(value))
                with contextlib.suppress(OSError):  # efivarfs writes through, and knows no fsync
                    os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror}") from error

    def _remove(self, name: str) -> None:
        path = self._path(name)
        try:
            _mutable(path)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"{path} cannot be removed: {error.strerror}") from error


def _mutable(path: Path) -> None:
    """Take away the mark that keeps people from removing variables by mistake; other file systems have none."""
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            flags = int.from_bytes(fcntl.ioctl(file, _GET_FLAGS, bytes(8)), "little")
            if flags & _IMMUTABLE:
                fcntl.ioctl(file, _SET_FLAGS, (flags & ~_IMMUTABLE).to_bytes(8, "little"))
        finally:
            os.close(file)


def _slot(number: int) -> str:
    return f"{number:04X}"


def _number(slot: str) -> int:
    try:
        number = int(slot, 16)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFF or len(slot) != 4:
        raise BadInput(f"{slot!r} is no entry of the firmware: they are called 0000 to FFFF")
    return number
