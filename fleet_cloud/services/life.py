"""The life of what is desired of a target, as a table: which content is in force, and which waits for approval.

    NEW > WAITING > IN_FORCE <> CHANGING          from anywhere: > REMOVED

Rule 1: everything that moves it from one state to another is in MOVES.
Rule 2: while a new content waits, vehicles keep running the one in force.
"""

from enum import StrEnum

from fairway.errors import Conflict


class State(StrEnum):
    """Where it stands."""

    NEW = "NEW"
    WAITING = "WAITING_FOR_APPROVAL"  # nothing of it is in force yet
    IN_FORCE = "IN_FORCE"
    CHANGING = "CHANGE_WAITS_FOR_APPROVAL"  # another content is in force meanwhile
    REMOVED = "REMOVED"

    @property
    def is_in_vehicles(self) -> bool:
        """Whether vehicles are told of it."""
        return self in (State.IN_FORCE, State.CHANGING)


class Move(StrEnum):
    """What somebody wants."""

    PROPOSE = "propose"  # a content, which then waits
    APPLY = "apply"  # a content, which is in force at once
    APPROVE = "approve"
    WITHDRAW = "withdraw"  # the content that waits
    REMOVE = "remove"


MOVES: dict[tuple[State, Move], State] = {
    (State.NEW, Move.PROPOSE): State.WAITING,
    (State.NEW, Move.APPLY): State.IN_FORCE,
    (State.WAITING, Move.PROPOSE): State.WAITING,
    (State.WAITING, Move.APPLY): State.IN_FORCE,
    (State.WAITING, Move.APPROVE): State.IN_FORCE,
    (State.WAITING, Move.WITHDRAW): State.REMOVED,
    (State.WAITING, Move.REMOVE): State.REMOVED,
    (State.IN_FORCE, Move.PROPOSE): State.CHANGING,
    (State.IN_FORCE, Move.APPLY): State.IN_FORCE,
    (State.IN_FORCE, Move.REMOVE): State.REMOVED,
    (State.CHANGING, Move.PROPOSE): State.CHANGING,
    (State.CHANGING, Move.APPLY): State.IN_FORCE,
    (State.CHANGING, Move.APPROVE): State.IN_FORCE,
    (State.CHANGING, Move.WITHDRAW): State.IN_FORCE,
    (State.CHANGING, Move.REMOVE): State.REMOVED,
}


def moved(name: str, state: State, move: Move) -> State:
    """Return the state after `move`.  Raises Conflict when there is no such move from `state`."""
    to = MOVES.get((state, move))
    if to is None:
        allowed = ", ".join(wanted for at, wanted in MOVES if at is state)
        raise Conflict(
            f"the service {name} is {state}, and cannot {move}: it can {allowed or 'nothing'}"
        )
    return to
