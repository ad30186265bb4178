"""The times of a batch's frames as steps: the time from each frame to the next, in the coarsest unit that fits.

    order 0   steps that never go back, as they are        a busy bus
    order 1   steps, zigzagged                             a clock that was set back
    order 2   differences of steps, zigzagged              a lone message at a steady rate

    steps     one byte each: below 128 the step; else 128 + its high part, up to 126; 255: see highs
    lows      for each step from 128 on, the low byte of step - 128
    highs     for each 255, (step - 128) >> 8, as planes

Within a burst of frames a step is a few microseconds, between bursts it is noise: the split keeps them apart.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.samples import Times
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire.planes import from_planes, planes, unzigzag, width_of, zigzag

PLAIN, ZIGZAG, SECOND = 0, 1, 2
_UNITS_NS = (1_000_000, 1_000)
_LONG = 128  # steps from here on have a low byte of their own
_FAR = 255 - _LONG  # high parts from here on do not fit the first byte

Rows = NDArray[np.intp]
_NONE = v1.TelemetryColumns()


def put_times(columns: v1.TelemetryColumns, time_ns: Times) -> None:
    """Put the times of all frames into `columns`."""
    columns.first_time_ns = int(time_ns[0])
    steps = time_ns[1:] - time_ns[:-1]  # wraps, as accumulating it does
    unit = next((unit for unit in _UNITS_NS if not (steps % unit).any()), 1)
    columns.time_unit_ns = unit
    if len(steps) == 0:
        return
    if unit != 1:
        steps //= unit
    numbers, columns.step_order = _numbers(steps)
    code = numbers.astype(np.uint8)
    long = (numbers >= _LONG).nonzero()[0]
    if len(long):
        beyond = numbers[long] - np.uint64(_LONG)
        high = beyond >> np.uint64(8)
        code[long] = np.minimum(high, _FAR) + _LONG
        columns.step_lows = beyond.astype(np.uint8).tobytes()
        far = high[high >= _FAR]
        if len(far):
            columns.step_highs = planes(far, width_of(int(far.max())))
    columns.steps = code.tobytes()


def _numbers(steps: Times) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], int]:
    """Return the order that makes the smallest numbers, and those."""
    if int(steps.min()) >= 0:
        best, order = steps.view(np.uint64), PLAIN
    else:
        best, order = zigzag(steps).view(np.uint64), ZIGZAG
    if len(steps) > 1:
        second = steps.copy()
        second[1:] -= steps[:-1]
        smoother = zigzag(second).view(np.uint64)
        if smoother.sum(dtype=np.float64) < best.sum(dtype=np.float64):
            return smoother, SECOND
    return best, order


def times(columns: Sequence[v1.TelemetryColumns], counts: NDArray[np.int64]) -> Times:
    """Return the times of the frames of several batches, end to end; each has `counts` of them, one at least.

    Raises BadInput.
    """
    start = counts.cumsum() - counts
    # Nobody looks at the steps of a lone frame.
    some = [
        one if count > 1 else _NONE for one, count in zip(columns, counts.tolist(), strict=True)
    ]
    steps = _ordered(_numbers_of(some, start, counts), some, start, counts)
    steps *= np.array([one.time_unit_ns for one in some], np.int64).repeat(counts)
    steps[start] = [one.first_time_ns for one in columns]
    return accumulated(steps, start, counts)


def accumulated(numbers: Times, start: Rows, count: Rows) -> Times:
    """Return the running total of `numbers`, which begins anew at each of `start`; it wraps."""
    total = numbers.cumsum()
    if len(start) > 1:
        total -= (total[start] - numbers[start]).repeat(count)
    return total


def _numbers_of(
    columns: Sequence[v1.TelemetryColumns], start: Rows, counts: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return the numbers of the steps of several batches; before those of each, from `start` on, stands a 0."""
    codes = [b"\0" + one.steps for one in columns]
    for steps, count in zip(codes, counts.tolist(), strict=True):
        if len(steps) != count:
            raise BadInput(f"a batch of {count} frames has {len(steps) - 1} steps")
    code = np.frombuffer(b"".join(codes), np.uint8)
    numbers = code.astype(np.uint64)
    is_long = code >= _LONG
    longs = np.add.reduceat(is_long, start, dtype=np.int64).tolist()
    lows = [one.step_lows for one in columns]
    for low, count in zip(lows, longs, strict=True):
        if len(low) != count:
            raise BadInput(f"{count} steps of a batch are long, and have {len(low)} low bytes")
    if any(longs):
        # Without a long step nobody looks at the highs.
        highs = [
            one.step_highs if count else b"" for one, count in zip(columns, longs, strict=True)
        ]
        high = numbers[is_long] - np.uint64(_LONG)
        is_far = high == _FAR
        if any(highs) or is_far.any():
            far = np.add.reduceat(code == _LONG + _FAR, start, dtype=np.int64).tolist()
            high[is_far] = from_planes(highs, far, what="step_highs")
        beyond = (high << np.uint64(8)) + np.frombuffer(b"".join(lows), np.uint8)
        numbers[is_long] = beyond + np.uint64(_LONG)
    return numbers


def _ordered(
    numbers: NDArray[np.uint64],
    columns: Sequence[v1.TelemetryColumns],
    start: Rows,
    counts: NDArray[np.int64],
) -> Times:
    """Return the steps, in units, that `numbers` stand for."""
    orders = [one.step_order for one in columns]
    if max(orders) > SECOND:
        raise BadInput(f"a batch has steps of order {max(orders)}; 0, 1 and 2 are known")
    plain = numbers.view(np.int64)
    if not any(orders):
        return plain
    zigzagged = unzigzag(numbers)
    second = accumulated(zigzagged, start, counts) if SECOND in orders else zigzagged
    if len(set(orders)) == 1:
        return second
    order = np.array(orders, np.uint8).repeat(counts)
    return np.where(order == PLAIN, plain, np.where(order == SECOND, second, zigzagged))
