"""The times of a batch's frames as steps: the time from each frame to the next, in the coarsest unit that fits.

    order 0   steps that never go back, as they are        a busy bus
    order 1   steps, zigzagged                             a clock that was set back
    order 2   differences of steps, zigzagged              a lone message at a steady rate

    steps     one byte each: below 128 the step; else 128 + its high part, up to 126; 255: see highs
    lows      for each step from 128 on, the low byte of step - 128
    highs     for each 255, (step - 128) >> 8, as planes

Within a burst of frames a step is a few microseconds, between bursts it is noise: the split keeps them apart.
"""

import numpy as np

from fairway.errors import BadInput
from fairway.samples import Times
from fairway.v1 import telemetry_pb2 as v1
from fairway.wire.planes import from_planes, planes, unzigzag, width_of, zigzag

PLAIN, ZIGZAG, SECOND = 0, 1, 2
_UNITS_NS = (1_000_000, 1_000)
_LONG = 128  # steps from here on have a low byte of their own
_FAR = 255 - _LONG  # high parts from here on do not fit the first byte


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


def times(columns: v1.TelemetryColumns, count: int) -> Times:
    """Return the times of `count` frames, of which there is at least one.  Raises BadInput."""
    time_ns = np.empty(count, np.int64)
    time_ns[0] = columns.first_time_ns
    if count > 1:
        steps = _steps(columns, count - 1)
        steps *= columns.time_unit_ns
        time_ns[1:] = steps
    return time_ns.cumsum()


def _steps(columns: v1.TelemetryColumns, count: int) -> Times:
    if len(columns.steps) != count:
        raise BadInput(f"a batch of {count + 1} frames has {len(columns.steps)} steps")
    numbers = np.frombuffer(columns.steps, np.uint8).astype(np.uint64)
    long = (numbers >= _LONG).nonzero()[0]
    if len(columns.step_lows) != len(long):
        raise BadInput(
            f"{len(long)} steps of a batch are long, and have {len(columns.step_lows)} low bytes"
        )
    if len(long):
        high = numbers[long] - np.uint64(_LONG)
        far = (high == _FAR).nonzero()[0]
        if len(far) or columns.step_highs:
            high[far] = from_planes(columns.step_highs, len(far), what="step_highs")
        lows = np.frombuffer(columns.step_lows, np.uint8)
        numbers[long] = (high << np.uint64(8)) + lows + np.uint64(_LONG)
    match columns.step_order:
        case 0:
            return numbers.view(np.int64)
        case 1:
            return unzigzag(numbers)
        case 2:
            return unzigzag(numbers).cumsum()
        case order:
            raise BadInput(f"a batch has steps of order {order}; 0, 1 and 2 are known")
