"""What the statements of a DBC file say, before they are put together: drafts and references.

    text --dbc_grammar--> Draft --dbc_build--> model.Database

Rule 1: a statement is kept with the offset it stands at; offsets become lines only for people.
Rule 2: a DBC names a message by a 32-bit number whose bit 31 marks a 29-bit id; drafts keep that number.
Rule 3: names are kept as the statements use them (at most 32 characters by custom); long names come later.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TypeVar

from edge_agent.canbus.model import Choices, Number, Problem

# A person reads these: more of them say no more, and a file of garbage must not fill the memory.
PROBLEMS_MAX = 1_000

# A number or name that stands more often than this in one file is noise; so much of it is heeded.
REPEATS_MAX = 16

EXTENDED_FLAG = 0x8000_0000


class Notes:
    """Collects what is odd in one text, by offset."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._noted: list[tuple[int, str, str]] = []
        self._left_out = 0
        self._line_ends: list[int] | None = None

    def error(self, at: int, sentence: str) -> None:
        """Say that something could not be taken over."""
        self._note(at, "error", sentence)

    def warning(self, at: int, sentence: str) -> None:
        """Say that something was taken over but deserves a look."""
        self._note(at, "warning", sentence)

    def _note(self, at: int, severity: str, sentence: str) -> None:
        if len(self._noted) < PROBLEMS_MAX:
            self._noted.append((at, severity, sentence))
        else:
            self._left_out += 1

    def line(self, at: int) -> int:
        """Return the line, counted from 1, that the offset lies in."""
        if self._line_ends is None:
            self._line_ends = [found.start() for found in re.finditer("\n", self._text)]
        return bisect_right(self._line_ends, at - 1) + 1

    def problems(self) -> list[Problem]:
        """Return everything noted."""
        told = [
            Problem(self.line(at), severity, sentence) for at, severity, sentence in self._noted
        ]
        if self._left_out:
            told.append(Problem(0, "warning", f"{self._left_out} further problems are not listed"))
        return told


@dataclass(slots=True)
class DraftSignal:
    """One SG_ line; the lower half is filled in from other statements."""

    at: int
    name: str
    mark: str  # "", "M", "m3", "m3M", or "m" where somebody forgot the number or the case
    start: int
    length: int
    is_little: bool
    is_signed: bool
    scale: float
    offset: float
    minimum: float | None
    maximum: float | None
    unit: str

    number: Number | None = None  # where SIG_VALTYPE_ makes it a float
    choices: Choices = ()
    comment: str = ""
    long_name: str = ""
    initial: float | None = None


@dataclass(slots=True)
class MultiplexRange:
    """One SG_MUL_VAL_ statement."""

    at: int
    child: str
    parent: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class DraftMessage:
    """One BO_ line with its signals."""

    at: int
    number: int  # as written, with the flag
    name: str
    length: int
    senders: list[str]
    signals: list[DraftSignal] = field(default_factory=list)

    comment: str = ""
    long_name: str = ""
    cycle_time_ms: int | None = None
    frame_format: str = ""  # VFrameFormat, by name
    has_own_format: bool = False  # said for this message, not by default
    multiplex: list[MultiplexRange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reference:
    """Which thing a CM_, VAL_, BA_ ... statement speaks of."""

    at: int
    kind: str  # "BO_", "SG_", "BU_", "EV_" or "" for the whole file
    number: int = 0
    name: str = ""


@dataclass(slots=True)
class Draft:
    """All statements of one file that matter to us."""

    notes: Notes
    messages: list[DraftMessage] = field(default_factory=list)
    statements: int = 0
    comments: list[tuple[Reference, str]] = field(default_factory=list)
    attributes: list[tuple[Reference, str, str]] = field(default_factory=list)  # name, value
    choices: list[tuple[Reference, Choices]] = field(default_factory=list)
    floats: list[tuple[Reference, int]] = field(default_factory=list)
    multiplex: list[tuple[Reference, MultiplexRange]] = field(default_factory=list)
    senders: list[tuple[Reference, list[str]]] = field(default_factory=list)
    enums: dict[str, list[str]] = field(default_factory=dict)  # BA_DEF_ ... ENUM
    defaults: dict[str, str] = field(default_factory=dict)  # BA_DEF_DEF_
    current: DraftMessage | None = None  # the message SG_ lines belong to


Drafted = TypeVar("Drafted")


class Index:
    """Finds the drafts a reference means."""

    def __init__(self, messages: list[DraftMessage]) -> None:
        self._messages: defaultdict[int, list[DraftMessage]] = defaultdict(list)
        self._signals: defaultdict[tuple[int, str], list[DraftSignal]] = defaultdict(list)
        for message in messages:
            _append(self._messages[message.number], message)
            for signal in message.signals:
                _append(self._signals[message.number, signal.name], signal)

    def messages(self, number: int) -> list[DraftMessage]:
        """Return every message of that number; the flag may have been forgotten on either side."""
        found = self._messages.get(number)
        if found is None:
            found = self._messages.get(number ^ EXTENDED_FLAG, [])
        return found

    def signals(self, number: int, name: str) -> list[DraftSignal]:
        """Return every signal of that name in the messages of that number."""
        for candidate in (number, number ^ EXTENDED_FLAG):
            found = self._signals.get((candidate, name))
            if found is None and len(name) > 32:  # a long name where the short one belongs
                found = self._signals.get((candidate, name[:32]))
            if found is not None:
                return found
        return []


def _append(found: list[Drafted], one: Drafted) -> None:
    if len(found) < REPEATS_MAX:
        found.append(one)
