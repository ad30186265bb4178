"""Keeps what a vehicle trusts, in SQLite: read whole, replaced whole, in one synced transaction.

    roles (repository, role, content)    held (serial, name, release_counter)    facts (time_ns)

Rule 1: WAL and synchronous=FULL: when keep() returns it is on the medium, and before that nothing of it counts.
Rule 2: only what has changed is written: a look that found nothing new writes nothing.
Rule 3: what cannot be read is never forgotten in silence: release counters are what an old image is refused by.
"""

import sqlite3
from pathlib import Path

from fairway.errors import BadInput, Unavailable
from ota.trust.kept import Held, Kept
from ota.trust.model import Repository

_TABLES = """
CREATE TABLE IF NOT EXISTS roles (
    repository TEXT NOT NULL, role TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (repository, role)
) STRICT;
CREATE TABLE IF NOT EXISTS held (
    serial TEXT PRIMARY KEY, name TEXT NOT NULL, release_counter INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS facts (id INTEGER PRIMARY KEY CHECK (id = 1), time_ns INTEGER NOT NULL) STRICT;
"""


class SqliteTrust:
    """In a file."""

    def __init__(self, path: Path, first: Kept) -> None:
        """Open it; `first` is what the vehicle was made with, and counts until something is kept.

        Raises Unavailable.
        """
        self._path, self._first = path, first
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One thread at a time: the agent reads and keeps in a thread of its own, and waits for it.
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"{path} cannot be opened: {error}") from error

    def read(self) -> Kept:
        """Return what is kept.  Raises Unavailable, BadInput."""
        ask = self._database.execute
        try:
            ask("BEGIN")
            try:
                roles = ask("SELECT repository, role, content FROM roles").fetchall()
                held = ask("SELECT serial, name, release_counter FROM held").fetchall()
                time = ask("SELECT time_ns FROM facts").fetchone()
            finally:
                ask("ROLLBACK")
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path} cannot be read: {error}") from error
        if time is None:
            return self._first
        try:
            return Kept(
                roles={(Repository(repository), role): said for repository, role, said in roles},
                held={serial: Held(name, counter) for serial, name, counter in held},
                time_ns=time[0],
            )
        except ValueError as error:
            raise BadInput(f"{self._path} is of a newer agent: {error}; restore it") from error

    def keep(self, kept: Kept) -> None:
        """Replace it whole, and return once that is durable.  Raises Unavailable: then nothing has changed."""
        before = self.read()
        is_first = before is self._first
        if kept == before and not is_first:
            return
        old = Kept() if is_first else before
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._write(old, kept)
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path} cannot be written: {error}") from error

    def _write(self, old: Kept, new: Kept) -> None:
        many = self._database.executemany
        many("DELETE FROM roles WHERE repository = ? AND role = ?", old.roles.keys() - new.roles)
        many("DELETE FROM held WHERE serial = ?", [(one,) for one in old.held.keys() - new.held])
        many(
            "INSERT OR REPLACE INTO roles VALUES (?, ?, ?)",
            [(*key, said) for key, said in new.roles.items() if old.roles.get(key) != said],
        )
        many(
            "INSERT OR REPLACE INTO held VALUES (?, ?, ?)",
            [
                (serial, one.name, one.release_counter)
                for serial, one in new.held.items()
                if old.held.get(serial) != one
            ],
        )
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (1, ?)", (new.time_ns,))

    def close(self) -> None:
        """Close it."""
        self._database.close()


class MemoryTrust:
    """For as long as the process lives."""

    def __init__(self, first: Kept) -> None:
        self._kept = first

    def read(self) -> Kept:
        """Return what is kept."""
        return self._kept

    def keep(self, kept: Kept) -> None:
        """Replace it."""
        self._kept = kept
