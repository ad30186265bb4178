"""What to send when: the window of batches between the lanes and the cloud.

    lanes --take--> [ waiting | on the way, unanswered ] --receipt--> settled
      ^___ put_back      ^___ BUSY, UNKNOWN_DICTIONARY, silence, lost connection

    STORED, DUPLICATE      forget it
    REFUSED                forget it, count it, tell someone: the cloud keeps it in quarantine
    UNKNOWN_DICTIONARY     the dictionary, then the batch again
    BUSY                   the batch again after a while, and half as many at once; each success adds one
    silence                the batch again, each time after twice as long
    a new connection       everything unanswered again, at once

Rule 1: only a final receipt takes a batch out of the window for good; a broker's PUBACK is no receipt.
Rule 2: batches of the lower rank go first; those of one lane in order, but an unanswered one does not hold up
        those behind it.
Rule 3: a batch that nobody pays for is not sent, and none of its lane behind it.
Rule 4: no I/O and no clock here: `now_ns` is monotonic and an argument.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

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


@dataclass(frozen=True, slots=True)
class SendDictionary:
    """Send the dictionary before the batches that need it."""

    dictionary_id: bytes


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Send this batch now."""

    stream: str
    batch: SpooledBatch


@dataclass(frozen=True, slots=True)
class Unpaid:
    """So much would be sent now, if it were paid for."""

    stream: str
    size_bytes: int


Action = SendDictionary | SendBatch | Unpaid
# Takes a batch of a stream of so many bytes from what may be sent; False: there is not that much.
Pay = Callable[[str, int], bool]


def free_of_charge(_stream: str, _size_bytes: int) -> bool:
    """Pay for everything."""
    return True


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
    stream: str
    rank: int
    batch: SpooledBatch
    due_ns: int
    tries: int = 0
    is_on_the_way: bool = False


_rank = attrgetter("rank")


class Sending:
    """The window; one for each uplink, for as long as the agent runs."""

    def __init__(
        self, *, max_batches: int = WINDOW_MAX_BATCHES, max_bytes: int = WINDOW_MAX_BYTES
    ) -> None:
        self._max_batches, self._max_bytes = max_batches, max_bytes
        self._at_once = max_batches
        # In order within a stream: batches are taken in order.
        self._entries: dict[tuple[str, int], _Entry] = {}
        self._bytes = 0
        self._taken: dict[str, int] = {}
        self._announced: set[bytes] = set()
        self.counts = UplinkCounts()

    def last_taken(self, stream: str) -> int:
        """Return the sequence behind which a lane is to be read."""
        return self._taken.get(stream, 0)

    def oldest_time_ns(self, stream: str) -> int | None:
        """Return when the oldest batch of a lane without a receipt was closed."""
        times = (e.batch.created_time_ns for e in self._entries.values() if e.stream == stream)
        return next(times, None)

    def room(self) -> tuple[int, int]:
        """Return how many batches, of how many bytes together, the window takes."""
        batches = self._max_batches - len(self._entries)
        return max(0, batches), max(0, self._max_bytes - self._bytes)

    def take(
        self, stream: str, batches: Sequence[SpooledBatch], *, rank: int = 0, now_ns: int
    ) -> None:
        """Put what was read from a lane into the window."""
        for batch in batches:
            name = (stream, batch.sequence)
            if name not in self._entries:
                self._entries[name] = _Entry(stream, rank, batch, now_ns)
                self._bytes += len(batch.request)
            self._taken[stream] = max(self._taken.get(stream, 0), batch.sequence)

    def put_back(self, streams: Iterable[str] = (), *, beyond_rank: int | None = None) -> None:
        """Give back to their lanes what is not on the way, of `streams` and of every rank beyond one."""
        named = set(streams)
        for name, entry in list(self._entries.items()):
            is_meant = entry.stream in named or (
                beyond_rank is not None and entry.rank > beyond_rank
            )
            if is_meant and not entry.is_on_the_way:
                self._drop(name)
                taken = self._taken[entry.stream]
                self._taken[entry.stream] = min(taken, entry.batch.sequence - 1)

    def keep(self, streams: Collection[str]) -> None:
        """Know these lanes: receipts of their streams are ours; forget all others, and what they had here."""
        known = set(streams)
        if self._taken.keys() == known:
            return
        for name in [name for name in self._entries if name[0] not in known]:
            self._drop(name)
        self._taken = {stream: self._taken.get(stream, 0) for stream in streams}

    def connected(self, *, now_ns: int) -> None:
        """Begin again on a new connection: everything unanswered is due."""
        self._at_once = self._max_batches
        for entry in self._entries.values():
            entry.due_ns, entry.is_on_the_way = now_ns, False

    def due(self, *, now_ns: int, pay: Pay = free_of_charge) -> list[Action]:
        """Return what to send now, in order; it counts as sent, and is paid."""
        actions: list[Action] = []
        on_the_way = sum(entry.is_on_the_way for entry in self._entries.values())
        unpaid: set[str] = set()
        for entry in sorted(self._entries.values(), key=_rank):
            if entry.due_ns > now_ns or entry.stream in unpaid:
                continue
            if not entry.is_on_the_way and on_the_way >= self._at_once:
                continue
            size = len(entry.batch.request)
            if not pay(entry.stream, size):
                unpaid.add(entry.stream)
                actions.append(Unpaid(entry.stream, size))
                continue
            on_the_way += not entry.is_on_the_way
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
        return SendBatch(entry.stream, entry.batch)

    def next_due_ns(self) -> int | None:
        """Return when `due` may have something again without anything else happening."""
        full = sum(entry.is_on_the_way for entry in self._entries.values()) >= self._at_once
        return min(
            (entry.due_ns for entry in self._entries.values() if entry.is_on_the_way or not full),
            default=None,
        )

    def unpaid(self, stream: str, *, now_ns: int) -> None:
        """Give back to a lane what of it is due: nobody pays for it now, be it for the first time or again."""
        for entry in self._entries.values():
            if entry.stream == stream and entry.due_ns <= now_ns:
                entry.is_on_the_way = False
        self.put_back([stream])

    def unannounced(self, dictionary_id: bytes) -> None:
        """Note that a dictionary was not sent after all; its batches are asked for it again."""
        self._announced.discard(dictionary_id)

    def unsendable(self, stream: str, sequence: int, *, now_ns: int) -> None:
        """Put off a batch that the connection can never carry."""
        entry = self._entries.get((stream, sequence))
        if entry is not None:
            entry.is_on_the_way, entry.due_ns = False, now_ns + TOO_LARGE_RETRY_NS

    def received(self, receipts: Sequence[Receipt], *, now_ns: int) -> list[tuple[str, int]]:
        """Return the streams and sequences that lanes may forget."""
        settled = []
        for receipt in receipts:
            if receipt.stream not in self._taken:
                continue  # of a spool that was here before
            self._count(receipt.outcome)
            name = (receipt.stream, receipt.sequence)
            if receipt.outcome.is_final:
                settled.append(name)
                if name in self._entries:
                    self._drop(name)
                    self._at_once = min(self._at_once + 1, self._max_batches)
            else:
                self._put_off(receipt, now_ns)
        return settled

    def _drop(self, name: tuple[str, int]) -> None:
        self._bytes -= len(self._entries.pop(name).batch.request)

    def _put_off(self, receipt: Receipt, now_ns: int) -> None:
        entry = self._entries.get((receipt.stream, receipt.sequence))
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
