"""The spool on a disk: segment files, two small files of marks and identity, and one for each dictionary.

    <spool>/stream                        16 hexadecimal digits, made with the spool
    <spool>/00000000000000000017.seg      batches from 17 on; the last one is written, the others are sealed
    <spool>/marks                         what is settled and what may have been sent, two slots in turn
    <spool>/7b0c9f3d51a2e864.dictionary   a TelemetryRequest
    <spool>/lock                          held by the agent that uses the spool

Rule 1: a segment is deleted when all its batches are settled, or to make room, oldest first.
Rule 2: names and numbers never depend on the clock.
Rule 3: the marks are not synced: a crash of the program keeps them, a power cut may turn them back, and then
        batches are sent twice, which the cloud sees.
"""

import fcntl
import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from edge_agent.adapters.disk import Disk, RealDisk, replace_file
from edge_agent.adapters.spool_segments import SUFFIX, Segment
from edge_agent.telemetry.records import (
    MARKS_BYTES,
    RECORD_HEAD_BYTES,
    Marks,
    SegmentHead,
    marks_from_bytes,
    marks_to_bytes,
)
from edge_agent.telemetry.spool import Cursor, SpooledBatch, SpoolState, WhenFull
from fairway import log
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.ids import stream_id

EVENTS = log.get("edge_agent.spool")

# Room is made a segment at a time: a sixteenth of the spool, but no file that takes long to look through.
SEGMENTS_IN_SPOOL = 16
SEGMENT_MIN_BYTES = 64 * 1024
SEGMENT_MAX_BYTES = 4 * 1024 * 1024


class SpoolFiles:
    """A spool in a directory."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        when_full: WhenFull = "drop_oldest",
        disk: Disk | None = None,
        is_guarded: bool = False,
    ) -> None:
        """Open the spool, or make one; `is_guarded` when the caller holds the lock of a directory above.

        Raises Conflict when another agent uses it, BadInput when it cannot be a spool, Unavailable when the
        disk refuses.
        """
        self._directory, self._max_bytes, self._when_full = directory, max_bytes, when_full
        self._disk = disk or RealDisk()
        self._segment_bytes = min(
            max(max_bytes // SEGMENTS_IN_SPOOL, SEGMENT_MIN_BYTES), SEGMENT_MAX_BYTES
        )
        self._segments: list[Segment] = []
        self._beyond: set[int] = set()  # settled, above the mark
        self._dropped_batches = self._dropped_samples = self._damaged = 0
        self._next, self._cursor, self._marks = 1, Cursor(), Marks()
        self._marks_file = -1
        self._lock_file = -1
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not is_guarded:
                self._lock()
            self._open()
        except OSError as error:
            self.close()
            raise self._unavailable(error) from error
        except (BadInput, Conflict):
            self.close()
            raise

    @property
    def stream(self) -> str:
        return self._stream

    @property
    def cursor(self) -> Cursor:
        return self._cursor

    @property
    def state(self) -> SpoolState:
        return SpoolState(
            next_sequence=self._next,
            waiting=max(0, self._next - 1 - self._marks.settled - len(self._beyond)),
            size_bytes=sum(segment.size_bytes for segment in self._segments),
            dropped_batches=self._dropped_batches,
            dropped_samples=self._dropped_samples,
            damaged_batches=self._damaged,
        )

    def append(self, batches: Sequence[SpooledBatch]) -> bool:
        if not batches:
            return True
        assert batches[0].sequence == self._next
        if not self._make_room(sum(RECORD_HEAD_BYTES + len(batch.request) for batch in batches)):
            return False
        try:
            self._active().append(batches, self._disk)
        except OSError as error:
            if self.state.waiting == 0:
                with suppress(OSError):  # what is settled must not stand in the way next time
                    self._restart()
            raise self._unavailable(error) from error
        self._next, self._cursor = batches[-1].sequence + 1, batches[-1].cursor
        self._mark(durable=batches[-1].sequence)
        return True

    def read(self, after: int, *, max_batches: int, max_bytes: int) -> list[SpooledBatch]:
        found: list[SpooledBatch] = []
        lost: list[int] = []
        try:
            for segment, first, end in self._spans(after):
                wanted, missing, max_bytes = self._wanted(
                    segment, range(first, end), max_batches - len(found), max_bytes
                )
                batches = segment.read(wanted) if wanted else []
                found += [batch for batch in batches if batch is not None]
                lost += missing
                lost += [
                    number for number, batch in zip(wanted, batches, strict=True) if batch is None
                ]
                if len(found) >= max_batches or max_bytes <= 0:
                    break
        except OSError as error:
            raise self._unavailable(error) from error
        if not lost:
            return found
        self._damaged += len(lost)
        EVENTS.error("spool_damaged", lost=len(lost), directory=self._directory)
        self.settle(lost)
        return found or self.read(after, max_batches=max_batches, max_bytes=max(max_bytes, 1))

    def settle(self, sequences: Collection[int]) -> None:
        settled = self._marks.settled
        self._beyond.update(sequence for sequence in sequences if settled < sequence < self._next)
        while settled + 1 in self._beyond:
            settled += 1
            self._beyond.discard(settled)
        if settled != self._marks.settled:
            self._mark(settled=settled)
            self._delete_settled()

    def keep_dictionary(self, dictionary_id: bytes, request: bytes) -> None:
        path = self._dictionary_path(dictionary_id)
        try:
            if not path.exists() or path.read_bytes() != request:
                replace_file(self._disk, path, request)
        except OSError as error:
            raise self._unavailable(error) from error

    def dictionary(self, dictionary_id: bytes) -> bytes | None:
        try:
            return self._dictionary_path(dictionary_id).read_bytes()
        except OSError:
            return None

    def give_up(self, batches: Sequence[SpooledBatch]) -> None:
        self._dropped_batches += len(batches)
        self._dropped_samples += sum(batch.samples for batch in batches)
        self.settle([batch.sequence for batch in batches])

    def shrink(self, need_bytes: int) -> None:
        try:
            while self.state.waiting and need_bytes > 0:
                before = self.state.size_bytes
                if len(self._segments) == 1:
                    self._roll()
                self._drop_oldest()
                need_bytes -= before - self.state.size_bytes
        except OSError as error:
            raise self._unavailable(error) from error

    def rest(self) -> None:
        self._segments[-1].rest()
        if self._marks_file >= 0:
            os.close(self._marks_file)
            self._marks_file = -1

    def close(self) -> None:
        for segment in self._segments:
            segment.seal()
        for file in (self._marks_file, self._lock_file):
            if file >= 0:
                os.close(file)
        self._marks_file = self._lock_file = -1

    # opening

    def _lock(self) -> None:
        self._lock_file = os.open(
            self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
        )
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"another agent uses the spool {self._directory}; stop it first"
            ) from error

    def _open(self) -> None:
        paths = sorted(self._directory.glob(f"*{SUFFIX}"))
        self._stream = self._identity(is_new=not paths)
        self._marks = marks_from_bytes(os.pread(self._opened_marks(), 2 * MARKS_BYTES, 0))
        for unfinished in self._directory.glob("*.new"):
            unfinished.unlink()
        for path in paths:
            self._take(path)
        if self._segments:
            active = self._segments[-1]
            last = active.recover(self._disk)
            self._next = active.first if last is None else last.sequence + 1
            self._cursor = active.head.cursor if last is None else last.cursor
        if self._next <= self._marks.durable:
            # Numbers that may have been sent are gone from the disk: they must not be given out again.
            EVENTS.error(
                "spool_damaged",
                lost=self._marks.durable + 1 - self._next,
                directory=self._directory,
            )
            self._next = self._marks.durable + 1
        if not self._segments:
            self._roll()
        self._mark(settled=max(self._marks.settled, self._segments[0].first - 1))
        self._delete_settled()

    def _opened_marks(self) -> int:
        if self._marks_file < 0:
            path = self._directory / "marks"
            self._marks_file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        return self._marks_file

    def _identity(self, *, is_new: bool) -> str:
        path = self._directory / "stream"
        if path.exists():
            try:
                return stream_id(path.read_text("ascii", "replace").strip())
            except BadInput as error:
                raise BadInput(
                    f"{path}: {error}; restore it, or begin with an empty directory"
                ) from error
        if not is_new:
            raise BadInput(
                f"the spool {self._directory} has segments but no file named stream: restore it, or begin "
                "with an empty directory"
            )
        stream = secrets.token_hex(8)
        replace_file(self._disk, path, stream.encode())
        return stream

    def _take(self, path: Path) -> None:
        segment = Segment.open(path)
        if segment is None or segment.head.stream != self._stream:
            EVENTS.error("spool_segment_damaged", file=path.name, kept_as=f"{path.name}.damaged")
            path.rename(path.with_name(path.name + ".damaged"))
        else:
            self._segments.append(segment)

    # room

    def _make_room(self, need_bytes: int) -> bool:
        try:
            while self.state.size_bytes + need_bytes > self._max_bytes:
                if self.state.waiting == 0:
                    self._restart()
                    break  # a batch larger than the whole spool is still better kept
                if self._when_full == "drop_newest":
                    return False
                if len(self._segments) == 1:
                    self._roll()
                self._drop_oldest()
        except OSError as error:
            raise self._unavailable(error) from error
        return True

    def _active(self) -> Segment:
        """Return the segment to write to.  Raises OSError."""
        if self._segments[-1].size_bytes < self._segment_bytes:
            return self._segments[-1]
        return self._roll() if self.state.waiting else self._restart()

    def _restart(self) -> Segment:
        """Empty a spool in which nothing waits.  Raises OSError."""
        while len(self._segments) > 1:
            self._forget_up_to(self._segments[1].first - 1)
        self._segments[0].restart(SegmentHead(self._stream, self._next, self._cursor), self._disk)
        return self._segments[0]

    def _roll(self) -> Segment:
        head = SegmentHead(self._stream, self._next, self._cursor)
        segment = Segment.create(self._directory, head, self._disk)
        if self._segments:
            self._segments[-1].seal()
        self._segments.append(segment)
        return segment

    def _drop_oldest(self) -> None:
        segment, end = self._segments[0], self._segments[1].first
        lost = [
            sequence
            for sequence in segment.places()
            if sequence > self._marks.settled and sequence not in self._beyond
        ]
        if lost:
            samples = sum(batch.samples for batch in segment.read(lost) if batch is not None)
            self._dropped_batches += len(lost)
            self._dropped_samples += samples
            EVENTS.warning("spool_full", dropped_batches=len(lost), dropped_samples=samples)
        self._forget_up_to(end - 1)

    # what is settled

    def _spans(self, after: int) -> Iterator[tuple[Segment, int, int]]:
        """Yield each segment with the numbers beyond `after` that may wait in it: first, end."""
        segments = list(self._segments)
        ends = [segment.first for segment in segments[1:]] + [self._next]
        for segment, end in zip(segments, ends, strict=True):
            first = max(after, self._marks.settled, segment.first - 1) + 1
            if first < end:
                yield segment, first, end

    def _wanted(
        self, segment: Segment, numbers: range, max_batches: int, max_bytes: int
    ) -> tuple[list[int], list[int], int]:
        """Return which of `numbers` to read, which are not there, and how many bytes may still follow."""
        wanted: list[int] = []
        missing: list[int] = []
        places = segment.places()
        for number in numbers:
            if number in self._beyond:
                continue
            if number not in places:
                missing.append(number)
                continue
            if len(wanted) >= max_batches or max_bytes <= 0:
                break
            max_bytes -= places[number][1]
            wanted.append(number)
        return wanted, missing, max_bytes

    def _mark(self, *, settled: int | None = None, durable: int | None = None) -> None:
        self._marks = Marks(
            self._marks.generation + 1,
            self._marks.settled if settled is None else settled,
            max(self._marks.durable, durable or 0),
        )
        try:
            slot = self._marks.generation % 2 * MARKS_BYTES
            os.pwrite(self._opened_marks(), marks_to_bytes(self._marks), slot)
        except OSError as error:  # a full disk: the marks are for thrift only
            EVENTS.debug("marks_not_written", reason=error.strerror)

    def _delete_settled(self) -> None:
        while len(self._segments) > 1 and self._segments[1].first <= self._marks.settled + 1:
            self._forget_up_to(self._segments[1].first - 1)

    def _forget_up_to(self, sequence: int) -> None:
        """Delete the first segment, all of which is at or below `sequence`."""
        segment = self._segments.pop(0)
        try:
            segment.delete()
        except OSError as error:
            EVENTS.warning(
                "spool_segment_not_deleted", file=segment.path.name, reason=error.strerror
            )
        settled = max(self._marks.settled, sequence)
        self._beyond = {number for number in self._beyond if number > settled}
        self._mark(settled=settled)

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(f"the spool {self._directory} does not work: {error.strerror}")

    def _dictionary_path(self, dictionary_id: bytes) -> Path:
        return self._directory / f"{dictionary_id.hex()}.dictionary"
