"""The bytes of a spool's files: a segment is a head and then records, each with its own checksum.

    segment   FWS1 | crc32 | stream 8 | first sequence 8 | cursor 8 + 8
    record    FWR1 | crc32 | length 4 | sequence 8 | dictionary 8 | samples 4 | created 8 | cursor 8 + 8 |
              the request
    marks     generation 8 | settled below or at 8 | durable up to 8 | crc32       two of them, written in turn

Rule 1: a checksum covers everything behind it, so a record is whole and itself, or it is none.
Rule 2: all numbers are little-endian.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.telemetry.spool import Cursor, SpooledBatch

_SEGMENT = struct.Struct("<4sI8sQ8sq")
_RECORD = struct.Struct("<4sIIQ8sIq8sq")
_MARKS = struct.Struct("<QQQI")
_SEGMENT_MAGIC = b"FWS1"
_RECORD_MAGIC = b"FWR1"

SEGMENT_HEAD_BYTES = _SEGMENT.size
RECORD_HEAD_BYTES = _RECORD.size
MARKS_BYTES = _MARKS.size

# A batch is cut well below this (telemetry.batch_max_bytes); a longer record is a broken length.
REQUEST_MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What the first bytes of a segment say."""

    stream: str
    first_sequence: int
    cursor: Cursor  # of the batch before this segment's first


@dataclass(frozen=True, slots=True)
class Marks:
    """How far a spool has come."""

    generation: int = 0
    settled: int = 0  # everything up to and including this sequence
    durable: int = 0  # the highest sequence that may have been sent


def segment_head_to_bytes(head: SegmentHead) -> bytes:
    """Return the first bytes of a segment."""
    rest = _SEGMENT.pack(
        _SEGMENT_MAGIC,
        0,
        bytes.fromhex(head.stream),
        head.first_sequence,
        head.cursor.replay,
        head.cursor.samples,
    )[8:]
    return _SEGMENT_MAGIC + zlib.crc32(rest).to_bytes(4, "little") + rest


def segment_head_from_bytes(data: bytes) -> SegmentHead | None:
    """Return what a segment's first bytes say, None when they are damaged."""
    if len(data) < _SEGMENT.size:
        return None
    magic, checksum, stream, first, replay, samples = _SEGMENT.unpack_from(data)
    if magic != _SEGMENT_MAGIC or checksum != zlib.crc32(data[8 : _SEGMENT.size]):
        return None
    return SegmentHead(stream.hex(), first, Cursor(replay, samples))


def record_to_bytes(batch: SpooledBatch) -> bytes:
    """Return `batch` as a record."""
    rest = (
        _RECORD.pack(
            _RECORD_MAGIC,
            0,
            len(batch.request),
            batch.sequence,
            batch.dictionary_id,
            batch.samples,
            batch.created_time_ns,
            batch.cursor.replay,
            batch.cursor.samples,
        )[8:]
        + batch.request
    )
    return _RECORD_MAGIC + zlib.crc32(rest).to_bytes(4, "little") + rest


def record_at(data: bytes | memoryview, offset: int) -> tuple[SpooledBatch, int] | None:
    """Return the record that begins at `offset` and where it ends, None when there is no whole one."""
    start = offset + _RECORD.size
    if start > len(data):
        return None
    magic, checksum, length, sequence, dictionary_id, samples, created, replay, position = (
        _RECORD.unpack_from(data, offset)
    )
    end = start + length
    if magic != _RECORD_MAGIC or length > REQUEST_MAX_BYTES or end > len(data):
        return None
    if checksum != zlib.crc32(data[offset + 8 : end]):
        return None
    cursor = Cursor(replay, position)
    request = bytes(data[start:end])
    return SpooledBatch(sequence, dictionary_id, samples, created, cursor, request), end


def records(data: bytes, offset: int) -> Iterator[tuple[int, SpooledBatch, int]]:
    """Yield (offset, record, end) of every whole record from `offset` on.

    Damage costs the records it touches: the search goes on at the next mark of a record, for whole records
    behind the damage may have been sent already and their numbers must not be used again.
    """
    view = memoryview(data)
    while True:
        found = record_at(view, offset)
        if found is None:
            offset = data.find(_RECORD_MAGIC, offset + 1)
            if offset < 0:
                return
            continue
        batch, end = found
        yield offset, batch, end
        offset = end


def marks_to_bytes(marks: Marks) -> bytes:
    """Return one slot of the marks file."""
    rest = struct.pack("<QQQ", marks.generation, marks.settled, marks.durable)
    return rest + zlib.crc32(rest).to_bytes(4, "little")


def marks_from_bytes(data: bytes) -> Marks:
    """Return the newest whole slot of a marks file, or a beginning when none is whole."""
    newest = Marks()
    for start in (0, _MARKS.size):
        slot = data[start : start + _MARKS.size]
        if len(slot) < _MARKS.size:
            continue
        generation, settled, durable, checksum = _MARKS.unpack(slot)
        if checksum == zlib.crc32(slot[:-4]) and generation > newest.generation:
            newest = Marks(generation, settled, durable)
    return newest
