"""Frames of all messages of a vehicle, each when it is due, as they would follow each other on the wire.

    view + signal table -> values -> encoder, counter, checksum -> payload
    a wheel for each period: slot (tick mod period) -> the messages that start there

Rule 1: time is counted in ticks of STEP_MS from the start; a frame's deadline is a tick, never "now plus".
Rule 2: what is due in one tick goes out lowest identifier first, one frame after the other at the bus's
        bit rate, as arbitration would have it; a stamp is the end of its frame, and stamps never go back.
Rule 3: every message of the databases is sent; one without an entry in the table is refused at the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.canbus.encode import Encoder
from edge_agent.canbus.frames import BIT_RATE_SWITCH, EXTENDED, FD, FrameBlock
from edge_agent.canbus.model import Database, Message
from fairway.errors import BadInput
from simulators.protection import protection_of
from simulators.view import Pages, Table, Values, View

STEP_MS = 10
STEP_NS = STEP_MS * 1_000_000
STEP_S = STEP_MS / 1000.0

# What surrounds the data: identifier, control, checksum, acknowledgement, gap and, on average, stuffing.
_BITS_11, _BITS_29 = 54.0, 76.0
_STUFFED = 1.08
# With the bit-rate switch the identifier keeps the slow rate; control, data and checksum have the fast one.
_FD_SLOW_BITS, _FD_FAST_BITS = 30.0, 40.0


@dataclass(frozen=True, slots=True)
class Channel:
    """One bus of a vehicle."""

    name: str
    database: Database
    bits_per_s: float
    fast_bits_per_s: float = 0.0  # CAN FD


class _Sender:
    """One message: its encoder, its turn among pages, its counter."""

    def __init__(
        self, message: Message, values: Values, pages: Sequence[int], channel: Channel
    ) -> None:
        self.can_id = message.frame_id | (EXTENDED if message.is_extended else 0)
        self.flags = FD | BIT_RATE_SWITCH if message.is_fd else 0
        self.wire_ns = wire_ns(message, channel)
        # J1939 wants bits that nobody uses to be 1.
        self._encoder = Encoder(message, unused_bits=1 if channel.database.is_j1939 else 0)
        self._protection = protection_of(message)
        self._values = values
        self._pages = pages
        self._sent = 0
        self._ranges = {
            signal.name: (signal.minimum, signal.maximum)
            for signal in message.signals
            if signal.minimum is not None
            and signal.maximum is not None
            and signal.minimum < signal.maximum
        }

    def payload(self, view: View) -> bytes:
        """Return the data of the next frame."""
        view.page = self._pages[self._sent % len(self._pages)]
        ranges = self._ranges
        values = {}
        for name, value in self._values(view).items():
            least, most = ranges.get(name, (value, value))
            # A sensor stops at the end of its range.
            values[name] = least if value < least else most if value > most else float(value)
        payload = self._encoder.encode(values)
        if self._protection is not None:
            payload = self._protection.protect(payload, self._sent)
        self._sent += 1
        return payload


Row = tuple[int, int, _Sender, bytes]  # time_ns, bus, sender, payload


class Network:
    """All buses of one vehicle."""

    def __init__(
        self,
        channels: Sequence[Channel],
        table: Table,
        pages: Pages,
        *,
        start_time_ns: int,
    ) -> None:
        self.channels = tuple(channels)
        self._start_ns = 0
        self._free_ns: list[int] = []  # when each bus is quiet again
        self.begin(start_time_ns)
        self._busy_ns = [0] * len(self.channels)
        self._late: list[Row] = []
        self._tick = 0
        self._wheels = [_wheel(channel, table, pages) for channel in self.channels]

    def begin(self, time_ns: int) -> None:
        """Set when the first tick starts."""
        self._start_ns = time_ns
        self._free_ns = [time_ns] * len(self.channels)

    @property
    def loads(self) -> tuple[float, ...]:
        """The share of time each bus has been busy, 0 to 1."""
        passed_ns = max(self._tick, 1) * STEP_NS
        return tuple(busy / passed_ns for busy in self._busy_ns)

    def emit(self, view: View) -> list[Row]:
        """Send what is due in the next tick; returns rows of time_ns, bus, sender and payload in order."""
        start_ns = self._start_ns + self._tick * STEP_NS
        rows = self._late
        for bus, wheel in enumerate(self._wheels):
            due = [
                sender for period, slots in wheel.items() for sender in slots[self._tick % period]
            ]
            due.sort(key=_by_id)
            free_ns = max(self._free_ns[bus], start_ns)
            for sender in due:
                free_ns += sender.wire_ns
                self._busy_ns[bus] += sender.wire_ns
                rows.append((free_ns, bus, sender, sender.payload(view)))
            self._free_ns[bus] = free_ns
        self._tick += 1
        rows.sort(key=_by_time)
        end_ns = start_ns + STEP_NS
        # What is still on the wire when the tick ends belongs to the next.
        done = next((i for i, row in enumerate(rows) if row[0] > end_ns), len(rows))
        self._late = rows[done:]
        return rows[:done]


def block_of_rows(rows: Sequence[Row]) -> FrameBlock:
    """Return rows of `Network.emit` as columns."""
    offset = np.zeros(len(rows) + 1, np.uint32)
    np.cumsum([len(row[3]) for row in rows], out=offset[1:])
    return FrameBlock(
        np.array([row[1] for row in rows], np.uint8),
        np.array([row[2].can_id for row in rows], np.uint32),
        np.array([row[0] for row in rows], np.int64),
        np.array([row[2].flags for row in rows], np.uint8),
        offset,
        np.frombuffer(b"".join([row[3] for row in rows]), np.uint8),
    )


def wire_ns(message: Message, channel: Channel) -> int:
    """Return how long a frame of `message` keeps the bus busy."""
    if message.is_fd and channel.fast_bits_per_s:
        fast = (_FD_FAST_BITS + 8 * message.length) * _STUFFED / channel.fast_bits_per_s
        return round(1e9 * (_FD_SLOW_BITS / channel.bits_per_s + fast))
    around = _BITS_29 if message.is_extended else _BITS_11
    return round(1e9 * (around + 8 * message.length) * _STUFFED / channel.bits_per_s)


def _wheel(channel: Channel, table: Table, pages: Pages) -> dict[int, list[list[_Sender]]]:
    """Place every message in its wheel, beginning where the bus is least busy so far."""
    wheel: dict[int, list[list[_Sender]]] = {}
    messages = sorted(channel.database.messages, key=lambda m: (m.cycle_time_ms or 0, m.frame_id))
    longest = max((_period(message) for message in messages), default=1)
    busy_ns = np.zeros(longest, np.int64)
    for message in messages:
        if message.name not in table:
            raise BadInput(f"nothing says what {channel.name} {message.name} carries")
        period = _period(message)
        sender = _Sender(message, table[message.name], pages.get(message.name, (0,)), channel)
        usable = longest - longest % period
        offset = int(np.argmin(busy_ns[:usable].reshape(-1, period).max(axis=0)))
        busy_ns[offset::period] += sender.wire_ns
        slots = wheel.setdefault(period, [[] for _ in range(period)])
        slots[offset].append(sender)
    return wheel


def _period(message: Message) -> int:
    """Return the cycle time in ticks."""
    cycle_ms = message.cycle_time_ms
    if not cycle_ms or cycle_ms % STEP_MS:
        raise BadInput(f"{message.name} has no cycle time that is a multiple of {STEP_MS} ms")
    return cycle_ms // STEP_MS


def _by_id(sender: _Sender) -> int:
    return sender.can_id


def _by_time(row: Row) -> int:
    return row[0]
