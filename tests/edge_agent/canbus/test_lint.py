"""What is odd about a database, told in sentences with lines."""

import pytest

from edge_agent.canbus import lint
from edge_agent.canbus.lint import Place, bits, check
from edge_agent.canbus.model import ByteOrder, Message, Multiplex, Number, Signal

BIG, SIGNED, FLOAT = ByteOrder.BIG, Number.SIGNED, Number.FLOAT


def message(*signals: Signal, name: str = "M", frame_id: int = 1, length: int = 8) -> Message:
    return Message(name, frame_id, is_extended=False, length=length, signals=signals)


def told(*messages: Message) -> list[str]:
    places = [Place(10 * i, (10 * i + 1,) * len(m.signals)) for i, m in enumerate(messages)]
    return [problem.text for problem in check(messages, places)]


def test_a_sound_message_is_passed_in_silence():
    assert told(message(Signal("A", 0, 8), Signal("B", 15, 8, BIG))) == []


@pytest.mark.parametrize(
    ("signal", "mask"),
    [
        (Signal("A", 0, 8), 0xFF),
        (Signal("A", 4, 8), 0xFF0),
        (Signal("A", 7, 8, BIG), 0xFF),
        (Signal("A", 7, 16, BIG), 0xFFFF),
        (Signal("A", 3, 8, BIG), 0xF00F),  # low half of byte 0, high half of byte 1
        (Signal("A", 0, 2, BIG), 0x8001),
        (Signal("A", 7, 64, BIG), (1 << 64) - 1),
    ],
)
def test_the_bits_a_signal_takes(signal: Signal, mask: int):
    assert bits(signal) == mask


def test_an_overlap_names_both_signals():
    assert told(message(Signal("A", 0, 8), Signal("B", 4, 8, BIG))) == ["signal B of M overlaps A"]


def test_signals_of_different_multiplexer_values_may_share_bits():
    mode = Signal("Mode", 0, 8, is_multiplexer=True)
    one, two = (Signal(f"S{v}", 8, 8, multiplex=Multiplex(0, ((v, v),))) for v in (1, 2))
    both = Signal("Both", 12, 8, multiplex=Multiplex(0, ((2, 3),)))

    assert told(message(mode, one, two)) == []
    assert told(message(mode, one, two, both)) == ["signal Both of M overlaps S2"]


def test_nested_multiplexers_are_followed_to_the_root():
    signals = (
        Signal("Mode", 0, 8, is_multiplexer=True),
        Signal("Page", 8, 8, is_multiplexer=True, multiplex=Multiplex(0, ((1, 1),))),
        Signal("Row", 16, 8, multiplex=Multiplex(1, ((1, 1),))),
        Signal("Other", 16, 8, multiplex=Multiplex(0, ((2, 2),))),
        Signal("Same", 16, 8, multiplex=Multiplex(0, ((1, 1),))),
    )

    assert told(message(*signals)) == ["signal Same of M overlaps Row"]


def test_a_signal_must_fit_its_message():
    assert told(message(Signal("A", 7, 16, BIG), length=1)) == [
        "signal A of M reaches beyond the 1 bytes of its message"
    ]


def test_ids_and_names_stand_once():
    assert told(message(), message(name="N"), message(frame_id=2)) == [
        "message N has the id 0x1 of M",
        "message M has the name of an earlier message",
    ]


def test_signal_names_stand_once():
    assert told(message(Signal("A", 0, 8), Signal("A", 8, 8))) == [
        "signal A of M has the name of an earlier signal"
    ]


@pytest.mark.parametrize(
    ("signal", "text"),
    [
        (Signal("A", 0, 8, scale=0.0), "has the factor 0: every value reads as its offset"),
        (Signal("A", 0, 8, minimum=2.0, maximum=1.0), "has a minimum 2 above its maximum 1"),
        (
            Signal("A", 0, 2, choices=((4, "x"),)),
            "names the value 4, which 2 unsigned bits cannot hold",
        ),
        (
            Signal("A", 0, 8, choices=((-1, "x"),)),
            "names the value -1, which 8 unsigned bits cannot hold",
        ),
        (
            Signal("A", 0, 8, number=SIGNED, choices=((-128, "x"), (128, "y"))),
            "names the value 128, which 8 signed bits cannot hold",
        ),
        (Signal("A", 0, 8, choices=((1, "x"), (1, "y"))), "names a value twice"),
        (
            Signal("A", 0, 8, initial=256.0),
            "starts at the raw value 256, which 8 unsigned bits cannot hold",
        ),
    ],
)
def test_values_must_make_sense(signal: Signal, text: str):
    assert told(message(signal)) == [f"signal A of M {text}"]


def test_a_float_may_start_at_any_value():
    assert told(message(Signal("A", 0, 32, number=FLOAT, initial=-1.5))) == []


def test_a_multiplexer_must_be_able_to_have_the_value():
    mode = Signal("Mode", 0, 2, is_multiplexer=True)

    assert told(message(mode, Signal("A", 8, 8, multiplex=Multiplex(0, ((4, 9),))))) == [
        "signal A of M waits for a value that its multiplexer Mode cannot have"
    ]
    assert told(message(mode, Signal("A", 8, 8, multiplex=Multiplex(0, ((3, 9),))))) == []


def test_lengths_are_those_of_can():
    plain = Message("M", 1, is_extended=False, length=16, signals=())
    fd = Message("M", 1, is_extended=False, length=9, signals=(), is_fd=True)
    transported = Message("M", 1, is_extended=True, length=1785, signals=(), is_j1939=True)

    assert "not declared as CAN FD" in told(plain)[0]
    assert told(fd) == ["message M has 9 bytes, which no CAN FD frame has"]
    assert told(transported) == []


def test_problems_stand_at_the_line_of_their_signal():
    (problem,) = check([message(Signal("A", 0, 8, scale=0.0))], [Place(7, (8,))])

    assert (problem.line, problem.severity) == (8, "warning")


def test_the_comparison_of_very_many_signals_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lint, "COMPARISONS_MAX", 100)
    mode = Signal("Mode", 0, 8, is_multiplexer=True)
    pages = [Signal(f"S{v}", 8, 8, multiplex=Multiplex(0, ((v, v),))) for v in range(40)]

    assert told(message(mode, *pages)) == ["message M has too many signals to compare them all"]


def test_the_list_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lint, "PROBLEMS_MAX", 3)

    assert told(*[message() for _ in range(9)])[-1] == "further oddities are not listed"
