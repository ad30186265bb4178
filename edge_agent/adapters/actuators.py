"""Acts on the vehicle: orders of apps become frames, and what the vehicle says ends them (closed_loop.py).

    ask, or kuksa's Actuate > admitted > orders > one frame for all of a message > bus
    what buses say > feedback > orders > whoever watches them

Rule 1: the agent itself is the provider of these actuators, called VEHICLE.
Rule 2: interlock and allow-list are asked twice: when an order is given, and right before its frame is sent.
Rule 3: a frame says the targets under way, for the rest what the vehicle says now, then what was reached last,
        then the defaults; or the defaults at once, where the frame has codes that ask for nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.adapters.onboard_calls import current_grant
from edge_agent.adapters.outbound_bus import OutboundBuses
from edge_agent.broker.closed_loop import (
    ORDERS_MAX,
    ClosedLoop,
    Event,
    Order,
    Reason,
    Refusal,
    Seen,
    State,
)
from edge_agent.broker.interlocks import Interlocks
from edge_agent.broker.providers import Target
from edge_agent.broker.store import Quality
from edge_agent.broker.subscriptions import Subscriber
from edge_agent.broker.values import Value
from edge_agent.broker.vehicle import VehicleData
from edge_agent.canbus.encode import Value as FrameValue
from edge_agent.canbus.frames import Frame
from edge_agent.canbus.targets import TargetRule
from fairway import log
from fairway.clock import NS_PER_MS, NS_PER_S, Clock
from fairway.errors import BadInput, Conflict, Denied, Unavailable

EVENTS = log.get("edge_agent.actuation")

# What apps see as the provider of these actuators.
VEHICLE = "vehicle"
# A bus that takes nothing for so long takes nothing.
SEND_MAX_S = 1.0
# A repetition that waits for the pace of its frame is overdue all that time: look, but do not spin.
WAIT_MIN_NS = NS_PER_MS
_REFUSED_WITH_IT = Refusal(Reason.NONE, "another target of the same request was refused")


@dataclass(slots=True, eq=False)
class Watch:
    """The orders of one request, as they change."""

    orders: list[Order]  # as they were when asked for
    _changes: "asyncio.Queue[Order]" = field(default_factory=asyncio.Queue)
    _left: set[int] = field(default_factory=set)

    async def changes(self) -> AsyncIterator[Order]:
        """Yield every order as it was asked for, then as it changes, until all are over."""
        for order in self.orders:
            yield order
        while self._left or not self._changes.empty():
            yield await self._changes.get()

    def tell(self, order: Order) -> None:
        """Take a change of one of the orders; nothing happens for others."""
        if order.id in self._left:
            self._changes.put_nowait(order)
            if order.is_over:
                self._left.discard(order.id)

    def follow(self, order: Order) -> None:
        """Follow an order that is under way."""
        self._left.add(order.id)

    @property
    def is_over(self) -> bool:
        """Whether all its orders are."""
        return not self._left


class Actuators:
    """The vehicle's own actuators, as a provider."""

    def __init__(
        self,
        data: VehicleData,
        loop: ClosedLoop,
        rules: Mapping[int, TargetRule],
        buses: OutboundBuses,
        clock: Clock,
    ) -> None:
        """`rules` say how the target of each actuator goes into a frame."""
        self._data, self.loop, self._rules, self._clock = data, loop, dict(rules), clock
        self._buses, self._outbound = buses, buses.outbound
        self._interlocks = Interlocks(data)
        self._wake = asyncio.Event()
        self._watches: set[Watch] = set()
        self._reached: dict[int, Value] = {}
        self._listening: Subscriber | None = None
        self._provider = data.providers.open_own(VEHICLE, self)
        data.providers.claim_actuators(self._provider, self._rules)

    @property
    def has_room(self) -> bool:
        return len(self.loop) < ORDERS_MAX

    def admit(self, targets: Sequence[Target]) -> None:
        writer, now_ns = current_grant().subject, self._clock.monotonic_ns()
        for target in targets:
            refusal = self._refusal(target, writer, now_ns)
            if refusal is not None and refusal.reason is Reason.FORBIDDEN:
                raise Denied(refusal.sentence)
            if refusal is not None:
                raise Conflict(refusal.sentence)

    def offer(self, targets: Sequence[Target]) -> None:
        self._accept(targets, current_grant().subject, 0)

    def connect(self, bus: int, source: object) -> None:
        """Send on a bus by way of its source, if anything may be sent there.  Raises BadInput."""
        self._buses.connect(bus, source)

    def acts_on(self, actuator: int) -> bool:
        """Whether this actuator is one of the vehicle's own."""
        return actuator in self._rules

    def ask(self, targets: Sequence[Target], writer: str, *, deadline_ns: int = 0) -> Watch:
        """Give orders: all, or none; return them, to be watched.  Raises BadInput or Unavailable."""
        if not self.has_room:
            raise Unavailable(f"{ORDERS_MAX} orders are under way: try again later")
        if len({target.signal for target in targets}) != len(targets):
            raise BadInput("an actuator is named twice")
        now_ns = self._clock.monotonic_ns()
        refusals = [self._refusal(target, writer, now_ns) for target in targets]
        if not any(refusals):
            return self._accept(targets, writer, deadline_ns)
        orders = [
            self.loop.refused(target.signal, target.value, writer, refusal or _REFUSED_WITH_IT)
            for target, refusal in zip(targets, refusals, strict=True)
        ]
        self._tell(orders)
        return Watch(orders)

    async def run(self) -> None:
        """Act until cancelled; then what is under way has failed."""
        try:
            while True:
                self._wake.clear()
                self._look()
                self._tell(self.loop.expire(now_ns=self._clock.monotonic_ns()))
                await self._pause(await self._send())
        finally:
            now_ns = self._clock.monotonic_ns()
            for order in self.loop:
                self._tell(self._happens([order], Event.STOPPED, now_ns, "the agent stops"))

    def _refusal(self, target: Target, writer: str, now_ns: int) -> Refusal | None:
        """Return why a target would not be acted on now.  Raises BadInput when no frame can say it."""
        terms, rule = self.loop.terms[target.signal], self._rules[target.signal]
        allowed = self._outbound.find(rule.bus, rule.message)
        if allowed is None:
            return Refusal(
                Reason.FORBIDDEN, f"no entry of the allow-list lets {rule.message.name} out"
            )
        self._frame(rule, {target.signal: target.value}, "")
        against = self._interlocks.against(terms.interlock, now_ns=now_ns)
        refusal = self.loop.refusal(target.signal, writer, now_ns=now_ns, interlock=against)
        if refusal is not None:
            return refusal
        against = self._interlocks.against(allowed.condition, now_ns=now_ns)
        return Refusal(Reason.FORBIDDEN, f"{rule.message.name}: {against}") if against else None

    def _accept(self, targets: Sequence[Target], writer: str, deadline_ns: int) -> Watch:
        now_ns, watch, changed = self._clock.monotonic_ns(), Watch([]), list[Order]()
        for target in targets:
            *over, order = self.loop.accept(
                target.signal, target.value, writer, now_ns=now_ns, deadline_ns=deadline_ns
            )
            changed += over
            watch.orders.append(order)
            watch.follow(order)
        self._tell([*changed, *watch.orders], is_new=True)
        self._watches.add(watch)
        self._listen()
        self._wake.set()
        return watch

    def _tell(self, orders: Iterable[Order], *, is_new: bool = False) -> None:
        for order in orders:
            path = self.loop.terms[order.actuator].path
            EVENTS.info(
                f"order_{order.state.value}",
                order=order.id,
                path=path,
                writer=order.writer,
                reason=order.reason.value,
                sentence=order.sentence,
            )
            if order.is_over:
                outcome = order.state if order.state is State.CONFIRMED else order.reason
                self._data.counts.orders[outcome.value or "batch"] += 1
            for watch in tuple(self._watches):
                watch.tell(order)
                if watch.is_over:
                    self._watches.discard(watch)
        if not is_new and not len(self.loop):
            self._unlisten()

    def _listen(self) -> None:
        """Be woken when a bus says something of a feedback signal."""
        if self._listening is None:
            feedback = {self.loop.terms[actuator].feedback for actuator in self._rules}
            self._listening = self._data.subscriptions.open(feedback, self._wake.set)

    def _unlisten(self) -> None:
        if self._listening is not None:
            self._data.subscriptions.close(self._listening)
            self._listening = None

    def _look(self) -> None:
        """Take what the vehicle says of the feedback signals of the orders under way."""
        now_ns, store = self._clock.monotonic_ns(), self._data.store
        if self._listening is not None:
            self._listening.take(now_ns)
        for order in self.loop:
            number = self.loop.terms[order.actuator].feedback
            state = store.state(number, now_ns=now_ns)
            seen = Seen(
                state.value if state.quality is Quality.VALID else None,
                store.seen_ns(number),
                is_from_bus=self._data.providers.is_bus(state.provider),
                is_on_change=not store.is_timed(number),
            )
            changed = self.loop.sees(order.actuator, seen, now_ns=now_ns)
            if changed:
                self._reached[order.actuator] = order.value
                self._tell(changed)

    async def _send(self) -> int | None:
        """Send what is due; return when the next frame is, None when none waits."""
        now_ns, groups = self._clock.monotonic_ns(), dict[object, list[Order]]()
        for order in self.loop:
            if self.loop.is_to_send(order, now_ns=now_ns):
                groups.setdefault(self._rules[order.actuator].frame, []).append(order)
        due: list[int] = []
        for orders in groups.values():
            rule = self._rules[orders[0].actuator]
            allowed = self._outbound.find(rule.bus, rule.message)
            wait_ns = 0 if allowed is None else self._outbound.wait_ns(allowed, now_ns=now_ns)
            if wait_ns:
                due.append(now_ns + wait_ns)
            else:
                await self._send_one(rule, orders)
        return min(due, default=None)

    async def _send_one(self, rule: TargetRule, orders: Sequence[Order]) -> None:
        """Send the frame of orders that go in one, those of them that may."""
        now_ns, may = self._clock.monotonic_ns(), list[Order]()
        for order in orders:
            interlock = self.loop.terms[order.actuator].interlock
            against = self._interlocks.against(interlock, now_ns=now_ns)
            if against:
                self._tell(self._happens([order], Event.INTERLOCK, now_ns, against))
            else:
                may.append(order)
        if not may:
            return
        allowed = self._outbound.find(rule.bus, rule.message)
        condition = None if allowed is None else allowed.condition
        event, sentence = Event.FRAME_SENT, ""
        try:
            against = self._interlocks.against(condition, now_ns=now_ns)
            frame = self._frame(rule, {order.actuator: order.value for order in may}, against)
            async with asyncio.timeout(SEND_MAX_S):
                await self._buses.send(frame)
                self._data.counts.frames_sent += 1
        except (Denied, BadInput) as error:
            event, sentence = Event.FORBIDDEN, str(error)
        except Unavailable as error:
            event, sentence = Event.BUS, str(error)
        except TimeoutError:
            event, sentence = Event.BUS, f"the bus took no frame for {SEND_MAX_S:g} s"
        self._tell(self._happens(may, event, now_ns, sentence))
        self._wake.set()  # the vehicle may have said so already

    def _happens(
        self, orders: Iterable[Order], event: Event, now_ns: int, sentence: str
    ) -> list[Order]:
        """Let something happen to orders, unless others have taken their place meanwhile."""
        current = {order.actuator: order.id for order in self.loop}
        return [
            changed
            for order in orders
            if current.get(order.actuator) == order.id
            for changed in self.loop.happens(
                order.actuator, event, now_ns=now_ns, sentence=sentence
            )
        ]

    def _frame(self, rule: TargetRule, targets: Mapping[int, Value], against: str) -> Frame:
        """Return the frame that says these targets.  Raises BadInput or Denied."""
        values: dict[str, FrameValue] = {}
        under_way = {
            order.actuator: order.value for order in self.loop if order.state is State.SENT
        }
        allowed = self._outbound.find(rule.bus, rule.message)
        is_restated = allowed is not None and allowed.is_restated
        for actuator, other in self._rules.items():
            if other.frame != rule.frame or actuator in targets:
                continue
            value = under_way.get(actuator)
            if value is None and is_restated:
                value = self._now(actuator)
            if value is not None:
                with contextlib.suppress(BadInput):  # it says something that cannot be ordered
                    said = other.values(value)
                    self._outbound.frame(
                        rule.bus, rule.message, {**rule.selectors, **values, **said}, ""
                    )
                    values |= said
        for actuator, target in targets.items():
            values |= self._rules[actuator].values(target)
        return self._outbound.frame(rule.bus, rule.message, values, against)

    def _now(self, actuator: int) -> Value | None:
        """Return what an actuator that nobody acts on is now: as the vehicle says, or as it was reached."""
        number = self.loop.terms[actuator].feedback
        state = self._data.store.state(number, now_ns=self._clock.monotonic_ns())
        is_said = state.quality is Quality.VALID and self._data.providers.is_bus(state.provider)
        if is_said and number == actuator:
            return state.value
        return self._reached.get(actuator)

    async def _pause(self, due_ns: int | None) -> None:
        """Wait to be woken, or for what is due next."""
        times = [time for time in (due_ns, self.loop.next_ns()) if time is not None]
        wait_s = None
        if times:
            wait_ns = min(times) - self._clock.monotonic_ns()
            wait_s = max(WAIT_MIN_NS, wait_ns) / NS_PER_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
