"""Logs of Vector's tools in binary: BLF.  A head, then containers, packed with zlib, full of objects.

    LOGG  144 bytes: sizes, counts, start and stop as SYSTEMTIME
    LOBJ  type 10: a container  ->  LOBJ type 1, 73, 86, 100, 101: frames;  other types are passed over

Rule 1: an object may go on in the next container; what is left of one is read with the next.
Rule 2: where no object begins as it should, the search goes on for the next one, and that is counted.
Rule 3: the start is read, and written, as UTC; stamps are 10 us or 1 ns steps from it, as their object says.
Rule 4: channels count from 1 in the file; channel 1 is can0.
"""

import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from edge_agent.adapters.blocks import Rows
from edge_agent.adapters.log_asc import FD_LENGTH
from edge_agent.adapters.log_model import TIME_MAX_S, Channels, LogReport, LogStream
from edge_agent.canbus.frames import (
    BIT_RATE_SWITCH,
    ERROR,
    ERROR_STATE,
    EXTENDED,
    FD,
    ID_MASK,
    REMOTE,
    SENT_HERE,
    Frame,
    FrameBlock,
)

# Vector's tools write containers of 128 KiB; python-can too.  What claims more is damaged.
CONTAINER_MAX_BYTES = 16 * 1024 * 1024

# The largest object is a video picture or an Ethernet frame with its text; frames have some 100 bytes.
OBJECT_MAX_BYTES = 4 * 1024 * 1024

HEAD_BYTES = 144
CONTAINER_BYTES = 128 * 1024

_HEAD = struct.Struct("<4sI8BQQII8H8H")
_OBJECT = struct.Struct("<4sHHII")  # signature, header size, header version, object size, type
_STAMP = struct.Struct("<I4xQ")  # flags (1: steps of 10 us), stamp; both header versions begin so
_CONTAINER = struct.Struct("<H6xI4x")  # method (0 plain, 2 zlib), size when unpacked
_CLASSIC = struct.Struct("<HBBI8s")  # channel, flags, DLC, id, data
_ERROR_EXT = struct.Struct("<HHIBBBxIIH2x8s")  # channel ... DLC [5] ... id [7] ... data [9]
_FD_100 = struct.Struct("<HBBIIBBB5x64s")  # channel, flags, DLC, id, -, -, FD flags, length, data
_FD_101 = struct.Struct(
    "<BBBBIIIIIIIHBBI"
)  # channel, DLC, length ... id [4], flags [6], direction [12]

_TYPE_CLASSIC, _TYPE_CONTAINER, _TYPE_ERROR_EXT = 1, 10, 73
_TYPE_CLASSIC_2, _TYPE_FD_100, _TYPE_FD_101 = 86, 100, 101
_SENT, _REMOTE_BIT = 0x01, 0x80
_ID_EXTENDED = 0x8000_0000


def blocks(stream: LogStream, channels: Channels, report: LogReport) -> Iterator[FrameBlock]:
    """Yield the frames of a BLF log, a container at a time."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(b"LOGG"):
        report.add_malformed(0, "the head of a BLF file is missing")
        return
    fields = _HEAD.unpack(head)
    reader = _Reader(_start_ns(fields[14:22]), channels, report)
    stream.read(min(max(fields[1] - _HEAD.size, 0), 1024))
    while top := stream.read(_OBJECT.size):
        size = _OBJECT.unpack(top)[3] if len(top) == _OBJECT.size else 0
        if top[:4] != b"LOBJ" or not _OBJECT.size <= size <= CONTAINER_MAX_BYTES:
            report.add_malformed(0, "the file is damaged: no container where one should begin")
            return
        body = stream.read(size - _OBJECT.size)
        if len(body) < size - _OBJECT.size:
            report.add_malformed(0, "the file ends in the middle of a container")
        stream.read(size % 4)
        if _OBJECT.unpack(top)[4] == _TYPE_CONTAINER:
            reader.read(_unpacked(body, report))
        else:
            reader.read(top + body)
        yield reader.rows.take()


def _unpacked(body: bytes, report: LogReport) -> bytes:
    """Return what a container holds; of a damaged one, what can be had."""
    if len(body) < _CONTAINER.size:
        return b""
    method, _ = _CONTAINER.unpack_from(body)
    packed = body[_CONTAINER.size :]
    if method == 0:
        return packed
    if method != 2:
        report.add_malformed(0, f"a container is packed by the unknown method {method}")
        return b""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, CONTAINER_MAX_BYTES)
    except zlib.error as error:
        report.add_malformed(0, f"a container is damaged: {error}")
        return b""
    if not unpacker.eof:
        report.add_malformed(0, "a container is cut off or too large")
    return data


class _Reader:
    """Turns the bytes of containers into frames."""

    def __init__(self, start_ns: int, channels: Channels, report: LogReport) -> None:
        self.rows = Rows()
        self._start_ns = start_ns
        self._channels = channels
        self._report = report
        self._names = [f"can{number - 1}" for number in range(256)]
        self._tail = b""

    def read(self, data: bytes) -> None:
        """Take the next bytes in."""
        if self._tail:
            data = self._tail + data
        at, end = 0, len(data)
        while True:
            # Objects are padded to a multiple of four bytes, by some tools.
            begin = data.find(b"LOBJ", at, at + 8)
            if begin < 0:
                if end - at < 8:
                    break
                begin = data.find(b"LOBJ", at)
                self._report.add_malformed(0, "bytes that are no object")
                if begin < 0:
                    at = max(at, end - 3)
                    break
            at = begin
            if end - at < _OBJECT.size:
                break
            _, head_size, version, size, kind = _OBJECT.unpack_from(data, at)
            if not _OBJECT.size <= size <= OBJECT_MAX_BYTES:
                self._report.add_malformed(0, f"an object of {size} bytes")
                at += 4
                continue
            if at + size > end:
                break
            if kind in _READERS and version in (1, 2):
                self._read_object(data, at, head_size, size, kind)
            at += size
        self._tail = data[at:]

    def _read_object(self, data: bytes, at: int, head_size: int, size: int, kind: int) -> None:
        try:
            bits, steps = _STAMP.unpack_from(data, at + _OBJECT.size)
            body = data[at + head_size : at + size]
            channel, can_id, payload, flags = _READERS[kind](body)
        except struct.error:
            self._report.add_malformed(0, f"an object of type {kind} with {size} bytes")
            return
        time_ns = self._start_ns + steps * (10_000 if bits == 1 else 1)
        if time_ns >= TIME_MAX_S * 1_000_000_000 or not 1 <= channel <= 255:
            self._report.add_malformed(0, f"a frame of channel {channel} at {time_ns} ns")
            return
        name = self._names[channel]
        bus = self._channels.number(name)
        if bus < 0:
            self._channels.skip(name)
        else:
            self.rows.add(can_id, payload, time_ns, bus, flags)


_Read = tuple[int, int, bytes, int]  # channel, id with our bits, data, flags


def _read_classic(body: bytes) -> _Read:
    channel, bits, dlc, raw_id, data = _CLASSIC.unpack_from(body)
    flags = SENT_HERE if bits & _SENT else 0
    if bits & _REMOTE_BIT:
        return channel, _id_of(raw_id) | REMOTE, b"", flags
    return channel, _id_of(raw_id), data[: min(dlc, 8)], flags


def _read_error(body: bytes) -> _Read:
    fields = _ERROR_EXT.unpack_from(body)
    return fields[0], ERROR | (fields[7] & ID_MASK), fields[9][: min(fields[5], 8)], 0


def _read_fd_100(body: bytes) -> _Read:
    channel, bits, _, raw_id, _, _, fd_bits, length, data = _FD_100.unpack_from(
        body.ljust(84, b"\0")
    )
    flags = SENT_HERE if bits & _SENT else 0
    if bits & _REMOTE_BIT:
        return channel, _id_of(raw_id) | REMOTE, b"", flags
    if fd_bits & 1:
        flags |= FD | (BIT_RATE_SWITCH if fd_bits & 2 else 0) | (ERROR_STATE if fd_bits & 4 else 0)
    return channel, _id_of(raw_id), data[: min(length, 64 if fd_bits & 1 else 8)], flags


def _read_fd_101(body: bytes) -> _Read:
    fields = _FD_101.unpack_from(body)
    channel, length, raw_id, bits, sent = fields[0], fields[2], fields[4], fields[6], fields[12]
    flags = SENT_HERE if sent & 1 else 0
    if bits & 0x10:
        return channel, _id_of(raw_id) | REMOTE, b"", flags
    if bits & 0x1000:
        flags |= FD
        flags |= (BIT_RATE_SWITCH if bits & 0x2000 else 0) | (ERROR_STATE if bits & 0x4000 else 0)
    length = min(length, 64 if bits & 0x1000 else 8)
    # The object may hold fewer bytes than are valid: the rest are zeros.
    return channel, _id_of(raw_id), body[_FD_101.size :][:length].ljust(length, b"\0"), flags


_READERS = {
    _TYPE_CLASSIC: _read_classic,
    _TYPE_CLASSIC_2: _read_classic,
    _TYPE_ERROR_EXT: _read_error,
    _TYPE_FD_100: _read_fd_100,
    _TYPE_FD_101: _read_fd_101,
}


def _id_of(raw: int) -> int:
    return raw & ID_MASK | EXTENDED if raw & _ID_EXTENDED else raw & 0x7FF


def _start_ns(system_time: tuple[int, ...]) -> int:
    year, month, _, day, hour, minute, second, millisecond = system_time
    try:
        start = datetime(year, month, day, hour, minute, second, millisecond * 1000, tzinfo=UTC)
    except ValueError:
        return 0  # never set: stamps count from zero
    return max(0, (start - _EPOCH) // timedelta(microseconds=1) * 1000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _system_time(time_ns: int) -> tuple[int, ...]:
    t = _EPOCH + timedelta(milliseconds=time_ns // 1_000_000)
    clock = (t.hour, t.minute, t.second, t.microsecond // 1000)
    return (t.year, t.month, t.isoweekday() % 7, t.day, *clock)


def head_of(
    file_bytes: int, unpacked_bytes: int, objects: int, start_ns: int, stop_ns: int
) -> bytes:
    """Return the head of a file; it is written again, with its sizes, when the file is closed."""
    times = (*_system_time(start_ns), *_system_time(stop_ns))
    version = (5, 0, 0, 0, 2, 6, 8, 1)
    return _HEAD.pack(
        b"LOGG", HEAD_BYTES, *version, file_bytes, unpacked_bytes, objects, 0, *times
    ).ljust(HEAD_BYTES, b"\0")


def object_of(frame: Frame, start_ns: int) -> bytes:
    """Return one frame as an object with steps of 1 ns."""
    raw_id = frame.can_id & ID_MASK | (_ID_EXTENDED if frame.can_id & EXTENDED else 0)
    channel, data = frame.bus + 1, frame.data
    bits = (_SENT if frame.flags & SENT_HERE else 0) | (_REMOTE_BIT if frame.can_id & REMOTE else 0)
    dlc = FD_LENGTH.index(len(data))
    if frame.can_id & ERROR:
        kind = _TYPE_ERROR_EXT
        body = _ERROR_EXT.pack(channel, 0, 0, 0, 0, len(data), 0, raw_id & ID_MASK, 0, data)
    elif frame.flags & FD:
        kind = _TYPE_FD_100
        fd_bits = 1 | (2 if frame.flags & BIT_RATE_SWITCH else 0)
        fd_bits |= 4 if frame.flags & ERROR_STATE else 0
        body = _FD_100.pack(channel, bits, dlc, raw_id, 0, 0, fd_bits, len(data), data)
    else:
        kind = _TYPE_CLASSIC
        body = _CLASSIC.pack(channel, bits, dlc, raw_id, data)
    head_size = _OBJECT.size + _STAMP.size
    head = _OBJECT.pack(b"LOBJ", head_size, 1, head_size + len(body), kind)
    return head + _STAMP.pack(2, frame.time_ns - start_ns) + body


def container_of(data: bytes) -> bytes:
    """Return objects packed as a container, padded."""
    packed = zlib.compress(data, 6)
    size = _OBJECT.size + _CONTAINER.size + len(packed)
    head = _OBJECT.pack(b"LOBJ", _OBJECT.size, 1, size, _TYPE_CONTAINER)
    return head + _CONTAINER.pack(2, len(data)) + packed + bytes(size % 4)
