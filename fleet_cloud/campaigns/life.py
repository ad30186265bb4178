"""The life of a campaign in the cloud, as a table.

    CREATING > WAITING_FOR_APPROVAL > APPROVED > RUNNING <> SUSPENDED          from anywhere: > DELETED

The names are those of AWS IoT FleetWise, but for APPROVED and DELETED: there approval starts a campaign, and
here it may be approved today and started tomorrow.

Rule 1: everything that moves a campaign from one state to another is in MOVES.
Rule 2: what has been approved is not changed any more: whoever wants other content waits for approval again.
"""

from enum import StrEnum

from fairway.errors import Conflict


class State(StrEnum):
    """Where a campaign stands."""

    CREATING = "CREATING"
    WAITING_FOR_APPROVAL = "WAITING_FOR_APPROVAL"
    APPROVED = "APPROVED"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    DELETED = "DELETED"

    @property
    def is_in_vehicles(self) -> bool:
        """Whether vehicles are told of it."""
        return self in (State.RUNNING, State.SUSPENDED)


class Move(StrEnum):
    """What somebody wants of a campaign."""

    SUBMIT = "submit"
    CHANGE = "change"
    APPROVE = "approve"
    START = "start"
    STAGE = "stage"
    HALT = "halt"
    SUSPEND = "suspend"
    RESUME = "resume"
    DELETE = "delete"


MOVES: dict[tuple[State, Move], State] = {
    (State.CREATING, Move.SUBMIT): State.WAITING_FOR_APPROVAL,
    (State.WAITING_FOR_APPROVAL, Move.CHANGE): State.WAITING_FOR_APPROVAL,
    (State.WAITING_FOR_APPROVAL, Move.APPROVE): State.APPROVED,
    # An approval is of this content, not of the next.
    (State.APPROVED, Move.CHANGE): State.WAITING_FOR_APPROVAL,
    (State.APPROVED, Move.START): State.RUNNING,
    (State.RUNNING, Move.STAGE): State.RUNNING,
    (State.RUNNING, Move.HALT): State.RUNNING,
    (State.RUNNING, Move.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Move.RESUME): State.RUNNING,
    (State.CREATING, Move.DELETE): State.DELETED,
    (State.WAITING_FOR_APPROVAL, Move.DELETE): State.DELETED,
    (State.APPROVED, Move.DELETE): State.DELETED,
    (State.RUNNING, Move.DELETE): State.DELETED,
    (State.SUSPENDED, Move.DELETE): State.DELETED,
}


def moved(name: str, state: State, move: Move) -> State:
    """Return the state after `move`.  Raises Conflict when there is no such move from `state`."""
    to = MOVES.get((state, move))
    if to is None:
        allowed = ", ".join(wanted for at, wanted in MOVES if at is state)
        raise Conflict(
            f"the campaign {name} is {state}, and cannot {move}: it can {allowed or 'nothing'}"
        )
    return to
