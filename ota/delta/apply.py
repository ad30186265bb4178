"""Bytes as they were fetched become an image: unpacked, or a difference put onto its base.

    base + fetched bytes --applied()--> the image, and its SHA-256 is the one that is signed

Rule 1: what comes out is read once while it is written: another hash or a byte too many, and it is gone.
Rule 2: memory is bounded before the work begins: a source that would take more is refused, not tried.
Rule 3: this runs in vehicles: it creates nothing, and knows no release tool.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from fairway.errors import BadInput, Tampered, Unavailable
from ota.manifest import Form

# What is packed without a base: level 19 looks back 8 MiB, others' files may look back further.
ZSTD_WINDOW_MAX_BYTES = 128 << 20
# Of a difference: what a 64-bit reader of zstd can look back.
PATCH_WINDOW_MAX_BYTES = 1 << 31
# The interpreter's own buffers; measured beside what is counted below.
_SLACK_BYTES = 8 << 20
_LZMA_BYTES = 32 << 20  # the dictionary of what detools packs, and what it makes of it
_FRAME_HEADER_MAX_BYTES = 18
_PIECE = 1 << 20

# May give up what takes long: called with the bytes written so far, it raises.
Watch = Callable[[int], None]

NEEDS_BASE = frozenset({Form.ZSTD_PATCH, Form.DETOOLS_SEQUENTIAL, Form.DETOOLS_HDIFFPATCH})


@dataclass(frozen=True, slots=True)
class Work:
    """What lies here, and the image that is to come out."""

    form: Form
    fetched: Path
    sha256: str  # of the image
    length: int
    base: Path | None = None  # what a difference is against
    memory_max_bytes: int | None = None  # None: whatever it takes


def forms() -> tuple[Form, ...]:
    """Return the forms that can be applied here: differences of detools need that library."""
    usual = (Form.PLAIN, Form.ZSTD, Form.ZSTD_PATCH)
    try:
        _detools()
    except BadInput:
        return usual
    return (*usual, Form.DETOOLS_SEQUENTIAL, Form.DETOOLS_HDIFFPATCH)


def memory_of(form: Form, patch: Path, base: Path | None) -> int:
    """Return how many bytes of memory applying takes at most, about.  Raises BadInput, Unavailable."""
    base_bytes = _size(base) if base is not None else 0
    match form:
        case Form.PLAIN:
            return _SLACK_BYTES
        case Form.ZSTD:
            return _window(patch) + _SLACK_BYTES
        case Form.ZSTD_PATCH:
            return base_bytes + _window(patch) + _SLACK_BYTES
        case Form.DETOOLS_SEQUENTIAL:
            return _LZMA_BYTES + _SLACK_BYTES
        case (
            Form.DETOOLS_HDIFFPATCH
        ):  # all of it lies in memory: the base, the difference, the result
            return base_bytes + 2 * (_size(patch) + _hdiff_length(patch)) + _LZMA_BYTES


def applied(work: Work, output: Path, watch: Watch = lambda _written: None) -> None:
    """Write the image to `output`, durable and verified; what was there is replaced.

    Raises BadInput when it can never work here (no base, a form that is not known, too much memory), Tampered
    when something else comes out (a wrong base, too), Unavailable for a disk that does not keep it; then
    `output` is not there.
    """
    if work.form in NEEDS_BASE and work.base is None:
        raise BadInput(f"{work.form} is a difference: it needs the image that it is against")
    takes = memory_of(work.form, work.fetched, work.base)
    if work.memory_max_bytes is not None and takes > work.memory_max_bytes:
        raise BadInput(
            f"{work.form} would take {takes} bytes of memory, and {work.memory_max_bytes} are allowed"
        )
    try:
        with output.open("wb") as file:
            sink = _Sink(file, work, watch)
            _apply(work, sink)
            sink.finish()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        output.unlink(missing_ok=True)
        raise Unavailable(f"{output.name} cannot be written: {error.strerror or error}") from error
    except BaseException:
        output.unlink(missing_ok=True)
        raise


class _Sink:
    """Takes what comes out: counts it, hashes it, and never takes more than is wanted."""

    def __init__(self, file: IO[bytes], work: Work, watch: Watch) -> None:
        self._file, self._work, self._watch = file, work, watch
        self._hash = hashlib.sha256()
        self._written = 0

    def write(self, data: bytes) -> int:
        self._written += len(data)
        if self._written > self._work.length:
            raise Tampered(f"more than the {self._work.length} bytes of the image come out")
        self._hash.update(data)
        self._file.write(data)
        self._watch(self._written)
        return len(data)

    def finish(self) -> None:
        found = self._hash.hexdigest()
        if self._written != self._work.length or found != self._work.sha256:
            raise Tampered(
                f"{self._written} bytes with sha256 {found} came out, and the image is"
                f" {self._work.length} bytes with {self._work.sha256}"
            )


def _apply(work: Work, sink: _Sink) -> None:
    with work.fetched.open("rb") as source:
        if work.form is Form.PLAIN:
            while data := source.read(_PIECE):
                sink.write(data)
        elif work.form is Form.ZSTD:
            limit = ZSTD_WINDOW_MAX_BYTES
            _unpack(zstandard.ZstdDecompressor(max_window_size=limit), source, sink)
        elif work.base is None:
            raise BadInput(f"{work.form} needs a base")
        elif work.form is Form.ZSTD_PATCH:
            prefix = zstandard.ZstdCompressionDict(
                work.base.read_bytes(), dict_type=zstandard.DICT_TYPE_RAWCONTENT
            )
            # The window was counted before: it may be as long as base and image together.
            limit = PATCH_WINDOW_MAX_BYTES
            _unpack(zstandard.ZstdDecompressor(prefix, max_window_size=limit), source, sink)
        else:
            _detools_apply(work.form, work.base, source, sink)


def _unpack(unpacker: zstandard.ZstdDecompressor, source: IO[bytes], sink: _Sink) -> None:
    try:
        # One frame; what follows it is not of the image, and the image ends too early or late then.
        with unpacker.stream_reader(source, read_across_frames=True) as plain:
            while data := plain.read(_PIECE):
                sink.write(data)
    except zstandard.ZstdError as error:
        raise Tampered(f"what was fetched does not unpack: {error}") from error
    except MemoryError as error:
        raise Unavailable("there is not enough memory to unpack what was fetched") from error


def _detools_apply(form: Form, base: Path, source: IO[bytes], sink: _Sink) -> None:
    detools = _detools()
    kind = source.read(1)
    source.seek(0)
    # Its first byte says which kind it is: one that takes more memory must not come in another's name.
    expected = 0 if form is Form.DETOOLS_SEQUENTIAL else 2
    if not kind or kind[0] >> 4 & 7 != expected:
        raise Tampered(f"what was fetched is no difference of the form {form}")
    try:
        with base.open("rb") as old:
            detools.apply_patch(_Base(old), source, sink)
    except detools.Error as error:
        raise Tampered(f"the difference does not fit its base: {error}") from error
    except (ValueError, EOFError, IndexError, OverflowError) as error:  # met in broken ones
        raise Tampered(f"the difference is broken: {error}") from error
    except MemoryError as error:
        raise Unavailable("there is not enough memory to apply the difference") from error


class _Base:
    """A base that a broken difference cannot read before its beginning."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            raise Tampered("the difference is broken: it leads out of its base") from error


def _detools() -> Any:
    try:
        import detools  # noqa: PLC0415 - not everywhere: it has no wheels
    except ImportError as error:
        raise BadInput(
            "differences of this form need a library that is not here: pip install 'fairway[delta]'"
        ) from error
    return detools


def _hdiff_length(patch: Path) -> int:
    detools = _detools()
    try:
        with patch.open("rb") as file:
            _compression, to_bytes, _patch_bytes = detools.apply.read_header_hdiffpatch(file)
    except detools.Error as error:
        raise Tampered(f"what was fetched is no difference of this form: {error}") from error
    return int(to_bytes)


def _window(packed: Path) -> int:
    with packed.open("rb") as file:
        head = file.read(_FRAME_HEADER_MAX_BYTES)
    try:
        return int(zstandard.get_frame_parameters(head).window_size)
    except zstandard.ZstdError as error:
        raise Tampered(f"what was fetched is not packed with zstd: {error}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
