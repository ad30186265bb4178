"""Last known states: which values the cloud wants to know, while it wants to know them.

    activate --> snapshot --> [ on change: what changed | periodic: everything ] --> deactivate, or too late

Rule 1: nothing is reported of a template that is not active, but a snapshot that was asked for.
Rule 2: on change means that a signal's newest value differs from the one reported last; changes within
        ON_CHANGE_INTERVAL_NS go together.
Rule 3: an activation outlives a restart; so does its end, by the wall clock.
Rule 4: a signal that this vehicle does not have is named in the template's status; the others are reported.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.control import StateReport, StateTemplate, StateTemplateStatus, StateValue
from fairway.samples import Kind, SampleBlock, SignalTable

# A screen shows no more, and a hundred signals that change together cost one message.
ON_CHANGE_INTERVAL_NS = 100 * NS_PER_MS
_MISSING_NAMED = 3


@dataclass(slots=True)
class _Template:
    said: StateTemplate
    numbers: list[int]
    missing: list[str]
    is_active: bool = False
    deactivate_ns: int = 0  # wall clock; 0: never
    wants_snapshot: bool = False
    due_ns: int = 0  # monotonic
    reported: dict[int, float | bool | str] = field(default_factory=dict)


class LastStates:
    """The templates of a vehicle, and the newest value of each of their signals."""

    def __init__(self, table: SignalTable, record: bytes | None = None) -> None:
        """`record` is what `to_bytes` returned: which templates were active."""
        self._activations = _activations(record)
        self._templates: dict[str, _Template] = {}
        self.revision = 0
        self._use(table)

    def set_templates(self, revision: int, templates: Iterable[StateTemplate]) -> None:
        """Know these templates, and no others; those that were active still are."""
        self.revision = revision
        old, self._templates = self._templates, {}
        for said in templates:
            before = old.get(said.name)
            if before is not None and before.said == said:
                self._templates[said.name] = before
            else:
                self._templates[said.name] = self._made(said)
        self._activations = {
            name: until for name, until in self._activations.items() if name in self._templates
        }
        self._watch()

    def use_table(self, table: SignalTable) -> None:
        """Go on with a wider table: the first rows are the same."""
        if table is self._table:
            return
        self._use(table)
        for template in self._templates.values():
            fresh = self._made(template.said)
            template.numbers, template.missing = fresh.numbers, fresh.missing
        self._watch()

    def take(self, block: SampleBlock) -> None:
        """Take the newest values; a template that changes is due at its time."""
        if not self._is_watching:
            return
        rows = np.flatnonzero(self._watched[block.signal])
        if not len(rows):
            return
        signals = block.signal[rows]
        self._value[signals] = block.value[rows]
        self._time_ns[signals] = block.time_ns[rows]
        if block.texts:
            for number, value in zip(signals.tolist(), block.value[rows].tolist(), strict=True):
                if self._table[number].kind is Kind.TEXT:
                    self._texts[number] = block.texts[int(value)]
        self._has_news = True

    def activate(
        self, name: str, deactivate_after_s: int, *, now_ns: int, monotonic_ns: int
    ) -> bool:
        """Begin to report; False when there is no such template.  `now_ns` is the wall clock."""
        template = self._templates.get(name)
        if template is None:
            return False
        until_ns = now_ns + deactivate_after_s * NS_PER_S if deactivate_after_s else 0
        template.is_active, template.deactivate_ns = True, until_ns
        template.wants_snapshot = True
        template.due_ns = monotonic_ns + template.said.period_ms * NS_PER_MS
        self._activations[name] = until_ns
        self._watch()
        return True

    def deactivate(self, name: str) -> bool:
        """Stop to report; False when there is no such template."""
        template = self._templates.get(name)
        if template is None:
            return False
        template.is_active = False
        self._activations.pop(name, None)
        return True

    def is_active(self, name: str) -> bool:
        """Whether a template is reported."""
        template = self._templates.get(name)
        return template is not None and template.is_active

    def snapshot(self, name: str) -> bool:
        """Report everything once; False when there is no such template."""
        template = self._templates.get(name)
        if template is None:
            return False
        template.wants_snapshot = True
        return True

    def reports(self, *, now_ns: int, monotonic_ns: int) -> list[StateReport]:
        """Return what is due now."""
        found = []
        for name, template in self._templates.items():
            if template.is_active and 0 < template.deactivate_ns <= now_ns:
                self.deactivate(name)
            numbers = self._due(template, monotonic_ns)
            values = tuple(self._state(number) for number in numbers if self._time_ns[number])
            if values or template.wants_snapshot:
                found.append(StateReport(name, values))
            template.wants_snapshot = False
        self._has_news = False
        return found

    def next_due_ns(self) -> int | None:
        """Return when a report may be due, on the monotonic clock; None: not before something happens."""
        times = []
        for template in self._templates.values():
            if template.wants_snapshot:
                return 0
            if template.is_active and (template.said.period_ms or self._has_news):
                times.append(template.due_ns)
        return min(times, default=None)

    def next_end_ns(self) -> int | None:
        """Return when an activation ends, on the wall clock."""
        ends = (one.deactivate_ns for one in self._templates.values() if one.is_active)
        return min((end for end in ends if end), default=None)

    def statuses(self) -> tuple[StateTemplateStatus, ...]:
        """Return how every template stands."""
        return tuple(
            StateTemplateStatus(name, one.is_active, _reason(one.missing))
            for name, one in self._templates.items()
        )

    def to_bytes(self) -> bytes:
        """Return which templates are active, and until when."""
        return json.dumps(self._activations).encode()

    def _due(self, template: _Template, monotonic_ns: int) -> list[int]:
        """Return which signals are to be reported; they count as reported."""
        if template.wants_snapshot:
            numbers = template.numbers
        elif not template.is_active or monotonic_ns < template.due_ns:
            return []
        elif template.said.period_ms:
            numbers = template.numbers
        else:
            values = {number: self._plain(number) for number in template.numbers}
            numbers = [
                number
                for number, value in values.items()
                if self._time_ns[number] and template.reported.get(number) != value
            ]
            if not numbers:
                return []
        wait_ns = template.said.period_ms * NS_PER_MS or ON_CHANGE_INTERVAL_NS
        if monotonic_ns >= template.due_ns:
            # In step with its period, unless it was not looked at for longer than that.
            next_ns = template.due_ns + wait_ns
            template.due_ns = next_ns if next_ns > monotonic_ns else monotonic_ns + wait_ns
        template.reported |= {number: self._plain(number) for number in numbers}
        return numbers

    def _state(self, number: int) -> StateValue:
        name = self._table[number].name
        return StateValue(name, int(self._time_ns[number]), self._plain(number))

    def _plain(self, number: int) -> float | bool | str:
        kind = self._table[number].kind
        if kind is Kind.TEXT:
            return self._texts.get(number, "")
        value = float(self._value[number])
        return value != 0.0 if kind is Kind.BOOL else value

    def _made(self, said: StateTemplate) -> _Template:
        known = [name for name in said.signals if name in self._number]
        missing = [name for name in said.signals if name not in self._number]
        made = _Template(said, [self._number[name] for name in known], missing)
        until_ns = self._activations.get(said.name)
        if until_ns is not None:
            made.is_active, made.deactivate_ns = True, until_ns
        return made

    def _use(self, table: SignalTable) -> None:
        self._table = table
        self._number = {signal.name: number for number, signal in enumerate(table)}
        self._value = np.zeros(len(table))
        self._time_ns = np.zeros(len(table), np.int64)
        self._texts: dict[int, str] = {}
        self._has_news = False
        self._watch()

    def _watch(self) -> None:
        """Keep the values of every template's signals: a snapshot may be asked for at any time."""
        self._watched = np.zeros(len(self._table), np.bool_)
        for template in self._templates.values():
            self._watched[template.numbers] = True
        self._is_watching = bool(self._watched.any())


def _activations(record: bytes | None) -> dict[str, int]:
    try:
        said = json.loads(record or b"{}")
        return {str(name): int(until) for name, until in said.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _reason(missing: list[str]) -> str:
    if not missing:
        return ""
    more = f" and {len(missing) - _MISSING_NAMED} more" if len(missing) > _MISSING_NAMED else ""
    return f"this vehicle has no signal {', '.join(missing[:_MISSING_NAMED])}{more}"
