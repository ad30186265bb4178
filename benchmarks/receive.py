"""Receiving frames: off a socket with kernel stamps, and out of candump text, each beside python-can.

No CAN interface is needed: a loopback UDP socket delivers the same struct can_frame with the same kernel
stamps.  The time is that of the process; sending is not in it.
"""

import lzma
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import can
from can.interfaces.socketcan.socketcan import capture_message

from benchmarks.report import Row
from edge_agent.adapters.log_formats import open_log
from edge_agent.adapters.socketcan import SO_RXQ_OVFL, SO_TIMESTAMPNS, Drain, drainer
from edge_agent.canbus import database
from edge_agent.canbus.decoder import Decoder, make_decoder
from edge_agent.canbus.frames import Frame, FrameBlock
from edge_agent.canbus.plan import BusDatabases, compile_plan
from fairway.clock import SystemClock

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("FAIRWAY_SHARED_DATA", ROOT.parent / "shared" / "data"))
DRIVE = SHARED / "edge/rav4_comma2k19/rav4_2017_comma2k19_seg40.candump.log.xz"
DATABASE = SHARED / "can/dbc/opendbc/toyota_new_mc_pt_generated.dbc"

# A burst fits the socket's queue; a busy bus gives some 15 frames per 10 ms, a burst of 256 is a full batch.
BURST = 256
FRAMES = 40_960
REPEATS = 5


def run() -> list[Row]:
    """Measure; every figure is the median of REPEATS runs that take turns with the peer's."""
    frames = _frames()
    decoder = make_decoder(_plan())
    ours, peers, decodes = [], [], []
    for _ in range(REPEATS):
        ours.append(received_us(frames, lambda sock: _drained(sock, decoder)))
        peers.append(received_us(frames, _python_can))
        decodes.append(received_us(frames, lambda sock: _drained(sock, None)))
    both_us, peer_us, bare_us = median(ours), median(peers), median(decodes)
    return [
        Row(
            "receive + decode, RAV4, bursts of 256",
            f"{both_us:.2f} us/frame (receive {bare_us:.2f})",
            f"python-can, receive alone: {peer_us:.2f} us/frame",
            both_us,
            "<= 1",
            "us/frame",
        ),
        Row(
            "receive with kernel stamps",
            f"{bare_us:.2f} us/frame",
            f"python-can capture_message {peer_us:.2f} us/frame",
            peer_us / bare_us,
            ">= 4",
        ),
        *_logs(),
    ]


def _plan():
    return compile_plan([BusDatabases("can0", (database.load(DATABASE),))])


def _frames() -> list[bytes]:
    packed: list[bytes] = []
    for block in open_log(DRIVE, {"can0": 0}):
        for frame in block.frames():
            packed.append(as_linux(frame))
            if len(packed) == FRAMES:
                return packed
    return packed


def as_linux(frame: Frame) -> bytes:
    """Return a frame as Linux's struct can_frame."""
    return struct.pack("=IBxxx8s", frame.can_id, len(frame.data), frame.data)


def received_us(
    frames: list[bytes], receiver: Callable[[socket.socket], Callable[[], int]]
) -> float:
    """Return microseconds of processor time a frame, spent in what `receiver` makes."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
    ):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        ours.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        ours.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        ours.bind(("127.0.0.1", 0))
        theirs.connect(ours.getsockname())
        take = receiver(ours)
        spent_ns, received = 0, 0
        for start in range(0, len(frames), BURST):
            burst = frames[start : start + BURST]
            for frame in burst:
                theirs.send(frame)
            began_ns = time.process_time_ns()
            got = 0
            while got < len(burst):
                got += take()
            spent_ns += time.process_time_ns() - began_ns
            received += got
    assert received == len(frames)
    return spent_ns / received / 1000


def _drained(sock: socket.socket, decoder: Decoder | None) -> Callable[[], int]:
    drain: Drain = drainer(sock, 0, is_compiled=None, clock=SystemClock())

    def take() -> int:
        drained = drain()
        assert drained is not None
        if decoder is not None:
            decoder.decode(drained.block)
        return len(drained.block)

    return take


def _python_can(sock: socket.socket) -> Callable[[], int]:
    def take() -> int:
        message = capture_message(sock)
        assert message is not None
        return 1

    return take


def _logs() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.log"
        path.write_bytes(lzma.decompress(DRIVE.read_bytes()))
        ours, peers = [], []
        for _ in range(REPEATS):
            ours.append(_rate(lambda: sum(map(len, _blocks(path)))))
            peers.append(_rate(lambda: _python_can_log(path)))
    our_rate, peer_rate = median(ours), median(peers)
    return [
        Row(
            "read candump text",
            f"{our_rate / 1000:.0f} k frames/s",
            f"python-can CanutilsLogReader {peer_rate / 1000:.0f} k frames/s",
            our_rate / peer_rate,
            ">= 3",
        )
    ]


def _blocks(path: Path) -> list[FrameBlock]:
    return list(open_log(path))


def _python_can_log(path: Path) -> int:
    with can.CanutilsLogReader(path) as reader:
        return sum(1 for _ in reader)


def _rate(read: Callable[[], int]) -> float:
    began_s = time.process_time()
    frames = read()
    return frames / (time.process_time() - began_s)
