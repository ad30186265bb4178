"""Two real cars: every decoded value of 150,411 truck frames (by PGN) and 98,800 RAV4 frames, by digest."""

import hashlib
import math

import numpy as np
import pytest

from edge_agent.canbus.database import load
from edge_agent.canbus.decoder import Interpreter, make_decoder
from edge_agent.canbus.plan import BusDatabases, compile_plan
from tests.edge_agent.canbus import golden
from tests.shared_data import SHARED, shared

CASES = golden.log_cases() if (SHARED / "can/golden").exists() else [{}]


@pytest.fixture(scope="module")
def logs():
    """Parsed logs, each read once."""
    read = {}

    def log(name: str, channel: str | None):
        if (name, channel) not in read:
            read[name, channel] = golden.candump(shared("can") / name, channel)
        return read[name, channel]

    return log


@pytest.mark.parametrize("interpreter", golden.INTERPRETERS)
@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: case["db"].rpartition("/")[2] if case else "missing"
)
def test_a_drive_decodes_to_its_digests(case, interpreter: Interpreter, logs):
    shared("can/golden")
    block = logs(case["log"], case["channel"])
    database = load(shared("can") / case["db"])
    assert database.is_j1939 == case["j1939"]
    plan = compile_plan([BusDatabases("can0", (database,))])

    decoded = make_decoder(plan, interpreter=interpreter).decode(block)

    refused = decoded.refusals.unknown_id
    assert (len(block), len(block) - refused) == (case["log_frames"], case["frames"])
    # Where a database uses a name twice in a message, the oracle keeps one of the two signals.
    second = [entry.number for entry in plan.signals if entry.short_name != entry.signal.name]
    ours_only = int(np.isin(decoded.signal, second).sum())
    assert len(decoded.signal) - ours_only == case["values"]
    for expected in case["signals"]:
        number = next(
            entry.number
            for entry in plan.signals
            if (entry.message.name, entry.short_name) == (expected["message"], expected["signal"])
        )
        rows = decoded.signal == number
        assert digest(decoded.raw[rows], decoded.value[rows]) == {
            key: expected[key] for key in expected if key not in ("message", "signal")
        }


def digest(raw: np.ndarray, value: np.ndarray):
    return {
        "n": len(raw),
        "first": raw[0],
        "last": raw[-1],
        "min": raw.min(),
        "max": raw.max(),
        "sum": sum(raw.tolist()),
        "phys_sum": math.fsum(value.tolist()),
        "sha256": hashlib.sha256(raw.astype("<i8").tobytes()).hexdigest(),
    }
