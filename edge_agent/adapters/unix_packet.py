"""Frames between processes: what a packet on a Unix-socket bus looks like.

A packet is 1 to 256 records of 80 bytes, little-endian: the time of arrival in nanoseconds, then Linux's
`struct canfd_frame`, whose first reserved byte carries the number of the channel.

    time_ns:8  can_id:4  length:1  flags:1  channel:1  -:1  data:64

A client's first packet is its HELLO: 8 bytes that say which channel it listens to (255: all of them).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_agent.adapters.blocks import offsets
from edge_agent.canbus.frames import BIT_RATE_SWITCH, ERROR_STATE, FD, FrameBlock
from edge_agent.canbus.source import LIVE_BLOCK_MAX_FRAMES
from fairway.errors import BadInput

RECORD = np.dtype(
    [
        ("time_ns", "<i8"),
        ("can_id", "<u4"),
        ("length", "u1"),
        ("flags", "u1"),
        ("channel", "u1"),
        ("reserved", "u1"),
        ("data", "u1", (64,)),
    ]
)
PACKET_MAX_FRAMES = LIVE_BLOCK_MAX_FRAMES
PACKET_MAX_BYTES = RECORD.itemsize * PACKET_MAX_FRAMES

ALL_CHANNELS = 255
_HELLO = b"FWBUS1 "

# Linux's CANFD_BRS, CANFD_ESI, CANFD_FDF.
_LINUX_BRS, _LINUX_ESI, _LINUX_FDF = 1, 2, 4

_COLUMN = np.arange(64, dtype=np.uint8)


def hello(channel: int | None) -> bytes:
    """Return a client's first packet."""
    return _HELLO + bytes([ALL_CHANNELS if channel is None else channel])


def channel_of(packet: bytes) -> int | None:
    """Return the channel a HELLO asks for, None for all.  Raises BadInput."""
    if len(packet) != len(_HELLO) + 1 or not packet.startswith(_HELLO):
        raise BadInput(f"the first packet {packet[:16]!r} on a Unix bus is no greeting")
    return None if packet[-1] == ALL_CHANNELS else packet[-1]


def packets(block: FrameBlock) -> Iterator[bytes]:
    """Yield `block` as packets; the bus becomes the channel."""
    length = np.diff(block.offset)
    record = np.zeros(len(block), RECORD)
    record["time_ns"] = block.time_ns
    record["can_id"] = block.can_id
    record["length"] = length
    record["channel"] = block.bus
    is_fd = (block.flags & FD) != 0
    if is_fd.any():
        linux = np.where(block.flags & BIT_RATE_SWITCH, _LINUX_BRS, 0)
        linux |= np.where(block.flags & ERROR_STATE, _LINUX_ESI, 0) | _LINUX_FDF
        record["flags"] = np.where(is_fd, linux, 0)
    record["data"][length[:, None] > _COLUMN] = block.payload[: int(block.offset[-1])]
    for start in range(0, len(block), PACKET_MAX_FRAMES):
        yield record[start : start + PACKET_MAX_FRAMES].tobytes()


def block_from_bytes(*packets: bytes) -> FrameBlock:
    """Return the frames of packets that followed one another.  Raises BadInput if any cannot be read."""
    for packet in packets:
        if not packet or len(packet) % RECORD.itemsize or len(packet) > PACKET_MAX_BYTES:
            raise BadInput(f"a packet of {len(packet)} bytes on a Unix bus is not 1 to 256 frames")
    record = np.frombuffer(b"".join(packets), RECORD)
    linux = record["flags"]
    is_fd = (linux & _LINUX_FDF) != 0
    length: NDArray[np.uint8] = record["length"]
    if (length > np.where(is_fd, 64, 8)).any():
        raise BadInput("a frame on a Unix bus is longer than its kind allows")
    flags = np.where(is_fd, FD, 0)
    if is_fd.any():
        flags |= np.where(is_fd & (linux & _LINUX_BRS != 0), BIT_RATE_SWITCH, 0)
        flags |= np.where(is_fd & (linux & _LINUX_ESI != 0), ERROR_STATE, 0)
    return FrameBlock(
        record["channel"].copy(),
        record["can_id"].copy(),
        record["time_ns"].copy(),
        flags.astype(np.uint8),
        offsets(length),
        record["data"][length[:, None] > _COLUMN],
    )
