"""What the functions of campaigns may use of the vehicle, and the constants of how they are run.

Rule 1: what an operator may have a reason to change is in Limits; the rest is a constant with its argument.
"""

from dataclasses import dataclass

from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.errors import BadInput

MIB = 1 << 20

# A start is 60 ms of CPU time here and ten times that on a small head unit under load; nobody waits for it.
START_TIMEOUT_NS = 10 * NS_PER_S
# A module's top level runs once per call in a condition, and may build tables: as long as so many calls.
OPEN_CALLS = 4
# Rows of one round trip: of a larger one the trip is no smaller part, and all of it is lost when it is late.
BATCH_MAX_ROWS = 256
# The engine waits for an answer: a batch that is slow in each of its rows may take so many calls' time.
BATCH_MAX_CALLS = 20
# An answer that is late because the processor had others to serve may take so many deadlines: nobody waits,
# calls until then are undefined, and what the functions remember is kept.
PATIENCE_CALLS = 20
# A hanging function costs one call's deadline, then nothing for so long; it doubles with each failure.
BACKOFF_MIN_NS = NS_PER_S
BACKOFF_MAX_NS = 60 * NS_PER_S
# Five ends in a row with pauses of 1, 2, 4 and 8 s between are no bad luck.
FAILURES_MAX = 5
# What has worked for so long has left its failures behind.
HEALTHY_NS = 10 * 60 * NS_PER_S
# An exception may be about one odd value, and leaves the process as it is; so many in a row are a defect.
ERRORS_MAX = 100
# A campaign has one process; each is some 10 MB of resident memory.
PROCESSES_MAX = 16
# Calls in the conditions of one campaign: an expression of 2,048 characters has room for 64.
PLACES_MAX = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What one campaign's process may use."""

    memory_max_bytes: int = 32 * MIB  # beyond what Python itself takes
    call_timeout_ns: int = 50 * NS_PER_MS
    cpu_max_ns_per_s: int = 100 * NS_PER_MS  # of CPU time, in each second of the clock
    nice: int = 2  # behind the agent, but not far: it waits for the answers

    def __post_init__(self) -> None:
        if min(self.memory_max_bytes, self.call_timeout_ns, self.cpu_max_ns_per_s) <= 0:
            raise BadInput("a limit of custom functions is 0 or less; choose more")

    def timeout_ns(self, rows: int) -> int:
        """Return how long an answer to `rows` calls may take."""
        return self.call_timeout_ns * min(max(rows, 1), BATCH_MAX_CALLS)


@dataclass(frozen=True, slots=True)
class CpuBudget:
    """CPU time that may still be used: it fills up by the clock, to one second's worth."""

    limits: Limits
    left_ns: float
    at_ns: int

    @classmethod
    def full(cls, limits: Limits, now_ns: int) -> "CpuBudget":
        """Return the budget of a process that has used nothing."""
        return cls(limits, float(limits.cpu_max_ns_per_s), now_ns)

    def after(self, used_ns: int, now_ns: int) -> "CpuBudget":
        """Return what is left at `now_ns` when `used_ns` were used since the last look."""
        per_s = self.limits.cpu_max_ns_per_s
        filled_ns = self.left_ns + (now_ns - self.at_ns) * per_s / NS_PER_S - used_ns
        return CpuBudget(self.limits, min(filled_ns, float(per_s)), now_ns)
