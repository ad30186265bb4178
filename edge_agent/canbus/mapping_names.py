"""Which signal of which message on which bus a mapping means.

    SignalRef("DI_gear")                        the only signal of that name, on whatever bus
    SignalRef("DI_systemStatus.DI_gear")        that of this message
    SignalRef("Pressure", selectors=(("", 3),)) the instance that the multiplexer's value 3 selects

Rule 1: a reference means exactly one signal; none or several is an error that says what there is.
Rule 2: a selector that names another signal of the frame, which does not multiplex this one, becomes a
        `Gate`: the value counts only in frames where that signal has that raw value.
"""

from collections import defaultdict
from dataclasses import dataclass

from edge_agent.canbus.j1939 import pgn_of
from edge_agent.canbus.plan import Plan, PlanSignal
from fairway.catalog.model import Selector, SignalRef
from fairway.errors import BadInput

# How many candidates an error names; more do not help.
SHOWN_MAX = 6


@dataclass(frozen=True, slots=True)
class Gate:
    """The raw value that plan signal `number` must have in the same frame."""

    number: int
    raw: int


@dataclass(frozen=True, slots=True)
class Found:
    """The signal a reference means, and the gates its frame must pass."""

    signal: PlanSignal
    gates: tuple[Gate, ...] = ()


class Names:
    """A plan's signals by what people call them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._by_name: dict[str, list[PlanSignal]] = defaultdict(list)
        for signal in plan.signals:
            for name in {
                signal.signal.name,
                signal.short_name,
                f"{signal.message.name}.{signal.signal.name}",
                f"{signal.message.name}.{signal.short_name}",
                f"{signal.bus_name}.{signal.message.name}.{signal.signal.name}",
                signal.name,
            }:
                self._by_name[name].append(signal)
        self._by_lower_name = {name.lower(): name for name in self._by_name}

    def find(self, reference: SignalRef) -> Found:
        """Return the one signal that `reference` means.  Raises BadInput."""
        named = self._by_name.get(reference.signal, [])
        if not named:
            near = self._by_lower_name.get(reference.signal.lower())
            hint = f"; did you mean {near}?" if near else ""
            raise BadInput(f"no database has a signal called {reference.signal}{hint}")
        fitting = [signal for signal in named if _fits(signal, reference)]
        if not fitting:
            wanted = _wanted(reference)
            raise BadInput(
                f"no signal called {reference.signal} {wanted}; there is {_shown(named)}"
            )
        if len(fitting) > 1:
            raise BadInput(
                f"{reference.signal} is the name of {len(fitting)} signals: {_shown(fitting)}; "
                "say which by message, bus or multiplexer"
            )
        return Found(fitting[0], self._gates(fitting[0], reference))

    def _gates(self, signal: PlanSignal, reference: SignalRef) -> tuple[Gate, ...]:
        gates = []
        for selector in reference.selectors:
            name = selector.signal or _parent_name(signal) or ""
            if name == _parent_name(signal) and _is_selected_alone(signal, selector):
                continue
            number = next(
                (
                    other.number
                    for other in self._by_name.get(name, [])
                    if other.message is signal.message and other.bus == signal.bus
                ),
                None,
            )
            if number is None:
                raise BadInput(
                    f"the multiplexer {selector.signal} is no signal of {signal.message.name}, "
                    f"where {signal.signal.name} is"
                )
            gates.append(Gate(number, selector.value))
        return tuple(gates)


def _fits(signal: PlanSignal, reference: SignalRef) -> bool:
    message = signal.message
    if reference.message and message.name != reference.message:
        return False
    if reference.bus and signal.bus_name != reference.bus:
        return False
    if reference.pgn is not None and not (
        message.is_extended and pgn_of(message.frame_id) == reference.pgn
    ):
        return False
    return all(_selects(signal, selector) for selector in reference.selectors)


def _selects(signal: PlanSignal, selector: Selector) -> bool:
    """Whether the selector lets this instance through, as far as the database alone can say."""
    multiplex = signal.signal.multiplex
    if selector.signal and _parent_name(signal) != selector.signal:
        return True  # becomes a gate, or an error
    if multiplex is None:
        return False
    return any(low <= selector.value <= high for low, high in multiplex.ranges)


def _is_selected_alone(signal: PlanSignal, selector: Selector) -> bool:
    """Whether the signal is in frames of this value of its multiplexer only."""
    multiplex = signal.signal.multiplex
    return multiplex is not None and set(multiplex.ranges) == {(selector.value, selector.value)}


def _parent_name(signal: PlanSignal) -> str | None:
    multiplex = signal.signal.multiplex
    return None if multiplex is None else signal.message.signals[multiplex.parent].name


def _wanted(reference: SignalRef) -> str:
    wanted = []
    if reference.message:
        wanted.append(f"in a message {reference.message}")
    if reference.bus:
        wanted.append(f"on a bus {reference.bus}")
    if reference.pgn is not None:
        wanted.append(f"with PGN {reference.pgn}")
    wanted.extend(
        f"selected by {selector.signal or 'its multiplexer'} = {selector.value}"
        for selector in reference.selectors
    )
    return " and ".join(wanted)


def _shown(signals: list[PlanSignal]) -> str:
    shown = []
    for signal in signals[:SHOWN_MAX]:
        multiplex = signal.signal.multiplex
        ranges = multiplex.ranges if multiplex else ()
        values = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in ranges[:4])
        shown.append(f"{signal.name} (multiplexer {values})" if values else signal.name)
    more = len(signals) - SHOWN_MAX
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
