"""One segment file of a spool: written at its end, read from anywhere, deleted whole.

    00000000000000000017.seg     the first sequence it may hold, in its name

Rule 1: a segment appears under its name with its head on the medium, or not at all.
Rule 2: what an append could not bring to the medium is cut off again before anything else is written.
Rule 3: a sealed segment's records are looked for when it is first read, not at start: starting takes the
        time of one segment, however long the outage was.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from edge_agent.adapters.disk import Disk, replace_file
from edge_agent.telemetry.records import (
    SEGMENT_HEAD_BYTES,
    SegmentHead,
    record_at,
    record_to_bytes,
    records,
    segment_head_from_bytes,
    segment_head_to_bytes,
)
from edge_agent.telemetry.spool import SpooledBatch

SUFFIX = ".seg"


class Segment:
    """A segment file; `size_bytes` is what of it is durable."""

    def __init__(self, path: Path, head: SegmentHead, size_bytes: int) -> None:
        self.path = path
        self.head = head
        self.size_bytes = size_bytes
        self.first = head.first_sequence
        self._places: dict[int, tuple[int, int]] | None = None  # sequence -> offset, length
        self._file: int | None = None  # of the segment that is written

    @classmethod
    def create(cls, directory: Path, head: SegmentHead, disk: Disk) -> "Segment":
        """Make the segment that begins with `head`.  Raises OSError."""
        path = directory / f"{head.first_sequence:020d}{SUFFIX}"
        data = segment_head_to_bytes(head)
        replace_file(disk, path, data)
        segment = cls(path, head, len(data))
        segment._places = {}
        return segment

    @classmethod
    def open(cls, path: Path) -> "Segment | None":
        """Return the segment at `path`, None when its head is damaged.  Raises OSError."""
        with path.open("rb") as file:
            head = segment_head_from_bytes(file.read(SEGMENT_HEAD_BYTES))
        return None if head is None else cls(path, head, path.stat().st_size)

    def append(self, batches: Sequence[SpooledBatch], disk: Disk) -> None:
        """Return once `batches` are on the medium.  Raises OSError, and then none of them is here."""
        file, places = self._writable(), self.places()
        parts = [record_to_bytes(batch) for batch in batches]
        try:
            disk.write(file, b"".join(parts), self.size_bytes)
            disk.sync(file)
        except OSError:
            # Cutting off needs no room; where even that fails the next append writes over the rest.
            os.ftruncate(file, self.size_bytes)
            raise
        for batch, part in zip(batches, parts, strict=True):
            places[batch.sequence] = (self.size_bytes, len(part))
            self.size_bytes += len(part)

    def places(self) -> dict[int, tuple[int, int]]:
        """Return where each whole record is.  Raises OSError."""
        if self._places is None:
            data = self.path.read_bytes()[: self.size_bytes]
            self._places = {
                batch.sequence: (offset, end - offset)
                for offset, batch, end in records(data, SEGMENT_HEAD_BYTES)
            }
        return self._places

    def recover(self, disk: Disk) -> SpooledBatch | None:
        """Cut off a torn tail, make the rest durable, and return the last batch.  Raises OSError."""
        data = self.path.read_bytes()
        last, end, self._places = None, SEGMENT_HEAD_BYTES, {}
        for offset, batch, record_end in records(data, SEGMENT_HEAD_BYTES):
            last, end = batch, record_end
            self._places[batch.sequence] = (offset, record_end - offset)
        file = self._writable()
        if end < len(data):
            os.ftruncate(file, end)
        disk.sync(file)
        self.size_bytes = end
        return last

    def read(self, sequences: Sequence[int]) -> list[SpooledBatch | None]:
        """Return the batches under `sequences`, None for each that is damaged.  Raises OSError."""
        places = self.places()
        known = [places[sequence] for sequence in sequences]
        start = known[0][0]
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(known[-1][0] + known[-1][1] - start)
        found = (record_at(data, offset - start) for offset, _ in known)
        return [None if record is None else record[0] for record in found]

    def restart(self, head: SegmentHead, disk: Disk) -> None:
        """Begin anew with `head` in the same file, without asking the disk for room.  Raises OSError.

        Only for a segment whose batches are all settled: between the two steps it holds them still.
        """
        file = self._writable()
        disk.write(file, segment_head_to_bytes(head), 0)
        disk.sync(file)
        os.ftruncate(file, SEGMENT_HEAD_BYTES)
        self.head, self.first = head, head.first_sequence
        self._places, self.size_bytes = {}, SEGMENT_HEAD_BYTES

    def seal(self) -> None:
        """Write no more here, and free the memory its places took: an outage may fill many segments."""
        self._places = None
        self.rest()

    def rest(self) -> None:
        """Let go of the file until it is written again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _writable(self) -> int:
        if self._file is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        return self._file

    def delete(self) -> None:
        """Remove the file.  Raises OSError."""
        self.seal()
        self.path.unlink(missing_ok=True)
