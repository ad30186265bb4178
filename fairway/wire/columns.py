"""A sample block as TelemetryColumns and back: proto/fairway/v1/telemetry.proto says what they hold.

    block --seal--> bytes (a zstd frame) --unseal--> the same rows in the same order, bit for bit

Rule 1: the order of rows is kept whatever it is: a row that does not ascend begins a new frame.
Rule 2: a signal goes as raw numbers only when raw * scale + offset gives back every one of its values bit for
        bit; with one NaN or -0.0 among them it goes as IEEE 754 bits.
Rule 3: no loop over samples; every array made from foreign bytes is bounded by the samples the batch declares.
"""

from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.samples import Floats, SampleBlock, SignalTable, Times
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire.compression import compressed, decompressed
from fairway.wire.layout import Layout, layout_of
from fairway.wire.planes import SIGNED, from_planes, planes, unzigzag, width_of, zigzag

# A batch is decoded in one piece: 24 MB of columns, and a fifth of a second, at the most.
BATCH_MAX_SAMPLES = 1_000_000
# Texts are states and messages for people, and repeat; a batch has room for 1,000 long ones.
TEXTS_MAX_BYTES = 1_048_576
# A sample takes at most a time, a part, a mask, a class and a value.
_SAMPLE_MAX_BYTES = 8 + 2 + 8 + 1 + 8
# The message around the columns.
_FRAMING_MAX_BYTES = 4096

# How the runs of a batch are stored: `classes` of TelemetryColumns.
FLOAT = 7
WIDTH = np.array([1, 1, 2, 2, 4, 4, 8, 8], np.uint8)
# raw = ((accumulated + BIAS) & MASK) - BIAS: wrapped to the class's width, with its sign.
BIAS = np.array([0, 1 << 7, 0, 1 << 15, 0, 1 << 31, 0, 0], np.int64)
MASK = np.array([0xFF, 0xFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, -1, -1], np.int64)
_LOWEST = np.array([0, -(1 << 7), 0, -(1 << 15), 0, -(1 << 31)], np.int64)
_HIGHEST = _LOWEST + MASK[:6]
_VALUES = {1: "values_8", 2: "values_16", 4: "values_32", 8: "values_64"}
# Beyond this a float64 is no longer sure to be the whole number it stands for.
_WHOLE_MAX = float(1 << 53)

_BIT = np.uint64(1) << np.arange(64, dtype=np.uint64)
_UNITS_NS = (1_000_000, 1_000)

Rows = NDArray[np.intp]


def seal(block: SampleBlock) -> bytes:
    """Return `block` as compressed TelemetryColumns.  Raises BadInput for a block no batch can hold."""
    if len(block) > BATCH_MAX_SAMPLES:
        raise BadInput(
            f"{len(block)} samples do not fit one batch; its limit is {BATCH_MAX_SAMPLES}"
        )
    columns = v1.TelemetryColumns()
    if len(block):
        layout = layout_of(block.table)
        lowest, highest = int(block.signal.min()), int(block.signal.max())
        if lowest < 0 or highest >= len(block.table):
            raise BadInput(
                f"a sample is of signal {highest if lowest >= 0 else lowest}, the table has {len(block.table)}"
            )
        _put_frames(columns, block, layout)
        _put_values(columns, block, layout)
    return compressed(columns.SerializeToString())


def _put_frames(columns: v1.TelemetryColumns, block: SampleBlock, layout: Layout) -> None:
    time_ns, part, bit = block.time_ns, layout.part[block.signal], layout.bit[block.signal]
    begins = np.ones(len(block), np.bool_)
    begins[1:] = (time_ns[1:] != time_ns[:-1]) | (part[1:] != part[:-1]) | (bit[1:] <= bit[:-1])
    start = np.flatnonzero(begins)
    columns.frames = len(start)
    _put_times(columns, time_ns[start])
    part = part[start]
    columns.parts = planes(part, width_of(int(part.max())))
    mask = np.bitwise_or.reduceat(_BIT[bit], start)
    order = np.argsort(part, kind="stable")
    octets = mask[order].astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
    kept = np.arange(8) < layout.part_bytes[part[order]][:, None]
    columns.masks = octets[kept].tobytes()


def _put_times(columns: v1.TelemetryColumns, time_ns: Times) -> None:
    columns.first_time_ns = int(time_ns[0])
    steps = np.diff(time_ns)  # wraps, as accumulating it does
    unit = next((unit for unit in _UNITS_NS if not (steps % unit).any()), 1)
    columns.time_unit_ns, columns.step_order = unit, 1
    if len(steps) == 0:
        return
    if unit != 1:
        steps //= unit
    best = zigzag(steps)
    if len(steps) > 1:
        # A lone message at a steady rate is described by differences of differences, a busy bus is not.
        second = steps.copy()
        second[1:] -= steps[:-1]
        smoother = zigzag(second)
        if smoother.sum(dtype=np.float64) < best.sum(dtype=np.float64):
            best, columns.step_order = smoother, 2
    columns.steps = planes(best, width_of(int(best.max())))


def _put_values(columns: v1.TelemetryColumns, block: SampleBlock, layout: Layout) -> None:
    rank = layout.rank[block.signal]
    order = np.argsort(rank, kind="stable")
    rank, value = rank[order], block.value[order]
    head = np.flatnonzero(np.diff(rank, prepend=rank[0] ^ 1))
    count = np.diff(head, append=len(rank))
    run = rank[head]
    if layout.any_text and layout.is_text[run].any():
        _put_texts(columns, block, value[np.repeat(layout.is_text[run], count)])
    raw, fits = _raw(
        value, np.repeat(layout.scale[run], count), np.repeat(layout.offset[run], count)
    )
    lowest, highest = np.minimum.reduceat(raw, head), np.maximum.reduceat(raw, head)
    class_ = _classes(lowest, highest)
    if fits is not None:
        class_[~np.logical_and.reduceat(fits, head)] = FLOAT
    columns.classes = class_.tobytes()
    before = np.empty_like(raw)
    before[1:] = raw[:-1]
    before[head] = 0
    _put_runs(columns, raw - before, np.repeat(class_, count))
    if fits is not None:
        _put_floats(columns, value, head, np.repeat(class_ == FLOAT, count))


def _raw(value: Floats, scale: Floats, offset: Floats) -> tuple[Times, NDArray[np.bool_] | None]:
    """Return the raw numbers, and which of them give back their values (None: all do)."""
    with np.errstate(all="ignore"):
        raw = np.rint((value - offset) / scale) + 0.0  # a raw number knows no -0.0
        back = raw * scale + offset
        fits = (back.view(np.int64) == value.view(np.int64)) & (np.abs(raw) <= _WHOLE_MAX)
    if fits.all():
        return raw.astype(np.int64), None
    return np.where(fits, raw, 0.0).astype(np.int64), fits


def _classes(lowest: Times, highest: Times) -> NDArray[np.uint8]:
    """Return the narrowest class that holds each run."""
    class_ = np.full(len(lowest), 6, np.uint8)
    for number in range(5, -1, -1):
        class_[(lowest >= _LOWEST[number]) & (highest <= _HIGHEST[number])] = number
    return class_


def _put_runs(columns: v1.TelemetryColumns, step: Times, class_: NDArray[np.uint8]) -> None:
    width = WIDTH[class_]
    width[class_ == FLOAT] = 0
    for octets, name in _VALUES.items():
        rows = np.flatnonzero(width == octets)
        if len(rows):
            setattr(columns, name, planes(zigzag(step[rows].astype(SIGNED[octets])), octets))


def _put_floats(
    columns: v1.TelemetryColumns, value: Floats, head: Rows, chosen: NDArray[np.bool_]
) -> None:
    bits = value.view(np.uint64)
    before = np.empty_like(bits)
    before[1:] = bits[:-1]
    before[head] = 0
    columns.floats = planes((bits ^ before)[chosen], 8)


def _put_texts(columns: v1.TelemetryColumns, block: SampleBlock, value: Floats) -> None:
    check_texts(value, len(block.texts))
    if sum(len(text.encode()) + 4 for text in block.texts) > TEXTS_MAX_BYTES:
        raise BadInput(f"the texts of a batch take more than {TEXTS_MAX_BYTES} bytes")
    columns.texts.extend(block.texts)


def check_texts(value: Floats, texts: int) -> None:
    """Raise BadInput unless every one of `value` counts one of so many texts."""
    if not ((value >= 0) & (value < texts) & (value == np.floor(value))).all():
        raise BadInput(f"a sample of a TEXT signal is not one of the {texts} texts of its block")


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """The rows of a batch, by part, then frame, then bit."""

    rank: NDArray[np.int64]
    place: NDArray[np.int64]  # where the row stands in the block
    time_ns: Times  # of the block


def unseal(data: bytes, samples: int, table: SignalTable) -> SampleBlock:
    """Return the block of so many `samples` that `data` holds.  Raises BadInput."""
    if samples > BATCH_MAX_SAMPLES:
        raise BadInput(f"a batch of {samples} samples is over the limit of {BATCH_MAX_SAMPLES}")
    limit = _FRAMING_MAX_BYTES + TEXTS_MAX_BYTES + samples * _SAMPLE_MAX_BYTES
    content = decompressed(data, max_bytes=limit, what="the columns of a batch")
    try:
        columns = v1.TelemetryColumns.FromString(content)
    except DecodeError as error:
        raise BadInput("the columns of a batch are no TelemetryColumns") from error
    layout = layout_of(table)
    frames = _frames(columns, samples, layout)
    if frames is None:
        return SampleBlock(
            table, np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64)
        )
    order = np.argsort(frames.rank.astype(np.uint16), kind="stable")
    value = np.empty(samples, np.float64)
    value[frames.place[order]] = _values(columns, frames.rank[order], layout)
    signal = np.empty(samples, np.int32)
    signal[frames.place] = layout.position[frames.rank]
    return SampleBlock(table, signal, frames.time_ns, value, tuple(columns.texts))


def _frames(columns: v1.TelemetryColumns, samples: int, layout: Layout) -> _Frames | None:
    count = columns.frames
    if count > samples or (samples and not count):
        raise BadInput(f"a batch of {samples} samples cannot have {count} frames")
    if not count:
        return None
    part = from_planes(columns.parts, count, what="parts")
    if int(part.max()) >= len(layout.part_bytes):
        raise BadInput(
            f"a batch has part {int(part.max())}, its dictionary {len(layout.part_bytes)} parts"
        )
    part = part.astype(np.uint16)
    order = np.argsort(part, kind="stable")
    part = part[order]
    octets = layout.part_bytes[part]
    end_octet = np.cumsum(octets)
    if len(columns.masks) != int(end_octet[-1]):
        raise BadInput(
            f"masks of {len(columns.masks)} bytes where the parts of a batch need {end_octet[-1]}"
        )
    at = np.flatnonzero(np.unpackbits(np.frombuffer(columns.masks, np.uint8), bitorder="little"))
    if len(at) != samples:
        raise BadInput(f"a batch that declares {samples} samples has {len(at)}")
    frame = np.repeat(np.arange(count), octets)[at >> 3]
    size = np.bincount(frame, minlength=count)
    rank = at + (layout.part_start[part] - 8 * (end_octet - octets))[frame]
    if not size.all() or (rank >= layout.part_start[part + 1][frame]).any():
        raise BadInput("a batch has a frame without samples, or with signals that its part has not")
    size_in_order = np.empty_like(size)
    size_in_order[order] = size
    start = np.cumsum(size_in_order) - size_in_order
    place = np.arange(samples) + (start[order] - (np.cumsum(size) - size))[frame]
    return _Frames(rank, place, np.repeat(_times(columns, count), size_in_order))


def _times(columns: v1.TelemetryColumns, count: int) -> Times:
    steps = (
        unzigzag(from_planes(columns.steps, count - 1, what="steps"))
        if count > 1
        else np.empty(0, np.int64)
    )
    if columns.step_order == 2:
        steps = np.cumsum(steps)
    elif columns.step_order != 1:
        raise BadInput(f"a batch has times of order {columns.step_order}; 1 and 2 are known")
    time_ns = np.empty(count, np.int64)
    time_ns[0] = columns.first_time_ns
    time_ns[1:] = steps * columns.time_unit_ns
    return np.cumsum(time_ns)


def _values(columns: v1.TelemetryColumns, rank: NDArray[np.int64], layout: Layout) -> Floats:
    head = np.flatnonzero(np.diff(rank, prepend=-1))
    count = np.diff(head, append=len(rank))
    class_ = np.frombuffer(columns.classes, np.uint8)
    if len(class_) != len(head) or int(class_.max()) > FLOAT:
        raise BadInput(
            f"a batch has {len(class_)} classes for the runs of {len(head)} signals, or unknown ones"
        )
    run = rank[head]
    step = _steps(columns, np.repeat(WIDTH[class_] * (class_ != FLOAT), count))
    total = np.cumsum(step)
    bias = BIAS[class_]
    # Each run starts anew: what was accumulated before it is taken off, and the class's bias put on.
    total += np.repeat(bias - (total[head] - step[head]), count)
    total &= np.repeat(MASK[class_], count)
    total -= np.repeat(bias, count)
    value = total.astype(np.float64)
    with np.errstate(over="ignore"):  # a hostile batch may name any number
        value *= np.repeat(layout.scale[run], count)
        value += np.repeat(layout.offset[run], count)
    if (class_ == FLOAT).any():
        _take_floats(columns, value, head, class_ == FLOAT, count)
    elif columns.floats:
        raise BadInput("a batch has floats but no run of them")
    if layout.any_text and layout.is_text[run].any():
        check_texts(value[np.repeat(layout.is_text[run], count)], len(columns.texts))
    return value


def _steps(columns: v1.TelemetryColumns, width: NDArray[np.uint8]) -> Times:
    step = np.zeros(len(width), np.int64)
    for octets, name in _VALUES.items():
        data: bytes = getattr(columns, name)
        rows = np.flatnonzero(width == octets) if data else ()
        if len(data) != octets * len(rows):
            raise BadInput(f"{name}: {len(data)} bytes for {len(rows)} numbers")
        if data:
            step[rows] = unzigzag(from_planes(data, len(rows), what=name))
    return step


def _take_floats(
    columns: v1.TelemetryColumns,
    value: Floats,
    head: Rows,
    is_float: NDArray[np.bool_],
    count: Rows,
) -> None:
    chosen = np.repeat(is_float, count)
    bits = np.zeros(len(value), np.uint64)
    if len(columns.floats) != 8 * int(chosen.sum()):
        raise BadInput(f"floats: {len(columns.floats)} bytes for {int(chosen.sum())} numbers")
    bits[chosen] = from_planes(columns.floats, int(chosen.sum()), what="floats")
    total = np.bitwise_xor.accumulate(bits)
    total ^= np.repeat(total[head] ^ bits[head], count)
    value[chosen] = total.view(np.float64)[chosen]
