"""Keeps what updates must not forget, in SQLite: one row, replaced in one synced transaction.

Rule 1: WAL and synchronous=FULL: when keep() returns, the row is on the medium.
Rule 2: a record that cannot be read is forgotten, and said: a vehicle without a memory of updates looks again.
"""

import sqlite3
from pathlib import Path

from edge_agent.updates.order import Kept
from edge_agent.updates.records import kept_from_bytes, kept_to_bytes
from fairway import log
from fairway.errors import BadInput, Unavailable

EVENTS = log.get("edge_agent.updates")

_TABLE = (
    "CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY CHECK (id = 1), record BLOB NOT NULL)"
)


class SqliteMemory:
    """In a file."""

    def __init__(self, path: Path) -> None:
        """Open it.  Raises Unavailable."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One thread at a time: the agent keeps in a thread of its own, and waits for it.
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(_TABLE)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"{path} cannot be opened: {error}") from error

    def read(self) -> Kept:
        try:
            row = self._database.execute("SELECT record FROM kept WHERE id = 1").fetchone()
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path} cannot be read: {error}") from error
        if row is None:
            return Kept()
        try:
            return kept_from_bytes(row[0])
        except BadInput as error:
            EVENTS.error("updates_forgotten", path=str(self._path), reason=str(error))
            return Kept()

    def keep(self, kept: Kept) -> None:
        try:
            self._database.execute(
                "INSERT INTO kept (id, record) VALUES (1, ?)"
                " ON CONFLICT (id) DO UPDATE SET record = excluded.record",
                (kept_to_bytes(kept),),
            )
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path} cannot be written: {error}") from error

    def close(self) -> None:
        """Close it."""
        self._database.close()


class KeptInMemory:
    """As bytes, for as long as the process lives."""

    def __init__(self) -> None:
        self.record = kept_to_bytes(Kept())

    def read(self) -> Kept:
        return kept_from_bytes(self.record)

    def keep(self, kept: Kept) -> None:
        self.record = kept_to_bytes(kept)

    def close(self) -> None:
        """There is nothing to close."""
