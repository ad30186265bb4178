"""The vehicle's data in one place: signals, values, history, who listens, who provides, who acts.

    buses, apps > store > changes > subscriptions > apps
    apps > actuation > providers

Rule 1: no I/O and no clock: `now_ns` is the monotonic clock, `time_ns` the wall's.
Rule 2: a value that does not fit its signal is refused with a sentence, and the others of its batch stand.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from edge_agent.broker.actuation import Actuation
from edge_agent.broker.changes import Changes, Message
from edge_agent.broker.counts import DataCounts, DataNumbers
from edge_agent.broker.history import History
from edge_agent.broker.providers import Provider, Providers, Target
from edge_agent.broker.signals import Signals
from edge_agent.broker.store import Arrived, Store
from edge_agent.broker.subscriptions import Subscriber, Subscriptions
from edge_agent.broker.values import Value, limits_of
from fairway.errors import Unavailable
from fairway.samples import Ints, SampleBlock


class VehicleData:
    """Everything that the vehicle-data API serves."""

    def __init__(self, signals: Signals, history: History) -> None:
        self.signals = signals
        self.limits = [limits_of(leaf) for leaf in signals]
        self.low = np.array([limits.low for limits in self.limits])
        self.high = np.array([limits.high for limits in self.limits])
        self.is_checked_by_range = [limits.is_checked_by_range for limits in self.limits]
        self.store = Store(signals, history)
        self.subscriptions = Subscriptions(len(signals))
        self.targets = Subscriptions(len(signals))  # to target values, as apps of v1 want them
        self.providers = Providers()
        self.actuation = Actuation(signals, self.limits, self.providers)
        self.counts = DataCounts()
        # By the name of a provider that somebody watches: when it last said which signal (monotonic clock).
        self.said_ns: dict[str, dict[int, int]] = {}

    def numbers(self) -> DataNumbers:
        """Return what was done, and who is there."""
        return DataNumbers(
            self.counts,
            dropped=self.subscriptions.dropped + self.targets.dropped,
            subscriptions=len(self.subscriptions) + len(self.targets),
            providers=len(self.providers),
        )

    def take_block(
        self, block: SampleBlock, numbers: Ints, providers: Ints, *, now_ns: int
    ) -> None:
        """Take what buses say: rows of a table whose signals have these numbers and providers."""
        for changes in self.store.put_block(
            block,
            numbers,
            providers=providers,
            now_ns=now_ns,
            is_watched=self.subscriptions.is_watched,
        ):
            self.subscriptions.publish(changes)

    def publish(self, arrived: Arrived, *, provider: int | Ints, now_ns: int) -> None:
        """Take values that were checked."""
        if self.said_ns and isinstance(provider, int):
            said = self.said_ns.get(self.providers.name(provider))
            if said is not None:
                there = arrived.ids[arrived.is_there]
                said |= dict.fromkeys(there.tolist(), now_ns)
        changes = self.store.put(arrived, provider=provider, now_ns=now_ns)
        if changes is not None:
            self.subscriptions.publish(changes)

    def subscribe(
        self,
        ids: Iterable[int],
        wake: Callable[[], None],
        *,
        buffer: int = 0,
        interval_ns: int = 0,
    ) -> tuple[Subscriber, Message]:
        """Return a subscriber, and the values that everything begins with.  Raises BadInput."""
        numbers = list(dict.fromkeys(ids))
        subscriber = self.subscriptions.open(numbers, wake, buffer=buffer, interval_ns=interval_ns)
        return subscriber, self.current(numbers)

    def current(self, ids: Sequence[int]) -> Message:
        """Return the values of these signals, in this order, whether or not they have one."""
        return Message(self.store.current(np.array(ids, np.int32)))

    def actuate(self, targets: Sequence[Target], *, now_ns: int) -> Provider | None:
        """Forward checked targets; return who takes nothing, when nothing was forwarded.

        `now_ns` is the wall's time.  Raises Unavailable when nobody provides one of them.
        """
        stuck = self.actuation.forward(targets, now_ns=now_ns)
        if stuck is None:
            self._tell_targets(targets, now_ns)
        return stuck

    def ask(self, targets: Sequence[Target], *, now_ns: int) -> None:
        """Note checked targets, and forward those that somebody provides: v1 wants no more.

        Raises Unavailable when a provider is there and takes nothing.
        """
        for target in targets:
            if self.providers.of_actuator(target.signal) is None:
                self.actuation.note([target], now_ns=now_ns)
                self._tell_targets([target], now_ns)
            elif (stuck := self.actuate([target], now_ns=now_ns)) is not None:
                raise Unavailable(f"{stuck.name} does not take what it is sent")

    def _tell_targets(self, targets: Sequence[Target], now_ns: int) -> None:
        for target in targets:
            arrived = one(
                target.signal,
                target.value,
                is_number=bool(self.signals.is_number[target.signal]),
                time_ns=now_ns,
                source_ns=0,
            )
            self.targets.publish(
                Changes(
                    arrived.ids, arrived.time_ns, arrived.value, arrived.is_there, arrived.objects
                )
            )

    def claim(self, provider: Provider, interval_ns: dict[int, int]) -> None:
        """Let a provider claim signals: all, or none.  Raises Conflict."""
        self.providers.claim_signals(provider, interval_ns)
        ids = np.array(list(interval_ns), np.int32)
        declared = np.array(list(interval_ns.values()), np.int64)
        is_timed = ~self.signals.is_on_change[ids]
        self.store.expect(ids[is_timed], declared[is_timed])

    def withdraw(self, provider: Provider, *, time_ns: int, now_ns: int) -> None:
        """Note that a provider cannot say values: its signals have none now."""
        changes = self.store.withdrawn(provider.number, time_ns, now_ns=now_ns)
        if changes is not None:
            self.subscriptions.publish(changes)

    def leave(self, provider: Provider) -> None:
        """Give up what a provider claimed: its values stay, and are stale."""
        self.providers.close(provider)
        self.store.is_gone(provider.number)


def one(
    number: int, value: Value | None, *, is_number: bool, time_ns: int, source_ns: int
) -> Arrived:
    """Return one value as what arrived."""
    is_column = is_number and value is not None
    return Arrived(
        ids=np.array([number], np.int32),
        time_ns=np.array([time_ns], np.int64),
        source_time_ns=np.array([source_ns], np.int64),
        value=np.array([float(value) if is_column else np.nan]),  # type: ignore[arg-type]
        is_there=np.array([value is not None], np.bool_),
        objects={} if is_column or value is None else {number: value},
    )
