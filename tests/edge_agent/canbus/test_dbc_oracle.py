"""Our reader and cantools read the same out of every DBC file that both can read.

The 34 files that cantools refuses (comments without a signal, 29-bit ids without their mark, `.25`, stray
text ...) load here with problems.

Where they differ by design it is said here:

- a unit's surrounding blanks are dropped;
- limits of 0 to 0, however spelled, and limits that are not finite mean that there are none;
- Model3CAN.dbc ID201: cantools calls the multiplexer by its short name, so its children never decode;
- vw_pq.dbc Motor_2: cantools does not take the signal marked `m` for a multiplexer.
"""

import math
from pathlib import Path
from typing import Any

import cantools
import pytest

from edge_agent.canbus import database
from edge_agent.canbus.database_text import text_of
from edge_agent.canbus.model import Message, Signal
from tests.shared_data import SHARED, shared

FOLDERS = ["opendbc", "cantools", "model3dbc", "kuksa-can-provider", "canmatrix", "css-electronics"]
FILES = sorted(
    str(path.relative_to(SHARED))
    for folder in FOLDERS
    for path in (SHARED / "can" / "dbc" / folder).glob("*")
    if path.suffix.lower() == ".dbc"
)

Facts = dict[str, Any]


def oracle(path: Path) -> Any:
    text, _ = text_of(path.read_bytes())
    return cantools.database.load_string(
        text, database_format="dbc", strict=False, sort_signals=None
    )


def limits(minimum: float | None, maximum: float | None) -> tuple[float | None, float | None]:
    def finite(limit: float | None) -> float | None:
        return None if limit is None or math.isinf(limit) else float(limit)

    if minimum == maximum == 0:
        return None, None
    return finite(minimum), finite(maximum)


def theirs_of_signal(signal: Any) -> Facts:
    conversion = signal.conversion
    return {
        "name": signal.name,
        "bits": (signal.start, signal.length, signal.byte_order),
        "number": "float" if signal.is_float else "signed" if signal.is_signed else "unsigned",
        "scaling": (float(conversion.scale), float(conversion.offset)),
        "limits": limits(signal.minimum, signal.maximum),
        "unit": (signal.unit or "").strip(),
        "choices": {int(key): str(value) for key, value in (conversion.choices or {}).items()},
        "is_multiplexer": signal.is_multiplexer,
        "multiplexer": signal.multiplexer_signal if signal.multiplexer_ids else None,
        "values": set(signal.multiplexer_ids or ()),
        "initial": signal.raw_initial,
        "comment": signal.comment or "",
    }


def ours_of_signal(message: Message, signal: Signal) -> Facts:
    entry = signal.multiplex
    return {
        "name": signal.name,
        "bits": (signal.start, signal.length, f"{signal.byte_order.value}_endian"),
        "number": signal.number.value,
        "scaling": (signal.scale, signal.offset),
        "limits": limits(signal.minimum, signal.maximum),
        "unit": signal.unit,
        "choices": dict(signal.choices),
        "is_multiplexer": signal.is_multiplexer,
        "multiplexer": message.signals[entry.parent].name if entry else None,
        "values": {v for low, high in entry.ranges for v in range(low, high + 1)}
        if entry
        else set(),
        "initial": signal.initial,
        "comment": signal.comment,
    }


def theirs_of_message(message: Any) -> Facts:
    return {
        "name": message.name,
        "id": (message.frame_id, message.is_extended_frame),
        "length": message.length,
        "is_fd": message.is_fd,
        "is_j1939": message.protocol == "j1939",
        "cycle_time_ms": message.cycle_time,
        "senders": set(message.senders),
        "comment": message.comment or "",
    }


def ours_of_message(message: Message) -> Facts:
    return {
        "name": message.name,
        "id": (message.frame_id, message.is_extended),
        "length": message.length,
        "is_fd": message.is_fd,
        "is_j1939": message.is_j1939,
        "cycle_time_ms": message.cycle_time_ms,
        "senders": set(message.senders),
        "comment": message.comment,
    }


def known(file: str, message: str, differing: set[str]) -> bool:
    """Return whether cantools is known to be wrong here."""
    if file.endswith("model3dbc/Model3CAN.dbc") and message.startswith("ID201"):
        return differing == {"multiplexer"}
    return file.endswith("vw_pq.dbc") and message == "Motor_2" and differing == {"is_multiplexer"}


@pytest.mark.parametrize("file", FILES)
def test_we_read_what_cantools_reads(file: str):
    path = shared(file)
    ours = database.load(path)
    try:
        theirs = oracle(path)
    except cantools.Error:
        assert ours.problems
        return

    for one, other in zip(ours.messages, theirs.messages, strict=True):
        assert ours_of_message(one) == theirs_of_message(other)
        for signal, peer in zip(one.signals, other.signals, strict=True):
            mine, yours = ours_of_signal(one, signal), theirs_of_signal(peer)
            differing = {key for key in mine if mine[key] != yours[key]}
            assert not differing or known(file, one.name, differing), (one.name, mine, yours)


def test_there_are_files_to_compare():
    shared("can/dbc")

    assert len(FILES) >= 188
