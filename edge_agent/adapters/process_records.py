"""What an agent writes down of each plain process, so that the next agent knows it again.

    <folder>/<instance>/record.json     who it is, how it was started, how it ended
    <folder>/<instance>/work            its working folder, when it has no data folder

Rule 1: a record is written before the program runs: there is no process that no record names.
Rule 2: what cannot be read is forgotten, and its folder removed.
Rule 3: a record need not outlive a power cut, for no process does: the boot that it names is then another.
"""

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.services.runtime import Exit
from fairway.errors import Unavailable

_FORMAT = 1
_RECORD = "record.json"
_RECORD_MAX_BYTES = 1 << 20
_PRIVATE, _OWNER_ONLY = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class Launch:
    """How a program is started."""

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    folder: str
    uid: int | None  # None: the agent's own
    limits: tuple[tuple[str, int], ...]  # RLIMIT_... and how much

    def orders(self, groups: list[Path]) -> bytes:
        """Return what process_launch.py reads."""
        said = {
            "argv": list(self.argv),
            "environment": dict(self.environment),
            "folder": self.folder,
            "uid": self.uid,
            "limits": dict(self.limits),
            "groups": [str(group) for group in groups],
        }
        return json.dumps(said).encode()


@dataclass(frozen=True, slots=True)
class Record:
    """One process of ours."""

    id: str
    pid: int
    ticks: int  # when it began, since the boot
    boot: str
    started_ns: int  # wall clock
    launch: Launch
    exit: Exit | None = None


class Records:
    """The records of one agent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, record: Record) -> None:
        """Write a record so that another agent finds it.  Raises Unavailable."""
        text = json.dumps({"format": _FORMAT, **asdict(record)})
        try:
            fresh = self.place(record.id) / f"{_RECORD}.new"
            fresh.write_text(text, "utf-8")
            fresh.chmod(_OWNER_ONLY)
            fresh.replace(self._folder / record.id / _RECORD)
        except OSError as error:
            raise Unavailable(
                f"the record of {record.id} cannot be written: {error.strerror}"
            ) from error

    def ended(self, record: Record, exit_: Exit) -> Record:
        """Write down how a process ended, as far as there is room, and return the record."""
        record = replace(record, exit=exit_)
        with contextlib.suppress(Unavailable):
            self.keep(record)
        return record

    def all(self) -> list[Record]:
        """Return every record that can be read, and remove the others."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir())
        except OSError:
            return []
        found = {name: self._read(name) for name in names}
        for name, record in found.items():
            if record is None:
                self.forget(name)
        return [record for record in found.values() if record is not None]

    def place(self, id_: str) -> Path:
        """Return the folder of an instance, made if it is not there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / id_).mkdir(exist_ok=True)
        return self._folder / id_

    def work(self, id_: str, uid: int | None) -> Path:
        """Return an empty working folder for an instance.  Raises Unavailable."""
        try:
            work = self.place(id_) / "work"
            shutil.rmtree(work, ignore_errors=True)
            owned(work, uid)
        except OSError as error:
            raise Unavailable(f"the folder of {id_} cannot be made: {error.strerror}") from error
        return work

    def forget(self, id_: str) -> None:
        """Remove the record and the working folder of an instance."""
        with contextlib.suppress(OSError):
            (self._folder / id_ / _RECORD).unlink()
        shutil.rmtree(self._folder / id_, ignore_errors=True)

    def _read(self, name: str) -> Record | None:
        try:
            with (self._folder / name / _RECORD).open("rb") as file:
                said = json.loads(file.read(_RECORD_MAX_BYTES))
            record = _record(said)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return record if record.id == name else None


def owned(folder: Path, uid: int | None) -> None:
    """Make a folder that belongs to one user alone."""
    folder.mkdir(parents=True, exist_ok=True)
    if uid is not None:
        os.chown(folder, uid, uid)
    folder.chmod(_PRIVATE)


def _record(said: dict[str, Any]) -> Record:
    if said.pop("format") != _FORMAT:
        raise ValueError("it is of another format")
    launch, exit_ = said.pop("launch"), said.pop("exit")
    pid, ticks = int(said.pop("pid")), int(said.pop("ticks"))
    if pid <= 0:
        raise ValueError("it names no process")
    return Record(
        str(said.pop("id")),
        pid,
        ticks,
        str(said.pop("boot")),
        int(said.pop("started_ns")),
        Launch(
            tuple(map(str, launch["argv"])),
            tuple((str(name), str(value)) for name, value in launch["environment"]),
            str(launch["folder"]),
            None if launch["uid"] is None else int(launch["uid"]),
            tuple((str(name), int(most)) for name, most in launch["limits"]),
        ),
        None if exit_ is None else Exit(**exit_),
    )
