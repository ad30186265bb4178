"""What others may ask of the stored samples of a vehicle.

    latest   the newest value of every signal          one row a signal
    series   the samples of one signal, in time order  a page of columns
    buckets  min, max, mean and last of one signal     one row a span of time

Rule 1: a span is half open: `from_ns` belongs to it, `to_ns` does not.
Rule 2: of samples with the same time the one of the greater sequence, then of the greater value, is the newer.
Rule 3: a page never ends inside one moment, so the next page begins at `next_ns` and repeats nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairway.errors import BadInput
from fairway.signals import Kind

# One page of a series: 25 MB of columns; whoever wants more asks for the next page.
POINTS_MAX = 1_000_000

# Times are int64 nanoseconds since the Unix epoch; the last one is in the year 2262.
TIME_MAX_NS = 2**63 - 1

# Narrower buckets than a millisecond hold single samples: ask for the series.
BUCKET_MIN_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class LatestValue:
    """The newest sample of one signal."""

    signal: str
    time_ns: int
    value: float | bool | str
    unit: str = ""  # empty: none, or not known


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A page of one signal's samples: `time_ns` int64[n], `value` float64[n], `kind` uint8[n] (a `Kind`).

    As in a sample block, BOOL is 0 or 1 and TEXT is an index into `texts`.
    """

    unit: str
    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    kind: NDArray[np.uint8]
    texts: tuple[str, ...] = ()
    next_ns: int | None = None  # where the next page begins; None: this is the last one

    def __len__(self) -> int:
        return len(self.time_ns)

    def values(self) -> list[float | bool | str]:
        """Return the values as people see them; for pages that are shown, not for columns that move."""
        if not len(self) or not self.kind.any():
            return list(self.value.tolist())
        return [
            self.texts[int(value)]
            if kind == Kind.TEXT
            else bool(value)
            if kind == Kind.BOOL
            else value
            for kind, value in zip(self.kind.tolist(), self.value.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """One signal's numbers by spans of time, empty spans left out; NaN and texts are not counted.

    `start_ns` int64[n] are multiples of `bucket_ns`; the others are float64[n], `count` int64[n].
    """

    unit: str
    bucket_ns: int
    start_ns: NDArray[np.int64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    last: NDArray[np.float64]
    count: NDArray[np.int64]
    next_ns: int | None = None

    def __len__(self) -> int:
        return len(self.start_ns)


@dataclass(frozen=True, slots=True)
class SignalSpan:
    """Which samples are meant: those of one signal of one vehicle, in a span of time, of some streams."""

    tenant: str
    vehicle: str
    signal: str
    from_ns: int = 0
    to_ns: int = TIME_MAX_NS
    streams: tuple[str, ...] | None = None  # only what came in these; None: in whichever


class TelemetryReader(Protocol):
    """Reads stored samples.  Contract: tests/contracts/test_telemetry_store.py."""

    def latest(self, tenant: str, vehicle: str) -> list[LatestValue]:
        """Return the newest value of every signal, in order of name.  Raises Unavailable."""
        ...

    def series(self, span: SignalSpan, *, limit: int) -> Series:
        """Return the first samples of `span`, about `limit` of them.  Raises Unavailable, BadInput."""
        ...

    def buckets(self, span: SignalSpan, *, bucket_ns: int, limit: int) -> Buckets:
        """Return the first `limit` buckets of `span` that hold samples.  Raises Unavailable, BadInput."""
        ...


@dataclass(frozen=True, slots=True)
class Statistics:
    """How much a store holds."""

    rows: int
    disk_bytes: int
    parts: int  # pieces on disk: thousands mean that inserts are too small


class TelemetryStatistics(Protocol):
    """Says how much is stored."""

    def statistics(self) -> Statistics:
        """Return what the store holds now.  Raises Unavailable."""
        ...

    def count(self, tenant: str, vehicle: str) -> int:
        """Return how many samples of a vehicle are stored.  Raises Unavailable."""
        ...


def checked_limit(limit: int) -> int:
    """Return `limit` when a page may be that long.  Raises BadInput."""
    if not 1 <= limit <= POINTS_MAX:
        raise BadInput(
            f"a page of {limit} points: ask for 1 to {POINTS_MAX}, then for the next page"
        )
    return limit


def checked_bucket(bucket_ns: int) -> int:
    """Return `bucket_ns` when buckets may be that wide.  Raises BadInput."""
    if not BUCKET_MIN_NS <= bucket_ns <= TIME_MAX_NS:
        raise BadInput(f"buckets of {bucket_ns} ns: make them at least {BUCKET_MIN_NS} ns wide")
    return bucket_ns


def page_end(time_ns: NDArray[np.int64], limit: int) -> int:
    """Return how many of more than `limit` ordered times make a page that ends between two moments.

    0 means that the first moment alone is longer than the page.
    """
    return int(np.searchsorted(time_ns, time_ns[limit], side="left"))


def ordered(values: Sequence[LatestValue]) -> list[LatestValue]:
    """Return `values` in order of name, as `latest` does."""
    return sorted(values, key=lambda value: value.signal)
