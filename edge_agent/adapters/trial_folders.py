"""Folders of trials of services: whose they are, and the end of what a trial left that was killed.

    /tmp/fairway-try-.../owner      locked for as long as the trial lives
                        /agent      the process of its agent: number, start, boot
                        /services   images, containers, processes, logs

Rule 1: a folder that nobody holds is of a trial that was killed: its agent, services, mounts and files go.
Rule 2: only a folder of our own user that nobody else may enter is believed: /tmp is everybody's.
Rule 3: sockets have short paths: a folder for temporary files that is too deep for them is not taken.
Rule 4: what cannot be ended now costs nothing else its end, and is tried again by whoever comes next.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge_agent.adapters import cgroups, pidfds
from edge_agent.adapters.process_spawn import readable
from edge_agent.adapters.runtime_oci import OciRuntime, group_of
from edge_agent.adapters.runtime_process import ProcessRuntime
from edge_agent.adapters.service_logs import LogBook
from edge_agent.config_services import RUN_DIR_MAX_BYTES
from fairway import log
from fairway.clock import SystemClock
from fairway.errors import FairwayError

EVENTS = log.get("edge_agent.services")

PREFIX = "fairway-try-"
SERVICES, SOCKETS = "services", "run"
_OWNER, _AGENT = "owner", "agent"
_GROUP = "/fairway"  # [services] cgroup_parent, as it is by default
_AGENT_ENDS_S = 10.0
_SHORT = Path("/tmp")  # noqa: S108 - the folder in it is made for us alone
# What mkdtemp puts behind a prefix.
_RANDOM_CHARS = 8


@contextlib.contextmanager
def trial_folder() -> Iterator[Path]:
    """Give a folder for a trial; nothing of it, and of what runs in it, is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_places()[-1]))
    owner = _held(folder, os.O_CREAT)
    try:
        yield folder
    finally:
        asyncio.run(_removed(folder))
        if owner is not None:
            os.close(owner)


def note_agent(folder: Path, pid: int) -> None:
    """Write down which process is the agent of a trial."""
    (folder / _AGENT).write_text(f"{pid} {pidfds.start_ticks(pid)} {pidfds.boot()}")


async def sweep() -> int:
    """Remove what trials left that were killed, and return how many those were."""
    count = 0
    for folder in _ours():
        owner = _held(folder)
        if owner is None:
            continue  # somebody's who lives, or just being made
        try:
            await _removed(folder)
        finally:
            os.close(owner)
        EVENTS.warning("killed_trial_removed", folder=str(folder))
        count += 1
    return count


async def cleaned(services: Path, left: frozenset[str]) -> None:
    """End the instances that an agent left behind, whatever became of it; `left` are the folders it made."""
    logs, clock = LogBook(services / "logs", SystemClock()), SystemClock()
    runtimes = list[OciRuntime | ProcessRuntime]()
    if "containers" in left and os.geteuid() == 0:
        with contextlib.suppress(FairwayError):
            runtimes.append(await OciRuntime.open(services / "containers", logs))
    if "processes" in left:
        runtimes.append(ProcessRuntime(services / "processes", logs, clock))
    for runtime in runtimes:
        for id_ in await runtime.instances():
            with contextlib.suppress(FairwayError):
                await runtime.stop(id_, grace_s=0.0)
        await runtime.close()
    for name in left & {"containers", "processes"}:
        with contextlib.suppress(FairwayError, OSError):
            await cgroups.remove(cgroups.look(), group_of(services / name, _GROUP))


def made_in(folder: Path) -> frozenset[str]:
    """Return the names of what is in a folder, none when it is not there."""
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:
        return frozenset()


async def _removed(folder: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        await _end_agent(folder)
    services = folder / SERVICES
    await cleaned(services, made_in(services))
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _end_agent(folder: Path) -> None:
    """End the agent of a trial, if it still runs.  Raises OSError."""
    words = (folder / _AGENT).read_text().split()
    if len(words) != 3 or words[2] != pidfds.boot():
        return
    descriptor = pidfds.opened(int(words[0]), int(words[1]))
    if descriptor is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            async with asyncio.timeout(_AGENT_ENDS_S):
                await readable(descriptor)
    finally:
        os.close(descriptor)


def _ours() -> list[Path]:
    found = [folder for place in _places() for folder in sorted(place.glob(f"{PREFIX}*"))]
    return [folder for folder in found if _is_ours(folder)]


def _places() -> tuple[Path, ...]:
    """Return where folders of trials may be; the last one is where the next is made."""
    usual = Path(tempfile.gettempdir())
    longest = usual / f"{PREFIX}{_RANDOM_CHARS * 'x'}" / SOCKETS
    is_deep = len(str(longest).encode()) > RUN_DIR_MAX_BYTES
    return (usual, _SHORT) if is_deep and _SHORT.is_dir() else (usual,)


def _is_ours(folder: Path) -> bool:
    try:
        state = folder.lstat()
    except OSError:
        return False
    is_closed = not stat.S_IMODE(state.st_mode) & 0o077
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and is_closed


def _held(folder: Path, flags: int = 0) -> int | None:
    """Return a file that holds a folder for us until it is closed, None when that cannot be."""
    try:
        file = os.open(folder / _OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file
