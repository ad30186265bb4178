"""Drive time never jumps, whatever is done to the wall clock."""

import numpy as np
import pytest

from edge_agent.telemetry.drive_time import DriveTime, Now
from fairway.clock import NS_PER_S
from fairway.samples import SampleBlock, Signal, SignalTable

TABLE = SignalTable((Signal("Vehicle.Speed"),))
START_NS = 1_700_000_000 * NS_PER_S
YEAR_NS = 365 * 86_400 * NS_PER_S


def block(*times_ns: int) -> SampleBlock:
    count = len(times_ns)
    return SampleBlock(
        TABLE, np.zeros(count, np.int32), np.array(times_ns, np.int64), np.ones(count)
    )


def at(seconds: float, jump_ns: int = 0) -> Now:
    passed_ns = int(seconds * NS_PER_S)
    return Now(START_NS + passed_ns + jump_ns, 77 + passed_ns)


def drive_of(pieces: list[tuple[SampleBlock, int]]) -> list[float]:
    return [
        (time_ns + offset_ns - START_NS) / NS_PER_S
        for piece, offset_ns in pieces
        for time_ns in piece.time_ns.tolist()
    ]


def test_without_a_jump_it_is_the_rows_own_time():
    drive = DriveTime(at(0))

    assert drive_of(drive.pieces(block(START_NS + NS_PER_S), at(1.01))) == [1.0]
    assert drive.offset_ns == 0


@pytest.mark.parametrize("jump_ns", [YEAR_NS, -YEAR_NS, 5 * NS_PER_S, -5 * NS_PER_S])
def test_rows_after_a_jump_go_on_where_those_before_it_stopped(jump_ns: int):
    drive = DriveTime(at(0))
    drive.look(at(1))

    pieces = drive.pieces(block(START_NS + 2 * NS_PER_S + jump_ns), at(2.01, jump_ns))

    assert drive_of(pieces) == [2.0]


@pytest.mark.parametrize("jump_ns", [YEAR_NS, -YEAR_NS])
def test_a_block_that_the_jump_went_through_is_one_drive(jump_ns: int):
    drive = DriveTime(at(0))
    half_s = NS_PER_S // 2
    rows = block(START_NS + NS_PER_S, START_NS + NS_PER_S + half_s + jump_ns)

    assert drive_of(drive.pieces(rows, at(1.6, jump_ns))) == [1.0, 1.5]


@pytest.mark.parametrize("wrong_ns", [5 * 3600 * NS_PER_S, -5 * 3600 * NS_PER_S, -START_NS])
def test_rows_of_a_clock_that_is_wrong_happen_when_they_are_seen(wrong_ns: int):
    drive = DriveTime(at(0))
    right, half_s = START_NS + 2 * NS_PER_S, NS_PER_S // 2

    pieces = drive.pieces(block(right + wrong_ns, right + half_s + wrong_ns), at(2.6))
    mixed = drive.pieces(block(right + NS_PER_S, right + wrong_ns, right + NS_PER_S), at(3.0))

    assert drive_of(pieces) == [2.1, 2.6]
    assert drive_of(mixed) == [3.0, 3.0, 3.0]
    assert drive_of(drive.pieces(block(right + 2 * NS_PER_S), at(4.1))) == [4.0]


def test_an_empty_block_right_after_a_jump_is_no_trouble():
    drive = DriveTime(at(0))

    assert drive_of(drive.pieces(block(), at(1, YEAR_NS))) == []


def test_drive_time_now_is_steady():
    drive = DriveTime(at(0))

    assert drive.look(at(1)) == START_NS + NS_PER_S
    assert drive.look(at(2, -YEAR_NS)) == START_NS + 2 * NS_PER_S
    assert drive.look(at(3, YEAR_NS)) == START_NS + 3 * NS_PER_S
