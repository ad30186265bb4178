"""Thinning: which samples of many signals are kept, by interval and by change.

    kept when   it is the first of its signal
                or interval_ns have passed since the last kept one, or the clock has jumped behind that one,
                   and (not on_change, or its value is not the last kept one)

Rule 1: both conditions look at the last *kept* sample, so a change that comes too early is not lost: the
        signal's next sample after the interval differs from the last kept value and goes.
Rule 2: NaN equals NaN.
Rule 3: the kernel and the NumPy rounds give the same answer on every input; tests hold them to it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Sift = Callable[..., int]

kernel_sift: Sift | None
try:
    from edge_agent.canbus import _kernel
except ImportError:  # no compiler where this was installed
    kernel_sift = None
else:
    kernel_sift = getattr(_kernel, "sift", None)

# In `last_time_ns`: nothing of this signal has been kept yet.
NEVER = int(np.iinfo(np.int64).min)


class Sieve:
    """Remembers for each signal what was kept last."""

    def __init__(
        self,
        interval_ns: NDArray[np.int64],
        on_change: NDArray[np.bool_],
        *,
        sift: Sift | None = None,
    ) -> None:
        self._interval_ns = np.ascontiguousarray(interval_ns, np.int64)
        self._on_change = np.ascontiguousarray(on_change, np.uint8)
        self._sift = sift or kernel_sift or by_rounds
        self.last_time_ns = np.full(len(interval_ns), NEVER, np.int64)
        self.last_value = np.full(len(interval_ns), np.nan, np.float64)

    def kept(
        self, signal: NDArray[np.int32], time_ns: NDArray[np.int64], value: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return a mask of the rows that are kept, and remember them."""
        keep = np.zeros(len(signal), np.uint8)
        self._sift(
            np.ascontiguousarray(signal, np.int32),
            np.ascontiguousarray(time_ns, np.int64),
            np.ascontiguousarray(value, np.float64),
            self._interval_ns,
            self._on_change,
            self.last_time_ns,
            self.last_value,
            keep,
        )
        return keep.view(np.bool_)


def by_rounds(  # noqa: PLR0913, PLR0917 - the kernel's signature
    signal: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    value: NDArray[np.float64],
    interval_ns: NDArray[np.int64],
    on_change: NDArray[np.uint8],
    last_time_ns: NDArray[np.int64],
    last_value: NDArray[np.float64],
    keep: NDArray[np.uint8],
) -> int:
    """The kernel's `sift` in NumPy: round r looks at the r-th sample of every signal at once."""
    keep[:] = 0
    rows = _candidates(signal, time_ns, interval_ns, last_time_ns)
    rows = rows[np.argsort(signal[rows], kind="stable")]
    while len(rows):
        is_first = np.empty(len(rows), np.bool_)
        is_first[0] = True
        np.not_equal(signal[rows[1:]], signal[rows[:-1]], out=is_first[1:])
        now, rows = rows[is_first], rows[~is_first]
        of, time, new = signal[now], time_ns[now], value[now]
        last, old = last_time_ns[of], last_value[of]
        due = (time < last) | _passed(time, last, interval_ns[of])
        due &= (on_change[of] == 0) | ~((new == old) | (np.isnan(new) & np.isnan(old)))
        due |= last == NEVER
        keep[now[due]] = 1
        last_time_ns[of[due]] = time[due]
        last_value[of[due]] = new[due]
    return int(keep.sum())


def _candidates(
    signal: NDArray[np.int32],
    time_ns: NDArray[np.int64],
    interval_ns: NDArray[np.int64],
    last_time_ns: NDArray[np.int64],
) -> NDArray[np.intp]:
    """Return the rows that may be kept: while time runs forward, what is too early now stays too early."""
    last = last_time_ns[signal]
    runs_forward = bool(np.all(time_ns[1:] >= time_ns[:-1])) and bool(np.all(time_ns >= last))
    if not runs_forward:
        return np.arange(len(signal))
    return np.flatnonzero((last == NEVER) | _passed(time_ns, last, interval_ns[signal]))


def _passed(
    time_ns: NDArray[np.int64], last_ns: NDArray[np.int64], interval_ns: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether the interval lies between, for times that run forward: even 2**63 ns do not overflow."""
    return (time_ns - last_ns).view(np.uint64) >= interval_ns.view(np.uint64)
