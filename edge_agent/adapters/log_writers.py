"""Writing logs: candump, ASC, BLF and TRC, chosen by the file's name; text may be packed (.log.xz, .asc.gz).

Rule 1: `close` writes everything that was given: there is no queue and no thread behind a writer.
Rule 2: a stamp is written as it is.  Formats that count from a start cannot hold a frame from before it
        (more than START_MARGIN_NS out of order): such a frame is left out, and counted.
"""

import gzip
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from edge_agent.adapters import log_asc, log_blf, log_candump, log_trc
from edge_agent.canbus.frames import Frame, FrameBlock
from fairway.errors import BadInput, Unavailable

# Buses read by different threads may come a little out of order: a log starts this much before its first frame.
START_MARGIN_NS = 1_000_000_000

LineOf = Callable[[Frame, int, Sequence[str], int], str]


class LogWriter(Protocol):
    """An open log to write to."""

    @property
    def frames(self) -> int:
        """Frames written."""
        ...

    @property
    def left_out(self) -> int:
        """Frames that the format could not hold."""
        ...

    def write(self, block: FrameBlock) -> None:
        """Append frames.  Raises Unavailable when the disk does not take them."""
        ...

    def close(self) -> None:
        """Finish the file.  Raises Unavailable likewise."""
        ...


def open_writer(path: Path, names: Sequence[str] = ()) -> LogWriter:
    """Create the log `path`; bus n is called names[n], or canN.  Raises BadInput for an unknown suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packing = suffixes.pop() if suffixes and suffixes[-1] in (".xz", ".gz") else ""
    kind = suffixes[-1] if suffixes else ""
    if kind not in (".log", ".candump", ".txt", ".asc", ".trc", ".blf"):
        raise BadInput(f"{path} cannot be written: name it .log, .asc, .blf or .trc")
    if kind == ".blf" and packing:
        raise BadInput(f"{path} cannot be written: a BLF is packed already, leave out {packing}")
    try:
        file = _created(path, packing)
    except OSError as error:
        raise BadInput(f"cannot write the log {path}: {error.strerror}") from error
    if kind == ".blf":
        return _BlfWriter(path, file)
    if kind == ".asc":
        return _TextWriter(path, file, names, log_asc.line_of, log_asc.head, log_asc.TAIL)
    if kind == ".trc":
        return _TextWriter(path, file, names, log_trc.line_of, log_trc.head, log_trc.TAIL)
    return _TextWriter(path, file, names, _candump_line, None, "")


def _created(path: Path, packing: str) -> BinaryIO:
    if packing == ".xz":
        return lzma.open(path, "wb", preset=1)  # type: ignore[return-value]
    if packing == ".gz":
        return gzip.open(path, "wb", compresslevel=6)  # type: ignore[return-value]
    return path.open("wb")


def _candump_line(frame: Frame, _start_ns: int, names: Sequence[str], _number: int) -> str:
    name = names[frame.bus] if frame.bus < len(names) else f"can{frame.bus}"
    return log_candump.line_of(frame.can_id, frame.data, frame.time_ns, name, frame.flags)


def _start_of(block: FrameBlock) -> int:
    """Return a whole millisecond a little before the first frame."""
    return max(0, (int(block.time_ns.min()) - START_MARGIN_NS) // 1_000_000 * 1_000_000)


class _TextWriter:
    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        names: Sequence[str],
        line_of: LineOf,
        head: Callable[[int], str] | None,
        tail: str,
    ) -> None:
        self.frames = 0
        self.left_out = 0
        self._path = path
        self._file = file
        self._names = names
        self._line_of = line_of
        self._head = head
        self._tail = tail
        self._start_ns: int | None = None if head else 0

    def write(self, block: FrameBlock) -> None:
        if not len(block):
            return
        lines = []
        if self._start_ns is None and self._head is not None:
            self._start_ns = _start_of(block)
            lines.append(self._head(self._start_ns))
        start_ns = self._start_ns or 0
        for frame in block.frames():
            if frame.time_ns < start_ns:
                self.left_out += 1
                continue
            self.frames += 1
            lines.append(self._line_of(frame, start_ns, self._names, self.frames))
        try:
            self._file.write("".join(lines).encode())
        except OSError as error:
            raise _refused(self._path, error) from error

    def close(self) -> None:
        try:
            with self._file:
                self._file.write(self._tail.encode())
        except OSError as error:
            raise _refused(self._path, error) from error


class _BlfWriter:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.frames = 0
        self.left_out = 0
        self._path = path
        self._file = file
        self._start_ns: int | None = None
        self._stop_ns = 0
        self._objects: list[bytes] = []
        self._waiting_bytes = 0
        self._unpacked_bytes = log_blf.HEAD_BYTES
        self._file.write(bytes(log_blf.HEAD_BYTES))

    def write(self, block: FrameBlock) -> None:
        if not len(block):
            return
        if self._start_ns is None:
            self._start_ns = _start_of(block)
        for frame in block.frames():
            if frame.time_ns < self._start_ns:
                self.left_out += 1
                continue
            item = log_blf.object_of(frame, self._start_ns)
            self._objects.append(item)
            self._waiting_bytes += len(item)
            self._stop_ns = max(self._stop_ns, frame.time_ns)
            self.frames += 1
            if self._waiting_bytes >= log_blf.CONTAINER_BYTES:
                self._flush()

    def close(self) -> None:
        try:
            with self._file:
                if self._objects:
                    self._flush()
                size = self._file.tell()
                self._file.seek(0)
                start_ns = self._start_ns or 0
                head = log_blf.head_of(
                    size, self._unpacked_bytes, self.frames, start_ns, self._stop_ns
                )
                self._file.write(head)
        except OSError as error:
            raise _refused(self._path, error) from error

    def _flush(self) -> None:
        data = b"".join(self._objects)
        self._objects, self._waiting_bytes = [], 0
        self._unpacked_bytes += 32 + len(data)
        try:
            self._file.write(log_blf.container_of(data))
        except OSError as error:
            raise _refused(self._path, error) from error


def _refused(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"the log {path} could not be written: {error.strerror}")
