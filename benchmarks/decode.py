"""Decoding and encoding beside cantools, in one process, by process CPU time, on one pinned core.

RAV4      real frames that the database knows, 5.4 signals a frame, nearly all big-endian
Model 3   random payloads, each message with each of its multiplexer values as often as any other

All decoders get the same frames.  In every round each goes over them once to get warm, then against the clock;
the figures are the medians of the rounds.
"""

import lzma
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cantools

from benchmarks.report import Row
from edge_agent.canbus.database import load
from edge_agent.canbus.decoder import HAS_KERNEL, Decoder, Interpreter, make_decoder
from edge_agent.canbus.encode import Encoder
from edge_agent.canbus.encode_slots import message_slots
from edge_agent.canbus.frames import Frame, FrameBlock, block_of
from edge_agent.canbus.model import Message
from edge_agent.canbus.plan import BusDatabases, compile_plan

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("FAIRWAY_SHARED_DATA", ROOT.parent / "shared" / "data"))
RAV4_LOG = SHARED / "can/logs/comma2k19-rav4/rav4-60s.candump.log.xz"
RAV4 = SHARED / "can/dbc/opendbc/toyota_new_mc_pt_generated.dbc"
MODEL_3 = SHARED / "can/dbc/kuksa-can-provider/Model3CAN.dbc"

ROUNDS = 9
BATCH = 100
# As many as stay in the caches, as fresh traffic does: two seconds of a car's two buses.
FRAMES = 3_000
# Our passes are short: several make one measurement.
PASSES = 10


@dataclass(frozen=True)
class Workload:
    """Frames with the two databases that read them."""

    name: str
    frames: list[Frame]
    blocks: list[FrameBlock]
    messages: tuple[Message, ...]
    path: Path

    def decoder(self, interpreter: Interpreter) -> Decoder:
        database = load(self.path)
        return make_decoder(
            compile_plan([BusDatabases("can0", (database,))]), interpreter=interpreter
        )

    def peer(self) -> dict[int, Any]:
        database: Any = cantools.database.load_file(self.path, strict=False)
        return {message.frame_id: message for message in database.messages}


def run() -> list[Row]:
    """Measure; the table says what of it met its goal."""
    for path in (RAV4_LOG, RAV4, MODEL_3):
        if not path.exists():
            sys.exit(f"decode: {path} is not here: put the shared data beside the checkout")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return _rows()
    finally:
        os.sched_setaffinity(0, cores)


def _rows() -> list[Row]:
    rav4, model_3 = _rav4(), _model_3()
    rows = []
    if HAS_KERNEL:
        rows += _decode(rav4, "kernel", batch_goal=60, frame_goal=8)
        rows += _decode(model_3, "kernel", batch_goal=100, frame_goal=8)
    else:
        print("decode: the C kernel is not built; only Python is measured", file=sys.stderr)
    rows += _decode(rav4, "python", batch_goal=4, frame_goal=4)
    rows += _decode(model_3, "python", batch_goal=4, frame_goal=4)
    return [*rows, _encode(rav4)]


def _workload(name: str, frames: list[Frame], path: Path) -> Workload:
    assert len(frames) == FRAMES
    blocks = [block_of(frames[i : i + BATCH]) for i in range(0, len(frames), BATCH)]
    return Workload(name, frames, blocks, load(path).messages, path)


def _rav4() -> Workload:
    known = {message.frame_id for message in load(RAV4).messages}
    frames = []
    with lzma.open(RAV4_LOG, "rt") as lines:
        for line in lines:
            _, channel, body = line.split()[:3]
            can_id, data = body.split("#")
            if channel == "can0" and int(can_id, 16) in known:
                frames.append(Frame(int(can_id, 16), bytes.fromhex(data)))
    return _workload("RAV4", frames[:FRAMES], RAV4)


def _model_3() -> Workload:
    dice = random.Random(3)
    layouts = [
        (message, selector)
        for message in load(MODEL_3).messages
        # cantools cannot follow the long name of this one's multiplexer and would have less to do than we.
        if message.signals and message.frame_id != 0x201
        for selector in _selectors(message)
    ]
    frames = [_random_frame(*dice.choice(layouts), dice) for _ in range(FRAMES)]
    return _workload("Model 3", frames, MODEL_3)


def _selectors(message: Message) -> list[tuple[int, int]]:
    """Return (position of the multiplexer, value) for every value that brings something; one where none is."""
    found = {
        (slot.parent, low)
        for slot in message_slots(message, is_declared=False)
        for low, _ in slot.ranges
        if slot.parent is not None
    }
    return sorted(found) or [(0, -1)]


def _random_frame(message: Message, selector: tuple[int, int], dice: random.Random) -> Frame:
    """Return a frame of random bits, but for the multiplexer."""
    whole = int.from_bytes(dice.randbytes(message.length), "big")
    position, value = selector
    if value >= 0:
        slot = message_slots(message, is_declared=False)[position]
        whole = whole & ~slot.placed(-1) | slot.placed(value)
    return Frame(message.frame_id, whole.to_bytes(message.length, "big"))


def _decode(
    work: Workload, interpreter: Interpreter, *, batch_goal: int, frame_goal: int
) -> list[Row]:
    decoder = work.decoder(interpreter)
    peers = work.peer()
    pairs = [(frame.can_id, frame.data) for frame in work.frames]

    def by_peer() -> None:
        for can_id, data in pairs:
            peers[can_id].decode(data)

    def by_batch() -> None:
        decode = decoder.decode
        for _ in range(PASSES):
            for block in work.blocks:
                decode(block)

    def by_frame() -> None:
        decode_frame = decoder.decode_frame
        for can_id, data in pairs:
            decode_frame(can_id, data)

    jobs: list[tuple[Callable[[], None], int]] = [
        (by_peer, len(pairs)),
        (by_batch, len(pairs) * PASSES),
        (by_frame, len(pairs)),
    ]
    peer_us, batch_us, frame_us = _medians(jobs)
    how = "C" if interpreter == "kernel" else "Python"
    return [
        _row(f"decode {work.name}, batches of {BATCH}, {how}", peer_us, batch_us, batch_goal),
        _row(f"decode {work.name}, frame by frame to dict, {how}", peer_us, frame_us, frame_goal),
    ]


def _encode(work: Workload) -> Row:
    decoder = work.decoder("python")
    peers = work.peer()
    encoders = {message.frame_id: Encoder(message) for message in work.messages}
    jobs = []
    for frame in work.frames:
        values = decoder.decode_frame(frame.can_id, frame.data)
        try:
            peers[frame.can_id].encode(values, strict=True)
        except cantools.database.EncodeError:
            continue  # it refuses what the car said: out of the declared range
        jobs.append((frame.can_id, values))

    def by_peer() -> None:
        for can_id, values in jobs:
            peers[can_id].encode(values, strict=True)

    def by_ours() -> None:
        for can_id, values in jobs:
            encoders[can_id].encode(values)

    peer_us, ours_us = _medians([(by_peer, len(jobs)), (by_ours, len(jobs))])
    return _row(f"encode {work.name}, range-checked", peer_us, ours_us, 3)


def _medians(jobs: Sequence[tuple[Callable[[], None], int]]) -> list[float]:
    """Return the microseconds per frame of each job; they take turns, so all see the same machine."""
    found: list[list[float]] = [[] for _ in jobs]
    for _ in range(ROUNDS):
        for (job, frames), times in zip(jobs, found, strict=True):
            job()
            started = time.process_time()
            job()
            times.append((time.process_time() - started) * 1e6 / frames)
    return [median(times) for times in found]


def _row(what: str, peer_us: float, ours_us: float, goal: int) -> Row:
    return Row(
        what,
        f"{ours_us:.3f} us/frame",
        f"cantools {peer_us:.2f} us/frame",
        peer_us / ours_us,
        f">= {goal}",
    )
