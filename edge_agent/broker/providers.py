"""Who says values and who acts: providers with their claims, and whether they are there.

    0  can0                      a bus: there while frames come in
    1  climate-app               claims Vehicle.Cabin.HVAC.*: its values, or target values for it

Rule 1: a signal, and an actuator, is claimed by one provider at a time; who comes second is refused.
Rule 2: a claim lasts as long as its provider's stream: then signals are stale, and actuators unavailable.
Rule 3: what nobody has claimed, everybody may publish who has the right to.
Rule 4: two versions of one service (a group) may claim the same: both say values, the first is asked and acts,
        and when it leaves the other takes over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.broker.values import Value
from fairway.errors import BadInput, Conflict

# Providers of one vehicle that ever were: their names are kept for as long as values of theirs may be.
NAMES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A value that an actuator is to take."""

    signal: int
    value: Value


class Outlet(Protocol):
    """Where target values of a provider go."""

    @property
    def has_room(self) -> bool:
        """Whether it takes some more."""
        ...

    def admit(self, targets: Sequence[Target]) -> None:
        """Raise BadInput, Conflict or Denied when these target values would not be acted on now."""
        ...

    def offer(self, targets: Sequence[Target]) -> None:
        """Take target values on their way; it says nothing of what becomes of them."""
        ...


@dataclass(slots=True, eq=False)
class Provider:
    """One provider, for as long as its stream is open."""

    number: int
    name: str
    outlet: Outlet | None = None
    signals: dict[int, int] = field(default_factory=dict)  # with the shortest interval, ns
    actuators: set[int] = field(default_factory=set)
    is_here: bool = True
    group: str = ""  # the service that it is a version of; none without


class Providers:
    """All providers of a run."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._by_signal: dict[int, Provider] = {}
        self._by_actuator: dict[int, Provider] = {}
        self._here: dict[int, Provider] = {}
        self._buses: set[int] = set()
        self._own: set[int] = set()  # the agent's, for actuators of the vehicle
        self._publishers: dict[str, int] = {}
        self._next = 0

    def __len__(self) -> int:
        # Apps: buses and actuators come from the vehicle's own wires.
        return len(self._here.keys() - self._buses - self._own)

    def name(self, number: int) -> str:
        """Return what a provider is called; empty for nobody, or one that was forgotten."""
        return self._names.get(number, "")

    def is_here(self, number: int) -> bool:
        """Whether a provider's stream is open."""
        return number in self._here

    def is_bus(self, number: int) -> bool:
        """Whether it is a bus of the vehicle: no app can be one."""
        return number in self._buses

    def publisher(self, name: str) -> int:
        """Return the number under which values of an app without a stream are kept."""
        number = self._publishers.get(name)
        if number is None or number not in self._names:
            number = self._publishers[name] = self._named(name)
        return number

    def open_bus(self, name: str) -> Provider:
        """Return a provider for what a bus says."""
        provider = self.open(name, None)
        self._buses.add(provider.number)
        return provider

    def open_own(self, name: str, outlet: Outlet) -> Provider:
        """Return a provider that is the agent itself: it acts on the vehicle's buses."""
        provider = self.open(name, outlet)
        self._own.add(provider.number)
        return provider

    def open(self, name: str, outlet: Outlet | None, group: str = "") -> Provider:
        """Return a provider that is here now."""
        provider = Provider(self._named(name), name, outlet, group=group)
        self._here[provider.number] = provider
        return provider

    def close(self, provider: Provider) -> None:
        """Give up everything a provider claimed; once more does nothing."""
        provider.is_here = False
        self._here.pop(provider.number, None)
        others = [one for one in self._here.values() if _are_one_service(one, provider)]
        for signal in provider.signals:
            if self._by_signal.get(signal) is provider:
                _pass_on(signal, self._by_signal, [one for one in others if signal in one.signals])
        for actuator in provider.actuators:
            if self._by_actuator.get(actuator) is provider:
                heirs = [one for one in others if actuator in one.actuators]
                _pass_on(actuator, self._by_actuator, heirs)
        provider.signals.clear()
        provider.actuators.clear()

    def claim_signals(self, provider: Provider, interval_ns: dict[int, int]) -> None:
        """Claim signals: all, or none.  Raises Conflict when another provider has one of them."""
        _check_free(provider, interval_ns, self._by_signal)
        provider.signals |= interval_ns
        for number in interval_ns:
            self._by_signal.setdefault(number, provider)

    def claim_actuators(self, provider: Provider, ids: Iterable[int]) -> None:
        """Claim actuators: all, or none.  Raises Conflict when another provider has one of them."""
        claimed = list(ids)
        if provider.outlet is None:
            raise BadInput(f"{provider.name} takes no target values")
        _check_free(provider, claimed, self._by_actuator)
        provider.actuators.update(claimed)
        for number in claimed:
            self._by_actuator.setdefault(number, provider)

    def of_signal(self, signal: int) -> Provider | None:
        """Return who has claimed a signal."""
        return self._by_signal.get(signal)

    def of_actuator(self, actuator: int) -> Provider | None:
        """Return who has claimed an actuator."""
        return self._by_actuator.get(actuator)

    def _named(self, name: str) -> int:
        number = self._next
        self._next += 1
        if len(self._names) >= NAMES_MAX:
            kept = self._buses | self._here.keys()
            oldest = next(old for old in self._names if old not in kept)
            if self._publishers.get(self._names[oldest]) == oldest:
                del self._publishers[self._names[oldest]]
            del self._names[oldest]
        self._names[number] = name
        return number


def _check_free(provider: Provider, ids: Iterable[int], owners: dict[int, Provider]) -> None:
    for number in ids:
        owner = owners.get(number)
        if owner is not None and owner is not provider and not _are_one_service(owner, provider):
            raise Conflict(f"the signal {number} is provided by {owner.name} already")


def _are_one_service(one: Provider, other: Provider) -> bool:
    return bool(one.group) and one.group == other.group


def _pass_on(number: int, owners: dict[int, Provider], heirs: Sequence[Provider]) -> None:
    """Give a claim to the first of `heirs`, or up."""
    if heirs:
        owners[number] = heirs[0]
    else:
        del owners[number]
