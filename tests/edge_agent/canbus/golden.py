"""The golden set: what cantools says about 95 databases and four drives, with its known defects marked."""

import gzip
import json
import lzma
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.canbus.decoder import HAS_KERNEL, Interpreter
from edge_agent.canbus.frames import EXTENDED, Frame, FrameBlock, block_of
from tests.shared_data import shared

# Without a compiler there is only one; test_kernel.py then says that the other is missing.
INTERPRETERS: list[Interpreter] = ["kernel", "python"] if HAS_KERNEL else ["python"]


@dataclass(frozen=True, slots=True)
class GoldenFrame:
    """One payload and what the oracle read in it; None where it refused the frame."""

    message: dict[str, Any]
    data: bytes
    raw: list[int | float | str | None] | None
    physical: list[int | float | str | None] | None

    @property
    def key(self) -> tuple[str, int, bool]:
        return self.message["name"], self.message["id"], self.message["ext"]

    @property
    def frame(self) -> Frame:
        return Frame(self.message["id"] | (EXTENDED if self.message["ext"] else 0), self.data)


def databases() -> list[str]:
    """Return the names of the databases in the golden set."""
    index = json.loads((shared("can/golden") / "decode" / "INDEX.json").read_text())
    return [name for name, entry in index["databases"].items() if "file" in entry]


def frames_of(name: str) -> Iterator[GoldenFrame]:
    """Yield every golden frame of one database."""
    folder = shared("can/golden") / "decode"
    file = folder / (name.replace("/", "__") + ".json.gz")
    for message in json.loads(gzip.decompress(file.read_bytes()))["messages"]:
        for payload, *found in message["frames"]:
            raw, physical = found[:2] if len(found) > 1 else (None, None)
            yield GoldenFrame(message, bytes.fromhex(payload), raw, physical)


def number(text: float | str) -> float:
    """Return a golden number; JSON cannot hold those that are not finite."""
    return float(text)


def same(one: float, other: float) -> bool:
    """Return whether two floats are equal, NaN being equal to NaN."""
    return one == other or (math.isnan(one) and math.isnan(other))


def log_cases() -> list[dict[str, Any]]:
    """Return the digests of drives."""
    cases: list[dict[str, Any]] = json.loads((shared("can/golden") / "logs.json").read_text())[
        "cases"
    ]
    return cases


def candump(path: Path, channel: str | None = None) -> FrameBlock:
    """Return the frames of a candump log (of one channel)."""
    frames = []
    with lzma.open(path, "rt") as lines:
        for line in lines:
            stamp, on, body = line.split()[:3]
            if channel is not None and on != channel:
                continue
            can_id, data = body.split("#")
            flag = EXTENDED if len(can_id) == 8 else 0
            time_ns = int(float(stamp[1:-1]) * 1e9)
            frames.append(Frame(int(can_id, 16) | flag, bytes.fromhex(data), time_ns))
    return block_of(frames)


def rows_of(block: FrameBlock, rows: slice) -> FrameBlock:
    """Return some rows of a block as a block of their own."""
    start, stop, _ = rows.indices(len(block))
    offset = block.offset[start : stop + 1]
    return FrameBlock(
        block.bus[rows],
        block.can_id[rows],
        block.time_ns[rows],
        block.flags[rows],
        (offset - offset[0]).astype(np.uint32),
        block.payload[offset[0] : offset[-1]],
    )
