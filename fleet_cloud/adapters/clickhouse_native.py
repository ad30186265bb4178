"""ClickHouse's Native format: a table as blocks of columns, as the engine itself holds it.

    block = columns (varint), rows (varint), then for each column: name, type, data

It is the one format that every engine since 2018 reads and writes at the speed of memory: numbers are
little-endian arrays, and a LowCardinality column is its dictionary once and an index a row.

    LowCardinality = 1 (u64), width of an index | flags (u64), words (u64), the words, rows (u64), the indexes

Rule 1: nothing here loops over rows, except over the short answers that hold plain strings.
Rule 2: what cannot be read is Unavailable: the other side is broken, or not what it says it is.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway.errors import Unavailable

Buffer = bytes | memoryview

LOW_CARDINALITY = "LowCardinality(String)"

_NUMBERS: dict[str, np.dtype[Any]] = {
    "UInt8": np.dtype("u1"),
    "UInt16": np.dtype("<u2"),
    "UInt32": np.dtype("<u4"),
    "UInt64": np.dtype("<u8"),
    "Int32": np.dtype("<i4"),
    "Int64": np.dtype("<i8"),
    "Float64": np.dtype("<f8"),
    "Date": np.dtype("<u2"),
}

_INDEXES = tuple(_NUMBERS[name] for name in ("UInt8", "UInt16", "UInt32", "UInt64"))

_LOW_CARDINALITY_VERSION = 1
_HAS_WORDS = 1 << 9  # the words stand in this block, not in a shared dictionary
_NEW_DICTIONARY = 1 << 10


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """A column of texts: each word once, and an index a row."""

    words: tuple[str, ...]
    index: NDArray[Any]

    def __len__(self) -> int:
        return len(self.index)

    def texts(self) -> list[str]:
        """Return one text a row, for answers that are short."""
        return [self.words[index] for index in self.index.tolist()]


Column = NDArray[Any] | Words


def encoded(columns: Mapping[str, tuple[str, Column]]) -> list[Buffer]:
    """Return one block of `columns` (name to type and data, all equally long) in pieces to be sent in order."""
    rows = len(next(iter(columns.values()))[1])
    pieces: list[Buffer] = [_varint(len(columns)) + _varint(rows)]
    for name, (kind, column) in columns.items():
        pieces.append(_text(name) + _text(kind))
        if isinstance(column, Words):
            pieces += _low_cardinality(column)
        else:
            pieces.append(_buffer(column.astype(_NUMBERS[kind], copy=False)))
    return pieces


def decoded(data: bytes) -> dict[str, Column]:
    """Return the columns of all blocks in `data`, joined.  Raises Unavailable when it is not that format."""
    reader = _Reader(data)
    blocks: dict[str, list[Column]] = {}
    try:
        while not reader.at_end:
            columns, rows = reader.varint(), reader.varint()
            for _ in range(columns):
                name, kind = reader.text(), reader.text()
                blocks.setdefault(name, []).append(reader.column(kind, rows))
    except (ValueError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise Unavailable(
            f"the telemetry store's answer of {len(data)} bytes is not in Native format: {error}"
        ) from error
    return {name: _joined(parts) for name, parts in blocks.items()}


def _joined(parts: list[Column]) -> Column:
    if len(parts) == 1:
        return parts[0]
    words: dict[str, int] = {}
    arrays = []
    for part in parts:
        if isinstance(part, Words):
            new = [words.setdefault(word, len(words)) for word in part.words]
            arrays.append(np.array(new, np.int64)[part.index] if new else part.index)
        else:
            arrays.append(part)
    column = np.concatenate(arrays)
    return Words(tuple(words), column) if isinstance(parts[0], Words) else column


def _low_cardinality(column: Words) -> list[Buffer]:
    width = 0 if len(column.words) <= 1 << 8 else 1 if len(column.words) <= 1 << 16 else 2
    flags = width | _HAS_WORDS | _NEW_DICTIONARY
    head = struct.pack("<QQQ", _LOW_CARDINALITY_VERSION, flags, len(column.words))
    return [
        head + b"".join(map(_text, column.words)) + struct.pack("<Q", len(column)),
        _buffer(column.index.astype(_INDEXES[width], copy=False)),
    ]


def _buffer(column: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(column).view(np.uint8).data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(text: str) -> bytes:
    # A lone surrogate cannot be sent; nobody meant it, so it becomes the mark for "unreadable".
    content = text.encode("utf-8", "replace")
    return _varint(len(content)) + content


class _Reader:
    """Walks over a buffer; every step past its end is a ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def text(self) -> str:
        return self._take(self.varint()).decode("utf-8", "replace")

    def column(self, kind: str, rows: int) -> Column:
        if kind == LOW_CARDINALITY:
            return self._words(rows)
        if kind == "String":
            words = [self.text() for _ in range(rows)]
            return Words(tuple(words), np.arange(rows))
        return self._numbers(_NUMBERS[kind], rows)

    def _words(self, rows: int) -> Words:
        if rows == 0:
            return Words((), np.empty(0, np.uint8))
        version, flags, count = struct.unpack("<QQQ", self._take(24))
        if version != _LOW_CARDINALITY_VERSION or not flags & _HAS_WORDS:
            raise ValueError(f"a dictionary of kind {version}, flags {flags:#x}")
        words = tuple(self.text() for _ in range(count))
        if struct.unpack("<Q", self._take(8))[0] != rows:
            raise ValueError("a dictionary column of another length")
        index = self._numbers(_INDEXES[flags & 0xFF], rows)
        if int(index.max()) >= count:
            raise ValueError("an index beyond its dictionary")
        return Words(words, index)

    def _numbers(self, dtype: np.dtype[Any], rows: int) -> NDArray[Any]:
        return np.frombuffer(self._take(rows * dtype.itemsize), dtype)

    def _take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise ValueError("it ends too early")
        self._at += size
        return piece


def texts(columns: Mapping[str, Column], name: str) -> Sequence[str]:
    """Return the text column `name` of an answer, one text a row."""
    column = columns.get(name)
    return column.texts() if isinstance(column, Words) else []


def numbers(columns: Mapping[str, Column], name: str, dtype: type[Any]) -> NDArray[Any]:
    """Return the number column `name` of an answer; an answer of no rows may have no columns."""
    column = columns.get(name)
    if isinstance(column, np.ndarray):
        return column.astype(dtype, copy=False)
    return np.empty(0, dtype)
