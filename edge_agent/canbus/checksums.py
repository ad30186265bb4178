"""Counters and checksums of protected messages: put in before a frame is sent, checked when one came.

    kind               bits  over
    crc8-sae-j1850     8     (data id, low byte first) + the other bytes      poly 0x1D, start and end 0xFF
    crc8-autosar       8     the same                                         poly 0x2F, start and end 0xFF
    crc16-ibm-3740     16    the same                                         poly 0x1021, start 0xFFFF
    xor8, sum8         8     the other bytes
    toyota             8     sum of the id's bytes, the length and the other bytes
    honda              4     nibbles of the id and of the payload
    e2e-p1             8     AUTOSAR profile 1, both bytes of one data id
    e2e-p2             8     AUTOSAR profile 2, a list of 16 data ids: the counter chooses
    e2e-p5             16    AUTOSAR profile 5

"The other bytes" are those that the checksum itself does not touch.

Rule 1: a kind is a plain function of what it covers; KINDS is the only list of them.
"""

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.canbus.encode_slots import Slot, message_slots
from edge_agent.canbus.model import Message, Number
from fairway.errors import BadInput


@dataclass(frozen=True, slots=True)
class Covered:
    """What a checksum is worked out from."""

    can_id: int
    is_extended: bool
    payload: bytes  # whole, with zeros where the checksum stands
    others: bytes  # the bytes that the checksum does not touch
    counter: int
    data_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of protecting a message."""

    bits: int
    data_ids: tuple[int, ...]  # how many data ids it can do with
    checksum: Callable[[Covered], int]


def crc8_table(polynomial: int) -> bytes:
    """Return what each byte does to a CRC-8 register."""
    entries = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = register << 1 ^ (polynomial if register & 0x80 else 0)
        entries.append(register & 0xFF)
    return bytes(entries)


SAE_J1850 = crc8_table(0x1D)
AUTOSAR_H2F = crc8_table(0x2F)


def crc8(table: bytes, data: bytes, *, start: int = 0xFF, end: int = 0xFF) -> int:
    """Return the CRC-8 of `data`; `end` is added (exclusive or) to the register."""
    register = start
    for byte in data:
        register = table[register ^ byte]
    return register ^ end


def crc16(data: bytes) -> int:
    """Return the CRC-16 of `data` known as IBM-3740, CCITT-FALSE and AUTOSAR's."""
    return binascii.crc_hqx(data, 0xFFFF)


def _low_first(data_ids: tuple[int, ...]) -> bytes:
    return b"".join(data_id.to_bytes(2, "little") for data_id in data_ids)


def _xor8(covered: Covered) -> int:
    found = 0
    for byte in covered.others:
        found ^= byte
    return found


def _toyota(covered: Covered) -> int:
    of_id = sum(covered.can_id.to_bytes(4, "big"))
    return of_id + len(covered.payload) + sum(covered.others) & 0xFF


def _honda(covered: Covered) -> int:
    of_id = sum(covered.can_id >> shift & 0xF for shift in range(0, 32, 4))
    of_payload = sum((byte >> 4) + (byte & 0xF) for byte in covered.payload)
    return 8 - of_id - of_payload + (3 if covered.is_extended else 0) & 0xF


def _e2e_p1(covered: Covered) -> int:
    return crc8(SAE_J1850, _low_first(covered.data_ids) + covered.others, start=0, end=0)


def _e2e_p2(covered: Covered) -> int:
    data_id = covered.data_ids[covered.counter % 16]
    return crc8(AUTOSAR_H2F, covered.others + bytes([data_id & 0xFF]))


KINDS: dict[str, Kind] = {
    "crc8-sae-j1850": Kind(8, (0, 1), lambda c: crc8(SAE_J1850, _low_first(c.data_ids) + c.others)),
    "crc8-autosar": Kind(8, (0, 1), lambda c: crc8(AUTOSAR_H2F, _low_first(c.data_ids) + c.others)),
    "crc16-ibm-3740": Kind(16, (0, 1), lambda c: crc16(_low_first(c.data_ids) + c.others)),
    "xor8": Kind(8, (0,), _xor8),
    "sum8": Kind(8, (0,), lambda c: sum(c.others) & 0xFF),
    "toyota": Kind(8, (0,), _toyota),
    "honda": Kind(4, (0,), _honda),
    "e2e-p1": Kind(8, (1,), _e2e_p1),
    "e2e-p2": Kind(8, (16,), _e2e_p2),
    "e2e-p5": Kind(16, (1,), lambda c: crc16(c.others + _low_first(c.data_ids))),
}

# AUTOSAR profile 1 counts 0 to 14; every other counter uses all its bits.
P1_COUNTER_VALUES = 15


@dataclass(frozen=True, slots=True)
class Protection:
    """How one message is protected.  Raises BadInput when the message cannot be protected so."""

    message: Message
    kind: str  # of KINDS
    checksum_signal: str
    counter_signal: str | None = None
    data_ids: tuple[int, ...] = ()
    _checksum: Slot = field(init=False, repr=False)
    _counter: Slot | None = field(init=False, repr=False)
    _others: tuple[int, ...] = field(init=False, repr=False)  # positions of the bytes not touched

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise BadInput(f"{self.kind} is no kind of checksum; choose one of {', '.join(KINDS)}")
        if len(self.data_ids) not in kind.data_ids:
            wanted = " or ".join(map(str, kind.data_ids))
            raise BadInput(f"{self.kind} takes {wanted} data ids, not {len(self.data_ids)}")
        if any(not 0 <= data_id <= 0xFFFF for data_id in self.data_ids):
            raise BadInput(f"{self.message.name}: a data id has 16 bits")
        slots = {slot.name: slot for slot in message_slots(self.message, is_declared=False)}
        checksum = _plain(self.message, slots, self.checksum_signal)
        if checksum.signal.length != kind.bits:
            raise BadInput(
                f"{self.message.name}: {self.checksum_signal} has {checksum.signal.length} bits; "
                f"{self.kind} needs {kind.bits}"
            )
        counter = _plain(self.message, slots, self.counter_signal) if self.counter_signal else None
        if counter is None and len(self.data_ids) > 1:
            raise BadInput(f"{self.message.name}: {self.kind} needs a counter")
        if counter is not None and counter.placed(-1) & checksum.placed(-1):
            raise BadInput(
                f"{self.message.name}: {self.counter_signal} and {self.checksum_signal} share bits"
            )
        touched = checksum.placed(-1).to_bytes(self.message.length, "big")
        others = tuple(index for index, byte in enumerate(touched) if not byte)
        object.__setattr__(self, "_checksum", checksum)
        object.__setattr__(self, "_counter", counter)
        object.__setattr__(self, "_others", others)

    @property
    def counter_values(self) -> int:
        """How many values the counter takes before it begins again; 1 when there is none."""
        if self._counter is None:
            return 1
        values = 1 << self._counter.signal.length
        return min(values, P1_COUNTER_VALUES) if self.kind == "e2e-p1" else values

    def protect(self, payload: bytes, counter: int = 0) -> bytes:
        """Return the payload with this counter (modulo its values) and its checksum in it.

        Raises BadInput for a payload of another length than the message.
        """
        whole = self._whole(payload)
        counter %= self.counter_values
        if self._counter is not None:
            whole = whole & ~self._counter.placed(-1) | self._counter.placed(counter)
        return self._with_checksum(whole, counter).to_bytes(self.message.length, "big")

    def verify(self, payload: bytes) -> bool:
        """Return whether the payload's checksum holds; never for a payload of another length."""
        if len(payload) != self.message.length:
            return False
        whole = self._whole(payload)
        return self._with_checksum(whole, self._count(whole)) == whole

    def counter(self, payload: bytes) -> int:
        """Return the counter in a payload; 0 when the message has none.

        Raises BadInput for a payload of another length than the message.
        """
        return self._count(self._whole(payload))

    def _whole(self, payload: bytes) -> int:
        if len(payload) != self.message.length:
            raise BadInput(
                f"{self.message.name} has {self.message.length} bytes, but the payload has {len(payload)}"
            )
        return int.from_bytes(payload, "big")

    def _count(self, whole: int) -> int:
        return self._counter.taken(whole) if self._counter is not None else 0

    def _with_checksum(self, whole: int, counter: int) -> int:
        cleared = whole & ~self._checksum.placed(-1)
        payload = cleared.to_bytes(self.message.length, "big")
        covered = Covered(
            self.message.frame_id,
            self.message.is_extended,
            payload,
            bytes([payload[index] for index in self._others]),
            counter,
            self.data_ids,
        )
        return cleared | self._checksum.placed(KINDS[self.kind].checksum(covered))


def _plain(message: Message, slots: dict[str, Slot], name: str) -> Slot:
    """Return the slot of an unsigned signal that is always in the frame."""
    slot = slots.get(name)
    if slot is None or not slot.fits:
        raise BadInput(f"{message.name} has no signal {name} inside its {message.length} bytes")
    if slot.signal.multiplex is not None or slot.signal.number is Number.FLOAT:
        raise BadInput(f"{message.name}: {name} must be a whole number that is always in the frame")
    return slot
