"""The socket folder of one instance, shared by two who do not trust each other: the agent and the service.

    battery.3f9c.../            agent:battery 1770   the service may add names and remove its own, nobody else's
        agent.sock, token, keys.jwks                 the agent's
        health.sock                                  the service's: what it offers
        uses/                   agent:battery 0750
            tyre.state/{sock,token}                  the agent's: sock is a hard link to the other service's

Rule 1: nothing that the service made is followed: names are opened without links, in a folder held open.
Rule 2: an offered socket is a socket, of the service that offers it; checked and linked by one handle.
Rule 3: what is put in place appears whole, by a rename.
"""

import contextlib
import os
import re
import shutil
import stat
from pathlib import Path

from fairway.errors import BadInput, Unavailable

USES = "uses"
TOKEN = "token"  # noqa: S105 - a file's name
KEYS = "keys.jwks"
AGENT_SOCKET = "agent.sock"
OFFER_SOCKET = "sock"
# Linux refuses longer names of sockets; the agent's is made under a name that is 9 characters longer.
PATH_MAX_BYTES = 107
_LONGEST = ".onboard-01234567/s"

_RESERVED = frozenset({USES, TOKEN, KEYS, AGENT_SOCKET})
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
# Sticky: who may write to the folder still removes and renames nothing of another's.
_FOLDER_MODE = 0o1770
_USES_MODE = 0o750
_FILE_MODE = 0o640
# Who reaches it is decided by the folders it lies in; whoever does may connect.
_SOCKET_MODE = 0o666

Inode = tuple[int, int]  # device, number


def file_name(name: str, what: str) -> str:
    """Return `name` if it can be a name in a socket folder.  Raises BadInput."""
    if name in _RESERVED:
        raise BadInput(f"{what} is called {name}, as one of the agent's: choose another name")
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{what} is called {name[:80]!r}: use letters, digits, ., _ and -, 64 at most"
        )
    return name


class ServiceFolder:
    """A folder that is there, held open."""

    def __init__(self, path: Path, uid: int) -> None:
        """Make the folder, or take one that a former agent made.  Raises BadInput or Unavailable."""
        if len(os.fsencode(path / _LONGEST)) > PATH_MAX_BYTES:
            raise BadInput(
                f"the folder {path} is too long a name for sockets: set a shorter folder for them"
            )
        self.path, self.uid = path, uid
        me = os.geteuid()
        if me not in (0, uid):
            raise BadInput(
                f"the agent runs as user {me} and cannot give {path} to user {uid}: run it as root"
            )
        self.group = uid if me == 0 else -1
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _check_parent(path.parent)
            self._folder = _made(None, path, _FOLDER_MODE, self.group)
        except OSError as error:
            raise Unavailable(f"cannot make the folder {path}: {error.strerror}") from error
        try:
            self._uses = _made(self._folder, USES, _USES_MODE, self.group)
        except OSError as error:
            os.close(self._folder)
            raise Unavailable(f"cannot make {path / USES}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._uses)
        os.close(self._folder)

    def remove(self) -> None:
        """Let go of the folder and remove it, with whatever is in it."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, name: str, content: str) -> None:
        """Put one of the agent's own files in place.  Raises Unavailable."""
        try:
            self._write(self._folder, name, content)
        except OSError as error:
            raise Unavailable(f"cannot write {self.path / name}: {error.strerror}") from error

    def offered(self, name: str) -> Inode | None:
        """Return which socket stands under a name of the service's, None when it made none there."""
        try:
            handle = self._handle(name)
        except (OSError, BadInput):
            return None
        try:
            return _inode(os.fstat(handle))
        finally:
            os.close(handle)

    def link(self, offer: str, source: "ServiceFolder", name: str, token: str) -> Inode:
        """Let this service call an offer: the socket `name` of another, and a token for it.

        Raises BadInput for what is no socket of that service, Unavailable for what is not there.
        """
        handle = -1
        try:
            handle = source._handle(name)  # noqa: SLF001 - of the same kind
            uses = _made(self._uses, offer, _USES_MODE, self.group)
            try:
                self._write(uses, TOKEN, token)
                via = f"/proc/self/fd/{handle}"
                Path(via).chmod(_SOCKET_MODE)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(".sock", dir_fd=uses)
                os.link(via, ".sock", dst_dir_fd=uses, follow_symlinks=True)
                os.rename(".sock", OFFER_SOCKET, src_dir_fd=uses, dst_dir_fd=uses)
                # A rename of one link to another of the same socket does nothing and leaves both.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(".sock", dir_fd=uses)
            finally:
                os.close(uses)
            return _inode(os.fstat(handle))
        except OSError as error:
            raise Unavailable(
                f"cannot link {offer} to {source.path / name}: {error.strerror}"
            ) from error
        finally:
            if handle >= 0:
                os.close(handle)

    def renew(self, offer: str, token: str) -> None:
        """Replace the token for an offer that is linked.  Raises Unavailable."""
        try:
            uses = _opened(self._uses, offer)
            try:
                self._write(uses, TOKEN, token)
            finally:
                os.close(uses)
        except OSError as error:
            raise Unavailable(f"cannot write the token for {offer}: {error.strerror}") from error

    def unlink(self, offer: str) -> None:
        """Let this service no longer call an offer; what is not there is fine."""
        with contextlib.suppress(OSError):
            shutil.rmtree(offer, dir_fd=self._uses)

    def linked(self) -> list[str]:
        """Return the offers that are linked, by whomever."""
        return os.listdir(self._uses)  # noqa: PTH208 - of an open folder

    def _write(self, folder: int, name: str, content: str) -> None:
        """Make a file in `uses`, where only the agent writes, and move it to its place."""
        fresh = ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=self._uses)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(fresh, flags, _FILE_MODE, dir_fd=self._uses)
        try:
            os.fchown(file, -1, self.group)
            os.fchmod(file, _FILE_MODE)
            os.write(file, content.encode())
        finally:
            os.close(file)
        os.rename(fresh, name, src_dir_fd=self._uses, dst_dir_fd=folder)

    def _handle(self, name: str) -> int:
        """Return a handle of a socket that the service made.  Raises OSError, BadInput for anything else."""
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
        state = os.fstat(handle)
        if not stat.S_ISSOCK(state.st_mode) or state.st_uid != self.uid:
            os.close(handle)
            raise BadInput(f"{self.path / name} is no socket of the service that offers it")
        return handle


def _check_parent(folder: Path) -> None:
    state = folder.lstat()
    _own(state, folder)
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not state.st_mode & stat.S_ISVTX:
        raise BadInput(
            f"others may write to {folder} and could swap folders of services: chmod 755 it"
        )


def _made(parent: int | None, name: str | Path, mode: int, group: int) -> int:
    """Return a handle of a folder of the agent's, which is made if need be.  Raises OSError, BadInput."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    folder = _opened(parent, name)
    try:
        _own(os.fstat(folder), name)
        os.fchown(folder, -1, group)
        os.fchmod(folder, mode)
    except (OSError, BadInput):
        os.close(folder)
        raise
    return folder


def _opened(parent: int | None, name: str | Path) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=parent)


def _own(state: os.stat_result, name: object) -> None:
    if state.st_uid not in (0, os.geteuid()) or not stat.S_ISDIR(state.st_mode):
        raise BadInput(f"{name} is there already, and no folder of the agent's: remove it")


def _inode(state: os.stat_result) -> Inode:
    return state.st_dev, state.st_ino
