"""KCD, ARXML and SYM files become the same model."""

from pathlib import Path
from typing import Any

import cantools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.canbus import database, foreign
from edge_agent.canbus.model import ByteOrder, Database, Message, Multiplex, Number
from fairway.errors import BadInput
from tests.shared_data import SHARED, shared

FILES = sorted(
    path.name
    for path in (SHARED / "can" / "dbc" / "cantools").glob("*")
    if path.suffix in foreign.FORMATS
)


def load(name: str) -> Database:
    return database.load(shared(f"can/dbc/cantools/{name}"))


def message(name: str, of: str) -> Message:
    return next(one for one in load(of).messages if one.name == name)


@pytest.mark.parametrize("file", FILES)
def test_what_cantools_reads_we_read(file: str):
    path = shared(f"can/dbc/cantools/{file}")
    try:
        theirs: Any = cantools.database.load_file(str(path), strict=False)
    except cantools.Error:
        with pytest.raises(BadInput, match="that can be read:"):
            database.load(path)
        return

    ours = database.load(path)

    assert sorted(
        (one.name, one.frame_id, one.is_extended, one.length) for one in ours.messages
    ) == sorted(
        (one.name, one.frame_id, one.is_extended_frame, one.length) for one in theirs.messages
    )
    assert sorted(
        (one.name, s.name, s.start, s.length, s.scale, s.offset)
        for one in ours.messages
        for s in one.signals
    ) == sorted(
        (one.name, s.name, s.start, s.length, s.conversion.scale, s.conversion.offset)
        for one in theirs.messages
        for s in one.signals
    )


def test_45_files_are_there_and_36_of_them_can_be_read():
    shared("can/dbc/cantools")
    read = []
    for file in FILES:
        try:
            read.append(load(file))
        except BadInput:
            continue

    assert (len(FILES), len(read)) == (45, 36)


def test_a_kcd_message_with_its_multiplexer():
    one = message("ABS", of="the_homer.kcd")

    assert (one.frame_id, one.length, one.cycle_time_ms) == (0xB2, 8, 100)
    assert one.senders == ("Brake ACME", "Brake alternative supplier")
    assert one.signals[0].is_multiplexer
    assert [signal.multiplex for signal in one.signals[3:6]] == [
        Multiplex(0, ((1, 1),)),
        Multiplex(0, ((1, 1),)),
        Multiplex(0, ((2, 2),)),
    ]


def test_a_kcd_and_its_dbc_say_the_same():
    kcd, dbc = load("vehicle.kcd"), load("vehicle.dbc")

    def bits(loaded: Database) -> set[tuple[int, str, int, int, float, float]]:
        return {
            (one.frame_id, s.name, s.start, s.length, s.scale, s.offset)
            for one in loaded.messages
            for s in one.signals
        }

    assert bits(kcd) == bits(dbc)


def test_a_sym_file_with_multiplexed_pages():
    (one,) = load("multiplexed_variables.sym").messages

    pages = {signal.name: signal.multiplex for signal in one.signals}

    assert pages["FSM"] is None
    assert pages["alert1"] == Multiplex(0, ((1, 1),))
    assert pages["alert6"] == Multiplex(0, ((2, 2),))


def test_big_endian_and_signed_signals_of_a_sym_file():
    (one,) = load("big-endian.sym").messages
    types = load("signal-types-6.0.sym").messages[0].signals

    assert ByteOrder.BIG in {signal.byte_order for signal in one.signals}
    assert next(s for s in types if s.name == "Signed").number is Number.SIGNED


def test_values_that_do_not_follow_one_another_become_ranges():
    assert foreign._ranges([9, 3, 5, 4, 9]) == ((3, 5), (9, 9))


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".kcd", '<Message id="1" name="M">\n<Signal name="S" offset="999999999"/></Message>'),
        (".kcd", '<Message id="1" name="M"\n length="9_9_9_9_9_9"/>'),
        (".arxml", "<I-SIGNAL>\n<LENGTH>999999999</LENGTH></I-SIGNAL>"),
        (".sym", "FormatVersion=6.0\nVar=S unsigned 0,999999999"),
    ],
)
@pytest.mark.timeout(5)
def test_positions_beyond_any_message_are_refused_before_they_cost_memory(suffix: str, text: str):
    with pytest.raises(BadInput, match="line 2: a length or position of six digits"):
        database.loads(text.encode(), name="far", suffix=suffix)


def test_a_message_longer_than_any_transport_is_left_out():
    text = (
        '<NetworkDefinition xmlns="http://kayak.2codeornot2code.org/1.0"><Document name="x"/>'
        '<Bus name="B"><Message id="1" name="Long" length="9000"/>'
        '<Message id="2" name="Short" length="1">'
        '<Signal name="Far" offset="40000"/><Signal name="Near" offset="0"/></Message>'
        "</Bus></NetworkDefinition>"
    )

    loaded = database.loads(text.encode(), name="bus", suffix=".kcd")

    assert [one.name for one in loaded.messages] == ["Short"]
    assert [signal.name for signal in loaded.messages[0].signals] == ["Near"]
    assert [problem.text for problem in loaded.problems] == [
        "message Long is left out: 9000 bytes is too long",
        "signals of Short are left out: their bits fit no message",
    ]


def test_a_container_is_told():
    problems = load("system-4.2.arxml").problems

    assert any("OneToContainThemAll is a container" in problem.text for problem in problems)
    assert all(problem.line == 0 for problem in problems)


def test_a_document_type_is_refused():
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aa">]><NetworkDefinition>&a;</NetworkDefinition>'

    with pytest.raises(BadInput, match="declares a document type"):
        database.loads(bomb, name="bomb", suffix=".kcd")


def test_an_unknown_encoding_is_named():
    with pytest.raises(BadInput, match="in its encoding klingon"):
        database.loads(b'<?xml version="1.0" encoding="klingon"?><a/>', name="k", suffix=".kcd")


def test_a_huge_file_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(foreign, "FOREIGN_MAX_BYTES", 10)

    with pytest.raises(BadInput, match="larger than 10 bytes"):
        database.loads(b"<a/>" * 9, name="big", suffix=".arxml")


@pytest.mark.parametrize("suffix", [".kcd", ".arxml", ".sym"])
@settings(max_examples=50)
@given(content=st.binary(max_size=200))
def test_garbage_is_refused(suffix: str, content: bytes):
    try:
        loaded = database.loads(content, name="bus", suffix=suffix)
    except BadInput as error:
        sentence = str(error)
    else:
        sentence = loaded.name

    assert "\n" not in sentence


@pytest.mark.parametrize(
    "file", ["the_homer.kcd", "comments_hex_and_motorola.sym", "system-float-values.arxml"]
)
@settings(max_examples=20)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(file: str, data: st.DataObject):
    content = bytearray(shared(f"can/dbc/cantools/{file}").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.sampled_from(b'"<>/= 0a9-\x00\xff'))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]

    try:
        loaded = database.loads(bytes(content), name="bus", suffix=Path(file).suffix)
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(problem.text for problem in loaded.problems)
