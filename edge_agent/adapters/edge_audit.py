"""The vehicle's audit as files: audit.jsonl, and before it audit.jsonl.1, .2 ...; see services/audit.py.

Rule 1: only the agent's own user reads it: it says what was asked for in the vehicle.
Rule 2: write() returns when the lines are on the medium; whoever writes often gathers first.
Rule 3: a line that a power cut tore is cut off, and the next line says so.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from edge_agent.adapters.disk import Disk, RealDisk, sync_directory
from edge_agent.services.audit import Act, Head, checked, next_line, read_line
from fairway import log
from fairway.clock import Clock
from fairway.errors import Tampered, Unavailable

EVENTS = log.get("edge_agent.audit")

# Some 4,000 lines a file: months of a healthy vehicle, an hour of one that is searched at the highest rate.
FILE_MAX_BYTES = 1 << 20
FILES_MAX = 4
LINE_MAX_BYTES = 8192


class Audit(Protocol):
    """Keeps acts.  Contract: tests/contracts/test_edge_audit.py."""

    def write(self, acts: Sequence[Act]) -> Head:
        """Keep acts durably, and return where the chain ends.  Raises Unavailable: keep them, try again."""
        ...


class MemoryAudit:
    """Keeps acts as long as the process lives."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._head = clock, Head()
        self.lines: list[bytes] = []

    def write(self, acts: Sequence[Act]) -> Head:
        for act in acts:
            line, self._head = next_line(self._head, act, self._clock.now_ns())
            self.lines.append(line)
        return self._head


class EdgeAudit:
    """Keeps acts as files."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        disk: Disk | None = None,
        *,
        file_max_bytes: int = FILE_MAX_BYTES,
    ) -> None:
        """Go on where the file ends.  Raises Unavailable."""
        self._path, self._clock, self._disk = path, clock, disk or RealDisk()
        self._file_max_bytes = file_max_bytes
        self._file = -1
        self._size = 0
        self.head = Head()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open()
            torn = self._resume()
        except OSError as error:
            raise Unavailable(f"cannot keep the audit {path}: {error.strerror}") from error
        if torn:
            EVENTS.warning("audit_torn", bytes=torn)
            act = Act("audit.resumed", "agent", path.name, details={"torn_bytes": str(torn)})
            self.write([act])

    def write(self, acts: Sequence[Act]) -> Head:
        head, lines = self.head, []
        for act in acts:
            line, head = next_line(head, act, self._clock.now_ns())
            lines.append(line)
        if not lines:
            return head
        data = b"".join(lines)
        try:
            if self._file < 0:
                self._open()
            elif self._size and self._size + len(data) > self._file_max_bytes:
                self._rotate()
            self._disk.write(self._file, data, self._size)
            self._disk.sync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):  # of half a line the next one would be no line
                os.ftruncate(self._file, self._size)
            raise Unavailable(f"cannot write the audit {self._path}: {error.strerror}") from error
        self._size += len(data)
        self.head = head
        return head

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        os.fchmod(self._file, 0o600)
        sync_directory(self._path.parent)
        self._size = os.fstat(self._file).st_size

    def _resume(self) -> int:
        """Find the end of the chain; return how many bytes of a torn line were cut off."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, 2 * LINE_MAX_BYTES, max(0, size - 2 * LINE_MAX_BYTES))
        end = size
        while tail:
            start = tail.rfind(b"\n", 0, len(tail) - 1) + 1
            try:
                if tail.endswith(b"\n"):
                    self.head = read_line(tail[start:])[1]
                    break
            except Tampered:
                pass
            end -= len(tail) - start
            tail = tail[:start]
        if not end:
            self._resume_before()
        os.ftruncate(self._file, end)
        self._size = end
        return size - end

    def _resume_before(self) -> None:
        """The file is new: the chain ends in the one before."""
        before = _rotated(self._path, 1)
        lines = before.read_bytes().splitlines(keepends=True) if before.exists() else []
        for line in reversed(lines):
            try:
                self.head = read_line(line)[1]
            except Tampered:
                continue
            return

    def _rotate(self) -> None:
        os.close(self._file)
        self._file = -1
        for number in range(FILES_MAX - 1, 0, -1):
            older = self._path if number == 1 else _rotated(self._path, number - 1)
            if older.exists():
                older.replace(_rotated(self._path, number))
        self._open()


def read(path: Path, kept: Iterable[Head] = ()) -> Iterator[dict[str, Any]]:
    """Read an audit, the oldest line first, and check it.  Raises Tampered or Unavailable."""
    for content, _ in checked(_lines(path), kept):
        yield content


def _lines(path: Path) -> Iterator[bytes]:
    files = [_rotated(path, number) for number in range(FILES_MAX - 1, 0, -1)]
    for file in [*files, path]:
        try:
            with file.open("rb") as opened:
                yield from opened
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unavailable(f"cannot read the audit {file}: {error.strerror}") from error


def _rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
