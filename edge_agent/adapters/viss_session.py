"""One client of VISS that can be told events: its requests, and its subscriptions, each a task.

    request > viss_service.py > response          subscription > changes > filter > events

Rule 1: a subscription ends with an error event when its token is over, or who provides its signal is gone.
Rule 2: what one client can take is bounded: signals of a request, subscriptions of it and of its app.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from edge_agent.adapters.onboard_calls import serving
from edge_agent.adapters.viss_service import Viss, check_count
from edge_agent.broker.changes import Message
from edge_agent.broker.claims import Grant
from edge_agent.broker.subscriptions import BUFFER_MAX_MESSAGES, Subscriber
from edge_agent.broker.viss_dialects import Dialect, Problem, Refused, error_of
from edge_agent.broker.viss_events import Events, Points, check_signals, values_in
from edge_agent.broker.viss_filters import Timebased
from edge_agent.broker.viss_requests import (
    Get,
    Request,
    Set,
    Subscribe,
    Unsubscribe,
    envelope_of,
    request_of,
)
from edge_agent.broker.viss_tree import is_servers
from fairway.clock import NS_PER_S
from fairway.errors import Unavailable

# Half of what an expired token is given elsewhere, and how soon a provider's end is told.
REVIEW_INTERVAL_NS = NS_PER_S // 2
SUBSCRIPTIONS_OF_CONNECTION_MAX = 32
Send = Callable[[dict[str, Any]], Awaitable[None]]


class VissSession:
    """One connection that can be told events."""

    def __init__(self, viss: Viss, dialect: Dialect, token: str | None, send: Send) -> None:
        self._viss, self._dialect, self._token, self._send = viss, dialect, token, send
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.is_known = False  # whether it has shown a token that was good

    async def answer(self, text: str) -> None:
        """Do what a message asks for, and tell how it went."""
        action, request_id = None, None
        more: dict[str, Any] = {}
        try:
            envelope = envelope_of(text)
            action, request_id = envelope.action, envelope.request_id
            request = request_of(envelope, self._dialect)
            if isinstance(request, Unsubscribe) and self._dialect is Dialect.V2:
                more = {"subscriptionId": request.subscription_id}
            if isinstance(request, Subscribe):
                await self._subscribe(request, request_id)
                return
            more |= await self._done(request)
        except Refused as refused:
            self._viss.refused(refused)
            more = {"error": error_of(refused, self._dialect)}
        head = {"action": action, "requestId": request_id}
        named = {name: value for name, value in head.items() if value is not None}
        await self._send(named | more | {"ts": self._viss.now()})

    async def close(self) -> None:
        """End all subscriptions."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _done(self, request: Request) -> dict[str, Any]:
        if isinstance(request, Get):
            told = await self._viss.get(request, self._token)
            self.is_known |= not is_servers(request.path)
            return told
        if isinstance(request, Set):
            self._viss.set(request, self._token)
            self.is_known = True
            return {}
        assert isinstance(request, Unsubscribe)
        task = self._tasks.pop(request.subscription_id, None)
        if task is None:
            raise Refused(Problem.UNKNOWN_SUBSCRIPTION)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return {}

    async def _subscribe(self, request: Subscribe, request_id: Any) -> None:
        viss, filters = self._viss, request.filters
        grant = viss.grant(request.token or self._token)
        signals = viss.data.signals
        with serving(grant):
            numbers = viss.tree.meant(grant.rights, request.path, filters)
            check_count(numbers)
            check_signals(signals, numbers, filters.other)
            if len(self._tasks) >= SUBSCRIPTIONS_OF_CONNECTION_MAX:
                sentence = f"there are {len(self._tasks)} subscriptions already: end one first"
                raise Refused(Problem.TOO_MANY, sentence)
            room = contextlib.ExitStack()
            try:
                room.enter_context(viss.service.room())
            except Unavailable as error:
                raise Refused(Problem.TOO_MANY, str(error)) from error
        with room:
            name = uuid.uuid4().hex
            self.is_known = True
            await self._send(
                {
                    "action": "subscribe",
                    "requestId": request_id,
                    "subscriptionId": name,
                    "ts": viss.now(),
                }
            )
            told = _Told(viss, grant, Events(signals, numbers, filters.other), name)
            task = asyncio.create_task(self._tell(told, room.pop_all()))
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _tell(self, told: "_Told", room: contextlib.ExitStack) -> None:
        with room:
            try:
                await told.run(self._send)
            except Refused as refused:
                await self._send(
                    {
                        "action": "subscription",
                        "subscriptionId": told.name,
                        "error": error_of(refused, self._dialect),
                        "ts": self._viss.now(),
                    }
                )


class _Told:
    """One subscription."""

    def __init__(self, viss: Viss, grant: Grant, events: Events, name: str) -> None:
        self.name = name
        self._viss, self._grant, self._events = viss, grant, events
        self._numbers = list(events.numbers)
        claimed = viss.data.providers.of_signal(self._numbers[0])
        self._provider = claimed

    async def run(self, send: Send) -> None:
        """Tell events until cancelled.  Raises Refused when it is over."""
        asked, data = self._events.filter, self._viss.data
        wake = asyncio.Event()
        subscriber, message = data.subscribe(
            self._numbers,
            wake.set,
            buffer=0 if isinstance(asked, Timebased) else _buffer(asked),
            interval_ns=asked.period_ns if isinstance(asked, Timebased) else 0,
        )
        try:
            self._viss.service.tell_filters(subscriber.ids)
            await self._say(self._events.begin(message), send)
            if isinstance(asked, Timebased):
                await self._periodically(subscriber, asked.period_ns, send)
            else:
                await self._as_it_comes(subscriber, wake, send)
        finally:
            data.subscriptions.close(subscriber)
            self._viss.service.tell_filters(subscriber.ids)

    async def _as_it_comes(self, subscriber: Subscriber, wake: asyncio.Event, send: Send) -> None:
        while True:
            wake.clear()
            while (message := subscriber.take(self._viss.clock.monotonic_ns())) is not None:
                await self._say(self._events.take(message, self._current), send)
            self._check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REVIEW_INTERVAL_NS / NS_PER_S):
                    await wake.wait()

    async def _periodically(self, subscriber: Subscriber, period_ns: int, send: Send) -> None:
        clock = self._viss.clock
        due_ns = clock.monotonic_ns() + period_ns
        while True:
            self._check()
            now_ns = clock.monotonic_ns()
            if now_ns < due_ns:
                await asyncio.sleep(min(due_ns - now_ns, REVIEW_INTERVAL_NS) / NS_PER_S)
                continue
            # A reader that is slower than the period is told less often, not later and later.
            due_ns += max(1, (now_ns - due_ns) // period_ns + 1) * period_ns
            subscriber.take(now_ns)
            await self._say(values_in(self._viss.data.signals, self._current()), send)

    def _current(self) -> Message:
        return self._viss.data.current(self._numbers)

    def _check(self) -> None:
        self._viss.check(self._grant)
        if self._provider is not None and not self._provider.is_here:
            sentence = f"{self._provider.name} provides it no longer"
            raise Refused(Problem.UNAVAILABLE, sentence)

    async def _say(self, found: dict[int, Points], send: Send) -> None:
        if found:
            await send(self._viss.event(found, self.name))
            self._viss.service.counts.told += 1


def _buffer(asked: object) -> int:
    # A filter that compares, or draws a curve, sees each value; else the newest of each signal counts.
    return 0 if asked is None else BUFFER_MAX_MESSAGES
