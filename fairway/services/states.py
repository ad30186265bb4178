"""The states of a service, named as Ankaios names them (ank_base.proto, ExecutionState).

Rule 1: a state is told with its sub-state and one sentence more, nothing else: State, sub-state, "why".
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a service stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    STOPPING = "Stopping"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    NOT_SCHEDULED = "NotScheduled"
    REMOVED = "Removed"


class Sub(StrEnum):
    """More of it."""

    INITIAL = "Initial"
    WAITING_TO_START = "WaitingToStart"
    STARTING = "Starting"
    STARTING_FAILED = "StartingFailed"
    OK = "Ok"
    STOPPING = "Stopping"
    WAITING_TO_STOP = "WaitingToStop"
    REQUESTED_AT_RUNTIME = "RequestedAtRuntime"
    DELETE_FAILED = "DeleteFailed"
    EXEC_FAILED = "ExecFailed"
    UNKNOWN = "Unknown"
    LOST = "Lost"
    NONE = ""


SUBS: dict[State, frozenset[Sub]] = {
    State.PENDING: frozenset(
        {Sub.INITIAL, Sub.WAITING_TO_START, Sub.STARTING, Sub.STARTING_FAILED}
    ),
    State.RUNNING: frozenset({Sub.OK}),
    State.STOPPING: frozenset(
        {Sub.STOPPING, Sub.WAITING_TO_STOP, Sub.REQUESTED_AT_RUNTIME, Sub.DELETE_FAILED}
    ),
    State.SUCCEEDED: frozenset({Sub.OK}),
    State.FAILED: frozenset({Sub.EXEC_FAILED, Sub.UNKNOWN, Sub.LOST}),
    State.NOT_SCHEDULED: frozenset({Sub.NONE}),
    State.REMOVED: frozenset({Sub.NONE}),
}


@dataclass(frozen=True, slots=True)
class Status:
    """How one service stands, for people and for the cloud."""

    name: str
    state: State
    sub: Sub = Sub.NONE
    why: str = ""  # one sentence: what it waits for, or how it ended
    version: str = ""
    instance: str = ""
    is_ready: bool = False
    is_isolated: bool = True  # False: plain processes, which nothing holds
    restarts: int = 0
    since_ns: int = 0  # wall clock
    last_good: str = ""  # version that would return
    bad: tuple[str, ...] = ()  # versions that failed here and are not tried again
    warnings: tuple[str, ...] = ()
    cpu: float = 0.0  # of one core
    memory_bytes: int = 0

    def __str__(self) -> str:
        inner = f"({self.sub})" if self.sub else ""
        return f"{self.state}{inner}"
