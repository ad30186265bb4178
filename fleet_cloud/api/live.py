"""GET /v1/live: samples as they are stored, as server-sent events.

    event: samples    data: {"vehicle": ..., "received_time_ns": ..., "samples": [...], "left_out": 0}
    event: dropped    data: {"batches": 3}          since the last such event; this listener was too slow
    : still here                                    every HEARTBEAT_S, so that proxies keep the line open

Rule 1: a sample is told only after it is stored.
Rule 2: a listener never slows ingest; what it misses is counted and told, and is in the series.
Rule 3: a listener hears of vehicles that it may see, until its token expires or its key is revoked.
"""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray

from fairway.errors import BadInput, Unavailable
from fairway.signals import SignalTable
from fleet_cloud.access.roles import Permission
from fleet_cloud.api.gate import Gate, needs
from fleet_cloud.api.parameters import signal_filter
from fleet_cloud.api.problems import responses
from fleet_cloud.api.visible import Caller
from fleet_cloud.ingest.ports import AcceptedBatch, LiveFeed, Subscription

HEARTBEAT_S = 15.0

# How often it is asked whether a listener may still listen.
REVIEW_S = 2.0

# Each holds a connection and a queue of batches (5 MB at most); consoles are few.
LISTENERS_MAX = 100

# More in one event than anyone looks at; the newest are told, the rest is in the series.
EVENT_MAX_SAMPLES = 1000

# Patterns and vehicles in one request: a console names what it shows.
CHOICES_MAX = 100

# Signal tables a listener has matched its patterns against.
_TABLES_MAX = 64


class Choice:
    """What one listener wants: some vehicles (or all), and signals by pattern (or all)."""

    def __init__(self, caller: Caller, vehicles: list[str], signals: list[str]) -> None:
        if len(vehicles) > CHOICES_MAX or len(signals) > CHOICES_MAX:
            raise BadInput(
                f"more than {CHOICES_MAX} vehicles or signals: use a pattern, or leave out"
            )
        self._caller = caller
        self._vehicles = frozenset(vehicles)
        self._fits = signal_filter(signals)
        self._wants_all = not signals
        self._masks: dict[int, tuple[SignalTable, NDArray[np.bool_]]] = {}

    def wants(self, batch: AcceptedBatch) -> bool:
        """Whether some of the batch may be told; asked in ingest's thread, so only what is quick."""
        vehicle = batch.name.vehicle
        is_chosen = not self._vehicles or vehicle in self._vehicles
        return is_chosen and self._caller.sees(batch.tenant, vehicle)

    def rows(self, batch: AcceptedBatch) -> NDArray[np.intp]:
        """Return the rows of `batch` that are told."""
        block = batch.block
        if self._wants_all:
            return np.arange(len(block))
        return np.flatnonzero(self._mask(block.table)[block.signal])

    def _mask(self, table: SignalTable) -> NDArray[np.bool_]:
        # The table is kept with its mask, so its id stays its own.
        known = self._masks.get(id(table))
        if known is None:
            if len(self._masks) >= _TABLES_MAX:
                self._masks.clear()
            mask = np.array([self._fits(signal.name) for signal in table], np.bool_)
            known = self._masks[id(table)] = (table, mask)
        return known[1]


class Listeners:
    """Everyone who is listening now."""

    def __init__(self, feed: LiveFeed, *, heartbeat_s: float, review_s: float) -> None:
        self._feed = feed
        self._heartbeat_s = heartbeat_s
        self._review_s = review_s
        self._count = 0
        self._ending = asyncio.Event()

    def hang_up(self) -> None:
        """End every feed, so that a server that stops need not wait for its listeners."""
        self._ending.set()

    def check_room(self) -> None:
        """Raise Unavailable when there are as many as may be."""
        if self._count >= LISTENERS_MAX:
            raise Unavailable(f"{LISTENERS_MAX} listen already: try again later")

    async def events(self, choice: Choice, may_listen: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yield what one listener is told, until either side hangs up, or `may_listen` says no."""
        subscription = self._feed.subscribe(choice.wants)
        self._count += 1
        ending = asyncio.ensure_future(self._until_over(may_listen))
        told_dropped = 0
        try:
            yield b"retry: 5000\n\n"
            while not ending.done():
                batch = await _received(subscription, ending, self._heartbeat_s)
                if batch is None:
                    yield b": still here\n\n"
                    continue
                dropped = subscription.dropped
                if dropped != told_dropped:
                    yield _event("dropped", {"batches": dropped - told_dropped})
                    told_dropped = dropped
                rows = choice.rows(batch)
                if len(rows):
                    yield _event("samples", _samples(batch, rows))
        finally:
            self._count -= 1
            ending.cancel()
            subscription.close()

    async def _until_over(self, may_listen: Callable[[], bool]) -> None:
        """Return when the service stops, or this listener may no longer listen."""
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._review_s)
            if not await asyncio.to_thread(may_listen):
                return


async def _received(
    subscription: Subscription, ending: "asyncio.Future[Any]", heartbeat_s: float
) -> AcceptedBatch | None:
    """Return the next batch, or None when there is none for so long or the feed ends."""
    receiving = asyncio.ensure_future(subscription.receive())
    try:
        await asyncio.wait({receiving, ending}, timeout=heartbeat_s, return_when="FIRST_COMPLETED")
        return receiving.result() if receiving.done() else None
    finally:
        receiving.cancel()


def router(listeners: Listeners) -> APIRouter:
    """Return the route of the live feed."""
    routes = APIRouter(prefix="/v1", tags=["live"])

    @routes.get(
        "/live",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **responses(400, 401, 403, 429, 503),
        },
    )
    async def listen(
        caller: Annotated[Caller, needs(Permission.TELEMETRY_READ)],
        request: Request,
        vehicle: Annotated[
            list[str],
            Query(default_factory=list, description="Only these vehicles; all without."),
        ],
        signal: Annotated[
            list[str],
            Query(
                default_factory=list,
                description="Only signals that fit such a pattern: `*.Speed`.",
            ),
        ],
    ) -> StreamingResponse:
        """Hear samples as they are stored, until you hang up, or your token or key ends."""
        choice = Choice(caller, vehicle, signal)
        listeners.check_room()
        gate: Gate = request.app.state.gate
        return StreamingResponse(
            listeners.events(choice, lambda: gate.is_good(caller.credential)),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )

    return routes


def _samples(batch: AcceptedBatch, rows: NDArray[np.intp]) -> dict[str, Any]:
    newest = batch.block.take(rows[-EVENT_MAX_SAMPLES:])
    return {
        "vehicle": batch.name.vehicle,
        "received_time_ns": batch.received_time_ns,
        "samples": [
            {"signal": signal, "time_ns": time_ns, "value": _jsonable(value)}
            for signal, time_ns, value in newest.rows()
        ],
        "left_out": len(rows) - len(newest),
    }


def _jsonable(value: float | bool | str) -> float | bool | str | None:  # noqa: FBT001 - a value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _event(name: str, content: dict[str, Any]) -> bytes:
    data = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n".encode()
