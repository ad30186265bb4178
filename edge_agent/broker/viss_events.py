"""When a subscription of VISS issues an event, and which values are in it: a decision for each change.

    changes > of the first signal that is named: does its filter hold? > an event with the values of all
    changes > curve logging: into the signal's buffer > full: the points that say its shape

Rule 1: no I/O and no clock; periods are kept by who sends.
Rule 2: of several signals the first one triggers (VISS 3, 7.8.3); without a filter each one does.
Rule 3: a change is measured from the value that was told last, or was there at the start; that one is no event.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edge_agent.broker.changes import Message
from edge_agent.broker.signals import Signals
from edge_agent.broker.store import value_of
from edge_agent.broker.values import Value
from edge_agent.broker.viss_dialects import Problem, Refused
from edge_agent.broker.viss_filters import Change, Curvelog, Filter, Range, shape

Points = list[tuple[int, Value]]  # each a (time_ns, value)


@dataclass(slots=True)
class Events:
    """What one subscription tells."""

    signals: Signals
    numbers: Sequence[int]
    filter: Filter | None
    last: Value | None = None  # of the first signal, when it was last told
    _buffers: dict[int, Points] = field(default_factory=dict)

    def begin(self, message: Message) -> dict[int, Points]:
        """Take the values there are at the start, and return what is told of them at once."""
        now = dict(_rows(self.signals, message))
        first = now.get(self.numbers[0])
        if isinstance(self.filter, Change):
            self.last = None if first is None else first[1]
            return {}
        if isinstance(self.filter, Curvelog):
            return {}
        if isinstance(self.filter, Range) and (first is None or not self.filter.holds(first[1])):
            return {}
        return {number: [point] for number, point in now.items()}

    def take(self, message: Message, current: Callable[[], Message]) -> dict[int, Points]:
        """Return the points of each signal that an event tells; empty: there is no event.

        `current` is asked for the values of all signals when there is one.
        """
        rows = dict(_rows(self.signals, message))
        if isinstance(self.filter, Curvelog):
            return self._collected(rows, self.filter)
        if self.filter is None:
            return {number: [point] for number, point in rows.items()}
        trigger = rows.get(self.numbers[0])
        if trigger is None or not self._holds(trigger[1]):
            return {}
        self.last = trigger[1]
        now = dict(_rows(self.signals, current())) | {self.numbers[0]: trigger}
        return {number: [now[number]] for number in self.numbers if number in now}

    def _holds(self, value: Value) -> bool:
        if isinstance(self.filter, Range):
            return self.filter.holds(value)
        if not isinstance(self.filter, Change):
            return False
        if self.last is None:
            self.last = value
            return False
        return self.filter.holds(self.last, value)

    def _collected(self, rows: dict[int, tuple[int, Value]], asked: Curvelog) -> dict[int, Points]:
        found: dict[int, Points] = {}
        for number, point in rows.items():
            buffer = self._buffers.setdefault(number, [])
            buffer.append(point)
            if len(buffer) < asked.count:
                continue
            kept = shape(
                [time_ns for time_ns, _ in buffer],
                [float(value) for _, value in buffer if not isinstance(value, str | tuple)],
                asked.error_max,
            )
            found[number] = [buffer[at] for at in kept]
            buffer.clear()
        return found


def check_signals(signals: Signals, numbers: Sequence[int], asked: Filter | None) -> None:
    """Raise Refused when a filter compares numbers and a signal has none."""
    compared = list(numbers) if isinstance(asked, Curvelog) else list(numbers[:1])
    for number in compared:
        datatype = signals[number].datatype
        is_number = datatype not in ("string", "boolean") and not datatype.endswith("[]")
        is_step = isinstance(asked, Change) and asked.operation == "ne" and asked.diff == 0
        is_truth = isinstance(asked, Change) and datatype == "boolean"
        if isinstance(asked, Range | Change | Curvelog) and not (is_number or is_step or is_truth):
            path = signals[number].path
            raise Refused(
                Problem.BAD_FILTER, f"{path} is a {datatype}: the filter compares numbers"
            )


def values_in(signals: Signals, message: Message) -> dict[int, Points]:
    """Return the values in a message, of those signals that have one."""
    return {number: [point] for number, point in _rows(signals, message)}


def _rows(signals: Signals, message: Message) -> Iterator[tuple[int, tuple[int, Value]]]:
    of = message.of
    rows = range(len(of)) if message.rows is None else message.rows.tolist()
    for row in rows:
        if of.is_there[row]:
            number = int(of.ids[row])
            value = value_of(signals, number, float(of.value[row]), of.objects)
            yield number, (int(of.time_ns[row]), value)
