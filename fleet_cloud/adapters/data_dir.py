"""The data directory: who may use it, what this cloud is called, and where it listens.

registry.sqlite  telemetry/  broker/  pki/          each its adapter's
identity                                            this cloud's name among others: made once
audit-key.pem                                       what signs the audit log's newest entry
region                                              where its data lives: said once
endpoints.json                                      where the running cloud is reached
lock                                                held by the one `fleet-cloud serve` that runs here
"""

import fcntl
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from fairway.errors import BadInput, Conflict, Unavailable
from fleet_cloud.adapters.whole_files import write_whole


class DataDir:
    """The folder in which a cloud keeps everything that is not elsewhere by configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        try:
            # Where people were and when, and the fleet's own keys: for its owner only.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"cannot make the data directory {folder}: {error.strerror}"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only `serve` here.  Raises Conflict when there is another."""
        try:
            file = (self.folder / "lock").open("a")
        except OSError as error:
            raise self._unusable("lock", error) from error
        with file as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict(
                    f"another fleet-cloud serve runs in {self.folder}: stop it, or use another directory"
                ) from error
            yield

    def identity(self) -> str:
        """Return the name of this directory's cloud: random, and the same at every start."""
        path = self.folder / "identity"
        try:
            if not path.exists():
                write_whole(path, secrets.token_hex(4).encode())
            found = path.read_text("ascii").strip()
        except OSError as error:
            raise self._unusable("identity", error) from error
        except UnicodeDecodeError:
            found = ""
        if not re.fullmatch(r"[0-9a-f]{8}", found):
            raise BadInput(
                f"{path} holds no name that was made here: restore it, or remove it to be somebody new"
            )
        return found

    def owner(self, *, whole: bool) -> str:
        """Say who claims batches: `serve` is alone here and takes up what it left, ingest is not."""
        if whole:
            return f"serve-{self.identity()}"
        return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    def pin(self, region: str) -> None:
        """Belong to `region` for ever.  Raises Conflict when the directory is another region's, Unavailable."""
        path = self.folder / "region"
        try:
            if not path.exists():
                write_whole(path, region.encode())
            found = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"cannot use {path}: {error}") from error
        if found != region:
            raise Conflict(
                f"{self.folder} holds data of region {found[:40]!r}, but region = {region!r} is set: data does"
                " not move between regions; use another directory"
            )

    def endpoints(self) -> dict[str, str]:
        """Return where the cloud that runs here, or ran last, is reached."""
        with suppress(OSError, ValueError):
            found = json.loads((self.folder / "endpoints.json").read_bytes())
            if isinstance(found, dict):
                return {str(name): str(url) for name, url in found.items()}
        return {}

    def write_endpoints(self, urls: Mapping[str, str]) -> None:
        """Note where the cloud is reached."""
        content = json.dumps(urls, indent=1).encode() + b"\n"
        try:
            write_whole(self.folder / "endpoints.json", content)
        except OSError as error:
            raise self._unusable("endpoints.json", error) from error

    def _unusable(self, name: str, error: OSError) -> Unavailable:
        return Unavailable(f"cannot use {self.folder / name}: {error.strerror}")

    def port(self, name: str, host: str, port: int) -> int:
        """Return the port to listen on: for 0 the one of last time, or any that is free.

        Vehicles know the port from the day they were added, so it outlives a restart.
        """
        if port:
            return port
        with suppress(ValueError):
            remembered = urlsplit(self.endpoints().get(name, "")).port
            if remembered and _is_free(host, remembered):
                return remembered
        return _free_port(host)


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket.  Raises Unavailable when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(1024)
    except (OSError, UnicodeError) as error:
        opened.close()
        why = error.strerror if isinstance(error, OSError) else "it is no name of a machine"
        raise Unavailable(f"cannot listen on {host}:{port}: {why}") from error
    opened.setblocking(False)  # noqa: FBT003 - the socket's own spelling
    return opened


def _is_free(host: str, port: int) -> bool:
    with suppress(Unavailable):
        listening(host, port).close()
        return True
    return False


def _free_port(host: str) -> int:
    with listening(host, 0) as probe:
        return int(probe.getsockname()[1])
