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


# NTP slews up to 0.5 ms/s and steps what is over 128 ms; a look comes every second or so on a busy machine.
JUMP_MIN_NS = NS_PER_S


class JumpWatch:
    """Notices when the wall clock was set: it moved otherwise than the monotonic one between two looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ns = clock.now_ns() - clock.monotonic_ns()

    def jump_ns(self) -> int:
        """Return by how much the wall clock was set since the last look, 0 for less than JUMP_MIN_NS."""
        offset_ns = self._clock.now_ns() - self._clock.monotonic_ns()
        jump_ns = offset_ns - self._offset_ns
        if abs(jump_ns) < JUMP_MIN_NS:
            return 0
        self._offset_ns = offset_ns
        return jump_ns


class SteadyClock:
    """The wall clock as it was at the start, and the time since: nobody sets it.

    For what must not happen to a whole fleet at once because a clock was set wrong.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ns = clock.now_ns() - clock.monotonic_ns()

    def now_ns(self) -> int:
        return self._offset_ns + self._clock.monotonic_ns()

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()


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
