"""The lives of a rollout, of its waves and of an update in one vehicle, as three tables.

    a rollout   DRAFT > AWAITING_APPROVAL > READY > RUNNING <> PAUSED > FINISHED | STOPPED
    a wave      SCHEDULED > OFFERING > SOAKING > PASSED | FAILED
    a vehicle   PLANNED > OFFERED > CONSENT > DOWNLOADING > STAGED > WINDOW > INSTALLING > VERIFYING
                    > COMMITTED | ROLLED_BACK | FAILED | EXPIRED

Rule 1: everything that moves one of them is in these tables.
Rule 2: a vehicle may skip steps, and messages may be lost or late: forward is any later step.
Rule 3: what was approved is not changed any more: whoever wants another content makes another rollout.
"""

from enum import StrEnum
from typing import TypeVar

from fairway.errors import Conflict
from fairway.update import Stage


class State(StrEnum):
    """Where a rollout stands."""

    DRAFT = "DRAFT"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    READY = "READY"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FINISHED = "FINISHED"
    STOPPED = "STOPPED"

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self in (State.FINISHED, State.STOPPED)


class Move(StrEnum):
    """What somebody, or the cloud itself, wants of a rollout."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    STOP = "stop"
    FINISH = "finish"


MOVES: dict[tuple[State, Move], State] = {
    (State.DRAFT, Move.SUBMIT): State.AWAITING_APPROVAL,
    (State.DRAFT, Move.STOP): State.STOPPED,
    (State.AWAITING_APPROVAL, Move.APPROVE): State.READY,
    (State.AWAITING_APPROVAL, Move.REJECT): State.STOPPED,
    (State.AWAITING_APPROVAL, Move.STOP): State.STOPPED,
    (State.READY, Move.START): State.RUNNING,
    # An approval can be taken back until it has begun.
    (State.READY, Move.REJECT): State.STOPPED,
    (State.READY, Move.STOP): State.STOPPED,
    (State.RUNNING, Move.PAUSE): State.PAUSED,
    (State.RUNNING, Move.RETRY): State.RUNNING,
    (State.RUNNING, Move.STOP): State.STOPPED,
    (State.RUNNING, Move.FINISH): State.FINISHED,
    (State.PAUSED, Move.RESUME): State.RUNNING,
    (State.PAUSED, Move.RETRY): State.PAUSED,
    (State.PAUSED, Move.STOP): State.STOPPED,
    # Its time runs out while it waits, too.
    (State.PAUSED, Move.FINISH): State.FINISHED,
}


class WaveState(StrEnum):
    """Where a wave stands."""

    SCHEDULED = "SCHEDULED"
    OFFERING = "OFFERING"
    SOAKING = "SOAKING"
    PASSED = "PASSED"
    FAILED = "FAILED"

    @property
    def is_open(self) -> bool:
        """Whether its vehicles are offered the update: stragglers of a wave that has passed, too."""
        return self in (WaveState.OFFERING, WaveState.SOAKING, WaveState.PASSED)


class WaveMove(StrEnum):
    """What becomes of a wave."""

    OPEN = "open"
    SOAK = "soak"
    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    FORGIVE = "forgive"  # somebody resumed the rollout


WAVE_MOVES: dict[tuple[WaveState, WaveMove], WaveState] = {
    (WaveState.SCHEDULED, WaveMove.OPEN): WaveState.OFFERING,
    (WaveState.OFFERING, WaveMove.SOAK): WaveState.SOAKING,
    (WaveState.OFFERING, WaveMove.FAIL): WaveState.FAILED,
    # It has no gate, or nobody is in it.
    (WaveState.OFFERING, WaveMove.PASS): WaveState.PASSED,
    (WaveState.SOAKING, WaveMove.PASS): WaveState.PASSED,
    (WaveState.SOAKING, WaveMove.FAIL): WaveState.FAILED,
    # Stragglers can still show that something is wrong.
    (WaveState.PASSED, WaveMove.FAIL): WaveState.FAILED,
    (WaveState.FAILED, WaveMove.FORGIVE): WaveState.OFFERING,
}

# How far an update has come in a vehicle; what is over is above all of them.
_STEPS = (
    Stage.PLANNED,
    Stage.OFFERED,
    Stage.CONSENT,
    Stage.DOWNLOADING,
    Stage.STAGED,
    Stage.WINDOW,
    Stage.INSTALLING,
    Stage.VERIFYING,
)
# The vehicle holds an order, and has not said how it ended.
OPEN_STAGES = _STEPS[1:]
# Until then nothing in the vehicle has changed, so that an order can be taken back.
REVOCABLE_STAGES = _STEPS[1:6]
FINAL_STAGES = (Stage.COMMITTED, Stage.ROLLED_BACK, Stage.FAILED, Stage.EXPIRED)

# From each stage, those that a vehicle may say next.  It may go back within an order (a cut download, a
# window that closed), but says so with a greater number.
VEHICLE_MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.PLANNED: frozenset(),  # nobody has been asked
    **{stage: frozenset((*OPEN_STAGES, *FINAL_STAGES)) for stage in OPEN_STAGES},
    **dict.fromkeys(FINAL_STAGES, frozenset()),
}

_State = TypeVar("_State", bound=StrEnum)
_Move = TypeVar("_Move", bound=StrEnum)


def moved(name: str, state: State, move: Move) -> State:
    """Return the state after `move`.  Raises Conflict when there is no such move from `state`."""
    return _moved(f"the rollout {name}", MOVES, state, move)


def wave_moved(number: int, state: WaveState, move: WaveMove) -> WaveState:
    """Return the state of a wave after `move`.  Raises Conflict."""
    return _moved(f"wave {number + 1}", WAVE_MOVES, state, move)


def _moved(
    what: str, moves: dict[tuple[_State, _Move], _State], state: _State, move: _Move
) -> _State:
    to = moves.get((state, move))
    if to is None:
        allowed = ", ".join(wanted for at, wanted in moves if at is state)
        raise Conflict(f"{what} is {state}, and cannot {move}: it can {allowed or 'nothing'}")
    return to
