"""Decoding and encoding beside cantools, in one process, by process CPU time.

RAV4      38,983 real frames that the database knows, 5.4 signals a frame, nearly all big-endian
Model 3   random payloads with valid multiplexer values, 144 messages, many of them heavily multiplexed

In every round each decoder goes over its frames once to get warm and once against the clock, on one pinned core;
the figures are the medians of the rounds.  cantools decodes a part of the same frames: it is slow, and every frame costs it alike.
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
MODEL_3_FRAMES = 20_000
# What the slow ones get: enough for a pass of some 10 ms.
PEER_FRAMES = 3_000


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
    return _workload("RAV4", frames, RAV4)


def _model_3() -> Workload:
    dice = random.Random(3)
    messages = [message for message in load(MODEL_3).messages if message.signals]
    # A multiplexer whose long name cantools cannot follow would make its work look smaller than it is.
    messages = [message for message in messages if message.frame_id != 0x201]
    frames = [_random_frame(dice.choice(messages), dice) for _ in range(MODEL_3_FRAMES)]
    return _workload("Model 3", frames, MODEL_3)


def _random_frame(message: Message, dice: random.Random) -> Frame:
    """Return a frame of random bits, but for multiplexers, which select something."""
    whole = int.from_bytes(dice.randbytes(message.length), "big")
    slots = message_slots(message, is_declared=False)
    for parent in sorted({slot.parent for slot in slots if slot.parent is not None}):
        low, high = dice.choice([p for slot in slots if slot.parent == parent for p in slot.ranges])
        selector = slots[parent]
        whole = whole & ~selector.placed(-1) | selector.placed(dice.randint(low, high))
    return Frame(message.frame_id, whole.to_bytes(message.length, "big"))


def _decode(
    work: Workload, interpreter: Interpreter, *, batch_goal: int, frame_goal: int
) -> list[Row]:
    decoder = work.decoder(interpreter)
    peers = work.peer()
    few = work.frames[:PEER_FRAMES]
    slow = interpreter == "python"
    blocks = work.blocks[: PEER_FRAMES // BATCH] if slow else work.blocks
    pairs = [(frame.can_id, frame.data) for frame in few]

    def by_peer() -> None:
        for can_id, data in pairs:
            peers[can_id].decode(data)

    def by_batch() -> None:
        decode = decoder.decode
        for block in blocks:
            decode(block)

    def by_frame() -> None:
        decode_frame = decoder.decode_frame
        for can_id, data in pairs:
            decode_frame(can_id, data)

    batched = sum(len(block) for block in blocks)
    jobs: list[tuple[Callable[[], None], int]] = [
        (by_peer, len(few)),
        (by_batch, batched),
        (by_frame, len(few)),
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
    for frame in work.frames[:PEER_FRAMES]:
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
