"""Cutting and ordering frame blocks, and building them row by row where a format leaves no other way."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.frames import FrameBlock


class Rows:
    """Collects frames one by one into columns: for formats whose every line must be read in Python."""

    def __init__(self) -> None:
        self._bus: list[int] = []
        self._can_id: list[int] = []
        self._time_ns: list[int] = []
        self._flags: list[int] = []
        self._data: list[bytes] = []

    def __len__(self) -> int:
        return len(self._can_id)

    def add(self, can_id: int, data: bytes, time_ns: int, bus: int, flags: int) -> None:
        """Append one frame."""
        self._can_id.append(can_id)
        self._data.append(data)
        self._time_ns.append(time_ns)
        self._bus.append(bus)
        self._flags.append(flags)

    def take(self) -> FrameBlock:
        """Return the frames collected so far as one block, and start anew."""
        block = FrameBlock(
            np.array(self._bus, np.uint8),
            np.array(self._can_id, np.uint32),
            np.array(self._time_ns, np.int64),
            np.array(self._flags, np.uint8),
            offsets([len(data) for data in self._data]),
            np.frombuffer(b"".join(self._data), np.uint8),
        )
        self.__init__()  # type: ignore[misc]
        return block


def offsets(length: "NDArray[np.integer] | list[int]") -> NDArray[np.uint32]:
    """Return where each payload begins when payloads of these lengths stand end to end."""
    offset = np.zeros(len(length) + 1, np.uint32)
    np.cumsum(length, out=offset[1:])
    return offset


def pieces(block: FrameBlock, most: int) -> Iterator[FrameBlock]:
    """Yield `block` in pieces of at most `most` frames."""
    if len(block) <= most:
        if len(block):
            yield block
        return
    for start in range(0, len(block), most):
        yield sliced(block, start, min(start + most, len(block)))


def sliced(block: FrameBlock, start: int, stop: int) -> FrameBlock:
    """Return frames `start` to `stop` (not included) as a block of its own."""
    first, last = int(block.offset[start]), int(block.offset[stop])
    return FrameBlock(
        block.bus[start:stop],
        block.can_id[start:stop],
        block.time_ns[start:stop],
        block.flags[start:stop],
        block.offset[start : stop + 1] - np.uint32(first),
        block.payload[first:last],
    )


def taken(block: FrameBlock, rows: NDArray[np.intp]) -> FrameBlock:
    """Return the frames at positions `rows`, in that order."""
    start = block.offset[:-1][rows]
    length = np.diff(block.offset)[rows]
    offset = offsets(length)
    within = np.arange(offset[-1], dtype=np.uint32) - np.repeat(offset[:-1], length)
    return FrameBlock(
        block.bus[rows],
        block.can_id[rows],
        block.time_ns[rows],
        block.flags[rows],
        offset,
        block.payload[np.repeat(start, length) + within],
    )


def concatenated(blocks: list[FrameBlock]) -> FrameBlock:
    """Return the blocks end to end, in the order given."""
    return FrameBlock(
        np.concatenate([block.bus for block in blocks]),
        np.concatenate([block.can_id for block in blocks]),
        np.concatenate([block.time_ns for block in blocks]),
        np.concatenate([block.flags for block in blocks]),
        offsets(np.concatenate([np.diff(block.offset) for block in blocks])),
        np.concatenate([block.payload[: int(block.offset[-1])] for block in blocks]),
    )


def take_due(held: dict[int, FrameBlock]) -> list[FrameBlock]:
    """Take from `held`, the next block of each of several logs, what no log can undercut any more.

    That is everything up to the earliest end among the blocks; what is later stays in `held`.
    """
    until_ns = min(int(block.time_ns[-1]) for block in held.values())
    due = []
    for number in sorted(held):
        block = held.pop(number)
        if int(block.time_ns[-1]) > until_ns:
            stop = int(np.argmax(block.time_ns > until_ns))
            held[number] = sliced(block, stop, len(block))
            block = sliced(block, 0, stop)
        if len(block):
            due.append(block)
    return due
