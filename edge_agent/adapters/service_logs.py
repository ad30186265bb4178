"""What services print, in files: a pipe with a name for each stream of each instance, read without threads.

    service > pipe "stdout" | "stderr" > lines > log, log.1, log.2 ...      in a folder for each instance

Rule 1: a service holds its own end of the pipe for reading and writing: a dead agent ends nothing, and the
        next one reads on.  While there is none, a service that has filled its pipe waits.
Rule 2: what is too much is read and dropped, and the log says how much; it never stops the agent.
Rule 3: a disk that takes no more costs lines, nothing else.
Rule 4: what a service printed goes when the service does.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.services.log_lines import Budget, Cutter, LogLimits, printable, stamped
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Unavailable

_LOG = log.get("edge_agent.services")

STREAMS = ("stdout", "stderr")
_AGENT = "agent"  # the stream of what the agent says in a service's log
_CURRENT = "log"
_APPENDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
# As much as an unprivileged process may have; a service can print so much while no agent reads.
PIPE_BYTES = 1 << 20
_READ_BYTES = 64 * 1024
# So much is read of a stream in so long; more waits in the pipe, so that no service keeps the agent busy.
_READ_MAX_BYTES = 256 * 1024
_READ_PER_S = 0.1
# Lines dropped are told at most so often.
_TELL_EVERY_NS = 10 * NS_PER_S
LINES_MAX = 10_000


@dataclass(slots=True)
class _Stream:
    """One pipe that is read."""

    name: str
    file: int
    cutter: Cutter = field(default_factory=Cutter)
    read_bytes: int = 0  # since it was last let off


class LogBook:
    """Reads and keeps what instances print.  Of one event loop."""

    def __init__(self, folder: Path, clock: Clock, limits: LogLimits | None = None) -> None:
        self._folder, self._clock = folder, clock
        self._limits = limits or LogLimits()
        self._books: dict[str, _Book] = {}

    def open(self, id_: str, *, owner: int = -1) -> tuple[int, int]:
        """Read an instance that is about to start, and return its ends for standard output and error.

        The caller hands them to the instance and closes them.  `owner`, a user id, may open them again
        by name.  Raises BadInput, Unavailable.
        """
        self.close(id_)
        folder = self._folder_of(id_)
        ends: list[int] = []
        try:
            self._make_room(id_)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            ends.extend(_far_end(folder / name, owner) for name in STREAMS)
        except OSError as error:
            for end in ends:
                os.close(end)
            raise Unavailable(f"{folder} takes no logs: {error.strerror or error}") from error
        self.adopt(id_)
        return ends[0], ends[1]

    def adopt(self, id_: str) -> None:
        """Read an instance that runs already, if it has pipes here."""
        folder = self._folder_of(id_)
        if id_ not in self._books and folder.is_dir():
            self._books[id_] = _Book(folder, self._clock, self._limits)

    def close(self, id_: str) -> None:
        """Read what is left of an instance that has ended; its lines are kept."""
        book = self._books.pop(id_, None)
        if book is not None:
            book.close()

    def stop(self) -> None:
        """Read no instance any longer; what runs prints on for the next agent."""
        for id_ in tuple(self._books):
            self.close(id_)

    def keep_only(self, services: Collection[str]) -> None:
        with contextlib.suppress(OSError):
            for path in list(self._folder.iterdir()):
                service, dot, _ = path.name.partition(".")
                if dot and service not in services:
                    self.close(path.name)
                    shutil.rmtree(path, ignore_errors=True)

    def note(self, id_: str, text: str) -> None:
        """Write a line of the agent into an instance's log."""
        book = self._books.get(id_)
        if book is not None:
            book.note(text)

    def lines(self, id_: str, last: int) -> list[str]:
        last = min(last, LINES_MAX)
        found: list[str] = []
        with contextlib.suppress(BadInput):
            folder = self._folder_of(id_)
            for number in range(self._limits.files):
                if len(found) >= last:
                    break
                found = _lines_of(_numbered(folder, number)) + found
        return found[-last:] if last > 0 else []

    def _folder_of(self, id_: str) -> Path:
        if not id_ or "/" in id_ or "\0" in id_ or id_.startswith("."):
            raise BadInput(f"{id_[:80]!r} is no name of an instance")
        return self._folder / id_

    def _make_room(self, id_: str) -> None:
        """Remove the lines of the oldest instances of the same service."""
        service = id_.partition(".")[0]
        others = [
            path
            for path in self._folder.glob(f"{service}.*")
            if path.name != id_ and path.name not in self._books
        ]
        others.sort(key=_changed_ns, reverse=True)
        for path in others[self._limits.instances - 1 :]:
            shutil.rmtree(path, ignore_errors=True)


class _Book:
    """The log of one instance."""

    def __init__(self, folder: Path, clock: Clock, limits: LogLimits) -> None:
        self._folder, self._clock, self._limits = folder, clock, limits
        self._loop = asyncio.get_running_loop()
        self._budget = Budget(limits, clock.monotonic_ns())
        self._dropped = 0
        self._told_ns = clock.monotonic_ns() - _TELL_EVERY_NS
        self._streams: list[_Stream] = []
        for name in STREAMS:
            with contextlib.suppress(OSError):
                file = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                stream = _Stream(name, file)
                self._streams.append(stream)
                self._loop.add_reader(file, self._read, stream)

    def close(self) -> None:
        """Read what is there, and stop."""
        for stream in tuple(self._streams):
            stream.read_bytes = 0
            while stream in self._streams and self._read_once(stream):
                if stream.read_bytes > PIPE_BYTES:
                    break  # something still prints: enough of it
            self._end(stream)
        self._tell_dropped()

    def note(self, text: str) -> None:
        """Write a line of the agent."""
        self._write(stamped(_AGENT, text, self._clock.now_ns()))

    def _read(self, stream: _Stream) -> None:
        if not self._read_once(stream) or stream.read_bytes < _READ_MAX_BYTES:
            return
        self._loop.remove_reader(stream.file)
        self._loop.call_later(_READ_PER_S, self._go_on, stream)

    def _go_on(self, stream: _Stream) -> None:
        stream.read_bytes = 0
        if stream in self._streams:
            self._loop.add_reader(stream.file, self._read, stream)

    def _read_once(self, stream: _Stream) -> bool:
        """Return whether there was something."""
        try:
            data = os.read(stream.file, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._end(stream)
            return False
        stream.read_bytes += len(data)
        self._take(stream.name, stream.cutter.feed(data))
        return True

    def _end(self, stream: _Stream) -> None:
        """Every process that held the far end is gone, or nobody asks any more."""
        if stream in self._streams:
            self._streams.remove(stream)
            self._loop.remove_reader(stream.file)
            os.close(stream.file)
            self._take(stream.name, stream.cutter.rest())

    def _take(self, name: str, lines: list[bytes]) -> None:
        now_ns, mono_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        room = self._budget.take(len(lines), mono_ns)
        kept = [stamped(name, printable(line), now_ns) for line in lines[:room]]
        if kept and self._dropped and mono_ns - self._told_ns >= _TELL_EVERY_NS:
            kept.insert(0, self._dropped_line(now_ns, mono_ns))
        self._dropped += len(lines) - room
        if kept:
            self._write("\n".join(kept))

    def _dropped_line(self, now_ns: int, mono_ns: int) -> str:
        line = stamped(
            _AGENT, f"{self._dropped} lines dropped: too many at once, or a full disk", now_ns
        )
        self._dropped, self._told_ns = 0, mono_ns
        return line

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._write(self._dropped_line(self._clock.now_ns(), self._clock.monotonic_ns()))

    def _write(self, text: str) -> None:
        data = text.encode() + b"\n"
        try:
            if self._is_full_with(len(data)):
                self._rotate()
            # Opened for each batch: of a hundred services few print at a time, and files open are few, too.
            file = os.open(self._folder / _CURRENT, _APPENDED, 0o600)
            try:
                os.write(file, data)
            finally:
                os.close(file)
        except OSError as error:
            _LOG.debug("service_log_not_kept", folder=str(self._folder), reason=str(error))
            self._dropped += data.count(b"\n")

    def _is_full_with(self, more_bytes: int) -> bool:
        try:
            size_bytes = (self._folder / _CURRENT).stat().st_size
        except FileNotFoundError:
            return False
        return bool(size_bytes) and size_bytes + more_bytes > self._limits.file_max_bytes

    def _rotate(self) -> None:
        for number in range(self._limits.files - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                _numbered(self._folder, number - 1).replace(_numbered(self._folder, number))
        if self._limits.files == 1:
            (self._folder / _CURRENT).unlink(missing_ok=True)


def _far_end(path: Path, owner: int) -> int:
    """Return the end of a pipe that an instance gets.  Raises OSError."""
    if not path.is_fifo():
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
    # For reading, too: a pipe that nobody else reads then breaks for nobody.
    end = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    if owner >= 0:
        with contextlib.suppress(OSError):
            os.fchown(end, owner, -1)
    return end


def _numbered(folder: Path, number: int) -> Path:
    return folder / (f"{_CURRENT}.{number}" if number else _CURRENT)


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").split("\n")[:-1]
    except OSError:
        return []


def _changed_ns(folder: Path) -> int:
    try:
        return (folder / _CURRENT).stat().st_mtime_ns
    except OSError:
        return 0
