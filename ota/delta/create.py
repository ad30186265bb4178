"""Differences between two images are made, each applied and compared before it is kept.

    base, image --made()--> zstd-patch, detools-sequential, detools-hdiffpatch: size, memory, time

Rule 1: what cannot be applied here is not offered to any vehicle: each one is applied in a process of its own.
Rule 2: images go in unpacked: a difference of packed bytes saves nothing.
Rule 3: the same base and the same image give the same bytes, with the same versions of the libraries.
"""

import hashlib
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from fairway.errors import BadInput, FairwayError
from ota.delta.apply import PATCH_WINDOW_MAX_BYTES, Work, memory_of
from ota.delta.measure import Measured, measured
from ota.manifest import Form

# Sorting all suffixes takes some 10 times the image: beyond this blocks are matched instead.
BSDIFF_MAX_BYTES = 32 << 20
# Making such a difference takes some 6 times both images in memory.
HDIFFPATCH_MAX_BYTES = 1 << 30
# The best level takes half a second a megabyte and saves a hundredth on large images.
_BEST_LEVEL, _QUICK_LEVEL, _BEST_MAX_BYTES = 19, 12, 32 << 20
_MATCH_BLOCK_BYTES = 64
_FRAME_MAX_BYTES = 1 << 20

FORMS = (Form.ZSTD_PATCH, Form.DETOOLS_SEQUENTIAL, Form.DETOOLS_HDIFFPATCH)
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions of an image."""

    base: Path
    image: Path


@dataclass(frozen=True, slots=True)
class Made:
    """A difference that gives the image."""

    form: Form
    path: Path
    length: int
    took: Measured
    memory_bytes: int  # that a vehicle must be able to give: never less than was measured


@dataclass(frozen=True, slots=True)
class Left:
    """A form of which there is no difference, and why."""

    form: Form
    sentence: str


def pack(image: Path, packed: Path) -> None:
    """Pack an image as a whole with zstd: the same bytes for the same image.  Raises BadInput."""
    level = _BEST_LEVEL if image.stat().st_size <= _BEST_MAX_BYTES else _QUICK_LEVEL
    packer = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    with image.open("rb") as plain, packed.open("wb") as file:
        packer.copy_stream(plain, file, size=image.stat().st_size)


def made(
    pair: Pair, folder: Path, progress: Progress, forms: Sequence[Form] = FORMS
) -> tuple[tuple[Made, ...], tuple[Left, ...]]:
    """Make all differences into `folder`, named by form; return them, and those that cannot be.

    Raises BadInput when an image cannot be read.
    """
    found: list[Made] = []
    left: list[Left] = []
    sha256, length = _hashed(pair.image)
    for form in forms:
        patch, result = folder / form, folder / f"{form}.applied"
        progress(f"{form}: made")
        try:
            _create(form, pair, patch)
            work = Work(form, patch, sha256, length, pair.base)
            progress(f"{form}: applied and compared")
            took = measured(work, result)
        except FairwayError as error:
            patch.unlink(missing_ok=True)
            left.append(Left(form, str(error)))
            continue
        finally:
            result.unlink(missing_ok=True)
        memory = max(took.memory_bytes, memory_of(form, patch, pair.base))
        found.append(Made(form, patch, patch.stat().st_size, took, memory))
    return tuple(found), tuple(left)


def _create(form: Form, pair: Pair, patch: Path) -> None:
    both = pair.base.stat().st_size + pair.image.stat().st_size
    match form:
        case Form.ZSTD_PATCH:
            _zstd(pair, patch, both)
        case Form.DETOOLS_SEQUENTIAL if both <= BSDIFF_MAX_BYTES:
            _detools(pair, patch, algorithm="bsdiff", patch_type="sequential")
        case Form.DETOOLS_SEQUENTIAL:
            blocks = {"match_block_size": _MATCH_BLOCK_BYTES}
            _detools(pair, patch, algorithm="match-blocks", patch_type="sequential", **blocks)
        case Form.DETOOLS_HDIFFPATCH:
            if both > HDIFFPATCH_MAX_BYTES:
                raise BadInput(
                    f"both images have {both} bytes: such differences end at {HDIFFPATCH_MAX_BYTES}"
                )
            _detools(pair, patch, algorithm="hdiffpatch", patch_type="hdiffpatch")
        case _:
            raise BadInput(f"{form} is no difference")


def _zstd(pair: Pair, patch: Path, both: int) -> None:
    if both > PATCH_WINDOW_MAX_BYTES:
        raise BadInput(
            f"both images have {both} bytes: zstd looks back {PATCH_WINDOW_MAX_BYTES} at most"
        )
    zstd = _library()
    length = pair.image.stat().st_size
    longest = max(length, pair.base.stat().st_size, 1 << 10)
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: _BEST_LEVEL if both <= _BEST_MAX_BYTES else _QUICK_LEVEL,
        parameter.window_log: min(longest.bit_length(), 31),  # as `zstd --patch-from` chooses
        parameter.enable_long_distance_matching: 1,
        parameter.checksum_flag: 1,
    }
    base = pair.base.read_bytes()
    if len(base) < 8:  # the library takes no shorter one
        raise BadInput("the base has less than 8 bytes")
    packer = zstd.ZstdCompressor(
        options=options, zstd_dict=zstd.ZstdDict(base, is_raw=True).as_prefix
    )
    packer.set_pledged_input_size(length)
    with pair.image.open("rb") as image, patch.open("wb") as file:
        while data := image.read(_FRAME_MAX_BYTES):
            file.write(packer.compress(data))
        file.write(packer.flush())


def _library() -> Any:
    """Return Python 3.14's own module, or what brings it to older ones."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise BadInput(
        "making differences with zstd needs a library that is not here: pip install 'fairway[release]'"
    )


def _detools(pair: Pair, patch: Path, **how: Any) -> None:
    try:
        import detools  # noqa: PLC0415 - not everywhere: it has no wheels
    except ImportError as error:
        raise BadInput(
            "making such differences needs a library that is not here: pip install 'fairway[delta]'"
        ) from error
    if not pair.base.stat().st_size or not pair.image.stat().st_size:
        raise BadInput("one of the images is empty")
    try:
        with pair.base.open("rb") as old, pair.image.open("rb") as new, patch.open("wb") as file:
            detools.create_patch(old, new, file, compression="lzma", **how)
    except detools.Error as error:
        raise BadInput(f"no difference can be made: {error}") from error
    except MemoryError as error:
        raise BadInput("there is not enough memory to make it") from error


def _hashed(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            return found, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
