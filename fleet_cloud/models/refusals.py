"""Why a request about models is refused, in the terms that FleetWise's clients know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.errors import BadInput, Conflict


class NotThere(BadInput):
    """Nothing of that kind is called that."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} called {name}")
        self.kind, self.name = kind, name


class InTheWay(Conflict):
    """What is asked for does not go with what is there."""

    def __init__(self, kind: str, name: str, why: str) -> None:
        super().__init__(why)
        self.kind, self.name = kind, name


class TooMany(BadInput):
    """A limit would be passed."""

    def __init__(self, kind: str, name: str, why: str) -> None:
        super().__init__(why)
        self.kind, self.name = kind, name


class BadField(BadInput):
    """One member of a request cannot be so, although it is of the right shape."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field, self.why = field, why


class BadNodes(BadInput):
    """Nodes cannot be part of a catalog."""

    def __init__(self, nodes: Sequence[Mapping[str, Any]], why: str) -> None:
        super().__init__(why)
        self.nodes, self.why = tuple(nodes), why


class BadSignals(BadInput):
    """Signals are not there, or cannot be used so."""

    def __init__(self, signals: Sequence[tuple[str, str]]) -> None:
        names = ", ".join(name for name, _ in signals[:3])
        super().__init__(f"{signals[0][1]}: {names}" + (" ..." if len(signals) > 3 else ""))
        self.signals = tuple(signals)


@dataclass(frozen=True, slots=True)
class Fault:
    """One decoder or network interface that cannot be so."""

    name: str
    reason: str  # a word of FleetWise's own
    hint: str = ""


class BadDecoders(BadInput):
    """Decoders, or network interfaces, cannot be part of a decoder manifest."""

    def __init__(self, signals: Sequence[Fault] = (), interfaces: Sequence[Fault] = ()) -> None:
        first = (*signals, *interfaces)[0]
        more = len(signals) + len(interfaces) - 1
        super().__init__(f"{first.name}: {first.reason}" + (f" and {more} more" if more else ""))
        self.signals, self.interfaces = tuple(signals), tuple(interfaces)
