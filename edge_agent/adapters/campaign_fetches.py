"""Asks the vehicle for what campaigns want of it, beside the buses: fetches, and trouble codes for events.

    request > fetch(action) > a row of text for the engine
    event that wants trouble codes > active_dtcs() > the event, with them or with a sentence that says why not

Rule 1: one thing is asked at a time; a request for a signal that is being asked for already is the same one.
Rule 2: events wait for their codes in order, those that came meanwhile get the same answer.
Rule 3: an event is never lost to an ECU that is silent: it goes without codes, and says so.
"""

import asyncio
from collections.abc import Callable

from edge_agent.telemetry.fetching import Fetcher
from fairway import log
from fairway.campaign.events import Event
from fairway.campaign.fetch import FetchRequest
from fairway.errors import FairwayError, Unavailable

EVENTS = log.get("edge_agent.campaigns")

# An ECU that asks for patience has five seconds (P2*), and is believed within a sixth.
DTCS_TIMEOUT_S = 6.0
FETCH_TIMEOUT_S = 30.0
# Two signals a campaign: more waits only when an ECU is silent.
WAITING_MAX = 512

Take = Callable[[str, str], None]
Put = Callable[[str, Event, tuple[str, ...], str], None]


class NobodyToAsk:
    """The fetcher of a vehicle whose agent may not ask anything."""

    async def fetch(self, action: str) -> str:
        raise Unavailable(f"{action} cannot be asked for: this agent knows no ECU to ask")

    async def active_dtcs(self) -> tuple[str, ...]:
        raise Unavailable("this agent knows no ECU to ask for trouble codes")


class Fetches:
    """What is being asked for."""

    def __init__(self, fetcher: Fetcher | None = None) -> None:
        self._fetcher: Fetcher = fetcher or NobodyToAsk()
        self._requests: dict[tuple[str, tuple[str, ...]], FetchRequest] = {}
        self._events: list[tuple[str, Event]] = []
        self._wake = asyncio.Event()
        self.failed: dict[str, str] = {}  # signal -> why it could not be fetched last
        self.left_out = 0

    def ask(self, request: FetchRequest) -> None:
        """Ask for a signal soon."""
        if len(self._requests) >= WAITING_MAX:
            self.left_out += 1
            return
        self._requests.setdefault((request.signal, request.actions), request)
        self._wake.set()

    def ask_dtcs(self, owner: str, event: Event) -> None:
        """Ask for trouble codes soon, for an event."""
        self._events.append((owner, event))
        self._wake.set()

    def give_up(self, put: Put) -> None:
        """Let events go without their codes: the agent stops."""
        events, self._events = self._events, []
        for owner, event in events:
            put(owner, event, (), "the agent stopped before trouble codes could be asked for")

    async def run(self, take: Take, put: Put) -> None:
        """Ask until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._events or self._requests:
                await self._ask_dtcs(put)
                await self._ask_one(take)

    async def _ask_dtcs(self, put: Put) -> None:
        if not self._events:
            return
        dtcs, missing = tuple[str, ...](), ""
        try:
            async with asyncio.timeout(DTCS_TIMEOUT_S):
                dtcs = await self._fetcher.active_dtcs()
        except (FairwayError, TimeoutError) as error:
            missing = str(error) or f"no ECU answered within {DTCS_TIMEOUT_S:g} s"
        events, self._events = self._events, []
        for owner, event in events:
            put(owner, event, dtcs, missing)

    async def _ask_one(self, take: Take) -> None:
        if not self._requests:
            return
        request = self._requests.pop(next(iter(self._requests)))
        for action in request.actions:
            try:
                async with asyncio.timeout(FETCH_TIMEOUT_S):
                    text = await self._fetcher.fetch(action)
                if text:  # else no ECU has anything to say of it
                    take(request.signal, text)
                self.failed.pop(request.signal, None)
            except (FairwayError, TimeoutError) as error:
                reason = str(error) or f"no answer within {FETCH_TIMEOUT_S:g} s"
                if self.failed.get(request.signal) != reason:
                    EVENTS.warning("fetch_failed", signal=request.signal, reason=reason)
                self.failed[request.signal] = reason
