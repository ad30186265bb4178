"""How often providers are to say their values: as often as the most eager subscriber wants, and no more.

    subscribers of Vehicle.Speed: every 100 ms, every 500 ms    its provider can every 20 ms    told: 100

Rule 1: a provider is told what differs from what it was told last, and nothing while nobody asked for less.
Rule 2: a subscriber without an interval wants every value: what the provider can, it says.
"""

from collections.abc import Iterable

from edge_agent.broker.providers import Provider, Providers
from edge_agent.broker.subscriptions import Subscriptions


class Filters:
    """What each provider was told of each of its signals."""

    def __init__(self, providers: Providers, subscriptions: Subscriptions) -> None:
        self._providers, self._subscriptions = providers, subscriptions
        self._told: dict[tuple[int, int], int | None] = {}

    def updates(self, ids: Iterable[int]) -> dict[Provider, dict[int, int | None]]:
        """Return what is to be told: intervals in ns by signal; None: nobody wants it any more."""
        found: dict[Provider, dict[int, int | None]] = {}
        for number in ids:
            provider = self._providers.of_signal(number)
            if provider is None:
                continue
            key = provider.number, number
            wanted = self._wanted(provider, number)
            if key not in self._told and (wanted is None or wanted == provider.signals[number]):
                continue
            if self._told.get(key, -1) != wanted:
                self._told[key] = wanted
                found.setdefault(provider, {})[number] = wanted
        return found

    def forget(self, provider: Provider) -> None:
        """Forget what a provider was told."""
        for number in provider.signals:
            self._told.pop((provider.number, number), None)

    def _wanted(self, provider: Provider, number: int) -> int | None:
        lowest_ns = self._subscriptions.lowest_interval_ns(number)
        return None if lowest_ns is None else max(lowest_ns, provider.signals[number])
