"""Carries batches from the lanes over an uplink, for as long as the agent runs.

    connect -> [ read lanes > pay > send what is due > settle receipts ] -> lost -> wait -> connect ...
            -> [ what else goes over the connection: campaigns          ]

What to send when is decided by telemetry.sending; this is the loop around it.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Coroutine

from edge_agent.adapters.lanes import OneLane, OpenPurse
from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.lanes import Lane, Lanes, Purse, paid
from edge_agent.telemetry.sending import SendBatch, SendDictionary, Sending, Unpaid
from edge_agent.telemetry.uplink import DENIED_RETRY_S, Uplink, reconnect_after_s
from fairway import log
from fairway.clock import NS_PER_S, Clock
from fairway.errors import BadInput, Denied, FairwayError, Unavailable
from fairway.telemetry import Outcome
from fairway.wire.telemetry import receipts_from_bytes

EVENTS = log.get("edge_agent.uplink")

# A spool that cannot be read is looked at again after so long.
SPOOL_RETRY_S = 1.0
# The longest sleep of the loop: a safety net, every event wakes it.
IDLE_MAX_S = 30.0
# A lane without budget is asked again so often: a day begins, a network changes.
UNPAID_RETRY_NS = NS_PER_S


class Delivery:
    """The loop; `run` it as a task, `wake` it when there is something new in a lane."""

    def __init__(  # noqa: PLR0913 - it joins this many things
        self,
        spool: SpoolWorker,
        uplink: Uplink,
        clock: Clock,
        *,
        where: str,
        lanes: Lanes | None = None,
        purse: Purse | None = None,
        beside: Callable[[], Coroutine[None, None, None]] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`spool` keeps the dictionaries of all lanes; `beside` runs as long as each connection does."""
        self._spool, self._uplink, self._clock = spool, uplink, clock
        self._lanes: Lanes = lanes or OneLane(spool)
        self._purse: Purse = purse or OpenPurse()
        self._beside = beside
        self._where, self._chance = where, chance
        self.sending = Sending()
        self.is_connected = False
        self.connections = 0
        self._unpaid: dict[str, int] = {}  # streams that nobody pays for, and when to ask again
        self._wake = asyncio.Event()
        self._is_outdated = False
        self._is_tired = False  # the attempt before failed as well: once is enough in the log

    @property
    def unpaid(self) -> frozenset[str]:
        """The streams that a budget holds back now."""
        return frozenset(self._unpaid)

    def oldest_time_ns(self) -> int | None:
        """Return when the oldest batch of the standing collection without a receipt was closed."""
        return self.sending.oldest_time_ns(self._spool.spool.stream)

    def wake(self) -> None:
        """Look at the spool again."""
        self._wake.set()

    def reconnect(self) -> None:
        """Connect anew, at once: the certificate was renewed.  What has no receipt is sent again."""
        self._is_outdated = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        attempt = 0
        while True:
            attempt += 1
            stored, wait_s = self.sending.counts.stored, 0.0
            try:
                self._is_outdated = False
                await self._uplink.connect()
                await self._connected()
                attempt = 0
            except Denied as error:
                EVENTS.error("uplink_denied", where=self._where, reason=str(error))
                attempt, wait_s = 0, DENIED_RETRY_S
            except Unavailable as error:
                if self.sending.counts.stored > stored:
                    attempt = 1  # it worked for a while
                wait_s = reconnect_after_s(attempt, self._chance())
                self._say("uplink_unavailable", reason=str(error), again_in_s=round(wait_s, 1))
            finally:
                self.is_connected = False
                await self._uplink.close()
            await asyncio.sleep(wait_s)

    def _say(self, event: str, **facts: object) -> None:
        say = EVENTS.debug if self._is_tired else EVENTS.warning
        say(event, where=self._where, **facts)
        self._is_tired = True

    async def _connected(self) -> None:
        """Deliver over the connection that has just been made, until it is lost."""
        self.is_connected, self._is_tired = True, False
        self.connections += 1
        EVENTS.info("uplink_connected", where=self._where)
        self.sending.connected(now_ns=self._clock.monotonic_ns())
        tasks = [asyncio.create_task(self._receive())]
        if self._beside is not None:
            tasks.append(asyncio.create_task(self._run_beside(self._beside)))
        try:
            while not any(task.done() for task in tasks) and not self._is_outdated:
                await self._fill()
                await self._send()
                await self._sleep()
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_beside(self, beside: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await beside()
        finally:
            self._wake.set()

    async def _fill(self) -> None:
        """Take what fits from the lanes into the window, the most important first."""
        now_ns = self._clock.monotonic_ns()
        self._unpaid = {stream: at for stream, at in self._unpaid.items() if at > now_ns}
        lanes = self._lanes.lanes()
        self.sending.keep([lane.stream for lane in lanes])
        self.sending.put_back(lane.stream for lane in lanes if not lane.is_open)
        for lane in lanes:
            if not lane.is_open or lane.stream in self._unpaid:
                continue
            if lane.next_sequence > self.sending.last_taken(lane.stream) + 1:
                if not all(self.sending.room()):
                    self.sending.put_back(beyond_rank=lane.rank)
                await self._take(lane)
            if not all(self.sending.room()):
                return

    async def _take(self, lane: Lane) -> None:
        batches, size = self.sending.room()
        if not batches or not size:
            return
        after = self.sending.last_taken(lane.stream)
        try:
            found = await self._lanes.read(lane.stream, after, max_batches=batches, max_bytes=size)
        except Unavailable as error:
            EVENTS.error("spool_unreadable", reason=str(error))
            await asyncio.sleep(SPOOL_RETRY_S)
            self._wake.set()
            return
        now_ns = self._clock.monotonic_ns()
        self.sending.take(lane.stream, found, rank=lane.rank, now_ns=now_ns)

    async def _send(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for action in self.sending.due(now_ns=now_ns, pay=self._purse.pay):
            match action:
                case SendBatch():
                    await self._send_batch(action)
                case SendDictionary(dictionary_id):
                    await self._send_dictionary(dictionary_id)
                case Unpaid(stream, size):
                    await self._reserve(stream, size)

    async def _reserve(self, stream: str, size: int) -> None:
        if not await self._purse.reserve(stream, size):
            now_ns = self._clock.monotonic_ns()
            self.sending.unpaid(stream, now_ns=now_ns)
            self._unpaid[stream] = now_ns + UNPAID_RETRY_NS
        self._wake.set()  # for this lane, or for those behind it

    async def _send_batch(self, action: SendBatch) -> None:
        try:
            await self._uplink.send(action.batch.request)
        except BadInput as error:
            sequence = action.batch.sequence
            EVENTS.error("batch_unsendable", sequence=sequence, reason=str(error))
            now_ns = self._clock.monotonic_ns()
            self.sending.unsendable(action.stream, sequence, now_ns=now_ns)

    async def _send_dictionary(self, dictionary_id: bytes) -> None:
        """Send a dictionary; without it the cloud keeps asking, and the spool keeps the batches."""
        request = await self._spool.dictionary(dictionary_id)
        if request is None:
            EVENTS.error("dictionary_lost", dictionary=dictionary_id.hex())
            return
        if not await paid(self._purse, len(request)):
            self.sending.unannounced(dictionary_id)
            return
        try:
            await self._uplink.send(request)
        except BadInput as error:
            EVENTS.error("dictionary_unsendable", dictionary=dictionary_id.hex(), reason=str(error))

    async def _sleep(self) -> None:
        due_ns = min(
            (at for at in (self.sending.next_due_ns(), *self._unpaid.values()) if at is not None),
            default=None,
        )
        wait_s = IDLE_MAX_S
        if due_ns is not None:
            wait_s = min(max(0.0, (due_ns - self._clock.monotonic_ns()) / NS_PER_S), IDLE_MAX_S)
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _receive(self) -> None:
        try:
            while True:
                await self._settle(await self._uplink.receive())
        finally:
            self._wake.set()

    async def _settle(self, response: bytes) -> None:
        try:
            receipts = receipts_from_bytes(response)
        except FairwayError as error:
            EVENTS.warning("answer_unreadable", where=self._where, reason=str(error))
            return
        for receipt in receipts:
            if receipt.outcome is Outcome.REFUSED:
                EVENTS.error("batch_refused", sequence=receipt.sequence, reason=receipt.reason)
        settled = defaultdict[str, list[int]](list)
        for stream, sequence in self.sending.received(receipts, now_ns=self._clock.monotonic_ns()):
            settled[stream].append(sequence)
        for stream, sequences in settled.items():
            await self._lanes.settle(stream, sequences)
        self._wake.set()
