import numpy as np
import pytest

from fairway.errors import BadInput
from fairway.samples import Kind, SampleBlock, Signal, SignalTable, empty_block, joined

TABLE = SignalTable(
    (
        Signal("Vehicle.Speed", Kind.NUMBER, "km/h", 0.01),
        Signal("Vehicle.IsMoving", Kind.BOOL),
        Signal("Vehicle.Gear", Kind.TEXT),
    )
)


def block(*rows: tuple[int, int, float], texts: tuple[str, ...] = ()) -> SampleBlock:
    signal, time_ns, value = zip(*rows, strict=True)
    return SampleBlock(
        TABLE,
        np.array(signal, np.int32),
        np.array(time_ns, np.int64),
        np.array(value, np.float64),
        texts,
    )


def test_rows_read_as_a_person_would():
    samples = block((0, 5, 12.5), (1, 5, 1.0), (2, 6, 1.0), texts=("PARK", "DRIVE"))

    assert list(samples.rows()) == [
        ("Vehicle.Speed", 5, 12.5),
        ("Vehicle.IsMoving", 5, True),
        ("Vehicle.Gear", 6, "DRIVE"),
    ]


def test_joined_blocks_share_one_list_of_texts():
    first = block((2, 1, 0.0), (0, 1, 3.0), texts=("PARK",))
    second = block((2, 2, 0.0), (2, 3, 1.0), texts=("DRIVE", "PARK"))

    whole = joined([first, empty_block(TABLE), second])

    assert [value for _, _, value in whole.rows()] == ["PARK", 3.0, "DRIVE", "PARK"]
    assert whole.texts == ("PARK", "DRIVE")


def test_taking_rows_keeps_their_order():
    samples = block((0, 1, 1.0), (0, 2, 2.0), (0, 3, 3.0))

    assert samples.take(np.array([2, 0])).time_ns.tolist() == [3, 1]
    assert samples.take(np.array([True, False, True])).time_ns.tolist() == [1, 3]


def test_a_table_refuses_a_name_twice():
    with pytest.raises(BadInput, match="Vehicle.Speed stands twice"):
        SignalTable((Signal("Vehicle.Speed"), Signal("Vehicle.Speed")))


def test_a_table_finds_a_signal_by_name_and_says_when_it_cannot():
    assert TABLE.number("Vehicle.Gear") == 2
    with pytest.raises(BadInput, match=r"no signal is called Vehicle\.Gears"):
        TABLE.number("Vehicle.Gears")


def test_blocks_of_different_tables_are_not_joined():
    other = empty_block(SignalTable(()))

    with pytest.raises(BadInput, match="different signal tables"):
        joined([block((0, 1, 1.0)), other])
    with pytest.raises(BadInput, match="at least one"):
        joined([])
