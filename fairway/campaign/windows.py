"""Windows: the least, greatest and mean value of a signal in windows of one length that follow each other.

    activation |----- window -----|----- window -----|-- collecting
                     previous            last

Rule 1: the first window starts on activation, whether samples come or not; a sample at the end of a window
        belongs to the next.
Rule 2: a window without a sample is undefined, and so is what never ended.
Rule 3: what is not a number is not counted.
Rule 4: while all is empty nothing ends: hours without samples cost nothing.
"""

import math
from dataclasses import dataclass

import numpy as np

from fairway.samples import Floats


@dataclass(frozen=True, slots=True)
class Summary:
    """What is asked of a window that has ended."""

    min: float
    max: float
    avg: float


class Window:
    """The windows of one signal."""

    def __init__(self, length_ns: int, start_ns: int) -> None:
        self.length_ns = length_ns
        self.end_ns = start_ns + length_ns
        self.last: Summary | None = None
        self.previous: Summary | None = None
        self._min = math.inf
        self._max = -math.inf
        self._sum = 0.0
        self._count = 0

    @property
    def due_ns(self) -> int | None:
        """When the window ends, None when that changes nothing."""
        return self.end_ns if self._count or self.last or self.previous else None

    def add(self, now_ns: int, value: float) -> None:
        """Take a sample."""
        if math.isnan(value):
            return
        self._skip(now_ns)
        self._min = min(self._min, value)
        self._max = max(self._max, value)
        self._sum += value
        self._count += 1

    def add_all(self, now_ns: int, values: Floats) -> None:
        """Take samples of one window, the first at `now_ns`, with the same result as one by one."""
        values = values[~np.isnan(values)]
        if not len(values):
            return
        self._skip(now_ns)
        self._min = min(self._min, float(values.min()))
        self._max = max(self._max, float(values.max()))
        # In order: sums of floats depend on it, and NumPy's own sum has another.
        self._sum = float(np.add.accumulate(np.concatenate(([self._sum], values)))[-1])
        self._count += len(values)

    def end(self) -> None:
        """End the window that is being collected and begin the next."""
        self.previous, self.last = self.last, self._summary()
        self._min, self._max, self._sum, self._count = math.inf, -math.inf, 0.0, 0
        self.end_ns += self.length_ns

    def _skip(self, now_ns: int) -> None:
        if now_ns >= self.end_ns:
            self.end_ns += ((now_ns - self.end_ns) // self.length_ns + 1) * self.length_ns

    def _summary(self) -> Summary | None:
        if not self._count:
            return None
        # + 0.0: there are two zeros, and which of them is least depends on who compares.
        return Summary(self._min + 0.0, self._max + 0.0, self._sum / self._count)
