"""A sample block as TelemetryColumns and back: proto/fairway/v1/telemetry.proto says what they hold.

    block --seal--> bytes (a zstd frame) --unseal--> the same rows in the same order, bit for bit

Rule 1: the order of rows is kept whatever it is: a row that does not ascend begins a new frame.
Rule 2: a signal goes as raw numbers only when raw * scale + offset gives back every one of its values bit for
        bit; with one NaN or -0.0 among them it goes as IEEE 754 bits.
Rule 3: no loop over samples; every array made from foreign bytes is bounded by the samples the batch declares.
"""

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.samples import Floats, SampleBlock, Times
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire.compression import compressed, compressed_apart
from fairway.wire.layout import Layout, layout_of
from fairway.wire.planes import SIGNED, planes, width_of, zigzag
from fairway.wire.steps import put_times

# A batch is decoded in one piece: 24 MB of columns, and a fifth of a second, at the most.
BATCH_MAX_SAMPLES = 1_000_000
# Texts are states and messages for people, and repeat; a batch has room for 1,000 long ones.
TEXTS_MAX_BYTES = 1_048_576

# How the runs of a batch are stored: `classes` of TelemetryColumns.
FLOAT = 7
STEP_WIDTH = np.array([1, 1, 2, 2, 4, 4, 8, 0], np.uint8)
# raw = ((accumulated + BIAS) & MASK) - BIAS: wrapped to the class's width, with its sign.
BIAS = np.array([0, 1 << 7, 0, 1 << 15, 0, 1 << 31, 0, 0], np.int64)
MASK = np.array([0xFF, 0xFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, -1, -1], np.int64)
_LOWEST = np.array([0, -(1 << 7), 0, -(1 << 15), 0, -(1 << 31)], np.int64)
_HIGHEST = _LOWEST + MASK[:6]
VALUES = {1: "values_8", 2: "values_16", 4: "values_32", 8: "values_64"}
# Beyond this a float64 is no longer sure to be the whole number it stands for.
_WHOLE_MAX = float(1 << 53)

_BIT = np.uint64(1) << np.arange(64, dtype=np.uint64)
# From here on a column is large enough for statistics of its own (5 % on large batches, a loss on small ones).
_APART_MIN_BYTES = 16_384

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
            wrong = highest if lowest >= 0 else lowest
            raise BadInput(f"a sample is of signal {wrong}, the table has {len(block.table)}")
        _put_frames(columns, block, layout)
        _put_values(columns, block, layout)
    content = columns.SerializeToString()
    if len(content) < _APART_MIN_BYTES:
        return compressed(content)
    fields = [(field.name, value) for field, value in columns.ListFields()]
    return compressed_apart(
        [v1.TelemetryColumns(**{name: value}).SerializeToString() for name, value in fields]
    )


def _put_frames(columns: v1.TelemetryColumns, block: SampleBlock, layout: Layout) -> None:
    time_ns, part, bit = block.time_ns, layout.part[block.signal], layout.bit[block.signal]
    begins = np.empty(len(block), np.bool_)
    begins[0] = True
    begins[1:] = (time_ns[1:] != time_ns[:-1]) | (part[1:] != part[:-1]) | (bit[1:] <= bit[:-1])
    start = begins.nonzero()[0]
    columns.frames = len(start)
    put_times(columns, time_ns[start])
    part = part[start]
    columns.parts = planes(part, width_of(int(part.max())))
    mask = np.bitwise_or.reduceat(_BIT[bit], start)
    order = part.argsort(kind="stable")
    octets = mask[order].view(np.uint8).reshape(-1, 8)
    columns.masks = octets[layout.mask_octets[part[order]]].tobytes()


def _put_values(columns: v1.TelemetryColumns, block: SampleBlock, layout: Layout) -> None:
    rank = layout.rank[block.signal]
    order = rank.argsort(kind="stable")
    rank, value = rank[order], block.value[order]
    head, count = runs(rank)
    run = rank[head]
    if layout.any_text:
        value = _put_texts(columns, block, value, layout.is_text[run].repeat(count))
    raw, fits = _raw(value, layout.scale[run].repeat(count), layout.offset[run].repeat(count))
    class_ = _classes(np.minimum.reduceat(raw, head), np.maximum.reduceat(raw, head))
    if fits is not None:
        class_[~np.logical_and.reduceat(fits, head)] = FLOAT
    columns.classes = class_.tobytes()
    step = raw.copy()
    step[1:] -= raw[:-1]
    step[head] = raw[head]
    _put_runs(columns, step, class_.repeat(count))
    if fits is not None:
        _put_floats(columns, value, head, (class_ == FLOAT).repeat(count))


def runs(rank: NDArray[np.uint16] | NDArray[np.int64]) -> tuple[Rows, Rows]:
    """Return where the runs of equal ranks begin, and how long they are."""
    begins = np.empty(len(rank), np.bool_)
    begins[0] = True
    np.not_equal(rank[1:], rank[:-1], out=begins[1:])
    head = begins.nonzero()[0]
    count = np.empty_like(head)
    count[:-1] = head[1:] - head[:-1]
    count[-1] = len(rank) - head[-1]
    return head, count


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
    least, most = int(lowest.min()), int(highest.max())
    for number in range(5, -1, -1):
        if most >= _LOWEST[number] and least <= _HIGHEST[number]:
            class_[(lowest >= _LOWEST[number]) & (highest <= _HIGHEST[number])] = number
    return class_


def _put_runs(columns: v1.TelemetryColumns, step: Times, class_: NDArray[np.uint8]) -> None:
    width = STEP_WIDTH[class_]
    for octets, name in VALUES.items():
        rows = (width == octets).nonzero()[0]
        if len(rows):
            setattr(columns, name, planes(zigzag(step[rows].astype(SIGNED[octets])), octets))


def _put_floats(
    columns: v1.TelemetryColumns, value: Floats, head: Rows, chosen: NDArray[np.bool_]
) -> None:
    bits = value.view(np.uint64)
    change = bits.copy()
    change[1:] ^= bits[:-1]
    change[head] = bits[head]
    columns.floats = planes(change[chosen], 8)


def _put_texts(
    columns: v1.TelemetryColumns, block: SampleBlock, value: Floats, is_text: NDArray[np.bool_]
) -> Floats:
    """Put the texts that are used into `columns` and return `value` with their numbers in it."""
    number = value[is_text]
    if not len(number):
        return value
    check_texts(number, len(block.texts))
    used, renumbered = np.unique(number.astype(np.intp), return_inverse=True)
    texts = [block.texts[at] for at in used.tolist()]
    if sum(len(text.encode()) + 4 for text in texts) > TEXTS_MAX_BYTES:
        raise BadInput(f"the texts of a batch take more than {TEXTS_MAX_BYTES} bytes")
    columns.texts.extend(texts)
    value = value.copy()
    value[is_text] = renumbered
    return value


def check_texts(value: Floats, texts: int | NDArray[np.int64]) -> None:
    """Raise BadInput unless every one of `value` counts one of so many texts (each of its own, in an array)."""
    if not ((value >= 0) & (value < texts) & (value == np.floor(value))).all():
        raise BadInput(
            f"a sample of a TEXT signal is not one of the {np.max(texts)} texts of its block"
        )
