"""How a signal table is laid out on the wire: the arrays that both ends derive from it.

Signals are ranked by group, then by position; a group is cut into parts of at most 64 signals, so that the
signals of a part that are present in one frame are one 64-bit mask:

    part  0                1                                 2
    bit   0     1     2    0     1     2     3    4     5    0    ...
    rank  0     1     2    3     4     5     6    7     8    9    ...
          can0.BRAKES.*    can0.WHEEL_SPEEDS.*               can1.GPS.*
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fairway.signals import Kind, SignalTable

PART_MAX_SIGNALS = 64

# One for each dictionary in use; vehicles of one model share one, and a layout takes some 50 bytes a signal.
LAYOUTS_KEPT = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A signal table as arrays: of n signals by position, of n by rank, and of p parts."""

    part: NDArray[np.uint16]  # by position
    bit: NDArray[np.uint8]
    rank: NDArray[np.uint16]
    position: NDArray[np.int32]  # by rank
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    is_text: NDArray[np.bool_]
    part_start: NDArray[np.int64]  # p + 1 ranks
    part_bytes: NDArray[np.int64]  # of a mask
    mask_octets: NDArray[np.bool_]  # which of 8 bytes those are
    any_text: bool


@lru_cache(maxsize=LAYOUTS_KEPT)
def layout_of(table: SignalTable) -> Layout:
    """Return the layout of `table`."""
    groups = _groups(table)
    first: dict[int | str, int] = {}
    number = np.array([first.setdefault(group, len(first)) for group in groups], np.int64)
    position = np.argsort(number, kind="stable").astype(np.int32)
    ordered = number[position]
    heads = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(heads, append=len(ordered))
    in_group = np.arange(len(ordered)) - np.repeat(heads, sizes)
    starts = np.flatnonzero(in_group % PART_MAX_SIGNALS == 0)
    lengths = np.diff(starts, append=len(ordered))
    part, bit = np.empty(len(table), np.uint16), np.empty(len(table), np.uint8)
    rank = np.empty(len(table), np.uint16)
    part[position] = np.repeat(np.arange(len(starts)), lengths)
    bit[position] = in_group % PART_MAX_SIGNALS
    rank[position] = np.arange(len(table))
    # NUMBERs without a grid, BOOLs and TEXTs are whole numbers more often than not.
    plain = [signal.scale == 0.0 or signal.kind is not Kind.NUMBER for signal in table]
    is_text = np.array([table[at].kind is Kind.TEXT for at in position.tolist()], np.bool_)
    scale = [1.0 if bare else signal.scale for signal, bare in zip(table, plain, strict=True)]
    offset = [0.0 if bare else signal.offset for signal, bare in zip(table, plain, strict=True)]
    return Layout(
        part=part,
        bit=bit,
        rank=rank,
        position=position,
        scale=np.array(scale, np.float64)[position],
        offset=np.array(offset, np.float64)[position],
        is_text=is_text,
        part_start=np.append(starts, len(ordered)).astype(np.int64),
        part_bytes=(lengths + 7) // 8,
        mask_octets=np.arange(8) < ((lengths + 7) // 8)[:, None],
        any_text=bool(is_text.any()),
    )


def _groups(table: SignalTable) -> list[int] | list[str]:
    groups = [signal.group for signal in table]
    return groups if any(groups) else [signal.name.rpartition(".")[0] for signal in table]
