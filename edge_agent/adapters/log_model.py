"""What reading a log has in common, whatever its format: channels, counts and a bounded stream.

Rule 1: a line (or object) that cannot be read costs only itself: it is counted, and the first few are kept.
Rule 2: a frame of a channel nobody asked for is skipped, and counted.
Rule 3: nothing is read without a bound: no line, header or chunk grows with what the file says of itself.
"""

import gzip
import lzma
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fairway.errors import BadInput, Unavailable

# The bus of a FrameBlock is one byte.
CHANNELS_MAX = 256

# Linux allows 15 characters in an interface name; other tools write a word or two.
CHANNEL_NAME_MAX_CHARS = 64

# The longest honest line is a CAN FD frame of 64 bytes in ASC, about 330 characters with a symbolic name.
LINE_MAX_BYTES = 4096

# Enough to see what is wrong with a log, few enough to print.
MALFORMED_KEPT = 5

# About 5,000 frames of text: large enough that NumPy's cost per call does not count.
CHUNK_BYTES = 256 * 1024

# xz -9 needs 64 MiB to unpack; what asks for more is an attack or no log.
XZ_MAX_MEMORY_BYTES = 128 * 1024 * 1024

# Beyond it seconds no longer fit in an int64 of nanoseconds (the year 2262).
TIME_MAX_S = 9_223_372_036


@dataclass(slots=True)
class LogReport:
    """What became of everything in a log."""

    frames: int = 0  # read, of the channels asked for
    malformed: int = 0  # lines or objects that could not be read
    first_malformed: list[tuple[int, str]] = field(
        default_factory=list
    )  # (line, what stands there)

    def add_malformed(self, line: int, what: str) -> None:
        """Count one line (or object) that cannot be read."""
        self.malformed += 1
        if len(self.first_malformed) < MALFORMED_KEPT:
            self.first_malformed.append((line, what))


class Channels:
    """Which channel of a log is which bus; without a list every channel gets the next number."""

    def __init__(self, listed: Mapping[str, int] | None = None) -> None:
        self._number = dict(listed or {})
        self._is_open = listed is None
        self.unlisted: dict[str, int] = {}  # frames of the channels that were not asked for
        self.unlisted_frames = 0

    def number(self, name: str) -> int:
        """Return the bus of channel `name`, or -1 for one that was not asked for."""
        number = self._number.get(name)
        if number is not None:
            return number
        if self._is_open and len(self._number) < CHANNELS_MAX:
            self._number[name] = len(self._number)
            return self._number[name]
        return -1

    def skip(self, name: str, frames: int = 1) -> None:
        """Count frames of a channel nobody asked for."""
        self.unlisted_frames += frames
        if name in self.unlisted or len(self.unlisted) < CHANNELS_MAX:
            self.unlisted[name] = self.unlisted.get(name, 0) + frames

    def names(self) -> tuple[str, ...]:
        """Return the names of the buses, by number."""
        by_number = {number: name for name, number in self._number.items()}
        return tuple(by_number.get(n, f"bus{n}") for n in range(max(by_number, default=-1) + 1))


class LogStream:
    """The bytes of a log from front to back, .xz and .gz unpacked on the way.

    A packed file that was cut off (a vehicle loses power) gives what can be unpacked; `damage` says so.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`.  Raises BadInput when it cannot be opened."""
        self.path = path
        self.damage = ""
        self._head = b""  # read ahead by `peek`
        try:
            self._file: BinaryIO = path.open("rb")
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise BadInput(f"cannot read the log {path}: {reason}") from error
        magic = self.read(6)
        self._file.seek(0)
        self.is_packed = True
        if magic == b"\xfd7zXZ\x00":
            self._file = _Unxz(self._file)  # type: ignore[assignment]
        elif magic[:2] == b"\x1f\x8b":
            self._file.close()
            self._file = gzip.open(path, "rb")  # type: ignore[assignment]  # noqa: SIM115
        else:
            self.is_packed = False

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end.  Raises Unavailable when the disk fails."""
        parts = [self._head[:size]] if self._head else []
        self._head = self._head[size:]
        wanted = size - (len(parts[0]) if parts else 0)
        try:
            while wanted and not self.damage:
                part = self._file.read1(wanted)  # type: ignore[attr-defined]
                if not part:
                    break
                parts.append(part)
                wanted -= len(part)
        except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
            self.damage = f"the packed file is damaged from here on: {error}"
        except OSError as error:
            raise Unavailable(f"reading the log {self.path} failed: {error.strerror}") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes without taking them."""
        if len(self._head) < size:
            self._head = self.read(size)
        return self._head[:size]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def whole_lines(stream: LogStream, report: LogReport) -> Iterator[tuple[int, bytes]]:
    """Yield the log in pieces of whole lines, each with the number of its first line.

    A line of more than LINE_MAX_BYTES is counted and left out; a last line without an end gets one.
    """
    rest = b""
    line = 1  # of the first byte of `rest`
    is_skipping = False  # in the middle of a line that is too long
    while chunk := stream.read(CHUNK_BYTES):
        text = rest + chunk
        if is_skipping:
            found = text.find(b"\n")
            if found < 0:
                continue
            text, is_skipping = text[found + 1 :], False
            line += 1
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if end:
            yield line, text[:end]
            line += text.count(b"\n", 0, end)
        if len(rest) > LINE_MAX_BYTES:
            report.add_malformed(line, f"a line of more than {LINE_MAX_BYTES} bytes")
            rest, is_skipping = b"", True
    if rest:
        yield line, rest + b"\n"


def fraction_ns(digits: str) -> int:
    """Return the nanoseconds that the digits after a decimal point of seconds say; further digits fall."""
    return int(digits[:9].ljust(9, "0"))


class _Unxz:
    """A reader of .xz that unpacks within bounds: LZMAFile trusts the dictionary size a file declares."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = _new_unpacker()
        self._packed = b""

    def read1(self, size: int) -> bytes:
        """Return some bytes, at most `size`; empty at the end."""
        while True:
            if self._unpacker.eof:
                # Several .xz streams may stand one after the other, padded with zeros.
                rest = (self._unpacker.unused_data or self._file.read(CHUNK_BYTES)).lstrip(b"\0")
                if not rest:
                    return b""
                self._unpacker, self._packed = _new_unpacker(), rest
            if self._unpacker.needs_input and not self._packed:
                self._packed = self._file.read(CHUNK_BYTES)
                if not self._packed:
                    raise EOFError("it ends in the middle")
            data = self._unpacker.decompress(self._packed, size)
            self._packed = b""
            if data:
                return data

    def close(self) -> None:
        self._file.close()


def _new_unpacker() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MAX_MEMORY_BYTES)
