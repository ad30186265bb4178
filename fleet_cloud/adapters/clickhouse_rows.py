"""Accepted batches become the columns of one insert, and an answer a block, without a loop over samples.

Rule 1: what loops, loops over signals of tables and over batches; rows are gathered by NumPy.
Rule 2: a batch that no engine could take whole is BadInput, before anything is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.ids import stream_id
from fairway.samples import Kind, SampleBlock, Signal, SignalTable, empty_block
from fleet_cloud.adapters.clickhouse_native import Column, Words, numbers
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


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """The signals of every table of some batches, one table behind the other."""

    signals: list[Signal]
    first: dict[int, int]  # where a table begins, by its id
    kind: NDArray[np.uint8]

    def numbers(self, batches: Sequence[AcceptedBatch], lengths: NDArray[np.intp]) -> NDArray[Any]:
        """Return for every row of `batches` the position of its signal."""
        number = np.concatenate([batch.block.signal for batch in batches])
        if len(self.first) == 1:
            return number
        first = np.array([self.first[id(batch.block.table)] for batch in batches], np.int32)
        return number + np.repeat(first, lengths)


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
    has_texts: dict[int, NDArray[np.bool_] | None] = {}
    for batch in batches:
        block, name = batch.block, batch.name
        stream_id(name.stream)
        if not 0 <= name.sequence < 2**63:
            raise BadInput(f"batch {name} has a sequence that is no 63-bit number")
        if len(block) > BATCH_MAX_ROWS:
            raise BadInput(
                f"batch {name} has {len(block)} samples: send at most {BATCH_MAX_ROWS} in one"
            )
        # As unsigned numbers the negative ones are beyond every table.
        if len(block) and block.signal.view(np.uint32).max() >= len(block.table):
            raise BadInput(f"batch {name} names a signal that its table does not have")
        table = id(block.table)
        if table not in has_texts:
            has_texts[table] = _texts_of(block.table)
        is_text = has_texts[table]
        if is_text is not None and not _has_its_texts(block, is_text):
            raise BadInput(f"batch {name} refers to a text that it does not carry")


def _texts_of(table: SignalTable) -> NDArray[np.bool_] | None:
    is_text = np.array([signal.kind is Kind.TEXT for signal in table], np.bool_)
    return is_text if is_text.any() else None


def _has_its_texts(block: SampleBlock, is_text: NDArray[np.bool_]) -> bool:
    wanted = block.value[is_text[block.signal]]
    return len(wanted) == 0 or bool(wanted.min() >= 0 and wanted.max() < len(block.texts))


def columns(batches: Sequence[AcceptedBatch], region: str) -> dict[str, tuple[str, Column]]:
    """Return the rows of `batches`, which passed `check`, as the columns of one insert into `region`."""
    lengths = np.array([len(batch.block) for batch in batches])
    tables = _tables(batches)
    number = tables.numbers(batches, lengths)
    kind = tables.kind[number]
    value, text = _values(batches, kind, lengths)

    def each(values: list[int], dtype: type[Any]) -> NDArray[Any]:
        return np.repeat(np.array(values, dtype), lengths)

    def name(names: list[str]) -> Words:
        numbering = _Numbering()
        index = each([numbering[name] for name in names], np.uint32)
        return Words(tuple(numbering), index)

    data: dict[str, Column] = {
        "region": Words((region,), np.zeros(int(lengths.sum()), np.uint32)),
        "tenant": name([batch.tenant for batch in batches]),
        "vehicle": name([batch.name.vehicle for batch in batches]),
        "signal": _named([signal.name for signal in tables.signals], number),
        "time_ns": np.concatenate([batch.block.time_ns for batch in batches]),
        "value": value,
        "text": text,
        "kind": kind,
        "unit": _named([signal.unit for signal in tables.signals], number),
        "stream": each([int(batch.name.stream, 16) for batch in batches], np.uint64),
        "sequence": each([batch.name.sequence for batch in batches], np.int64),
        "day": each([_day(batch.received_time_ns) for batch in batches], np.uint16),
    }
    return {column: (kind_, data[column]) for column, kind_ in COLUMNS.items()}


def driven(answer: Mapping[str, Column], table: SignalTable) -> SampleBlock:
    """Return the rows of an answer over `table`, without those whose kind is another there."""
    signal, kind = answer.get("signal"), numbers(answer, "kind", np.uint8)
    if not isinstance(signal, Words) or not len(signal):
        return empty_block(table)
    # An engine may send words that no row uses.
    position = np.zeros(len(signal.words), np.int32)
    for word in np.unique(signal.index).tolist():
        position[word] = table.number(signal.words[word])
    position = position[signal.index]
    is_text = np.array([one.kind is Kind.TEXT for one in table], np.bool_)[position]
    value, text = numbers(answer, "value", np.float64), answer.get("text")
    words: tuple[str, ...] = ()
    if isinstance(text, Words) and is_text.any():
        words = text.words
        value = np.where(is_text, text.index, value)
    rows = SampleBlock(table, position, numbers(answer, "time_ns", np.int64), value, words)
    return rows.take(is_text == (kind == Kind.TEXT))


def _day(time_ns: int) -> int:
    return min(max(time_ns // NS_PER_DAY, 0), DAY_MAX)


def _tables(batches: Sequence[AcceptedBatch]) -> _Tables:
    signals: list[Signal] = []
    first: dict[int, int] = {}
    for batch in batches:
        table = batch.block.table
        if id(table) not in first:
            first[id(table)] = len(signals)
            signals += table.signals
    return _Tables(signals, first, np.array([signal.kind for signal in signals], np.uint8))


def _named(names: list[str], number: NDArray[Any]) -> Words:
    """Return the text of every row; words that no row uses are left out: batches use few of a large table."""
    is_used = np.zeros(len(names), np.bool_)
    is_used[number] = True
    numbering = _Numbering()
    index = np.zeros(len(names), np.uint32)
    for position in np.flatnonzero(is_used).tolist():
        index[position] = numbering[names[position]]
    return Words(tuple(numbering), index[number])


def _values(
    batches: Sequence[AcceptedBatch], kind: NDArray[np.uint8], lengths: NDArray[np.intp]
) -> tuple[NDArray[np.float64], Words]:
    """Return the value and the text of every row; a row with a text has the value 0."""
    value = np.concatenate([batch.block.value for batch in batches])
    text = np.zeros(len(value), np.uint32)
    numbering = _Numbering({"": 0})
    is_text = kind == Kind.TEXT
    if is_text.any():
        ends = np.cumsum(lengths)
        for batch, end in zip(batches, ends.tolist(), strict=True):
            start = end - len(batch.block)
            rows = np.flatnonzero(is_text[start:end]) + start
            if len(rows):
                numbers = np.array([numbering[word] for word in batch.block.texts], np.uint32)
                text[rows] = numbers[value[rows].astype(np.intp)]
        value[is_text] = 0.0
    return value, Words(tuple(numbering), text)
