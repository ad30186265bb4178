"""Time as a thing that is handed over, so that decisions can be tested and simulated at any speed."""

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Two clocks: the wall for stamps that leave the machine, the monotonic one for waiting."""

    def now_ns(self) -> int:
        """Wall time in nanoseconds since the Unix epoch; it may jump."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; it never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        return time.time_ns()  # noqa: TID251 - the one place that asks

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class ManualClock:
    """A clock that moves when told to; `jump` moves the wall alone, as a wrong GNSS fix does."""

    def __init__(self, now_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def advance(self, duration_ns: int) -> None:
        """Let time pass on both clocks."""
        self._now_ns += duration_ns
        self._monotonic_ns += duration_ns

    def jump(self, duration_ns: int) -> None:
        """Set the wall clock forward (or back) without time passing."""
        self._now_ns += duration_ns
