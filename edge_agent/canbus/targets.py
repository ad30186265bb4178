"""Target values of leaves -> values of the signals in a frame: `vss2dbc`, compiled.

    Vehicle.Body.Trunk.Rear.IsOpen = true    > {"VCRIGHT_trunkLatchStatus": "LATCH_OPENED"} of that message
    a signal that a multiplexer brings       > the multiplexer's value is in it too

Rule 1: a value that no row of a table is for, or that a formula has no result for, makes no frame.
Rule 2: whether a result fits its signal the encoder says; nothing is cut off here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edge_agent.canbus.encode import Value as FrameValue
from edge_agent.canbus.mapping_names import Names
from edge_agent.canbus.model import Message
from edge_agent.canbus.plan import Plan, PlanSignal
from fairway.catalog.entries import truth_of
from fairway.catalog.model import Leaf, MathTransform, Scalar, TableTransform, Transform
from fairway.errors import BadInput
from fairway.expression.arithmetic import parse
from fairway.expression.columns import compiled

Translate = Callable[[object], FrameValue]


@dataclass(frozen=True, slots=True)
class TargetRule:
    """How one actuator's target values go into a frame."""

    path: str
    bus: int
    message: Message
    name: str  # of the signal, unique in its message
    selectors: Mapping[str, float]  # multiplexers and gates, with their physical values
    translate: Translate

    def values(self, target: object) -> dict[str, FrameValue]:
        """Return what the frame says of a target value.  Raises BadInput."""
        return {**self.selectors, self.name: self.translate(target)}

    @property
    def frame(self) -> tuple[int, int, tuple[tuple[str, float], ...]]:
        """What must be equal for two targets to go in one frame."""
        return self.bus, id(self.message), tuple(sorted(self.selectors.items()))


def target_rule(leaf: Leaf, plan: Plan, names: Names) -> TargetRule:
    """Return the rule of a leaf that has `vss2dbc`.  Raises BadInput."""
    entry = leaf.vss2dbc
    if entry is None or leaf.type != "actuator":
        raise BadInput(f"{leaf.path} is no actuator with vss2dbc")
    found = names.find(entry.target)
    signal = found.signal
    selectors = _multiplexers(signal)
    for gate in found.gates:
        other = plan.signals[gate.number]
        selectors[other.short_name] = gate.raw * other.signal.scale + other.signal.offset
    translate = _translate(leaf, entry.transform)
    return TargetRule(
        leaf.path, signal.bus, signal.message, signal.short_name, selectors, translate
    )


def _multiplexers(signal: PlanSignal) -> dict[str, float]:
    """Return the values of the multiplexers that bring a signal, the nearest first."""
    selectors: dict[str, float] = {}
    multiplex, signals = signal.signal.multiplex, signal.message.signals
    while multiplex is not None:
        parent = signals[multiplex.parent]
        raw = multiplex.ranges[0][0]
        selectors[parent.name] = raw * parent.scale + parent.offset
        multiplex = parent.multiplex
    return selectors


def _translate(leaf: Leaf, transform: Transform | None) -> Translate:
    if isinstance(transform, MathTransform):
        return _formula(leaf, transform.text)
    if isinstance(transform, TableTransform):
        return _table(leaf, transform.rows)

    def as_it_is(value: object) -> FrameValue:
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int | float | str):
            return value
        raise BadInput(f"{leaf.path}: no signal of a bus is an array")

    return as_it_is


def _formula(leaf: Leaf, text: str) -> Translate:
    evaluate = compiled(parse(text, ("x",)))

    def calculated(value: object) -> FrameValue:
        if not isinstance(value, bool | int | float):
            raise BadInput(f"{leaf.path}: vss2dbc has a formula, and {value!r:.80} is no number")
        result = float(evaluate({"x": np.array([float(value)])})[0])
        if not math.isfinite(result):
            raise BadInput(f"{leaf.path}: {text!r:.80} has no value for {value}")
        return result

    return calculated


def _table(leaf: Leaf, rows: tuple[tuple[Scalar, Scalar], ...]) -> Translate:
    is_truth = leaf.datatype == "boolean"

    def looked_up(value: object) -> FrameValue:
        for source, to in rows:
            if (truth_of(source) if is_truth else source) == value:
                return int(to) if isinstance(to, bool) else to
        raise BadInput(f"{leaf.path}: no row of vss2dbc is for {value!r:.80}")

    return looked_up
