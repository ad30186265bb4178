"""Custom functions that keep something between two calls, or do what the expression language cannot.

    custom_function('MULTI_RISING_EDGE_TRIGGER', 'hot', $variable.`T` > 90, 'fast', $variable.`V` > 130)
        -> true when at least one of them became true; Vehicle.MultiRisingEdgeTrigger = ["hot"]

Rule 1: a call is told apart by its place in its campaign's conditions: each has a memory of its own.
Rule 2: what a function says beside its value (texts by signal) goes into the event that is being collected,
        if the campaign collects that signal, and nowhere else.
Rule 3: an argument without a value is None; a function that fails makes the condition undefined.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairway.campaign.model import Campaign
from fairway.expression.campaign import Value

MULTI_RISING_EDGE_TRIGGER = "MULTI_RISING_EDGE_TRIGGER"
MULTI_RISING_EDGE_SIGNAL = "Vehicle.MultiRisingEdgeTrigger"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a custom function returned."""

    value: Value | None
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call as it stands in a condition."""

    campaign: Campaign
    sync_id: str
    number: int  # of the calls in the campaign's conditions
    name: str


class Functions(Protocol):
    """Custom functions outside the engine.  Contract: tests/contracts/test_campaign_functions.py."""

    def knows(self, campaign: Campaign, name: str) -> bool:
        """Return whether there is a function of this name for this campaign."""
        ...

    def call(self, invocation: Invocation, arguments: Sequence[Value | None]) -> Answer:
        """Return what the function makes of its arguments; an error of its own is an answer without a value."""
        ...

    def forget(self, sync_id: str) -> None:
        """Drop what the functions of a campaign remember: it is gone."""
        ...


class NoFunctions:
    """The memory adapter of a vehicle without custom functions."""

    def knows(self, campaign: Campaign, name: str) -> bool:  # noqa: ARG002
        return False

    def call(self, invocation: Invocation, arguments: Sequence[Value | None]) -> Answer:  # noqa: ARG002
        return Answer(None, {})

    def forget(self, sync_id: str) -> None:
        pass


class Calls:
    """The custom functions of one campaign's conditions, and what they have said since last asked."""

    def __init__(self, campaign: Campaign, sync_id: str, functions: Functions) -> None:
        self._campaign = campaign
        self._sync_id = sync_id
        self._functions = functions
        self._edges: dict[int, RisingEdges] = {}
        self._risen: list[str] = []
        self._texts: dict[str, str] = {}
        self._count = 0

    def numbered(self) -> int:
        """Return the number of one more call."""
        self._count += 1
        return self._count

    def call(self, number: int, name: str, arguments: Sequence[Value | None]) -> Value | None:
        """Return the value of a call."""
        if name == MULTI_RISING_EDGE_TRIGGER:
            risen = self._edges.setdefault(number, RisingEdges()).call(arguments)
            self._risen += risen or []
            return None if risen is None else bool(risen)
        invocation = Invocation(self._campaign, self._sync_id, number, name)
        answer = self._functions.call(invocation, arguments)
        self._texts |= answer.texts
        return answer.value

    def said(self) -> dict[str, str]:
        """Return what the calls said beside their values, and forget it."""
        texts, risen = self._texts, self._risen
        self._texts, self._risen = {}, []
        if risen:
            texts[MULTI_RISING_EDGE_SIGNAL] = json.dumps(risen, separators=(",", ":"))
        return texts


class RisingEdges:
    """The memory of one MULTI_RISING_EDGE_TRIGGER, which does exactly what FleetWise's agent does."""

    def __init__(self) -> None:
        self._last: list[bool] | None = None

    def call(self, arguments: Sequence[Value | None]) -> list[str] | None:
        """Return the names of the conditions that became true; None when the arguments do not fit."""
        names, values = arguments[::2], arguments[1::2]
        texts = [name for name in names if isinstance(name, str)]
        fits = len(texts) == len(names) == len(values) > 0
        if not fits or any(isinstance(value, str) for value in values):
            return None
        # What is undefined counts as true before, so that becoming defined is no edge.
        now = [value is None or bool(value) for value in values]
        last, self._last = self._last, now
        if last is None:
            return []
        return [
            name
            for name, value, is_true, was_true in zip(texts, values, now, last, strict=True)
            if value is not None and is_true and not was_true
        ]
