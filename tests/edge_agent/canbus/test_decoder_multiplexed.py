"""Multiplexed messages: which signals a frame brings is what its multiplexers say."""

import pytest

from edge_agent.canbus.decoder import Interpreter, Refusals
from edge_agent.canbus.frames import Frame, block_of
from edge_agent.canbus.model import Multiplex, Number, Signal
from tests.edge_agent.canbus.decoding import both, decoder_of, message

MULTIPLEXED = message(
    Signal("Always", 8, 8),
    Signal("Page", 0, 8, is_multiplexer=True),
    Signal("One", 16, 8, multiplex=Multiplex(1, ((1, 1),))),
    Signal("Some", 24, 8, multiplex=Multiplex(1, ((1, 3), (7, 9)))),
    Signal("Inner", 16, 4, is_multiplexer=True, multiplex=Multiplex(1, ((8, 8),))),
    Signal("Deep", 32, 8, multiplex=Multiplex(4, ((2, 2),))),
)


@both
@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("01aabbccdd000000", {"One", "Some"}),
        ("02aabbccdd000000", {"Some"}),
        ("08aa02ccdd000000", {"Some", "Inner", "Deep"}),
        ("09aa02ccdd000000", {"Some"}),
    ],
)
def test_only_what_the_multiplexers_bring_is_decoded(
    interpreter: Interpreter, data: str, names: set[str]
):
    decoder = decoder_of(interpreter, MULTIPLEXED)

    decoded = decoder.decode(block_of([Frame(0x123, bytes.fromhex(data))]))

    assert {MULTIPLEXED.signals[number].name for number in decoded.signal} == names | {
        "Always",
        "Page",
    }
    assert decoded.refusals == Refusals()


@both
@pytest.mark.parametrize(("data", "names"), [("04aa", set()), ("08aa03ccdd", {"Some", "Inner"})])
def test_an_unknown_multiplexer_value_costs_only_what_it_would_bring(
    interpreter: Interpreter, data, names
):
    decoder = decoder_of(interpreter, MULTIPLEXED)
    payload = bytes.fromhex(data).ljust(8, b"\0")

    decoded = decoder.decode(block_of([Frame(0x123, payload)]))

    assert {MULTIPLEXED.signals[n].name for n in decoded.signal} == names | {"Always", "Page"}
    assert decoded.refusals == Refusals(unknown_multiplexer=1)


@both
def test_a_signed_multiplexer_is_compared_as_the_bits_it_sends(interpreter: Interpreter):
    selector = Signal("Page", 0, 8, number=Number.SIGNED, is_multiplexer=True)
    child = Signal("Child", 8, 8, multiplex=Multiplex(0, ((200, 200), (-1, -1))))
    decoder = decoder_of(interpreter, message(selector, child))

    assert decoder.decode_frame(0x123, bytes([200, 5])) == {"Page": -56.0, "Child": 5.0}
    assert decoder.decode_frame(0x123, bytes([255, 5])) == {"Page": -1.0, "Child": 5.0}
    assert decoder.decode_frame(0x123, bytes([1, 5])) == {"Page": 1.0}


@both
def test_a_64_bit_multiplexer_selects_on_all_its_bits(interpreter: Interpreter):
    selector = Signal("Page", 0, 64, is_multiplexer=True)
    child = Signal("Child", 64, 8, multiplex=Multiplex(0, ((2**64 - 2, 2**64 - 1),)))
    other = Signal("Other", 64, 8, multiplex=Multiplex(0, ((0, 5),)))
    decoder = decoder_of(interpreter, message(selector, child, other, length=9))

    assert "Child" in decoder.decode_frame(0x123, b"\xff" * 9)
    assert "Other" in decoder.decode_frame(0x123, b"\5" + bytes(8))
