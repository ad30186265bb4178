"""Payloads of our own databases: values -> bytes, with counter and checksum where the message has them.

Rule 1: a protected message has a signal Counter (0 to 15), and in its first byte a signal Checksum: CRC-8 of
        SAE J1850 over the identifier (two bytes, low byte first) and the rest of the payload.
Rule 2: bits that no signal of a J1939 message uses are 1, as the standard wants them.
"""

import struct
from collections.abc import Callable, Mapping

from edge_agent.canbus.model import ByteOrder, Message, Number, Signal
from fairway.errors import BadInput

_POLYNOMIAL = 0x1D
COUNTER_VALUES = 16


def _table() -> bytes:
    entries = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc << 1) ^ (_POLYNOMIAL if crc & 0x80 else 0)
        entries.append(crc & 0xFF)
    return bytes(entries)


_CRC8 = _table()


def checksum(frame_id: int, payload: bytes) -> int:
    """Return the CRC-8 of a protected frame, whatever stands in its first byte."""
    crc = 0xFF
    for byte in (frame_id & 0xFF, frame_id >> 8 & 0xFF, *payload[1:]):
        crc = _CRC8[crc ^ byte]
    return crc ^ 0xFF


class Packer:
    """Encodes one message and counts its frames."""

    def __init__(self, message: Message, *, is_j1939: bool = False) -> None:
        names = {signal.name for signal in message.signals}
        self._frame_id = message.frame_id
        self._name = message.name
        self._length = message.length
        self._is_protected = {"Counter", "Checksum"} <= names
        self._sent = 0
        self._put = {signal.name: _putter(signal, message.length) for signal in message.signals}
        used = 0
        for signal in message.signals:
            used |= _placed((1 << signal.length) - 1, signal, message.length)
        self._rest = (1 << 8 * message.length) - 1 & ~used if is_j1939 else 0

    def pack(self, values: Mapping[str, float]) -> bytes:
        """Return the next frame's payload.  Raises BadInput for a value that does not fit."""
        bits = self._rest
        put = self._put
        try:
            for name, value in values.items():
                bits |= put[name](value)
        except (KeyError, OverflowError) as error:
            raise BadInput(f"{self._name} cannot carry {dict(values)}: {error}") from error
        if not self._is_protected:
            return bits.to_bytes(self._length, "little")
        bits |= put["Counter"](self._sent % COUNTER_VALUES)
        self._sent += 1
        payload = bits.to_bytes(self._length, "little")
        return bytes([checksum(self._frame_id, payload)]) + payload[1:]


def _putter(signal: Signal, length: int) -> Callable[[float], int]:
    """Return the function from a physical value to the signal's bits in the little-endian payload."""
    bits = signal.length
    if signal.number is Number.FLOAT:
        number = struct.Struct("<f" if bits == 32 else "<d")
        return lambda value: int.from_bytes(number.pack(value), "little") << signal.start
    least = -(1 << bits - 1) if signal.number is Number.SIGNED else 0
    most = least + (1 << bits) - 1
    scale, offset, mask, name = signal.scale, signal.offset, (1 << bits) - 1, signal.name
    is_little, start = signal.byte_order is ByteOrder.LITTLE, signal.start

    def put(value: float) -> int:
        raw = round((value - offset) / scale)
        if not least <= raw <= most:
            raise OverflowError(f"{name} has no room for {value}")
        return (raw & mask) << start if is_little else _placed(raw & mask, signal, length)

    return put


def _placed(raw: int, signal: Signal, length: int) -> int:
    if signal.byte_order is ByteOrder.LITTLE:
        return raw << signal.start
    # Counted from the most significant bit of byte 0, where does the last bit stand?
    last = signal.start // 8 * 8 + 7 - signal.start % 8 + signal.length - 1
    in_order = raw << (8 * length - 1 - last)
    return int.from_bytes(in_order.to_bytes(length, "big"), "little")
