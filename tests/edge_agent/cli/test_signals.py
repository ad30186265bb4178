"""What people type becomes values of the right type, and what strangers say does no harm to a terminal."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cli import main, signals
from edge_agent.cli.signals_text import Column, moment, shown, table
from edge_agent.config import Bus, Config, Onboard, Spool, Vehicle
from fairway.errors import BadInput

DATATYPES = [
    "boolean",
    "string",
    "float",
    "double",
    "uint8",
    "int64",
    "uint64",
    "string[]",
    "uint8[]",
]


@pytest.mark.parametrize(
    ("datatype", "text", "value"),
    [
        ("boolean", "true", True),
        ("float", "21", 21.0),
        ("uint8", "7", 7),
        ("int8", "-7", -7),
        ("string", "true", "true"),
        ("string", "", ""),
        ("string[]", '["a", "b"]', ("a", "b")),
        ("uint8[]", "[]", ()),
    ],
)
def test_a_text_is_a_value_of_the_signals_type(datatype, text, value):
    made = signals.value_of(datatype, text)

    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("datatype", "text"),
    [
        ("boolean", "1"),
        ("boolean", "yes"),
        ("uint8", "-1"),
        ("uint8", "256"),
        ("double", "1" + "0" * 400),
        ("uint8", "1.5"),
        ("float", "NaN"),
        ("float", "1e999"),
        ("float", '"1"'),
        ("uint8[]", "1"),
        ("uint8[]", '["a"]'),
        ("int64", "9" * 5000),
    ],
)
def test_what_is_no_such_value_is_a_sentence(datatype, text):
    with pytest.raises(BadInput, match="is no"):
        signals.value_of(datatype, text)


@given(st.sampled_from(DATATYPES), st.text(max_size=30))
def test_garbage_is_a_value_or_a_sentence(datatype, text):
    try:
        signals.value_of(datatype, text)
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.tuples(st.text(), st.text())))
def test_nothing_that_is_shown_moves_the_cursor(value):
    assert shown(value).isprintable()


def test_columns_are_as_wide_as_what_stands_in_them_and_stay_so():
    columns = [Column("A", lambda row: row[0]), Column("LONG", lambda row: row[1])]
    lines, widths = table([("x", "1"), ("yyy", "2")], columns)
    assert lines == ["A    LONG", "x    1", "yyy  2"]
    more, _ = table([("z", "3")], columns, widths=widths, is_headed=False)
    assert more == ["z    3"]


def test_a_time_is_told_to_the_millisecond_and_none_as_a_dash():
    assert moment(1_700_000_000_123_456_789) == "2023-11-14 22:13:20.123"
    assert [moment(0), moment(-5), moment(10**30)] == ["-", "-", "-"]


def test_the_door_is_where_the_settings_say(tmp_path):
    def settings(onboard):
        bus = (Bus("can0", (tmp_path / "x.dbc",), "unix:bus"),)
        return Config(Vehicle("CAR"), bus, Spool(tmp_path / "data" / "spool"), onboard=onboard)

    assert (
        signals.door_of(settings(Onboard(trust_socket=True)))
        == f"unix:{tmp_path}/data/onboard.sock"
    )
    assert signals.door_of(settings(Onboard("tls://h:1", trust_socket=True))) == "tls://h:1"
    with pytest.raises(BadInput, match="no \\[onboard\\]"):
        signals.door_of(settings(None))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["get", "Vehicle.Speed"], "give --to"),
        (["set", "--to", "unix:/x", "Vehicle.Speed"], "is not PATH=VALUE"),
        (["set", "--to", "unix:/x", "A=1", "A=2"], "named twice"),
        (["set", "--to", "unix:/x", "--deadline-ms", "-1", "A=1"], "--deadline-ms is -1"),
        (["watch", "--to", "unix:/x", "--seconds", "0", "A"], "--seconds 0 is not above 0"),
        (["history", "--to", "unix:/x", "--count", "-1", "A"], "--count is 0 or more"),
        (["get", "--to", "http://x", "A"], "write unix:/path or tls://host:port"),
        (["get", "--to", "unix:/x", "--token-file", "/nowhere", "A"], "cannot read the token"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_asked(arguments, sentence, capsys):
    assert main(["signals", *arguments]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_every_command_has_the_same_way_to_the_door():
    parser = argparse.ArgumentParser()
    signals.add(parser.add_subparsers())
    for name in ("get", "set", "watch", "list", "history"):
        arguments = [
            "signals",
            name,
            "--to",
            "unix:/x",
            "--json",
            *(["A=1"] if name != "list" else []),
        ]
        assert parser.parse_args(arguments).to == "unix:/x"
