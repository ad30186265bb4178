"""A private PostgreSQL server for one test session, on a Unix socket, thrown away after.

PostgreSQL refuses to run as root, so there it runs as the user `postgres` that Debian's package makes.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shared_data import missing

BIN = Path("/usr/lib/postgresql/15/bin")


def run_as_postgres(command: list[str]) -> None:
    """Run `command` as a user that PostgreSQL accepts."""
    change: dict[str, Any] = {}
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        change = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd="/", **change)


class PostgresServer:
    """A running server; `url()` makes a fresh database in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def start(self) -> None:
        data = self.folder / "data"
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self.folder} -c max_connections=50"
        )
        log = self.folder / "log"
        run_as_postgres(
            [f"{BIN}/pg_ctl", "-D", str(data), "-l", str(log), "-o", options, "-w", "start"]
        )

    def stop(self, *, how: str = "fast") -> None:
        run_as_postgres([f"{BIN}/pg_ctl", "-D", str(self.folder / "data"), "-m", how, "-w", "stop"])

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def url(self) -> str:
        """Return the URL of a new, empty database."""
        import psycopg  # noqa: PLC0415 - only where a server is there

        self._count += 1
        name = f"registry_{self._count}"
        where = f"host={self.folder} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server in a folder of its own (short: a Unix socket's path has 107 characters at most)."""
    if not (BIN / "initdb").exists():
        missing("PostgreSQL 15 is not here: apt-get install postgresql-15 (see .ci/packages)")
    folder = Path(tempfile.mkdtemp(prefix="fairway-pg-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        run_as_postgres(
            [f"{BIN}/initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync"]
        )
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.stop(how="immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the session; every test takes its own database from it."""
    with postgres_server() as server:
        yield server
