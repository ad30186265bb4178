"""Carries batches from the spool over an uplink, for as long as the agent runs.

    connect -> [ read spool > send what is due > settle receipts ] -> lost -> wait -> connect ...

What to send when is decided by telemetry.uplink; this is the loop around it.
"""

import asyncio
import random
from collections.abc import Callable

from edge_agent.adapters.spool_worker import SpoolWorker
from edge_agent.telemetry.uplink import (
    DENIED_RETRY_S,
    SendBatch,
    Sending,
    Uplink,
    reconnect_after_s,
)
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


class Delivery:
    """The loop; `run` it as a task, `wake` it when there is something new in the spool."""

    def __init__(
        self,
        spool: SpoolWorker,
        uplink: Uplink,
        clock: Clock,
        *,
        where: str,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._spool, self._uplink, self._clock = spool, uplink, clock
        self._where, self._chance = where, chance
        self.sending = Sending(spool.spool.stream)
        self.is_connected = False
        self.connections = 0
        self._wake = asyncio.Event()
        self._is_outdated = False
        self._is_tired = False  # the attempt before failed as well: once is enough in the log

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
        receiver = asyncio.create_task(self._receive())
        try:
            while not receiver.done() and not self._is_outdated:
                await self._fill()
                await self._send()
                await self._sleep()
            if receiver.done():
                receiver.result()
        finally:
            if not receiver.done():
                receiver.cancel()
            await asyncio.gather(receiver, return_exceptions=True)

    async def _fill(self) -> None:
        """Take what fits from the spool into the window."""
        batches, size = self.sending.room()
        if (
            not batches
            or not size
            or self._spool.spool.state.next_sequence <= self.sending.last_taken + 1
        ):
            return
        try:
            found = await self._spool.read(
                self.sending.last_taken, max_batches=batches, max_bytes=size
            )
        except Unavailable as error:
            EVENTS.error("spool_unreadable", reason=str(error))
            await asyncio.sleep(SPOOL_RETRY_S)
            self._wake.set()
            return
        self.sending.take(found, now_ns=self._clock.monotonic_ns())

    async def _send(self) -> None:
        for action in self.sending.due(now_ns=self._clock.monotonic_ns()):
            if isinstance(action, SendBatch):
                try:
                    await self._uplink.send(action.batch.request)
                except BadInput as error:
                    EVENTS.error(
                        "batch_unsendable", sequence=action.batch.sequence, reason=str(error)
                    )
                    now_ns = self._clock.monotonic_ns()
                    self.sending.unsendable(action.batch.sequence, now_ns=now_ns)
                continue
            await self._send_dictionary(action.dictionary_id)

    async def _send_dictionary(self, dictionary_id: bytes) -> None:
        """Send a dictionary; without it the cloud keeps asking, and the spool keeps the batches."""
        request = await self._spool.dictionary(dictionary_id)
        if request is None:
            EVENTS.error("dictionary_lost", dictionary=dictionary_id.hex())
            return
        try:
            await self._uplink.send(request)
        except BadInput as error:
            EVENTS.error("dictionary_unsendable", dictionary=dictionary_id.hex(), reason=str(error))

    async def _sleep(self) -> None:
        due_ns = self.sending.next_due_ns()
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
        settled = self.sending.received(receipts, now_ns=self._clock.monotonic_ns())
        if settled:
            await self._spool.settle(settled)
        self._wake.set()
