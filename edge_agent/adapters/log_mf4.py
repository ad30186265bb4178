"""Logs of ASAM MDF 4 with raw bus logging: MF4, as CANedge and Vector's tools write it.

    group CAN_DataFrame:   Timestamp, BusChannel, ID, IDE, DataLength, DataBytes, Dir, EDL, BRS, ESI
    group CAN_RemoteFrame, CAN_ErrorFrame: likewise, without data

Rule 1: asammdf reads the columns, a bounded number of records at a time; there is no loop over frames.
Rule 2: a file may keep its frames in several groups; they are merged by stamp.
Rule 3: the channel is called canN, N being the file's BusChannel; a file without one has can0.
"""

import contextlib
import importlib
import io
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.adapters.blocks import offsets, take_due, taken
from edge_agent.adapters.log_model import CHUNK_BYTES, Channels, LogReport, LogStream
from edge_agent.canbus.frames import (
    BIT_RATE_SWITCH,
    ERROR,
    ERROR_STATE,
    EXTENDED,
    FD,
    ID_MASK,
    REMOTE,
    SENT_HERE,
    FrameBlock,
    joined,
)
from fairway.errors import BadInput

# About 10 MB of records of 80 bytes.
RECORDS_PER_READ = 131_072

# Beyond it a float of seconds since the start no longer tells nanoseconds apart: 104 days.
OFFSET_MAX_S = 9_000_000.0

_EVENTS = {"CAN_DataFrame": 0, "CAN_RemoteFrame": REMOTE, "CAN_ErrorFrame": ERROR}
_COLUMN = np.arange(64, dtype=np.uint8)

Column = Callable[[str], NDArray[Any] | None]


class _Records:
    """Some records of one group, column by column."""

    def __init__(self, file: Any, group: int, event: str, first: int, count: int) -> None:
        self.event = event
        self._file = file
        self._range = {"group": group, "record_offset": first, "record_count": count}
        self._names = {channel.name for channel in file.groups[group].channels}
        self.offset_s: NDArray[np.float64] = file.get_master(group, None, first, count)

    def column(self, name: str) -> NDArray[Any] | None:
        """Return the values of one channel, None where the file has none of that name."""
        full = f"{self.event}.{name}"
        if full not in self._names:
            return None
        values: NDArray[Any] = self._file.get(full, **self._range).samples
        if values.dtype.kind not in "iufb" and name != "Dir":
            values = self._file.get(
                full, raw=True, **self._range
            ).samples  # the number behind a text
        return values


def blocks(stream: LogStream, channels: Channels, report: LogReport) -> Iterator[FrameBlock]:
    """Yield the frames of an MF4 log.  Raises BadInput when asammdf is not installed."""
    if stream.is_packed:
        raise BadInput(f"{stream.path}: an MF4 cannot be read packed; unpack it first")
    try:
        asammdf = importlib.import_module("asammdf")
    except ImportError as error:
        raise BadInput(
            f"reading {stream.path} needs asammdf: install it with the extra, fairway[edge-mf4]"
        ) from error
    # The file is ours to close: asammdf leaves it open when it cannot read it.
    with _content(stream) as content:
        try:
            # It prints what it stumbles over, and standard output may be carrying rows.
            with contextlib.redirect_stdout(io.StringIO()):
                file = asammdf.MDF(content)
        except Exception as error:  # noqa: BLE001 - on damaged files asammdf raises what it likes
            _let_go(error)
            report.add_malformed(0, f"not MDF 4: {error}"[:120])
            return
        try:
            groups = [_of_group(file, *group, channels, report) for group in _groups(file)]
            yield from _merged(groups)
        finally:
            file.close()


def _content(stream: LogStream) -> IO[bytes]:
    """Return the file, or a copy that may be written where its recorder did not finish it (a loss of power)."""
    if not stream.peek(8).startswith(b"UnFinMF"):
        return stream.path.open("rb")
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever takes it
    while chunk := stream.read(CHUNK_BYTES):
        copy.write(chunk)
    copy.seek(0)
    return copy


def _let_go(error: BaseException) -> None:
    """Give a reader that failed half-way what its `__del__` takes for granted, or that complains aloud."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        half = frame.f_locals.get("self")
        for name in ("header", "identification"):
            if type(half).__name__ == "MDF4" and not hasattr(half, name):
                setattr(half, name, None)


def _groups(file: Any) -> list[tuple[int, str, int]]:
    """Return (number, event, records) of the groups that hold raw frames."""
    found = []
    for number, group in enumerate(file.groups):
        names = {channel.name for channel in group.channels}
        found += [
            (number, event, int(group.channel_group.cycles_nr))
            for event in _EVENTS
            if f"{event}.BusChannel" in names or f"{event}.ID" in names
        ]
    return found


def _of_group(
    file: Any, number: int, event: str, records: int, channels: Channels, report: LogReport
) -> Iterator[FrameBlock]:
    start_ns = int(file.header.abs_time)
    for first in range(0, records, RECORDS_PER_READ):
        count = min(RECORDS_PER_READ, records - first)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # as above
                record = _Records(file, number, event, first, count)
                block = _block(record, start_ns, channels, report)
        except Exception as error:  # noqa: BLE001 - as above
            report.add_malformed(0, f"records {first} to {first + count} of {event}: {error}"[:120])
            return
        if len(block):
            yield block


def _block(record: "_Records", start_ns: int, channels: Channels, report: LogReport) -> FrameBlock:
    """Return records as frames."""
    column, event, offset_s = record.column, record.event, record.offset_s
    size = len(offset_s)
    is_right = np.isfinite(offset_s) & (offset_s >= -OFFSET_MAX_S) & (offset_s < OFFSET_MAX_S)
    time_ns = start_ns + np.round(np.where(is_right, offset_s, 0) * 1e9).astype(np.int64)
    flags, is_fd = _flags(column, size)
    data, length = _data(column, size)
    is_right &= length <= np.where(is_fd, 64, 8)
    bus = _buses(column, size, channels)
    report_bad = int(np.count_nonzero(~is_right))
    if report_bad:
        report.add_malformed(0, f"{report_bad} records of {event} hold no frame")
        report.malformed += report_bad - 1
    length = np.where(is_right, length, 0).astype(np.uint8)
    block = FrameBlock(
        np.maximum(bus, 0).astype(np.uint8),
        _ids(column, size) | np.uint32(_EVENTS[event]),
        time_ns,
        flags,
        offsets(length),
        data[length[:, None] > _COLUMN],
    )
    rows = np.flatnonzero(is_right & (bus >= 0))
    return block if len(rows) == size else taken(block, rows)


def _ids(column: Column, size: int) -> NDArray[np.uint32]:
    raw = column("ID")
    if raw is None:
        return np.zeros(size, np.uint32)
    can_id = raw.astype(np.uint32)
    ide = column("IDE")
    # Without IDE, bit 31 of the id marks the 29-bit ones, as ASAM's bus logging says.
    is_extended = (can_id & EXTENDED) != 0 if ide is None else ide != 0
    return np.where(is_extended, can_id & ID_MASK | EXTENDED, can_id & 0x7FF).astype(np.uint32)


def _flags(column: Column, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    flags = np.zeros(size, np.uint8)
    fd = column("EDL")
    is_fd = np.zeros(size, np.bool_) if fd is None else fd != 0
    for name, bits in (("EDL", FD), ("BRS", BIT_RATE_SWITCH), ("ESI", ERROR_STATE)):
        values = column(name)
        if values is not None:
            flags |= np.where(is_fd & (values != 0), bits, 0).astype(np.uint8)
    direction = column("Dir")
    if direction is not None:
        is_sent = (
            np.char.startswith(direction, b"T") if direction.dtype.kind == "S" else direction == 1
        )
        flags |= np.where(is_sent, SENT_HERE, 0).astype(np.uint8)
    return flags, is_fd


def _data(column: Column, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return 64 bytes for each record, and how many of them count."""
    data = np.zeros((size, 64), np.uint8)
    given, length = column("DataBytes"), column("DataLength")
    if given is None or given.ndim != 2:
        return data, np.zeros(size, np.int64)
    width = min(given.shape[1], 64)
    data[:, :width] = given[:, :width]
    if length is None:
        return data, np.full(size, width, np.int64)
    return data, length.astype(np.int64)


def _buses(column: Column, size: int, channels: Channels) -> NDArray[np.int64]:
    given = column("BusChannel")
    channel = np.zeros(size, np.int64) if given is None else given.astype(np.int64)
    bus = np.full(size, -1, np.int64)
    for number in np.unique(channel).tolist():
        is_here = channel == number
        name = f"can{number}"
        bus[is_here] = channels.number(name)
        if channels.number(name) < 0:
            channels.skip(name, int(np.count_nonzero(is_here)))
    return bus


def _merged(sources: list[Iterator[FrameBlock]]) -> Iterator[FrameBlock]:
    """Yield the blocks of all groups in the order of their stamps."""
    held: dict[int, FrameBlock] = {}
    while True:
        for number, source in enumerate(sources):
            if number not in held:
                block = next(source, None)
                if block is not None:
                    held[number] = block
        if not held:
            return
        due = take_due(held)
        yield due[0] if len(due) == 1 else joined(due)
