"""Target values on their way to who acts: all checks first, then every provider gets its part.

    requests > actuator? fits? provider here? room? > one offer for each provider

Rule 1: a batch goes as a whole or not at all: nothing is offered before everything was checked.
Rule 2: a target is forwarded, never stored as a value: the value changes when the vehicle says so.
Rule 3: the last target of each actuator is remembered, with its time: who follows up on it starts here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.broker.providers import Provider, Providers, Target
from edge_agent.broker.signals import Signals
from edge_agent.broker.values import Limits, Value, check
from fairway.errors import BadInput, Unavailable


@dataclass(frozen=True, slots=True)
class Asked:
    """The last target value of an actuator."""

    value: Value
    time_ns: int


class Actuation:
    """Forwards target values."""

    def __init__(self, signals: Signals, limits: Sequence[Limits], providers: Providers) -> None:
        self._signals, self._limits, self._providers = signals, limits, providers
        self.asked: dict[int, Asked] = {}

    def check(self, number: int, value: object) -> Target:
        """Return a target value that fits its actuator.  Raises BadInput."""
        leaf = self._signals[number]
        if leaf.type != "actuator":
            raise BadInput(f"{leaf.path} is no actuator, it is a {leaf.type}")
        return Target(number, check(self._limits[number], value))

    def forward(self, targets: Sequence[Target], *, now_ns: int) -> Provider | None:
        """Offer checked targets to their providers, and return None.

        Raises Unavailable when nobody provides one of them, and what a provider raises that does not act now.
        When a provider is there and takes nothing, nobody is offered anything and it is returned.
        """
        parts: dict[Provider, list[Target]] = {}
        for target in targets:
            provider = self._providers.of_actuator(target.signal)
            if provider is None or provider.outlet is None:
                path = self._signals[target.signal].path
                raise Unavailable(f"nobody provides {path} now: try again later")
            parts.setdefault(provider, []).append(target)
        for provider in parts:
            assert provider.outlet is not None
            if not provider.outlet.has_room:
                return provider
        for provider, its in parts.items():
            assert provider.outlet is not None
            provider.outlet.admit(its)
        for provider, its in parts.items():
            assert provider.outlet is not None
            provider.outlet.offer(its)
        self.note(targets, now_ns=now_ns)
        return None

    def note(self, targets: Sequence[Target], *, now_ns: int) -> None:
        """Remember what was asked for."""
        for target in targets:
            self.asked[target.signal] = Asked(target.value, now_ns)
