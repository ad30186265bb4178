r"""The life of the process that runs a campaign's functions, as a table.

    IDLE > STARTING > READY        a process that fails is killed and started again, later each time
               ^  \      /
               |   v    v
               RESTARTING          GIVEN_UP: its source is not right, or it has failed too often

Rule 1: everything that moves a process from one state to another is in MOVES.
Rule 2: this file does no I/O and asks no clock; whoever runs the process acts on the state.
Rule 3: whatever ends a process has a reason in words; the reason stays until it works again.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from edge_agent.functions.limits import (
    BACKOFF_MAX_NS,
    BACKOFF_MIN_NS,
    FAILURES_MAX,
    HEALTHY_NS,
    START_TIMEOUT_NS,
)


class State(StrEnum):
    """Where a process is."""

    IDLE = "idle"  # nobody has called yet
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "waiting before it starts again"
    GIVEN_UP = "given up"


class Event(StrEnum):
    """What happens to it."""

    WANTED = "called"
    LOADED = "said that its functions are loaded"
    FAILED = "ended, was late, or answered nonsense"
    FAILED_TOO_OFTEN = "failed once more than is bearable"
    REFUSED = "said that its functions can never work"
    DUE = "the wait is over"


MOVES: dict[tuple[State, Event], State] = {
    (State.IDLE, Event.WANTED): State.STARTING,
    (State.STARTING, Event.LOADED): State.READY,
    (State.STARTING, Event.FAILED): State.RESTARTING,
    (State.STARTING, Event.FAILED_TOO_OFTEN): State.GIVEN_UP,
    # A source that does not compile will not compile tomorrow.
    (State.STARTING, Event.REFUSED): State.GIVEN_UP,
    (State.READY, Event.FAILED): State.RESTARTING,
    (State.READY, Event.FAILED_TOO_OFTEN): State.GIVEN_UP,
    (State.RESTARTING, Event.DUE): State.STARTING,
}


@dataclass(frozen=True, slots=True)
class Life:
    """A state, and what led to it."""

    state: State = State.IDLE
    since_ns: int = 0  # monotonic, as all times here
    due_ns: int = 0  # STARTING: ready by then; RESTARTING: started then
    failures: int = 0  # without HEALTHY_NS of work between
    reason: str = ""  # of the last failure


def started(life: Life, now_ns: int) -> Life:
    """Return the life of a process that was just launched, for the first time or again."""
    event = Event.WANTED if life.state is State.IDLE else Event.DUE
    return replace(_moved(life, event, now_ns), due_ns=now_ns + START_TIMEOUT_NS)


def loaded(life: Life, now_ns: int) -> Life:
    """Return the life of a process that may be called."""
    return _moved(life, Event.LOADED, now_ns)


def refused(life: Life, now_ns: int, reason: str) -> Life:
    """Return the life of a process whose functions can never work."""
    return replace(_moved(life, Event.REFUSED, now_ns), reason=reason)


def failed(life: Life, now_ns: int, reason: str) -> Life:
    """Return the life of a process that has to be killed: it waits, or is given up."""
    was_healthy = life.state is State.READY and now_ns - life.since_ns >= HEALTHY_NS
    failures = 1 if was_healthy else life.failures + 1
    if failures >= FAILURES_MAX:
        ended = _moved(life, Event.FAILED_TOO_OFTEN, now_ns)
        return replace(
            ended, failures=failures, reason=f"it failed {failures} times, at last so: {reason}"
        )
    wait_ns = min(BACKOFF_MIN_NS << (failures - 1), BACKOFF_MAX_NS)
    waiting = _moved(life, Event.FAILED, now_ns)
    return replace(waiting, due_ns=now_ns + wait_ns, failures=failures, reason=reason)


def is_to_start(life: Life, now_ns: int) -> bool:
    """Return whether a process has to be launched now, given that somebody calls."""
    return life.state is State.IDLE or (life.state is State.RESTARTING and now_ns >= life.due_ns)


def _moved(life: Life, event: Event, now_ns: int) -> Life:
    return replace(life, state=MOVES[life.state, event], since_ns=now_ns)
