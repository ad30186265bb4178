"""Changes as the messages of v2's subscriptions: every entry is encoded once, whoever it goes to.

    entry    0a LEN  key (0a LEN path | 08 number)  12 LEN  data point
    point    0a LEN stamp  12 LEN value

Rule 1: a message is the bytes of its entries one after the other: so Protocol Buffers encode a map.
Rule 2: only lengths and the members of fixed size are laid out here, the rest is left to the generated code;
        what comes out is what the generated code would make, and a test holds that against it.

Measured: a row costs 0.9 us instead of the 7 us of filling in a generated message.
"""

from typing import Any

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from edge_agent.adapters.kuksa_values import fill, member_of, stamp
from edge_agent.broker.changes import Changes, Message
from edge_agent.broker.signals import Signals
from edge_agent.broker.store import value_of
from fairway.foreign.kuksa.val.v2 import types_pb2

# What stands before the bytes of a value: the field of the data point, its length, the field of the member.
_FLOAT, _DOUBLE, _BOOL = b"\x12\x06\x8d\x01", b"\x12\x0a\x91\x01", b"\x12\x02\x60"
_TRUTHS = (_BOOL + b"\x00", _BOOL + b"\x01")
# Prefixes kept: some lengths of each signal of a large catalogue, in both forms.
_PREFIXES_MAX = 16_384


class Encoder:
    """Turns changes into bytes."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._members = [member_of(leaf.datatype) for leaf in signals]
        # 0 float, 1 double, 2 bool, 3 by the generated code
        self._ways = [
            _WAYS.get(member, 3) if signals.is_number[number] else 3
            for number, member in enumerate(self._members)
        ]
        self._prefixes: dict[tuple[int, int, bool], bytes] = {}

    def by_path(self, message: Message) -> bytes:
        """Return a SubscribeResponse."""
        return self._joined(message, is_by_path=True)

    def by_id(self, message: Message) -> bytes:
        """Return a SubscribeByIdResponse."""
        return self._joined(message, is_by_path=False)

    def datapoint(self, changes: Changes, row: int) -> types_pb2.Datapoint:
        """Return the value in one row."""
        number, point = int(changes.ids[row]), types_pb2.Datapoint()
        time_ns = int(changes.time_ns[row])
        if time_ns:
            stamp(point.timestamp, time_ns)
        if changes.is_there[row]:
            value = value_of(self._signals, number, float(changes.value[row]), changes.objects)
            fill(point.value, self._members[number], value)
        return point

    def _joined(self, message: Message, *, is_by_path: bool) -> bytes:
        form = "path" if is_by_path else "id"
        made: bytes | None = message.cache.get(form)
        if made is not None:
            return made
        entries: list[bytes] | None = message.of.cache.get(form)
        if entries is None:
            entries = message.of.cache[form] = self._entries(message.of, is_by_path=is_by_path)
        chosen = (
            entries if message.rows is None else [entries[row] for row in message.rows.tolist()]
        )
        made = message.cache[form] = b"".join(chosen)
        return made

    def _entries(self, changes: Changes, *, is_by_path: bool) -> list[bytes]:
        points: list[bytes] | None = changes.cache.get("points")
        if points is None:
            points = changes.cache["points"] = self._points(changes)
        prefixes = self._prefixes
        made: list[bytes] = []
        for number, point in zip(changes.ids.tolist(), points, strict=True):
            key = (number, len(point), is_by_path)
            prefix = prefixes.get(key)
            made.append((prefix or self._prefix(key)) + point)
        return made

    def _points(self, changes: Changes) -> list[bytes]:
        """Return each row as a data point."""
        made: list[bytes] = []
        ways, truths = self._ways, _TRUTHS
        with np.errstate(over="ignore"):
            floats = changes.value.astype("<f4").tobytes()
        doubles = changes.value.astype("<f8").tobytes()
        last_ns, moment = -1, b""
        for row, (number, time_ns, value, is_there) in enumerate(
            zip(
                changes.ids.tolist(),
                changes.time_ns.tolist(),
                changes.value.tolist(),
                changes.is_there.tolist(),
                strict=True,
            )
        ):
            if time_ns != last_ns:
                last_ns, moment = time_ns, _moment(time_ns)
            way = ways[number]
            if not is_there:
                made.append(moment)
            elif way == 0:
                made.append(moment + _FLOAT + floats[4 * row : 4 * row + 4])
            elif way == 1:
                made.append(moment + _DOUBLE + doubles[8 * row : 8 * row + 8])
            elif way == 2:
                made.append(moment + truths[value != 0.0])
            else:
                made.append(moment + self._value(number, value, changes))
        return made

    def _value(self, number: int, value: float, changes: Changes) -> bytes:
        point = types_pb2.Datapoint()
        fill(
            point.value,
            self._members[number],
            value_of(self._signals, number, value, changes.objects),
        )
        return point.SerializeToString()

    def _prefix(self, key: tuple[int, int, bool]) -> bytes:
        """Return what stands before a data point of so many bytes."""
        number, length, is_by_path = key
        if is_by_path:
            path = self._signals[number].path.encode()
            name = b"\x0a" + varint(len(path)) + path
        else:
            name = b"\x08" + varint(number)
        head = name + b"\x12" + varint(length)
        prefix = b"\x0a" + varint(len(head) + length) + head
        if len(self._prefixes) >= _PREFIXES_MAX:
            self._prefixes.clear()
        self._prefixes[key] = prefix
        return prefix


_WAYS: dict[str, Any] = {"float": 0, "double": 1, "bool": 2}


def varint(number: int) -> bytes:
    """Return a whole number, not below 0, as Protocol Buffers write it."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _moment(time_ns: int) -> bytes:
    if not time_ns:
        return b""
    moment = Timestamp()
    stamp(moment, time_ns)
    return types_pb2.Datapoint(timestamp=moment).SerializeToString()
