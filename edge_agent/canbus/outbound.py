"""What may go out on a bus: frames of an allow-list, filled whole, no more often than allowed.

    frame id, bus > entry of the allow-list > condition > pace > counter, checksum > frame
    no entry                                > Denied: nothing else ever reaches a bus

Rule 1: deny by default: a frame is made from an entry of the list, and from nothing else.
Rule 2: every signal of a frame has a value somebody declared: given, a default of the entry, or the database's
        start value.  An entry that would send undeclared bits is refused at the start.
Rule 3: no I/O and no clock.  Counter and pace move when a frame was sent, not when it was made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.canbus.checksums import Protection
from edge_agent.canbus.encode import Encoder, Value
from edge_agent.canbus.encode_slots import message_slots
from edge_agent.canbus.frames import BIT_RATE_SWITCH, EXTENDED, FD, Frame, FrameBlock
from edge_agent.canbus.model import Message
from fairway.errors import BadInput, Denied
from fairway.expression.conditions import Condition


class FrameSender(Protocol):
    """A bus that can be written to.  Contract: tests/contracts/test_frame_sender.py."""

    async def send(self, frames: FrameBlock) -> None:
        """Send frames in their order.  Raises Unavailable, or BadInput for what the bus cannot carry."""
        ...


@dataclass(frozen=True, slots=True)
class Allowed:
    """One entry of the allow-list."""

    bus: int
    bus_name: str
    message: Message
    min_period_ns: int = 0
    condition: Condition | None = None
    defaults: Mapping[str, Value] = field(default_factory=dict)
    protection: Protection | None = None
    unused_bits: int = 0  # J1939 wants 1
    is_restated: bool = True  # signals without a target say what is now, else their defaults

    @property
    def can_id(self) -> int:
        """The identifier as frames have it."""
        return self.message.frame_id | (EXTENDED if self.message.is_extended else 0)


class _Entry:
    """An entry, and how it goes."""

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self.encoder = Encoder(allowed.message, unused_bits=1 if allowed.unused_bits else 0)
        self.last_ns: int | None = None
        self.sent = 0
        signals = allowed.message.signals
        slots = message_slots(allowed.message, is_declared=True)
        self.names = {slot.name for slot in slots}
        protection = allowed.protection
        made = {protection.checksum_signal, protection.counter_signal} if protection else set[str]()
        self.undeclared = {
            slot.name
            for slot in slots
            if signals[slot.position].initial is None
            and slot.name not in allowed.defaults
            and slot.name not in made
        }
        self.parents = {slot.name: slot.parent for slot in slots}
        self.slots = slots


class Outbound:
    """The allow-list of a run, and the frames made from it."""

    def __init__(self, allowed: Sequence[Allowed]) -> None:
        self._entries: dict[tuple[int, int], _Entry] = {}
        for one in allowed:
            key = one.bus, one.can_id
            if key in self._entries:
                raise BadInput(f"{_named(one)} stands twice in the allow-list")
            self._entries[key] = entry = _Entry(one)
            unknown = sorted(set(one.defaults) - entry.names)
            if unknown:
                raise BadInput(
                    f"{_named(one)}: defaults name {unknown[0]}, which is no signal of it"
                )
        self.sent = self.denied = 0

    def find(self, bus: int, message: Message) -> Allowed | None:
        """Return the entry that lets frames of a message out on a bus, or None."""
        entry = self._entries.get((bus, _can_id(message)))
        return None if entry is None or entry.allowed.message != message else entry.allowed

    def check(self, allowed: Allowed, given: Mapping[str, object]) -> None:
        """Raise BadInput unless every signal of the frame that says `given` has a declared value."""
        entry = self._entry(allowed.bus, allowed.message)
        left = sorted(entry.undeclared - set(given) - _inactive(entry, given))
        if left:
            more = f" and {len(left) - 6} more" if len(left) > 6 else ""
            raise BadInput(
                f"{_named(allowed)} has no value for {', '.join(left[:6])}{more}: give defaults, or the "
                "database a start value"
            )

    def wait_ns(self, allowed: Allowed, *, now_ns: int) -> int:
        """Return how long the next frame has to wait for its pace."""
        last_ns = self._entry(allowed.bus, allowed.message).last_ns
        return 0 if last_ns is None else max(0, last_ns + allowed.min_period_ns - now_ns)

    def frame(self, bus: int, message: Message, values: Mapping[str, Value], against: str) -> Frame:
        """Return the frame that says `values`, all else filled; `against` is what its condition lacks.

        Raises Denied for what the allow-list does not let out, BadInput for what the frame cannot say.
        """
        entry = self._entry(bus, message)
        allowed = entry.allowed
        if against:
            self.denied += 1
            raise Denied(f"{_named(allowed)} may not be sent now: {against}")
        self.check(allowed, values)
        payload = entry.encoder.encode({**allowed.defaults, **values})
        if allowed.protection is not None:
            payload = allowed.protection.protect(payload, entry.sent)
        flags = FD | BIT_RATE_SWITCH if allowed.message.is_fd else 0
        return Frame(allowed.can_id, payload, bus=bus, flags=flags)

    def was_sent(self, frame: Frame, *, now_ns: int) -> None:
        """Note that a frame went out: its counter and its pace move."""
        entry = self._entries[frame.bus, frame.can_id]
        entry.last_ns, entry.sent = now_ns, entry.sent + 1
        self.sent += 1

    def is_allowed(self, frame: Frame) -> bool:
        """Whether the allow-list has this frame's id on its bus: what a sender asks before it sends."""
        return (frame.bus, frame.can_id) in self._entries

    def is_for(self, bus: int) -> bool:
        """Whether anything may be sent on a bus."""
        return any(number == bus for number, _ in self._entries)

    def _entry(self, bus: int, message: Message) -> _Entry:
        entry = self._entries.get((bus, _can_id(message)))
        if entry is None or entry.allowed.message != message:
            self.denied += 1
            raise Denied(f"no entry of the allow-list lets {message.name} out on that bus")
        return entry


def _inactive(entry: _Entry, given: Mapping[str, object]) -> set[str]:
    """Return the signals of branches that the multiplexers do not select: they are not in the frame."""
    known = {**entry.allowed.defaults, **given}
    active: set[int] = set()
    for slot in entry.slots:  # parents may stand after their children: until nothing is added
        if slot.parent is None:
            active.add(slot.position)
    while True:
        more = {
            slot.position
            for slot in entry.slots
            if slot.position not in active
            and slot.parent in active
            and slot.is_selected_by(_raw(entry, slot.parent, known), entry.slots[slot.parent])
        }
        if not more:
            return {slot.name for slot in entry.slots if slot.position not in active}
        active |= more


def _raw(entry: _Entry, position: int, known: Mapping[str, object]) -> int:
    slot = entry.slots[position]
    value = known.get(slot.name)
    if isinstance(value, str):
        return next((raw for raw, text in slot.signal.choices if text == value), slot.initial)
    return slot.whole(value) if isinstance(value, int | float) else slot.initial


def _can_id(message: Message) -> int:
    return message.frame_id | (EXTENDED if message.is_extended else 0)


def _named(allowed: Allowed) -> str:
    return f"{allowed.message.name} (0x{allowed.message.frame_id:X}) on {allowed.bus_name}"
