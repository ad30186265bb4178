"""Actuation that ends with the vehicle's own word: what an order is, who may give it, and how it ends.

    asked > accepted > sent > confirmed                     the feedback signal says so
          |          '------'-> failed                      deadline, overruled, interlock, forbidden, bus
          '-> refused                                       interlock, or another writer comes first

Rule 1: no I/O and no clock; `now_ns` is the monotonic clock.  STATES is the only table of what follows what.
Rule 2: one order of an actuator is under way at a time.  The same writer replaces its own; a writer of a higher
        rank overrules; between equals the first one stays until it is over, and as long as its lease lasts.
Rule 3: feedback counts when a bus said it after the frame was sent; where it comes only when it changes, also
        what it said last.  Equal is equal, for numbers within the tolerance.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from edge_agent.broker.values import Value
from fairway.expression.conditions import Condition

# Orders of all actuators under way; a batch of an app has some tens.
ORDERS_MAX = 256


class State(Enum):
    """Where an order stands."""

    ACCEPTED = "accepted"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    REFUSED = "refused"


class Reason(Enum):
    """Why it was refused, or failed."""

    NONE = ""
    INTERLOCK = "interlock"  # a condition on other signals does not hold
    WRITER = "writer"  # another writer was first, or has the lease
    OVERRULED = "overruled"  # by a writer of a higher rank
    REPLACED = "replaced"  # by the same writer's next order
    DEADLINE = "deadline"
    FORBIDDEN = "forbidden"  # the allow-list does not let the frame out
    BUS = "bus"  # the bus could not be reached
    STOPPED = "stopped"  # the agent stops


class Event(Enum):
    """What happens to an order."""

    FRAME_SENT = "frame sent"
    FEEDBACK = "feedback"
    DEADLINE = "deadline"
    OVERRULED = "overruled"
    REPLACED = "replaced"
    INTERLOCK = "interlock"
    FORBIDDEN = "forbidden"
    BUS = "bus"
    STOPPED = "stopped"


_FAILS = {
    Event.DEADLINE: Reason.DEADLINE,
    Event.OVERRULED: Reason.OVERRULED,
    Event.REPLACED: Reason.REPLACED,
    Event.INTERLOCK: Reason.INTERLOCK,
    Event.FORBIDDEN: Reason.FORBIDDEN,
    Event.BUS: Reason.BUS,
    Event.STOPPED: Reason.STOPPED,
}
# What follows what; what is not here does not happen: an order that is over stays as it is.
STATES: Mapping[tuple[State, Event], tuple[State, Reason]] = {
    (State.ACCEPTED, Event.FRAME_SENT): (State.SENT, Reason.NONE),
    (State.SENT, Event.FRAME_SENT): (State.SENT, Reason.NONE),  # once more
    (State.SENT, Event.FEEDBACK): (State.CONFIRMED, Reason.NONE),
    **{
        (state, event): (State.FAILED, reason)
        for state in (State.ACCEPTED, State.SENT)
        for event, reason in _FAILS.items()
    },
}
OVER = frozenset({State.CONFIRMED, State.FAILED, State.REFUSED})


@dataclass(frozen=True, slots=True)
class Terms:
    """How one actuator is acted on."""

    path: str
    feedback: int  # the signal that confirms
    deadline_ns: int
    tolerance: float = 0.0
    lease_ns: int = 0  # how long a writer whose order was confirmed keeps others of its rank out
    repeat_ns: int = 0  # the frame is sent again so often until it is over; 0: once
    writers: tuple[str, ...] = ()  # the first one outranks the next; all others come after them
    interlock: Condition | None = None

    def rank(self, writer: str) -> int:
        """Return the rank of a writer: 0 is the highest."""
        return self.writers.index(writer) if writer in self.writers else len(self.writers)


@dataclass(frozen=True, slots=True)
class Order:
    """One wish to act, and what has become of it."""

    id: int
    actuator: int
    value: Value
    writer: str
    deadline_ns: int
    state: State
    reason: Reason = Reason.NONE
    sentence: str = ""
    sent_ns: int = 0  # when its frame was sent first
    last_ns: int = 0  # and last

    @property
    def is_over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order is not accepted."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the vehicle says of a feedback signal."""

    value: Value | None
    seen_ns: int  # when it was said
    is_from_bus: bool
    is_on_change: bool


@dataclass(frozen=True, slots=True)
class _Lease:
    writer: str
    until_ns: int


class ClosedLoop:
    """All orders that are under way."""

    def __init__(self, terms: Mapping[int, Terms]) -> None:
        self.terms = dict(terms)
        self._under_way: dict[int, Order] = {}  # by actuator
        self._leases: dict[int, _Lease] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._under_way)

    def __iter__(self) -> Iterator[Order]:
        """Yield the orders under way, the oldest first."""
        return iter(sorted(self._under_way.values(), key=lambda order: order.id))

    def refusal(
        self, actuator: int, writer: str, *, now_ns: int, interlock: str = ""
    ) -> Refusal | None:
        """Return why `writer` may not act on it now, or None; `interlock` is what speaks against it."""
        terms = self.terms[actuator]
        if interlock:
            return Refusal(Reason.INTERLOCK, interlock)
        rank = terms.rank(writer)
        current, lease = self._under_way.get(actuator), self._leases.get(actuator)
        if current is not None and current.writer != writer and terms.rank(current.writer) <= rank:
            return Refusal(
                Reason.WRITER,
                f"{current.writer} is acting on {terms.path}: wait until that is over",
            )
        if (
            lease is not None
            and lease.writer != writer
            and now_ns < lease.until_ns
            and terms.rank(lease.writer) <= rank
        ):
            left_ms = (lease.until_ns - now_ns + 999_999) // 1_000_000
            return Refusal(
                Reason.WRITER, f"{lease.writer} has {terms.path} for another {left_ms} ms"
            )
        return None

    def refused(self, actuator: int, value: Value, writer: str, refusal: Refusal) -> Order:
        """Return the order that was not accepted."""
        return Order(
            self._number(),
            actuator,
            value,
            writer,
            deadline_ns=0,
            state=State.REFUSED,
            reason=refusal.reason,
            sentence=refusal.sentence,
        )

    def accept(
        self, actuator: int, value: Value, writer: str, *, now_ns: int, deadline_ns: int = 0
    ) -> list[Order]:
        """Accept an order that nothing speaks against; return what changed, an older order first."""
        terms, changed = self.terms[actuator], list[Order]()
        current = self._under_way.get(actuator)
        if current is not None:
            is_same = current.writer == writer
            event = Event.REPLACED if is_same else Event.OVERRULED
            sentence = "replaced by the next one" if is_same else f"overruled by {writer}"
            changed += self.happens(actuator, event, now_ns=now_ns, sentence=sentence)
        self._leases.pop(actuator, None)
        within_ns = min(deadline_ns or terms.deadline_ns, terms.deadline_ns)
        order = Order(self._number(), actuator, value, writer, now_ns + within_ns, State.ACCEPTED)
        self._under_way[actuator] = order
        return [*changed, order]

    def happens(
        self, actuator: int, event: Event, *, now_ns: int, sentence: str = ""
    ) -> list[Order]:
        """Take over an event; return the order when that changes it."""
        order = self._under_way.get(actuator)
        follows = None if order is None else STATES.get((order.state, event))
        if order is None or follows is None:
            return []
        state, reason = follows
        is_first = order.state is State.ACCEPTED and event is Event.FRAME_SENT
        changed = replace(
            order,
            state=state,
            reason=reason,
            sentence=sentence,
            sent_ns=now_ns if is_first else order.sent_ns,
            last_ns=now_ns if event is Event.FRAME_SENT else order.last_ns,
        )
        self._under_way[actuator] = changed
        if changed.is_over:
            del self._under_way[actuator]
        if state is State.CONFIRMED and self.terms[actuator].lease_ns:
            until_ns = now_ns + self.terms[actuator].lease_ns
            self._leases[actuator] = _Lease(order.writer, until_ns)
        return [] if changed.state is order.state else [changed]

    def sees(self, actuator: int, seen: Seen, *, now_ns: int) -> list[Order]:
        """Take over what the vehicle says of the feedback signal; return the order when that confirms it."""
        order = self._under_way.get(actuator)
        if order is None or not confirms(order, self.terms[actuator].tolerance, seen):
            return []
        return self.happens(actuator, Event.FEEDBACK, now_ns=now_ns)

    def expire(self, *, now_ns: int) -> list[Order]:
        """End the orders whose time is over, and return them."""
        changed: list[Order] = []
        for order in self:
            if now_ns >= order.deadline_ns:
                path = self.terms[order.actuator].path
                what = (
                    f"the vehicle has not said that {path} is {shown(order.value)}"
                    if order.state is State.SENT
                    else "its frame could not be sent in time"
                )
                changed += self.happens(
                    order.actuator, Event.DEADLINE, now_ns=now_ns, sentence=what
                )
        return changed

    def next_ns(self) -> int | None:
        """Return when the next deadline or repetition is due; None when nothing is under way."""
        due = [order.deadline_ns for order in self._under_way.values()]
        due += [
            order.last_ns + self.terms[order.actuator].repeat_ns
            for order in self._under_way.values()
            if order.state is State.SENT and self.terms[order.actuator].repeat_ns
        ]
        return min(due, default=None)

    def is_to_send(self, order: Order, *, now_ns: int) -> bool:
        """Whether the frame of an order is to be sent now, for the first time or again."""
        if order.state is State.ACCEPTED:
            return True
        repeat_ns = self.terms[order.actuator].repeat_ns
        return bool(repeat_ns) and now_ns >= order.last_ns + repeat_ns

    def _number(self) -> int:
        self._next += 1
        return self._next - 1


def confirms(order: Order, tolerance: float, seen: Seen) -> bool:
    """Return whether what the vehicle says is what the order asked for."""
    if order.state is not State.SENT or not seen.is_from_bus or seen.value is None:
        return False
    if seen.seen_ns < order.sent_ns and not seen.is_on_change:
        return False
    return is_reached(order.value, seen.value, tolerance)


def is_reached(target: Value, value: Value, tolerance: float) -> bool:
    """Return whether a value is the target, for numbers within the tolerance."""
    if isinstance(target, int | float) and isinstance(value, int | float):
        target, value = float(target), float(value)
        # A float of 32 bits is not what was written, but it was meant.
        return abs(target - value) <= tolerance or math.isclose(target, value, rel_tol=1e-6)
    return target == value


def shown(value: Value) -> str:
    """Return a value for a sentence."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else f"{value!s:.80}"
