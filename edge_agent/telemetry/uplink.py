"""What to send when: the window of batches between the spool and the cloud.

    spool --take--> [ waiting | on the way, unanswered ] --receipt--> settled
                         ^___ BUSY, UNKNOWN_DICTIONARY, silence, lost connection

    STORED, DUPLICATE      forget it
    REFUSED                forget it, count it, tell someone: the cloud keeps it in quarantine
    UNKNOWN_DICTIONARY     the dictionary, then the batch again
    BUSY                   the batch again after a while, and half as many at once; each success adds one
    silence                the batch again, each time after twice as long
    a new connection       everything unanswered again, at once

Rule 1: only a final receipt takes a batch out of the window; a broker's PUBACK is no receipt.
Rule 2: batches go in order, but an unanswered one does not hold up those behind it.
Rule 3: no I/O and no clock here: `now_ns` is monotonic and an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_agent.telemetry.spool import SpooledBatch
from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.telemetry import Outcome, Receipt

# Half a second of receipts' delay at 250,000 samples/s; and what a modem's buffer and a broker's queue take.
WINDOW_MAX_BATCHES = 128
WINDOW_MAX_BYTES = 8 * 1024 * 1024
# The cloud groups commits for up to a second or two; a cellular link may stall for ten.
RESEND_FIRST_NS = 20 * NS_PER_S
RESEND_MAX_NS = 600 * NS_PER_S
# How long after BUSY at the least, whatever the receipt says.
BUSY_MIN_NS = 50 * NS_PER_MS
# What the transport can never carry is tried again rarely: someone may change the broker's limit.
TOO_LARGE_RETRY_NS = 300 * NS_PER_S

RECONNECT_FIRST_S = 0.5
RECONNECT_MAX_S = 60.0
# An unregistered vehicle, or a certificate nobody knows: nothing here will change it, someone there may.
DENIED_RETRY_S = 60.0


class Uplink(Protocol):
    """A connection to the cloud, made anew as often as needed.  Contract: tests/contracts/test_uplink.py."""

    async def connect(self) -> None:
        """Return once messages can be sent and heard.

        Raises Unavailable (try again later) or Denied (this vehicle is not let in).
        """
        ...

    async def send(self, request: bytes) -> None:
        """Hand over one TelemetryRequest; that it arrives, only a receipt tells.

        Raises Unavailable when the connection is lost, BadInput when it can never carry the message.
        """
        ...

    async def receive(self) -> bytes:
        """Wait for the next TelemetryResponse.  Raises Unavailable or Denied when the connection is lost."""
        ...

    async def close(self) -> None:
        """End the connection, if there is one; `connect` makes the next."""
        ...


class ControlDoor(Protocol):
    """The second conversation of a connection: campaigns.  Contract: tests/contracts/test_uplink.py."""

    async def send_control(self, request: bytes) -> None:
        """Hand over one ControlRequest; nothing tells that it arrived but what the cloud then says.

        Raises Unavailable when the connection is lost, BadInput when it can never carry the message, or the
        cloud has no such door: then this vehicle goes on without campaigns from it.
        """
        ...

    async def receive_control(self) -> bytes:
        """Wait for the next ControlResponse.  Raises as `send_control`, and Denied."""
        ...


@dataclass(frozen=True, slots=True)
class SendDictionary:
    """Send the dictionary before the batches that need it."""

    dictionary_id: bytes


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Send this batch now."""

    batch: SpooledBatch


@dataclass(slots=True)
class UplinkCounts:
    """What became of what was sent, since the agent started."""

    sent: int = 0
    sent_bytes: int = 0
    resent: int = 0
    stored: int = 0
    duplicate: int = 0
    refused: int = 0
    busy: int = 0
    dictionaries: int = 0


@dataclass(slots=True)
class _Entry:
    batch: SpooledBatch
    due_ns: int
    tries: int = 0
    is_on_the_way: bool = False


class Sending:
    """The window; one for each spool, for as long as the agent runs."""

    def __init__(
        self,
        stream: str,
        *,
        max_batches: int = WINDOW_MAX_BATCHES,
        max_bytes: int = WINDOW_MAX_BYTES,
    ) -> None:
        self._stream = stream
        self._max_batches, self._max_bytes = max_batches, max_bytes
        self._at_once = max_batches
        self._entries: dict[int, _Entry] = {}  # in order: batches are taken in order
        self._bytes = 0
        self._taken = 0
        self._announced: set[bytes] = set()
        self.counts = UplinkCounts()

    @property
    def last_taken(self) -> int:
        """The highest sequence that was ever in the window."""
        return self._taken

    @property
    def oldest_time_ns(self) -> int | None:
        """When the oldest batch without a receipt was closed."""
        first = next(iter(self._entries.values()), None)
        return first.batch.created_time_ns if first else None

    def room(self) -> tuple[int, int]:
        """Return how many batches, of how many bytes together, the window takes."""
        batches = self._max_batches - len(self._entries)
        return max(0, batches), max(0, self._max_bytes - self._bytes)

    def take(self, batches: Sequence[SpooledBatch], *, now_ns: int) -> None:
        """Put what was read from the spool into the window."""
        for batch in batches:
            self._entries[batch.sequence] = _Entry(batch, now_ns)
            self._bytes += len(batch.request)
            self._taken = max(self._taken, batch.sequence)

    def connected(self, *, now_ns: int) -> None:
        """Begin again on a new connection: everything unanswered is due."""
        self._at_once = self._max_batches
        for entry in self._entries.values():
            entry.due_ns, entry.is_on_the_way = now_ns, False

    def due(self, *, now_ns: int) -> list[SendDictionary | SendBatch]:
        """Return what to send now, in order; it counts as sent."""
        actions: list[SendDictionary | SendBatch] = []
        on_the_way = sum(entry.is_on_the_way for entry in self._entries.values())
        for entry in self._entries.values():
            if entry.due_ns > now_ns:
                continue
            if not entry.is_on_the_way:
                if on_the_way >= self._at_once:
                    continue
                on_the_way += 1
            dictionary_id = entry.batch.dictionary_id
            if dictionary_id not in self._announced:
                self._announced.add(dictionary_id)
                self.counts.dictionaries += 1
                actions.append(SendDictionary(dictionary_id))
            actions.append(self._sent(entry, now_ns))
        return actions

    def _sent(self, entry: _Entry, now_ns: int) -> SendBatch:
        self.counts.sent += 1
        self.counts.sent_bytes += len(entry.batch.request)
        self.counts.resent += entry.tries > 0
        entry.is_on_the_way = True
        entry.due_ns = now_ns + min(RESEND_FIRST_NS << min(entry.tries, 16), RESEND_MAX_NS)
        entry.tries += 1
        return SendBatch(entry.batch)

    def next_due_ns(self) -> int | None:
        """Return when `due` may have something again without anything else happening."""
        full = sum(entry.is_on_the_way for entry in self._entries.values()) >= self._at_once
        return min(
            (entry.due_ns for entry in self._entries.values() if entry.is_on_the_way or not full),
            default=None,
        )

    def unsendable(self, sequence: int, *, now_ns: int) -> None:
        """Put off a batch that the connection can never carry."""
        entry = self._entries.get(sequence)
        if entry is not None:
            entry.is_on_the_way, entry.due_ns = False, now_ns + TOO_LARGE_RETRY_NS

    def received(self, receipts: Sequence[Receipt], *, now_ns: int) -> list[int]:
        """Return the sequences that the spool may forget."""
        settled = []
        for receipt in receipts:
            if receipt.stream != self._stream:
                continue  # of a spool that was here before
            self._count(receipt.outcome)
            if receipt.outcome.is_final:
                settled.append(receipt.sequence)
                self._forget(receipt.sequence)
            else:
                self._put_off(receipt, now_ns)
        return settled

    def _forget(self, sequence: int) -> None:
        entry = self._entries.pop(sequence, None)
        if entry is not None:
            self._bytes -= len(entry.batch.request)
            self._at_once = min(self._at_once + 1, self._max_batches)

    def _put_off(self, receipt: Receipt, now_ns: int) -> None:
        entry = self._entries.get(receipt.sequence)
        if entry is None or not entry.is_on_the_way:
            return
        entry.is_on_the_way = False
        if receipt.outcome is Outcome.BUSY:
            self._at_once = max(1, self._at_once // 2)
            entry.due_ns = now_ns + max(receipt.retry_after_ms * NS_PER_MS, BUSY_MIN_NS)
        else:
            self._announced.discard(entry.batch.dictionary_id)
            # A cloud that keeps asking for what it was sent must not make us spin.
            wait_ns = BUSY_MIN_NS << min(entry.tries, 14) if entry.tries > 2 else 0
            entry.due_ns = now_ns + wait_ns

    def _count(self, outcome: Outcome) -> None:
        match outcome:
            case Outcome.STORED:
                self.counts.stored += 1
            case Outcome.DUPLICATE:
                self.counts.duplicate += 1
            case Outcome.REFUSED:
                self.counts.refused += 1
            case Outcome.BUSY:
                self.counts.busy += 1
            case Outcome.UNKNOWN_DICTIONARY:
                pass


def reconnect_after_s(attempt: int, chance: float) -> float:
    """Return how long to wait before attempt number `attempt` (from 1); `chance` in 0..1 spreads a fleet."""
    ceiling = min(RECONNECT_MAX_S, RECONNECT_FIRST_S * 2.0 ** min(attempt - 1, 16))
    return ceiling * (0.5 + 0.5 * chance)
