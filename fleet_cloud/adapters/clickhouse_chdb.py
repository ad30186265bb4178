"""ClickHouse in this process (chDB): the telemetry store of one machine.

Rule 1: one process owns the directory, from opening to its own end or to `close`; a lock file says so before
the engine does, because the engine says it unclearly.
Rule 2: a process has one such engine at a time; the engine itself knows no two directories.
Rule 3: an insert hands its block over in memory (a memfd, or a file where there is none), so it is written to
disk once, by the engine.
Rule 4: inserts go one at a time; questions are asked on handles of their own and run beside them.
"""

import contextlib
import fcntl
import os
import queue
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import chdb
from chdb.state.sqlitelike import Connection

from fairway.errors import Conflict, Unavailable
from fleet_cloud.adapters.clickhouse_engine import (
    QUERY_MAX_MEMORY_BYTES,
    QUERY_MAX_S,
    unavailable,
)
from fleet_cloud.adapters.clickhouse_native import Buffer, Column, decoded, texts
from fleet_cloud.adapters.clickhouse_sql import INSERT_FILE, bound

DATABASE = "fairway"

# Questions that run at the same time; one more waits for a handle.
READERS = 4


class ChdbEngine:
    """The engine over one directory."""

    is_own = True

    def __init__(self, folder: Path) -> None:
        self.name = f"in {folder}"
        self._folder = folder
        self._lock_file = _locked(folder)
        self._readers: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()
        self._handles: list[Connection] = []
        try:
            self._writer = self._connect()
            self._execute(self._writer, f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
            self._execute(self._writer, f"USE {DATABASE}")
            for _ in range(READERS):
                self._readers.put(self._reader())
        except BaseException:
            self._let_go()
            raise
        self._writing = threading.Lock()
        self._closed = False
        self.version = texts(self.query("SELECT version() AS version"), "version")[0]

    def execute(self, statement: str) -> None:
        with self._writing:
            self._check_open()
            self._execute(self._writer, statement)

    def query(self, statement: str) -> dict[str, Column]:
        handle = self._borrowed()
        try:
            with self._foreign_errors():
                answer: bytes = handle.query(statement, "Native").bytes()
        finally:
            self._readers.put(handle)
        return decoded(answer)

    def insert(self, block: Sequence[Buffer]) -> None:
        with self._writing, _file(block, self._folder) as path:
            self._check_open()
            self._execute(self._writer, bound(INSERT_FILE, path=path))

    def close(self) -> None:
        with self._writing:
            if self._closed:
                return
            self._closed = True
        for _ in range(READERS):
            self._readers.get()
        self._readers.put(None)
        self._let_go()

    def _borrowed(self) -> Connection:
        try:
            handle = self._readers.get(timeout=QUERY_MAX_S)
        except queue.Empty:
            raise Unavailable(
                f"the telemetry store {self.name} is busy with other questions: try again later"
            ) from None
        if handle is None:
            self._readers.put(None)  # for whoever else is waiting
            raise self._is_closed()
        return handle

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.close()
        os.close(self._lock_file)

    def _connect(self) -> Connection:
        try:
            self._handles.append(chdb.connect(str(self._folder / "engine")))
            return self._handles[-1]
        except RuntimeError as error:
            if "already initialized" in str(error):
                raise Conflict(
                    f"the telemetry store {self.name} cannot be opened: this process has another one open"
                ) from error
            raise Unavailable(
                f"the telemetry store {self.name} cannot be opened: another process uses it, "
                f"or it is damaged ({str(error)[:200]})"
            ) from error

    def _reader(self) -> Connection:
        handle = self._connect()
        self._execute(handle, f"USE {DATABASE}")
        self._execute(handle, f"SET max_execution_time = {QUERY_MAX_S}")
        self._execute(handle, f"SET max_memory_usage = {QUERY_MAX_MEMORY_BYTES}")
        return handle

    def _execute(self, handle: Connection, statement: str) -> None:
        with self._foreign_errors():
            handle.query(statement, "Null")

    @contextlib.contextmanager
    def _foreign_errors(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise unavailable(self.name, str(error)) from error

    def _check_open(self) -> None:
        if self._closed:
            raise self._is_closed()

    def _is_closed(self) -> Unavailable:
        return Unavailable(f"the telemetry store {self.name} is closed")


def _locked(folder: Path) -> int:
    """Return the descriptor that holds the lock of `folder`.  Raises Conflict, Unavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"the telemetry store in {folder} cannot be opened: {error.strerror}"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise Conflict(
            f"the telemetry store in {folder} is open in another process: stop that one, or ask it over its API"
        ) from error
    return lock


@contextlib.contextmanager
def _file(block: Sequence[Buffer], folder: Path) -> Iterator[str]:
    """Lend the block as a file for as long as the engine reads it."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("fairway-insert"), "wb", buffering=0) as file:
            _write(file.fileno(), block)
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".native") as file:
            _write(file.fileno(), block)
            yield file.name


def _write(descriptor: int, block: Sequence[Buffer]) -> None:
    for piece in block:
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view) :]
