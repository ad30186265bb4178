"""The frame block: CAN frames as columns, as they come off a bus or out of a log.

Identifiers follow Linux's `struct can_frame`: bit 31 marks a 29-bit id, bit 30 a remote frame, bit 29 an
error frame.  Payloads stand end to end in one buffer; frame i owns payload[offset[i]:offset[i+1]].

Rule 1: `time_ns` is when the frame arrived, as its source stamped it; nobody makes it anew.
Rule 2: frames stand in the order they arrived in; equal stamps keep it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXTENDED = 0x8000_0000
REMOTE = 0x4000_0000
ERROR = 0x2000_0000
ID_MASK = 0x1FFF_FFFF

# Bits of `flags`.
FD = 1  # a CAN FD frame (ISO 11898-1:2015)
BIT_RATE_SWITCH = 2
ERROR_STATE = 4
SENT_HERE = 8  # our own transmission, looped back


@dataclass(frozen=True, slots=True)
class Frame:
    """One CAN or CAN FD frame: the form for people, tests and senders, not for the hot path."""

    can_id: int  # with the EXTENDED bit where the id has 29 bits
    data: bytes  # 0 to 8 bytes, to 64 for CAN FD
    time_ns: int = 0  # since the Unix epoch, when the frame arrived
    bus: int = 0  # position in the agent's list of buses
    flags: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FrameBlock:
    """Frames as columns, all of length n but `offset`, which has n + 1."""

    bus: NDArray[np.uint8]
    can_id: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    flags: NDArray[np.uint8]
    offset: NDArray[np.uint32]
    payload: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.can_id)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames one by one, for people and tests."""
        whole = self.payload.tobytes()
        offset = self.offset.tolist()
        columns = (
            self.can_id.tolist(),
            self.time_ns.tolist(),
            self.bus.tolist(),
            self.flags.tolist(),
        )
        for i, (can_id, time_ns, bus, flags) in enumerate(zip(*columns, strict=True)):
            yield Frame(can_id, whole[offset[i] : offset[i + 1]], time_ns, bus, flags)


def block_of(frames: list[Frame]) -> FrameBlock:
    """Return `frames` as columns."""
    offset = np.zeros(len(frames) + 1, np.uint32)
    np.cumsum([len(frame.data) for frame in frames], out=offset[1:])
    return FrameBlock(
        np.array([frame.bus for frame in frames], np.uint8),
        np.array([frame.can_id for frame in frames], np.uint32),
        np.array([frame.time_ns for frame in frames], np.int64),
        np.array([frame.flags for frame in frames], np.uint8),
        offset,
        np.frombuffer(b"".join(frame.data for frame in frames), np.uint8),
    )


def joined(blocks: list[FrameBlock]) -> FrameBlock:
    """Return the blocks end to end, merged by time of arrival (equal stamps keep their order)."""
    can_id = np.concatenate([block.can_id for block in blocks])
    time_ns = np.concatenate([block.time_ns for block in blocks])
    length = np.concatenate([np.diff(block.offset) for block in blocks]).astype(np.uint32)
    payload = np.concatenate([block.payload[: block.offset[-1]] for block in blocks])
    bus = np.concatenate([block.bus for block in blocks])
    flags = np.concatenate([block.flags for block in blocks])
    start = np.zeros(len(can_id) + 1, np.uint32)
    np.cumsum(length, out=start[1:])
    if bool(np.all(time_ns[:-1] <= time_ns[1:])):
        return FrameBlock(bus, can_id, time_ns, flags, start, payload)
    order = np.argsort(time_ns, kind="stable")
    offset = np.zeros(len(can_id) + 1, np.uint32)
    np.cumsum(length[order], out=offset[1:])
    within = np.arange(offset[-1], dtype=np.uint32) - np.repeat(offset[:-1], length[order])
    moved = payload[np.repeat(start[:-1][order], length[order]) + within]
    return FrameBlock(bus[order], can_id[order], time_ns[order], flags[order], offset, moved)
