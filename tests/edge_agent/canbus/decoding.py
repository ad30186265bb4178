"""Messages, plans and decoders for tests of decoding, in as few words as they need."""

import pytest

from edge_agent.canbus.decoder import HAS_KERNEL, Decoded, Interpreter, make_decoder
from edge_agent.canbus.model import Database, Message, Signal
from edge_agent.canbus.plan import BusDatabases, Plan, compile_plan
from tests.edge_agent.canbus import golden

needs_kernel = pytest.mark.skipif(not HAS_KERNEL, reason="the C kernel is not built")
both = pytest.mark.parametrize("interpreter", golden.INTERPRETERS)


def message(*signals: Signal, frame_id: int = 0x123, length: int = 8, is_extended: bool = False):
    return Message("M", frame_id, is_extended, length, signals)


def plan_of(*messages: Message, is_j1939: bool = False) -> Plan:
    return compile_plan([BusDatabases("can0", (Database("db", messages, is_j1939),))])


def decoder_of(interpreter: Interpreter, *messages: Message, is_j1939: bool = False):
    return make_decoder(plan_of(*messages, is_j1939=is_j1939), interpreter=interpreter)


def rows(decoded: Decoded) -> list[tuple[int, int, float, int]]:
    return list(zip(*(column.tolist() for column in decoded[:4]), strict=True))
