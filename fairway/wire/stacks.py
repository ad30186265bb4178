"""Sealed columns become sample blocks again, many batches at a time.

    batches of one table --> stacks --> one decoding each --> a block or a refusal for every batch

NumPy takes a microsecond or two for a call, and a batch of 1,000 samples takes a hundred calls.  So a stack is
decoded as if it were one batch over a table that is as many times as long: signal r of batch b has rank
b * signals + r, and everything that is ordered by rank is then ordered by batch first.

Rule 1: what a batch must fulfil, each batch of a stack must fulfil by itself: sums prove nothing.
Rule 2: a stack that does not is cut up and read again, until what cannot be read stands alone and says why.
Rule 3: no loop over samples; every array made from foreign bytes is bounded by the samples the batch declares.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.samples import Floats, SampleBlock, SignalTable, Times, empty_block
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire.columns import (
    BATCH_MAX_SAMPLES,
    BIAS,
    FLOAT,
    MASK,
    STEP_WIDTH,
    TEXTS_MAX_BYTES,
    VALUES,
    Rows,
    check_texts,
    runs,
)
from fairway.wire.compression import decompressed
from fairway.wire.layout import Layout, layout_of
from fairway.wire.planes import from_planes, from_whole_planes, unzigzag
from fairway.wire.steps import accumulated, times

# Enough that NumPy's calls do not show, and few enough that a column stays in a core's cache.
_STACK_MAX_SAMPLES = 20_000
# Ranks of a stack are 16 bits, which NumPy sorts in linear time.
_STACK_MAX_RANKS = 65_536
# Texts and foreign bytes of a stack, decompressed; a batch of honest samples has far less.
_STACK_MAX_BYTES = 4 * 1024 * 1024
# A stack with one bad batch is read twice, all in all, and one of bad batches only in three rounds.
_PIECES = 8
# A sample takes at most a time, a part, a mask, a class and a value.
_SAMPLE_MAX_BYTES = 8 + 2 + 8 + 1 + 8
# The message around the columns.
_FRAMING_MAX_BYTES = 4096


_Int = TypeVar("_Int", bound=np.signedinteger)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The columns of a batch, which has at least one sample, and where it stood."""

    at: int
    samples: int
    columns: v1.TelemetryColumns
    size_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Some batches of one table, and how much each has of samples and frames."""

    layout: Layout
    columns: tuple[v1.TelemetryColumns, ...]
    samples: NDArray[np.int64]
    frames: NDArray[np.int64]

    def each(self, numbers: NDArray[_Int], step: int = 0) -> NDArray[_Int]:
        """Return `numbers` of a table once for every batch, each time `step` further."""
        batches = len(self.columns)
        if batches == 1:
            return numbers
        each: NDArray[_Int] = np.arange(batches, dtype=numbers.dtype)[:, None] * step + numbers
        return each.reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """The rows of a stack, by batch, then part, then frame, then bit."""

    rank: NDArray[np.int64]
    place: NDArray[np.int64]  # where the row stands in the blocks
    time_ns: Times  # of the blocks


def unseal(data: bytes, samples: int, table: SignalTable) -> SampleBlock:
    """Return the block of so many `samples` that `data` holds.  Raises BadInput."""
    [block] = unseal_each([(data, samples)], table)
    if isinstance(block, BadInput):
        raise block
    return block


def unseal_each(
    sealed: Sequence[tuple[bytes, int]], table: SignalTable
) -> list[SampleBlock | BadInput]:
    """Return for each of `sealed` (data, and the samples it declares) its block, or why it has none."""
    answers: list[SampleBlock | BadInput] = [empty_block(table)] * len(sealed)
    for stack in _stacks(sealed, table, answers):
        for batch, answer in zip(stack, _read(stack, table), strict=True):
            answers[batch.at] = answer
    return answers


def _stacks(
    sealed: Sequence[tuple[bytes, int]], table: SignalTable, answers: list[SampleBlock | BadInput]
) -> Iterator[list[_Batch]]:
    """Yield stacks of the batches that have columns; the others are answered.  One stack is held at a time."""
    batches_max = max(_STACK_MAX_RANKS // max(len(table), 1), 1)
    stack: list[_Batch] = []
    samples = size_bytes = 0
    for at, (data, declared) in enumerate(sealed):
        try:
            batch = _batch(at, data, declared)
        except BadInput as error:
            answers[at] = error
            continue
        if batch is None:
            continue
        samples, size_bytes = samples + declared, size_bytes + batch.size_bytes
        if stack and (
            len(stack) == batches_max
            or samples > _STACK_MAX_SAMPLES
            or size_bytes > _STACK_MAX_BYTES
        ):
            yield stack
            stack, samples, size_bytes = [], declared, batch.size_bytes
        stack.append(batch)
    if stack:
        yield stack


def _batch(at: int, data: bytes, samples: int) -> _Batch | None:
    """Return the columns of a batch, or None for one without samples.  Raises BadInput."""
    if samples > BATCH_MAX_SAMPLES:
        raise BadInput(f"a batch of {samples} samples is over the limit of {BATCH_MAX_SAMPLES}")
    limit = _FRAMING_MAX_BYTES + TEXTS_MAX_BYTES + samples * _SAMPLE_MAX_BYTES
    content = decompressed(data, max_bytes=limit, what="the columns of a batch")
    try:
        columns = v1.TelemetryColumns.FromString(content)
    except DecodeError as error:
        raise BadInput("the columns of a batch are no TelemetryColumns") from error
    if len(columns.texts) > samples:
        raise BadInput(f"a batch of {samples} samples has {len(columns.texts)} texts")
    if columns.frames > samples or (samples and not columns.frames):
        raise BadInput(f"a batch of {samples} samples cannot have {columns.frames} frames")
    return _Batch(at, samples, columns, len(content)) if samples else None


def _read(batches: Sequence[_Batch], table: SignalTable) -> list[SampleBlock | BadInput]:
    try:
        return _together(batches, table)
    except BadInput as error:
        if len(batches) == 1:
            return [error]
    size = -(-len(batches) // _PIECES)
    pieces = (batches[start : start + size] for start in range(0, len(batches), size))
    return [answer for piece in pieces for answer in _read(piece, table)]


def _together(batches: Sequence[_Batch], table: SignalTable) -> list[SampleBlock | BadInput]:
    columns = tuple(batch.columns for batch in batches)
    samples = np.array([batch.samples for batch in batches], np.int64)
    stack = _Stack(
        layout_of(table), columns, samples, np.array([one.frames for one in columns], np.int64)
    )
    frames = _frames(stack)
    order = frames.rank.astype(np.uint16).argsort(kind="stable")
    value = np.empty(len(order), np.float64)
    value[frames.place[order]] = _values(stack, frames.rank[order])
    signal = np.empty(len(order), np.int32)
    signal[frames.place] = stack.each(stack.layout.position)[frames.rank]
    if len(batches) == 1:
        return [SampleBlock(table, signal, frames.time_ns, value, tuple(columns[0].texts))]
    blocks: list[SampleBlock | BadInput] = []
    end = 0
    for one, count in zip(columns, samples.tolist(), strict=True):
        rows = slice(end, end := end + count)
        # Copies: a block that somebody keeps must not keep all its neighbours.
        block = signal[rows].copy(), frames.time_ns[rows].copy(), value[rows].copy()
        blocks.append(SampleBlock(table, *block, tuple(one.texts)))
    return blocks


def _frames(stack: _Stack) -> _Frames:
    layout, counts = stack.layout, stack.frames
    parts = len(layout.part_bytes)
    part = from_planes([one.parts for one in stack.columns], counts.tolist(), what="parts")
    if int(part.max()) >= parts:
        raise BadInput(f"a batch has part {int(part.max())}, its dictionary {parts} parts")
    part = part.astype(np.uint16)
    if len(counts) > 1:
        part += (np.arange(len(counts)) * parts).astype(np.uint16).repeat(counts)
    order = part.argsort(kind="stable")
    part = part[order]
    octets = stack.each(layout.part_bytes)[part]
    ends = counts.cumsum() - 1
    octet, first_octet = _masks(stack, octets, ends)
    at = np.unpackbits(octet, bitorder="little").view(np.bool_).nonzero()[0]
    size = np.add.reduceat(np.bitwise_count(octet), first_octet, dtype=np.int64)
    end = size.cumsum()
    wrong = (end[ends] != stack.samples.cumsum()).nonzero()[0]
    if len(wrong):
        raise BadInput(
            f"a batch that declares {stack.samples[wrong[0]]} samples has {end[ends[wrong[0]]]}"
        )
    ranks = int(layout.part_start[-1])
    rank = at + (stack.each(layout.part_start[:-1], ranks)[part] - 8 * first_octet).repeat(size)
    beyond = stack.each(layout.part_start[1:], ranks)[part]
    if not size.all() or (rank[end - 1] >= beyond).any():
        raise BadInput("a batch has a frame without samples, or with signals that its part has not")
    size_in_order = np.empty_like(size)
    size_in_order[order] = size
    start = size_in_order.cumsum() - size_in_order
    place = np.arange(len(at)) + (start[order] - (end - size)).repeat(size)
    return _Frames(rank, place, times(stack.columns, counts).repeat(size_in_order))


def _masks(
    stack: _Stack, octets: NDArray[np.int64], ends: Rows
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the masks of all frames (each has so many `octets`), and where each begins."""
    masks = [one.masks for one in stack.columns]
    end_octet = octets.cumsum()
    begin = 0
    for mask, end in zip(masks, end_octet[ends].tolist(), strict=True):
        if len(mask) != end - begin:
            raise BadInput(
                f"masks of {len(mask)} bytes where the parts of a batch need {end - begin}"
            )
        begin = end
    return np.frombuffer(b"".join(masks), np.uint8), end_octet - octets


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The runs of a stack, of one signal of one batch each, and how their steps are stored."""

    head: Rows
    count: Rows
    width: NDArray[np.int64]  # bytes of a step; 0: FLOAT
    rows: NDArray[np.int64]  # by width, then batch


def _values(stack: _Stack, rank: NDArray[np.int64]) -> Floats:
    """Return the values of all rows, which are ordered by `rank`."""
    layout, signals = stack.layout, len(stack.layout.rank)
    head, count = runs(rank)
    batch, signal = np.divmod(rank[head], signals)
    has = np.bincount(batch, minlength=len(stack.columns))
    classes = [one.classes for one in stack.columns]
    class_ = np.frombuffer(b"".join(classes), np.uint8)
    if [len(one) for one in classes] != has.tolist() or int(class_.max()) > FLOAT:
        raise BadInput(
            f"a batch has {len(classes[0])} classes for the runs of {has[0]} signals, or unknown ones"
        )
    width = STEP_WIDTH[class_].astype(np.int64)
    rows = np.bincount(batch + len(has) * width, weights=count, minlength=9 * len(has))
    run = _Runs(head, count, width, rows.astype(np.int64).reshape(9, -1))
    total = accumulated(_steps(stack, run), head, count)
    if int(class_.min()) < 6:
        # Wrapped to the width of the class, with its sign.
        bias = BIAS[class_].repeat(count)
        total += bias
        total &= MASK[class_].repeat(count)
        total -= bias
    value = total.astype(np.float64)
    with np.errstate(over="ignore"):  # a hostile batch may name any number
        value *= layout.scale[signal].repeat(count)
        value += layout.offset[signal].repeat(count)
    _take_floats(stack, value, run)
    if layout.any_text and (is_text := layout.is_text[signal]).any():
        texts = np.array([len(one.texts) for one in stack.columns])
        check_texts(value[is_text.repeat(count)], texts[batch[is_text]].repeat(count[is_text]))
    return value


def _steps(stack: _Stack, run: _Runs) -> Times:
    step = np.zeros(int(run.count.sum()), np.int64)
    for octets, name in VALUES.items():
        columns: list[bytes] = [getattr(one, name) for one in stack.columns]
        rows = run.rows[octets].tolist()
        for data, count in zip(columns, rows, strict=True):
            if len(data) != octets * count:
                raise BadInput(f"{name}: {len(data)} bytes for {count} numbers")
        if any(columns):
            numbers = unzigzag(from_whole_planes(columns, rows, octets))
            step[(run.width == octets).repeat(run.count)] = numbers
    return step


def _take_floats(stack: _Stack, value: Floats, run: _Runs) -> None:
    """Put the values of class FLOAT into `value`."""
    columns = [one.floats for one in stack.columns]
    rows = run.rows[0].tolist()
    for data, count in zip(columns, rows, strict=True):
        if data and not count:
            raise BadInput("a batch has floats but no run of them")
        if len(data) != 8 * count:
            raise BadInput(f"floats: {len(data)} bytes for {count} numbers")
    if not any(rows):
        return
    chosen = (run.width == 0).repeat(run.count)
    bits = np.zeros(len(value), np.uint64)
    bits[chosen] = from_whole_planes(columns, rows, 8)
    total = np.bitwise_xor.accumulate(bits)
    total ^= (total[run.head] ^ bits[run.head]).repeat(run.count)
    value[chosen] = total.view(np.float64)[chosen]
