"""When a campaign's condition triggers, as a table.

    UNSEEN --true--> TRUE            nothing was false yet, so there is no edge
    UNSEEN --not true--> FALSE --true--> TRIGGERED  ...collected...  TRUE --not true--> FALSE
                          |  ^
                          '--'  true, but the minimum interval has not passed: deferred, not lost

Rule 1: everything that moves a trigger from one state to another is in MOVES; what differs between ALWAYS and
        RISING_EDGE is in ALWAYS_MOVES.  This is the behaviour of FleetWise's agent, read from its source.
Rule 2: that a condition is true is remembered only once the minimum interval has passed: an edge within it is
        seen at the first evaluation after it.
Rule 3: on activation the interval begins, and what was not evaluated yet counts as true for the edge, but
        never triggers (FleetWise's agent does trigger an ALWAYS condition nobody has evaluated).
Rule 4: undefined is not true.
"""

from dataclasses import dataclass
from enum import IntEnum

from fairway.campaign.model import TriggerMode


class State(IntEnum):
    """What is remembered of a condition, and whether an event is being collected."""

    UNSEEN = 0
    FALSE = 1
    TRUE = 2
    COLLECTING_FALSE = 3  # waiting for the post-trigger time
    COLLECTING_TRUE = 4


class Event(IntEnum):
    """What may happen to a condition."""

    NOT_TRUE = 0  # evaluated: false or undefined
    TRUE_EARLY = 1  # evaluated: true, before the minimum interval since the last trigger has passed
    TRUE_LATE = 2  # evaluated: true, after it
    INTERVAL = 3  # the minimum interval has passed
    COLLECTED = 4  # the post-trigger time is over


MOVES: dict[tuple[State, Event], State] = {
    (State.UNSEEN, Event.NOT_TRUE): State.FALSE,
    # Nobody saw it false: true since before we looked is no edge.
    (State.UNSEEN, Event.TRUE_EARLY): State.TRUE,
    (State.UNSEEN, Event.TRUE_LATE): State.TRUE,
    (State.UNSEEN, Event.INTERVAL): State.UNSEEN,
    (State.FALSE, Event.NOT_TRUE): State.FALSE,
    # Deferred: still remembered as false, so the first evaluation after the interval is the edge.
    (State.FALSE, Event.TRUE_EARLY): State.FALSE,
    (State.FALSE, Event.TRUE_LATE): State.COLLECTING_TRUE,
    (State.FALSE, Event.INTERVAL): State.FALSE,
    (State.TRUE, Event.NOT_TRUE): State.FALSE,
    (State.TRUE, Event.TRUE_EARLY): State.TRUE,
    (State.TRUE, Event.TRUE_LATE): State.TRUE,
    (State.TRUE, Event.INTERVAL): State.TRUE,
    # While an event is collected no second one starts; an edge then, after the interval, is spent.
    (State.COLLECTING_TRUE, Event.NOT_TRUE): State.COLLECTING_FALSE,
    (State.COLLECTING_TRUE, Event.TRUE_EARLY): State.COLLECTING_TRUE,
    (State.COLLECTING_TRUE, Event.TRUE_LATE): State.COLLECTING_TRUE,
    (State.COLLECTING_TRUE, Event.COLLECTED): State.TRUE,
    (State.COLLECTING_FALSE, Event.NOT_TRUE): State.COLLECTING_FALSE,
    (State.COLLECTING_FALSE, Event.TRUE_EARLY): State.COLLECTING_FALSE,
    (State.COLLECTING_FALSE, Event.TRUE_LATE): State.COLLECTING_TRUE,
    (State.COLLECTING_FALSE, Event.COLLECTED): State.FALSE,
}
ALWAYS_MOVES: dict[tuple[State, Event], State] = MOVES | {
    (State.UNSEEN, Event.TRUE_LATE): State.COLLECTING_TRUE,
    (State.TRUE, Event.TRUE_LATE): State.COLLECTING_TRUE,
    # Still true: it triggers again without being evaluated again.
    (State.TRUE, Event.INTERVAL): State.COLLECTING_TRUE,
}


@dataclass(slots=True)
class Trigger:
    """The trigger of one condition, in drive time."""

    mode: TriggerMode
    interval_ns: int
    last_ns: int  # of the last trigger, or of the activation
    state: State = State.UNSEEN
    is_asking: bool = (
        False  # its condition may be false again though no sample came: evaluate first
    )

    @property
    def is_collecting(self) -> bool:
        """Whether an event waits for its post-trigger time."""
        return self.state >= State.COLLECTING_FALSE

    @property
    def open_ns(self) -> int:
        """When the next trigger is possible at the earliest."""
        return self.last_ns + self.interval_ns

    def evaluated(self, now_ns: int, *, is_true: bool) -> bool:
        """Take the result of an evaluation; return whether it triggers."""
        if not is_true:
            return self._move(Event.NOT_TRUE, now_ns)
        return self._move(Event.TRUE_LATE if now_ns >= self.open_ns else Event.TRUE_EARLY, now_ns)

    def interval_passed(self, now_ns: int) -> bool:
        """Take that `repeats_ns` has come; return whether it triggers."""
        return self._move(Event.INTERVAL, now_ns)

    def collected(self, now_ns: int) -> None:
        """Take that the post-trigger time is over."""
        self._move(Event.COLLECTED, now_ns)

    @property
    def repeats_ns(self) -> int | None:
        """When it triggers again without an evaluation; an interval of 0 needs one."""
        needs_one = self.is_asking or not self.interval_ns
        if self.state is not State.TRUE or self.mode is not TriggerMode.ALWAYS or needs_one:
            return None
        return self.open_ns

    def _move(self, event: Event, now_ns: int) -> bool:
        moves = ALWAYS_MOVES if self.mode is TriggerMode.ALWAYS else MOVES
        before, self.state = self.state, moves[self.state, event]
        triggers = self.state is State.COLLECTING_TRUE and before <= State.TRUE
        if triggers:
            self.last_ns = now_ns
        return triggers
