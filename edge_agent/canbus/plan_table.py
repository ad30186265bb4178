"""The flat table that both interpreters run: a handful of columns, nothing to look up but indexes.

    KEY (bus, id)  ->  RUN: some OPs (signals to read)
                            some SWITCHes (multiplexers): the raw value of an OP selects an ARM  ->  RUN ...

Rule 1: an op reads one signal: take an 8-byte window of the payload, swap it where big-endian, shift, mask,
        extend the sign.  Windows end with the last byte of their signal, so none reaches beyond what it needs.
Rule 2: an arm leads to a run with a larger number, so walking runs always ends.
Rule 3: the layout of the columns is that of the structs in _kernel.c.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.canbus.frames import EXTENDED
from edge_agent.canbus.model import ByteOrder, Number, Signal

OP = np.dtype(
    [
        ("scale", "f8"),
        ("offset", "f8"),
        ("mask", "u8"),  # of the raw value, after the shift
        ("sign", "u8"),  # its sign bit, or 0; for a WIDE op 1 where it is signed
        ("signal", "i4"),  # number in the plan
        ("byte", "u2"),  # where the window begins
        ("need", "u2"),  # bytes a payload must have to hold the signal
        ("shift", "u1"),
        ("kind", "u1"),
        ("bits", "u2"),
        ("unused", "u4"),
    ]
)
RUN = np.dtype([("first_op", "u4"), ("ops", "u4"), ("first_switch", "u4"), ("switches", "u4")])
SWITCH = np.dtype([("op", "u4"), ("first_arm", "u4"), ("arms", "u4")])
# Arms of a switch ascend; an UNSIGNED_64 selector is compared with its top bit turned.
ARM = np.dtype([("low", "i8"), ("high", "i8"), ("run", "u4"), ("unused", "u4")])
# `length` is the message's declared length in bytes.
KEY = np.dtype([("key", "u8"), ("run", "u4"), ("length", "u4")])

# Bits of `kind`; 0 and BIG alone are integers inside one window, the fast case.
BIG = 1  # big-endian
UNSIGNED_64 = 2
FLOAT_16 = 4
FLOAT_32 = 8
FLOAT_64 = 16
NINE_BYTES = 32  # at most 64 bits, but they touch nine bytes
WIDE = 64  # more than 64 bits

FLOATS = {16: FLOAT_16, 32: FLOAT_32, 64: FLOAT_64}

# Marks keys that are a J1939 PGN: above the 32 bits of an id and the 8 of a bus, so that no id can say it.
PGN_KEY = 1 << 40

# `byte` and `need` are 16 bits wide: J1939 transports at most 1,785 bytes, AUTOSAR PDUs seen at most 4 KiB.
PAYLOAD_MAX_BYTES = 0xFFFF

TOP_BIT = 1 << 63

# Structured arrays have no more precise type.
Column = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The columns, in NumPy's native byte order."""

    ops: Column
    runs: Column
    switches: Column
    arms: Column
    keys: Column


def id_key(bus: int, frame_id: int, *, is_extended: bool) -> int:
    """Return the key of a message that is matched by its whole id."""
    return bus << 32 | frame_id | (EXTENDED if is_extended else 0)


def pgn_key(bus: int, pgn: int) -> int:
    """Return the key of a message that is matched by its J1939 parameter group."""
    return bus << 32 | PGN_KEY | pgn


def extent(signal: Signal) -> tuple[int, int, int]:
    """Return the first byte of a signal, the byte after its last, and the unused low bits on its low side."""
    if signal.byte_order is ByteOrder.LITTLE:
        end = signal.start + signal.length
        return signal.start // 8, (end + 7) // 8, signal.start % 8
    first = 8 * (signal.start // 8) + 7 - signal.start % 8
    end = first + signal.length
    need = (end + 7) // 8
    return first // 8, need, 8 * need - end


def flaw(signal: Signal) -> str | None:
    """Return why a signal cannot be read from any payload, or None."""
    if signal.length < 1 or signal.start < 0:
        return f"has {signal.length} bits from bit {signal.start}"
    if extent(signal)[1] > PAYLOAD_MAX_BYTES:
        return f"ends after byte {PAYLOAD_MAX_BYTES}"
    if signal.number is Number.FLOAT and signal.length not in FLOATS:
        return f"is a float of {signal.length} bits; 16, 32 and 64 are known"
    return None


def op_of(signal: Signal, number: int) -> tuple[float | int, ...]:
    """Return the row of OP that reads `signal`, which must have no flaw."""
    first, need, low_bits = extent(signal)
    bits = signal.length
    is_big = signal.byte_order is ByteOrder.BIG
    is_signed = signal.number is Number.SIGNED
    kind = BIG if is_big else 0
    byte, shift = first, low_bits
    mask, sign = (1 << bits) - 1, (1 << bits - 1 if is_signed else 0)
    if bits > 64:
        kind |= WIDE
        mask, sign = 0, int(is_signed)
    elif need - first > 8:
        kind |= NINE_BYTES
    else:
        byte = max(need - 8, 0)
        shift = low_bits + 8 * (byte + 8 - need) if is_big else low_bits + 8 * (first - byte)
    if signal.number is Number.FLOAT:
        kind |= FLOATS[bits]
    elif bits == 64 and not is_signed:
        kind |= UNSIGNED_64
    # Adding zero turns a declared -0.0 into 0.0, so that both interpreters agree on the sign of nothing.
    scale, offset = float(signal.scale), signal.offset + 0.0
    return (scale, offset, mask, sign, number, byte, need, shift, kind, bits, 0)
