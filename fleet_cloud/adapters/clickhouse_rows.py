"""Accepted batches become the columns of one insert, without a loop over samples.

Rule 1: what loops, loops over signals of tables and over batches; rows are gathered by NumPy.
Rule 2: a batch that no engine could take whole is BadInput, before anything is sent.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.ids import stream_id
from fairway.samples import Kind, SampleBlock, SignalTable
from fleet_cloud.adapters.clickhouse_native import Column, Words
from fleet_cloud.adapters.clickhouse_sql import COLUMNS
from fleet_cloud.ingest.ports import AcceptedBatch

NS_PER_DAY = 86_400_000_000_000

# One insert is one block is one part.  Engines cut blocks from 1,048,449 rows on; beyond 400,000 rows an insert
# gains no speed, it only keeps its receipts waiting and memory in use.
INSERT_MAX_ROWS = 400_000
BATCH_MAX_ROWS = 1_000_000

# Days are a UInt16 since 1970; a clock outside of them is wrong, but its samples are still samples.
DAY_MAX = 65_535


class _Numbering(dict[str, int]):
    """Texts numbered in the order they are first asked for."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


@dataclass(slots=True, eq=False)
class _Names:
    """The words of one insert."""

    signals: _Numbering = field(default_factory=_Numbering)
    units: _Numbering = field(default_factory=_Numbering)
    texts: _Numbering = field(default_factory=lambda: _Numbering({"": 0}))
    tables: dict[int, "_Numbers"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """What the signals of a table are in one insert."""

    signal: NDArray[np.int32]
    unit: NDArray[np.int32]
    kind: NDArray[np.uint8]
    has_texts: bool


def inserts(batches: Sequence[AcceptedBatch]) -> Iterator[list[AcceptedBatch]]:
    """Cut `batches` into runs of at most INSERT_MAX_ROWS rows (or one batch); empty batches are left out."""
    run: list[AcceptedBatch] = []
    rows = 0
    for batch in batches:
        if run and rows + len(batch.block) > INSERT_MAX_ROWS:
            yield run
            run, rows = [], 0
        if len(batch.block):
            run.append(batch)
            rows += len(batch.block)
    if run:
        yield run


def check(batches: Sequence[AcceptedBatch]) -> None:
    """Raise BadInput when one of `batches` can never be stored."""
    text_signals: dict[int, NDArray[np.bool_]] = {}
    for batch in batches:
        block = batch.block
        stream_id(batch.name.stream)
        if len(block) > BATCH_MAX_ROWS:
            raise BadInput(
                f"batch {batch.name} has {len(block)} samples: send at most {BATCH_MAX_ROWS} in one"
            )
        if not 0 <= batch.name.sequence < 2**63:
            raise BadInput(f"batch {batch.name} has a sequence that is no 63-bit number")
        if len(block) and not 0 <= int(block.signal.min()) <= int(block.signal.max()) < len(
            block.table
        ):
            raise BadInput(f"batch {batch.name} names a signal that its table does not have")
        is_text = text_signals.get(id(block.table))
        if is_text is None:
            is_text = np.array([signal.kind is Kind.TEXT for signal in block.table], np.bool_)
            text_signals[id(block.table)] = is_text
        if is_text.any() and not _has_its_texts(block, is_text):
            raise BadInput(f"batch {batch.name} refers to a text that it does not carry")


def _has_its_texts(block: SampleBlock, is_text: NDArray[np.bool_]) -> bool:
    wanted = block.value[is_text[block.signal]]
    return len(wanted) == 0 or bool(wanted.min() >= 0 and wanted.max() < len(block.texts))


def columns(batches: Sequence[AcceptedBatch]) -> dict[str, tuple[str, Column]]:
    """Return the rows of `batches`, which passed `check`, as the columns of one insert."""
    names = _Names()
    numbers = [_numbers(batch.block.table, names) for batch in batches]
    lengths = np.array([len(batch.block) for batch in batches])
    signal, unit, kind = (
        np.concatenate(
            [getattr(of, part)[b.block.signal] for of, b in zip(numbers, batches, strict=True)]
        )
        for part in ("signal", "unit", "kind")
    )
    value, text = _values(batches, numbers, names)

    def each(of: Callable[[AcceptedBatch], int], dtype: type[Any]) -> NDArray[Any]:
        return np.repeat(np.array([of(batch) for batch in batches], dtype), lengths)

    def name(of: Callable[[AcceptedBatch], str]) -> Words:
        numbering = _Numbering()
        index = each(lambda batch: numbering[of(batch)], np.uint32)
        return Words(tuple(numbering), index)

    data: dict[str, Column] = {
        "tenant": name(lambda batch: batch.tenant),
        "vehicle": name(lambda batch: batch.name.vehicle),
        "signal": _used(names.signals, signal),
        "time_ns": np.concatenate([batch.block.time_ns for batch in batches]),
        "value": value,
        "text": Words(tuple(names.texts), text),
        "kind": kind,
        "unit": _used(names.units, unit),
        "stream": each(lambda batch: int(batch.name.stream, 16), np.uint64),
        "sequence": each(lambda batch: batch.name.sequence, np.int64),
        "day": each(lambda batch: _day(batch.received_time_ns), np.uint16),
    }
    return {column: (kind_, data[column]) for column, kind_ in COLUMNS.items()}


def _day(time_ns: int) -> int:
    return min(max(time_ns // NS_PER_DAY, 0), DAY_MAX)


def _numbers(table: SignalTable, names: _Names) -> _Numbers:
    known = names.tables.get(id(table))
    if known is None:
        kind = np.array([signal.kind for signal in table], np.uint8)
        known = names.tables[id(table)] = _Numbers(
            signal=np.array([names.signals[signal.name] for signal in table], np.int32),
            unit=np.array([names.units[signal.unit] for signal in table], np.int32),
            kind=kind,
            has_texts=bool((kind == Kind.TEXT).any()),
        )
    return known


def _used(numbering: _Numbering, index: NDArray[np.int32]) -> Words:
    """Leave out the words of the tables that no row uses: a batch has few signals of a large table."""
    is_used = np.zeros(len(numbering), np.bool_)
    is_used[index] = True
    if is_used.all():
        return Words(tuple(numbering), index)
    renumbered = np.cumsum(is_used, dtype=np.int32) - 1
    words = tuple(word for word, used in zip(numbering, is_used.tolist(), strict=True) if used)
    return Words(words, renumbered[index])


def _values(
    batches: Sequence[AcceptedBatch], numbers: Sequence[_Numbers], names: _Names
) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
    """Return the value and the text index of every row; a row with a text has the value 0."""
    value = np.concatenate([batch.block.value for batch in batches])
    text = np.zeros(len(value), np.uint32)
    start = 0
    for batch, of in zip(batches, numbers, strict=True):
        block = batch.block
        if of.has_texts:
            rows = np.flatnonzero(of.kind[block.signal] == Kind.TEXT)
            if len(rows):
                renumbered = np.array([names.texts[word] for word in block.texts], np.uint32)
                text[rows + start] = renumbered[block.value[rows].astype(np.intp)]
                value[rows + start] = 0.0
        start += len(block)
    return value, text
