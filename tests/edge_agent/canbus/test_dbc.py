"""What a DBC file says, and what becomes of one that says it badly."""

import re

import pytest

from edge_agent.canbus import dbc, dbc_grammar
from edge_agent.canbus.model import ByteOrder, Database, Message, Number, Signal
from fairway.errors import BadInput
from tests.shared_data import shared

SPEED = ' SG_ Speed : 0|16@1+ (0.01,0) [0|655.35] "km/h" Gateway\n'


def read(text: str | bytes) -> Database:
    content = text.encode() if isinstance(text, str) else text
    return dbc.read(content, name="bus")


def only(text: str | bytes) -> Message:
    (message,) = read(text).messages
    return message


def signal(statement: str, more: str = "") -> Signal:
    (one,) = only(f"BO_ 100 Speeds: 8 ABS\n{statement}\n{more}").signals
    return one


def told(text: str | bytes) -> list[tuple[int, str]]:
    return [(problem.line, problem.text) for problem in read(text).problems]


def test_a_message_and_its_signal():
    assert only("BO_ 100 Speeds: 8 ABS\n" + SPEED) == Message(
        name="Speeds",
        frame_id=100,
        is_extended=False,
        length=8,
        signals=(Signal("Speed", 0, 16, scale=0.01, minimum=0.0, maximum=655.35, unit="km/h"),),
        senders=("ABS",),
    )


def test_a_big_endian_signed_signal():
    one = signal(' SG_ Yaw : 7|12@0- (-0.5,40) [-40|87.5] "deg/s" Gateway')

    assert one.byte_order is ByteOrder.BIG
    assert one.number is Number.SIGNED
    assert (one.start, one.length, one.scale, one.offset) == (7, 12, -0.5, 40.0)


def test_bit_31_of_the_number_marks_a_29_bit_id():
    message = only("BO_ 2566844926 Engine: 8 ECU\n")

    assert (message.frame_id, message.is_extended) == (0x18FEF1FE, True)


def test_a_29_bit_id_without_its_mark_is_taken_as_one():
    database = read('VERSION ""\nBO_ 272629760 Chime: 5 NEO\n')

    assert database.messages[0].is_extended
    assert database.problems[0].line == 2
    assert "29-bit id 0x10400000 without its flag" in database.problems[0].text


def test_limits_of_nought_to_nought_are_none():
    assert signal(' SG_ Speed : 0|16@1+ (1,0) [0|0] "" X').maximum is None


@pytest.mark.parametrize(
    "line",
    [
        ' SG_ Speed : 0|16@1+ (.25,-500) [-500|1547.5] "" XXX',
        ' SG_ Speed: 0|16@1+ ( 0.25 , -500 ) [ -500 | 1547.5 ] ""',
        '\tSG_\tSpeed\t:\t0|16@1+\t(0.25,-500)\t[-500|1547.5]\t""\tXXX // torque',
        ' SG_ Speed : 0 | 16 @ 1 + (2.5E-1,-5e2) [-500|1547.5] "" A,B , C',
    ],
)
def test_a_signal_may_be_written_loosely(line: str):
    one = signal(line)

    assert (one.scale, one.offset, one.minimum, one.maximum) == (0.25, -500.0, -500.0, 1547.5)


def test_a_signal_without_its_ranges_keeps_what_it_has():
    database = read('BO_ 1 M: 8 X\n SG_ Bare : 8|4@1+\n SG_ Next : 0|8@1+ (1,0) [0|1] "" X\n')

    assert [one.name for one in database.messages[0].signals] == ["Bare", "Next"]
    assert {line for line, _ in told("BO_ 1 M: 8 X\n SG_ Bare : 8|4@1+\n")} == {2}


def test_a_name_may_begin_with_a_digit():
    message = only('BO_ 1275 2017_5: 8 XXX\n SG_ 0_COUNTER : 35|4@0+ (1,0) [0|255] "" XXX\n')

    assert (message.name, message.signals[0].name) == ("2017_5", "0_COUNTER")


def test_an_unreadable_signal_costs_only_itself():
    text = "BO_ 1 M: 8 X\n SG_ Broken : 0|@1+\n" + SPEED + "BO_ 2 N: 8 X\n"

    database = read(text)

    assert [one.name for one in database.messages[0].signals] == ["Speed"]
    assert database.messages[1].name == "N"
    assert database.problems[0].line == 2
    assert database.problems[0].severity == "error"


def test_a_signal_of_no_bits_is_left_out():
    assert (
        only('BO_ 1 M: 8 X\n SG_ Nothing : 0|0@1+ (1,0) [0|0] "" X\n' + SPEED).signals[0].name
        == "Speed"
    )


def test_a_signal_before_any_message_is_said_to_stand_outside():
    assert told(SPEED + "BO_ 1 M: 8 X\n")[0] == (
        1,
        "signal Speed is left out: it stands outside any message",
    )


def test_a_signal_beyond_its_message_is_kept_and_told():
    text = 'BO_ 1 M: 1 X\n SG_ Far : 8|8@1+ (1,0) [0|0] "" X\n'

    assert only(text).signals[0].start == 8
    assert told(text) == [(2, "signal Far of M reaches beyond the 1 bytes of its message")]


def test_signals_of_no_message_are_no_message():
    text = "BO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 Vector__XXX\n" + SPEED + "BO_ 1 M: 8 X\n"

    assert [message.name for message in read(text).messages] == ["M"]


def test_a_message_may_have_no_bytes():
    assert only("BO_ 1 Wake: 0 X\n").length == 0


def test_a_message_longer_than_any_transport_is_left_out():
    text = "BO_ 1 M: 99999 X\n" + SPEED + "BO_ 2 N: 8 X\n"

    assert [message.name for message in read(text).messages] == ["N"]
    assert told(text) == [(1, "message M is left out: 99999 bytes is too long")]


def test_comments_run_over_lines_and_keep_their_quotes():
    text = "BO_ 100 M: 8 X\n" + SPEED + 'CM_ SG_ 100 Speed "of the \\"wheel\\",\n\nnot the car";\n'

    assert only(text).signals[0].comment == 'of the "wheel",\n\nnot the car'


def test_a_comment_without_its_semicolon_ends_at_its_quote():
    text = 'BO_ 1 M: 8 X\nCM_ "Front target"\nBO_ 2 N: 8 X\n'

    assert [message.name for message in read(text).messages] == ["M", "N"]
    assert told(text) == [(2, "this comment does not end with a semicolon")]


def test_a_comment_without_its_quote_swallows_no_message():
    text = 'BO_ 1 M: 8 X\nCM_ BO_ 1 "no end\nBO_ 2 N: 8 X\nCM_ BO_ 2 "fine";\n'

    assert [message.name for message in read(text).messages] == ["M", "N"]
    assert read(text).messages[1].comment == "fine"


def test_a_comment_that_names_no_signal_stays_with_the_message():
    assert only('BO_ 304 M: 8 X\nCM_ SG_ 304 "Seems odd";\n').comment == "Seems odd"


def test_a_comment_that_forgets_its_keyword_is_a_messages():
    assert only('BO_ 145 M: 8 X\nCM_ 145 "Pedal";\n').comment == "Pedal"


def test_statements_about_things_that_are_not_there_are_told():
    text = (
        "BO_ 100 M: 8 X\n" + SPEED + 'VAL_ 909 Lamp 1 "on" 0 "off" ;\n'
        'CM_ SG_ 100 Lamp "?";\nBA_ "GenMsgCycleTime" BO_ 7 20;\n'
    )

    assert told(text) == [
        (3, "value table of signal Lamp in message 909, which is not here"),
        (4, "comment of signal Lamp in message 100, which is not here"),
        (5, "attribute GenMsgCycleTime of message 7, which is not here"),
    ]


def test_stray_text_is_passed_over_and_told():
    text = "BO_ 1 M: 8 X\nsome words\nand more\nBO_ 2 N: 8 X\n"

    assert len(read(text).messages) == 2
    assert told(text) == [(2, "passed over text that is no statement: 'some words'")]


def test_value_tables_keep_their_order_and_may_be_negative():
    one = signal(
        ' SG_ Gear : 0|4@1- (1,0) [0|0] "" X', 'VAL_ 100 Gear -1 "R" 0 "N; \\"neutral\\"" 1 "D" ;'
    )

    assert one.choices == ((-1, "R"), (0, 'N; "neutral"'), (1, "D"))


def test_value_tables_may_be_empty_or_lack_their_semicolon():
    text = "BO_ 100 M: 8 X\n" + SPEED + 'VAL_ 100 Speed 3 "three"\nVAL_ 100 Other ;\nBO_ 2 N: 8 X\n'

    database = read(text)

    assert database.messages[0].signals[0].choices == ((3, "three"),)
    assert len(database.messages) == 2


def test_a_value_that_is_no_whole_number_is_left_out():
    one = signal(SPEED, 'VAL_ 100 Speed 1.5 "half" 2.0 "two" 18446744073709551615 "all" ;')

    assert one.choices == ((2, "two"), (18446744073709551615, "all"))


def test_the_attributes_that_mean_something():
    text = (
        "BO_ 2147483748 M: 16 X\n" + SPEED + 'BA_DEF_ BO_ "GenMsgCycleTime" INT 0 1000;\n'
        'BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","StandardCAN_FD","ExtendedCAN_FD";\n'
        'BA_ "GenMsgCycleTime" BO_ 2147483748 20;\nBA_ "VFrameFormat" BO_ 2147483748 3;\n'
        'BA_ "GenSigStartValue" SG_ 2147483748 Speed 65535;\n'
    )

    message = only(text)

    assert message.cycle_time_ms == 20
    assert message.is_fd
    assert message.signals[0].initial == 65535.0


def test_a_default_holds_until_a_message_says_otherwise():
    text = (
        'BO_ 1 M: 8 X\nBO_ 2 N: 8 X\nBA_DEF_DEF_ "GenMsgCycleTime" 100;\n'
        'BA_ "GenMsgCycleTime" BO_ 2 0;\n'
    )

    assert [message.cycle_time_ms for message in read(text).messages] == [100, None]


@pytest.mark.parametrize(
    ("more", "by_pgn"),
    [
        ('BA_ "ProtocolType" "J1939";\n', [True, False]),
        ('BA_DEF_DEF_ "VFrameFormat" "J1939PG";\n', [True, False]),
        ('BA_ "VFrameFormat" BO_ 2566844926 3;\n', [True, False]),
        ('BA_ "ProtocolType" "J1939";\nBA_ "VFrameFormat" BO_ 2566844926 1;\n', [False, False]),
        ('BA_ "ProtocolType" "";\n', [False, False]),
    ],
)
def test_only_29_bit_messages_are_matched_by_pgn(more: str, by_pgn: list[bool]):
    database = read("BO_ 2566844926 Engine: 8 ECU\nBO_ 100 Speeds: 8 ABS\n" + more)

    assert [message.is_j1939 for message in database.messages] == by_pgn
    assert database.is_j1939 == any(by_pgn)


def test_long_names_take_the_place_of_short_ones():
    text = (
        "BO_ 100 Short: 8 Node\n" + SPEED + 'BA_ "SystemMessageLongSymbol" BO_ 100 "LongMessage";\n'
        'BA_ "SystemSignalLongSymbol" SG_ 100 Speed "SpeedOfTheCar";\n'
        'BA_ "SystemNodeLongSymbol" BU_ Node "NodeOfTheCar";\nCM_ SG_ 100 Speed "short here";\n'
    )

    message = only(text)

    assert (message.name, message.senders) == ("LongMessage", ("NodeOfTheCar",))
    assert message.signals[0].name == "SpeedOfTheCar"
    assert message.signals[0].comment == "short here"


@pytest.mark.parametrize(("kind", "length"), [(1, 32), (1, 16), (2, 64)])
def test_floats(kind: int, length: int):
    line = f' SG_ F : 0|{length}@1- (1,0) [0|0] "" X'

    assert signal(line, f"SIG_VALTYPE_ 100 F : {kind};").number is Number.FLOAT


def test_a_float_of_an_impossible_size_is_read_as_a_whole_number():
    text = 'BO_ 1 M: 8 X\n SG_ F : 0|12@1- (1,0) [0|0] "" X\nSIG_VALTYPE_ 1 F : 1;\n'

    assert only(text).signals[0].number is Number.SIGNED
    assert told(text)[0][0] == 3


def test_all_senders_are_named_once():
    text = "BO_ 1 M: 8 A\nBO_TX_BU_ 1 : A,B;\nBO_ 2 N: 8 Vector__XXX\n"

    assert [message.senders for message in read(text).messages] == [("A", "B"), ()]


def test_statements_that_mean_nothing_here_are_passed_over_in_silence():
    text = (
        'VERSION "1"\nNS_ :\n\tNS_DESC_\n\tCM_\n\tBA_DEF_\n\tFILTER\n\nBS_:\nBU_: A B\n  C\n'
        "BO_ 100 M: 8 A\n" + SPEED + 'VAL_TABLE_ OnOff 1 "on" 0 "off" ;\n'
        'EV_ Env: 0 [0|0] "" 0 1 DUMMY_NODE_VECTOR0 Vector__XXX;\nSIG_GROUP_ 100 G 1 : Speed;\n'
        'BA_DEF_REL_ BU_SG_REL_ "T" INT 0 1;\nBA_DEF_DEF_REL_ "T" 0;\nVAL_ Env 1 "on" ;\n'
        'BA_REL_ "T" BU_SG_REL_ A SG_ 100 Speed 1;\nCM_ BU_ A "node"; // a remark\n'
    )

    assert told(text) == []
    assert len(read(text).messages) == 1


def test_every_line_end_is_a_line_end():
    lines = "BO_ 1 M: 8 X\n SG_ Broken\nBO_ 2 N: 8 X\n"

    for end in ("\r\n", "\r"):
        database = read(lines.replace("\n", end))
        assert [message.name for message in database.messages] == ["M", "N"]
        assert database.problems[0].line == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_unit_is_read_in_any_encoding(encoding: str):
    text = 'BO_ 1 M: 8 X\n SG_ T : 0|8@1+ (1,0) [0|0] "°C" X\n'

    assert only(text.encode(encoding)).signals[0].unit == "°C"


def test_letters_that_an_earlier_tool_lost_are_told():
    database = dbc.read(shared("can/dbc/cantools/issue_63.dbc").read_bytes(), name="issue_63")

    assert (41, "an earlier tool has lost letters of this file, from here on") in {
        (problem.line, problem.text) for problem in database.problems
    }


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0", b"not a database at all", b"\xff\xfe\0"])
def test_what_holds_no_statement_is_no_dbc_file(content: bytes):
    with pytest.raises(BadInput, match="bus is no DBC file"):
        dbc.read(content, name="bus")


def test_no_group_of_the_grammar_is_possessive():
    """Python 3.11.0 to 3.11.4 match possessive groups wrongly: Debian's lost the last message of a file."""
    patterns = [
        value.pattern for value in vars(dbc_grammar).values() if isinstance(value, re.Pattern)
    ]

    assert len(patterns) > 10
    assert [text for text in patterns if re.search(r"(?<!\\)\)[*+?]\+", text)] == []
