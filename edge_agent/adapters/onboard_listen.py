"""Where the on-board door listens: a Unix socket placed safely, TLS, or plain TCP on this machine alone.

    unix:/run/fairway/onboard.sock     tls://127.0.0.1:55555     tcp://127.0.0.1:55555 (needs plain = true)

Rule 1: the socket appears with its mode and group, never before: it is made in a folder that nobody else
enters, and moved. Whoever may not open the file does not reach the door.
Rule 2: only a dead socket of our own is replaced; a live one, another's and any other file stay as they are.
Rule 3: a folder in which others could swap the socket is refused: they would be shown the tokens of apps.
"""

import contextlib
import grp
import ipaddress
import os
import re
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fairway.errors import BadInput, Conflict, Unavailable

# Linux refuses longer names of sockets.
_PATH_MAX_BYTES = 107
# The owner and the group; others are not asked for a token, they are not there.
SOCKET_MODE = 0o660
_PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on: `path` of a socket, or a host and a port."""

    scheme: str  # unix, tls or tcp
    path: Path = Path()
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port as gRPC takes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; names of hosts are not looked up."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False


def listen_at(text: str, *, plain: bool, name: str = "onboard.listen") -> Listen:
    """Read an address to listen on; `plain` allows TCP without TLS.  Raises BadInput."""
    if text.startswith("unix:"):
        path = Path(re.sub("^/+", "/", text.removeprefix("unix:")))
        if not path.is_absolute() or "\0" in text or path.name in ("", ".."):
            raise BadInput(
                f"{name} is {text!r}: write the whole path, as in unix:/run/fairway/x.sock"
            )
        return Listen("unix", path=path)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput(f"{name} is {text!r}: {error}") from error
    if parts.scheme not in ("tls", "tcp") or not host or port is None or parts.path or parts.query:
        raise BadInput(f"{name} is {text!r}: write unix:/path or tls://host:port")
    listen = Listen(parts.scheme, host=host, port=port)
    if listen.scheme == "tcp" and not (plain and listen.is_loopback):
        raise BadInput(
            f"{name} is {text!r}: without TLS tokens can be read on the way; use tls://, or say "
            "plain = true for an address of this machine alone, such as 127.0.0.1"
        )
    return listen


class SocketFile:
    """A Unix socket's name, taken before the server binds and given back at the end."""

    def __init__(self, path: Path, *, group: str | int = "") -> None:
        self._path = path
        self._group = _group_id(group) if isinstance(group, str) else group
        self._hidden: Path | None = None  # the folder it is made in
        self._placed: tuple[int, int] | None = None  # device and inode

    def prepare(self) -> str:
        """Return the name to bind.  Raises BadInput, Conflict or Unavailable when it cannot be there."""
        folder = self._path.parent
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            _check_folder(folder)
            _check_free(self._path)
            self._hidden = Path(tempfile.mkdtemp(prefix=".onboard-", dir=folder))
        except OSError as error:
            raise Unavailable(f"cannot make the socket {self._path}: {error.strerror}") from error
        if len(bytes(self._made)) > _PATH_MAX_BYTES:
            self._clear()
            raise BadInput(
                f"the path {self._path} is too long for a Unix socket: take a shorter one"
            )
        return f"unix:{self._made}"

    def place(self) -> None:
        """Give the bound socket its mode, its group and its name.  Raises Unavailable."""
        try:
            os.chown(self._made, -1, self._group)
            self._made.chmod(SOCKET_MODE)
            made = _inode(self._made)
            self._made.rename(self._path)
            self._placed = made
        except OSError as error:
            raise Unavailable(f"cannot make the socket {self._path}: {error.strerror}") from error
        finally:
            self._clear()

    def remove(self) -> None:
        """Take the socket away, unless another stands there by now."""
        self._clear()
        with contextlib.suppress(OSError):
            if self._placed is not None and _inode(self._path) == self._placed:
                self._path.unlink()

    @property
    def is_placed(self) -> bool:
        """Whether the socket has its name."""
        return self._placed is not None

    @property
    def _made(self) -> Path:
        assert self._hidden is not None
        return self._hidden / "s"

    def _clear(self) -> None:
        if self._hidden is not None:
            with contextlib.suppress(OSError):
                self._made.unlink(missing_ok=True)
                self._hidden.rmdir()


def _check_folder(folder: Path) -> None:
    state = folder.stat()
    if state.st_uid not in (0, os.geteuid()):
        raise BadInput(
            f"the folder {folder} belongs to somebody else, who could swap the socket in it"
        )
    is_shared = state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if is_shared and not state.st_mode & stat.S_ISVTX:
        raise BadInput(
            f"others may write to {folder} (mode {stat.S_IMODE(state.st_mode):04o}) and could swap the "
            "socket in it: chmod 755 it"
        )


def _check_free(path: Path) -> None:
    try:
        state = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(state.st_mode) or state.st_uid != os.geteuid():
        raise BadInput(f"{path} is there already and is no socket of ours: name another place")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(_PROBE_TIMEOUT_S)
    try:
        probe.connect(str(path))
    except (ConnectionRefusedError, FileNotFoundError):
        return  # whoever made it is gone
    except OSError as error:
        raise Conflict(
            f"somebody may listen on {path} ({error}): stop that program first"
        ) from error
    finally:
        probe.close()
    raise Conflict(f"somebody listens on {path} already: stop that program first")


def _group_id(name: str) -> int:
    if not name:
        return -1
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise BadInput(f"onboard.group is {name!r}: this machine has no such group") from error


def _inode(path: Path) -> tuple[int, int]:
    state = path.lstat()
    return state.st_dev, state.st_ino
