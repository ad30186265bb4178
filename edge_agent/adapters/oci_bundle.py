"""The folder of one container: what it is made of, and all that a later agent needs to know of it.

    <id>/config.json   what the container program reads
    <id>/root          the image is mounted here, under skeleton
    <id>/skeleton      folders to mount the rest in, over the image
    <id>/pid           of its first process; when it was written is when the container was started
    <id>/starting      held (flock) while somebody starts it: also by the program that an agent left behind
    <id>/exit.json     how it ended
    <id>/boot          the machine's run that all of this is of

Rule 1: a folder without pid was never started whole; one with exit.json has ended; else the kernel is asked.
"""

import asyncio
import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.services.runtime import Exit
from fairway.errors import Unavailable

# A program that an agent left behind in the middle of a start is done by then.
_STARTING_MAX_S = 30.0
_STARTING_POLL_S = 0.05


class Bundle:
    """One folder.  Everything may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root, self.skeleton = folder / "root", folder / "skeleton"
        self.pid_file, self.log = folder / "pid", folder / "log.json"

    def make(
        self, config: Mapping[str, Any], folders: tuple[str, ...], files: Mapping[str, str]
    ) -> None:
        """Write it anew."""
        self.folder.mkdir(parents=True, mode=0o700)
        self.root.mkdir()
        for name in folders:
            _make_open(self.skeleton, name)
        # runc gives what it mounts the rights of the folder below.
        (self.skeleton / "tmp").chmod(0o1777)
        for name, text in files.items():
            _make_open(self.skeleton, str(Path(name).parent))
            (self.skeleton / name).write_text(text)
            (self.skeleton / name).chmod(0o644)
        (self.folder / "config.json").write_text(json.dumps(config))
        (self.folder / "boot").write_text(_boot())

    def starting(self) -> int:
        """Return a file that is held while the container is started; close it afterwards."""
        file = os.open(self.folder / "starting", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    async def until_started(self) -> None:
        """Wait for whoever may still be starting it.  Raises Unavailable when that takes too long."""
        try:
            async with asyncio.timeout(_STARTING_MAX_S):
                while self._is_starting():  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(_STARTING_POLL_S)
        except TimeoutError as error:
            raise Unavailable(
                f"{self.folder.name} is being started by somebody else, without end"
            ) from error

    def _is_starting(self) -> bool:
        try:
            os.close(self.starting())
        except BlockingIOError:
            return True
        return False

    def is_of_this_boot(self) -> bool:
        """Return whether the machine has not been started anew since: nothing of before runs, or failed."""
        try:
            return (self.folder / "boot").read_text() == _boot()
        except OSError:
            return False

    def pid(self) -> int:
        """Return its first process, 0 when it was never started whole."""
        try:
            return int(self.pid_file.read_text())
        except (OSError, ValueError):
            return 0

    def started_ns(self) -> int:
        """Return when it was started, by the wall clock; 0: not known."""
        try:
            return self.pid_file.stat().st_mtime_ns
        except OSError:
            return 0

    def keep_exit(self, exit_: Exit) -> None:
        """Write down how it ended."""
        fresh = self.folder / "exit.json.new"
        fresh.write_text(
            json.dumps(
                {
                    "code": exit_.code,
                    "signal": exit_.signal,
                    "was_out_of_memory": exit_.was_out_of_memory,
                }
            )
        )
        fresh.replace(self.folder / "exit.json")

    def exit(self) -> Exit | None:
        """Return how it ended, None when nobody wrote that down."""
        try:
            kept = json.loads((self.folder / "exit.json").read_text())
            return Exit(
                kept["code"], kept["signal"], was_out_of_memory=bool(kept["was_out_of_memory"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """Remove all of it; the image is unmounted already, or this fails rather than touch it."""
        if self.root.exists():
            self.root.rmdir()
        if self.folder.exists():
            shutil.rmtree(self.folder)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text()


def _make_open(base: Path, name: str) -> None:
    """Make a folder and those above it so that every user may pass through."""
    path = base
    for part in ("", *Path(name).parts):
        path /= part
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
