"""Stored samples as they were driven: those of many signals of a vehicle, in one order of time.

    telemetry store  --rows-->  one SampleBlock  --drives-->  blocks of each drive, as a vehicle makes them

Rule 1: of one moment, the samples of the batch that was numbered first come first.
Rule 2: a vehicle that was silent for SILENCE_MAX_NS has ended a drive.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fairway.clock import NS_PER_S
from fairway.errors import BadInput
from fairway.samples import SampleBlock, SignalTable
from fleet_cloud.vehicles.telemetry import TIME_MAX_NS

# A long traffic light, a ferry gate or a tunnel is shorter; whoever shops is longer.
SILENCE_MAX_NS = 300 * NS_PER_S

# What a vehicle takes off its buses at once at most.
BLOCK_ROWS = 256

# A day of 20 signals at 1 Hz, or an hour of 50 at 10 Hz: 60 MB while they are looked at.
ROWS_MAX = 2_000_000

# The names of that many signals stand in one statement: half of what a server reads of one by default.
NAMES_MAX_CHARS = 100_000


@dataclass(frozen=True, slots=True)
class DriveSpan:
    """Which samples are meant: those of some signals of `table`, in a span of time, of some streams."""

    tenant: str
    vehicle: str
    table: SignalTable
    signals: tuple[str, ...]
    from_ns: int = 0
    to_ns: int = TIME_MAX_NS
    streams: tuple[str, ...] | None = None  # only what came in these; None: in whichever
    but_streams: tuple[str, ...] = ()  # nothing of what came in these


class DriveReader(Protocol):
    """Reads stored drives.  Contract: tests/contracts/test_drive_reader.py."""

    def rows(self, span: DriveSpan, *, limit: int) -> SampleBlock:
        """Return the samples of `span` in order of time, over its table.

        A text where the table has a number, or the reverse, is left out.
        Raises BadInput when there are more than `limit`, Unavailable.
        """
        ...


def checked_names(span: DriveSpan) -> tuple[str, ...]:
    """Return the signals of `span`.  Raises BadInput when they are too many, or not in its table."""
    for name in span.signals:
        span.table.number(name)
    if sum(map(len, span.signals)) > NAMES_MAX_CHARS:
        raise BadInput(
            f"the names of {len(span.signals)} signals have more than {NAMES_MAX_CHARS} characters:"
            " ask for fewer signals"
        )
    return span.signals


def checked_rows(count: int, limit: int, span: DriveSpan) -> None:
    """Raise BadInput when there are more than `limit` rows."""
    if count > limit:
        raise BadInput(
            f"the vehicle {span.vehicle} has more than {limit} samples of these signals in this span:"
            " choose a shorter one"
        )


def drives(rows: SampleBlock) -> Iterator[list[SampleBlock]]:
    """Yield the blocks of each drive; the signals of one frame stand together in them."""
    if not len(rows):
        return
    group = np.array([signal.group for signal in rows.table], np.int32)[rows.signal]
    ordered = rows.take(np.lexsort((rows.signal, group, rows.time_ns)))
    silences = np.flatnonzero(np.diff(ordered.time_ns) > SILENCE_MAX_NS) + 1
    edges = [0, *silences.tolist(), len(ordered)]
    for start, end in itertools.pairwise(edges):
        yield [
            ordered.take(np.arange(at, min(at + BLOCK_ROWS, end)))
            for at in range(start, end, BLOCK_ROWS)
        ]
