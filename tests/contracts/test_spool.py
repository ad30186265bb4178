"""What every spool promises, whatever it keeps its batches in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.adapters.memory import MemorySpool
from edge_agent.adapters.spool_files import SpoolFiles
from edge_agent.telemetry.spool import Cursor, PartitionSpool, SpooledBatch, WhenFull
from fairway.ids import stream_id

MakeSpool = Callable[..., PartitionSpool]
ALL = {"max_batches": 1000, "max_bytes": 1 << 30}


@pytest.fixture(params=["memory", "files"])
def make_spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSpool]:
    made: list[PartitionSpool] = []

    def make(*, max_bytes: int = 1 << 24, when_full: WhenFull = "drop_oldest") -> PartitionSpool:
        made.append(
            MemorySpool(max_bytes=max_bytes, when_full=when_full)
            if request.param == "memory"
            else SpoolFiles(tmp_path / "spool", max_bytes=max_bytes, when_full=when_full)
        )
        return made[-1]

    yield make
    for spool in made:
        spool.close()


def batch(sequence: int, size: int = 100) -> SpooledBatch:
    return SpooledBatch(
        sequence,
        b"12345678",
        10,
        1_700_000_000_000_000_000 + sequence,
        Cursor(b"logabcde", 10 * sequence),
        sequence.to_bytes(4, "big") * (size // 4),
    )


def fill(spool: PartitionSpool, count: int, size: int = 100) -> bool:
    first = spool.state.next_sequence
    return all(spool.append([batch(number, size)]) for number in range(first, first + count))


def numbers(batches: list[SpooledBatch]) -> list[int]:
    return [batch.sequence for batch in batches]


def test_a_new_spool_is_empty_and_counts_from_one(make_spool: MakeSpool):
    spool = make_spool()

    assert (spool.state.next_sequence, spool.state.waiting, spool.cursor) == (1, 0, Cursor())
    assert spool.stream == stream_id(spool.stream)
    assert spool.read(0, **ALL) == []


def test_batches_come_back_in_order_and_whole(make_spool: MakeSpool):
    spool = make_spool()
    spool.append([batch(1), batch(2)])
    spool.append([batch(3)])

    assert spool.read(0, **ALL) == [batch(1), batch(2), batch(3)]
    assert spool.read(2, **ALL) == [batch(3)]
    assert spool.cursor == Cursor(b"logabcde", 30)


def test_reading_stops_at_a_count_and_at_a_size_but_gives_one(make_spool: MakeSpool):
    spool = make_spool()
    fill(spool, 10, size=1000)

    assert numbers(spool.read(0, max_batches=3, max_bytes=1 << 30)) == [1, 2, 3]
    assert numbers(spool.read(0, max_batches=10, max_bytes=1500)) == [1, 2]
    assert numbers(spool.read(4, max_batches=10, max_bytes=1)) == [5]


def test_settled_batches_are_forgotten_in_any_order(make_spool: MakeSpool):
    spool = make_spool()
    fill(spool, 6)

    spool.settle([2, 5])
    assert numbers(spool.read(0, **ALL)) == [1, 3, 4, 6]
    spool.settle([1, 3, 1, 99])
    assert numbers(spool.read(0, **ALL)) == [4, 6]
    assert spool.state.waiting == 2
    spool.settle([4, 6])
    assert spool.state.waiting == 0


def test_numbers_go_on_after_everything_is_settled(make_spool: MakeSpool):
    spool = make_spool()
    fill(spool, 3)
    spool.settle([1, 2, 3])

    assert spool.append([batch(4)])
    assert numbers(spool.read(0, **ALL)) == [4]


def test_a_full_spool_drops_its_oldest_and_counts_them(make_spool: MakeSpool):
    spool = make_spool(max_bytes=200_000)
    fill(spool, 400, size=1000)

    left = numbers(spool.read(0, **ALL))
    assert left == list(range(left[0], 401))
    assert 60 < len(left) < 400
    assert spool.state.size_bytes <= 200_000
    assert spool.state.dropped_batches == 400 - len(left)
    assert spool.state.dropped_samples == 10 * (400 - len(left))


def test_a_full_spool_keeps_its_oldest_when_told_so(make_spool: MakeSpool):
    spool = make_spool(max_bytes=200_000, when_full="drop_newest")

    assert not fill(spool, 400, size=1000)
    left = numbers(spool.read(0, **ALL))
    assert left == list(range(1, len(left) + 1))
    assert len(left) > 60
    assert spool.state.next_sequence == len(left) + 1


def test_a_full_spool_takes_batches_again_once_some_are_settled(make_spool: MakeSpool):
    spool = make_spool(max_bytes=200_000, when_full="drop_newest")
    fill(spool, 400, size=1000)
    left = numbers(spool.read(0, **ALL))
    spool.settle(left)

    assert fill(spool, 5)
    assert numbers(spool.read(0, **ALL)) == list(range(left[-1] + 1, left[-1] + 6))


def test_a_batch_larger_than_the_spool_is_kept_all_the_same(make_spool: MakeSpool):
    spool = make_spool(max_bytes=100_000)

    assert spool.append([batch(1, size=300_000)])
    assert spool.read(0, **ALL) == [batch(1, size=300_000)]


def test_a_settled_number_that_was_dropped_does_no_harm(make_spool: MakeSpool):
    spool = make_spool(max_bytes=200_000)
    fill(spool, 400, size=1000)
    waiting = spool.state.waiting

    spool.settle([1, 2, 3])

    assert spool.state.waiting == waiting


def test_dictionaries_are_kept_under_their_id(make_spool: MakeSpool):
    spool = make_spool()
    spool.keep_dictionary(b"12345678", b"one")
    spool.keep_dictionary(b"12345678", b"one")

    assert spool.dictionary(b"12345678") == b"one"
    assert spool.dictionary(b"abcdefgh") is None


def test_what_is_given_up_is_forgotten_and_counted(make_spool: MakeSpool):
    spool = make_spool()
    fill(spool, 4)

    spool.give_up(spool.read(0, max_batches=2, max_bytes=1 << 30))

    assert numbers(spool.read(0, **ALL)) == [3, 4]
    assert (spool.state.dropped_batches, spool.state.dropped_samples) == (2, 20)


def test_a_spool_shrinks_by_its_oldest_and_no_further_than_empty(make_spool: MakeSpool):
    spool = make_spool()
    fill(spool, 3)

    spool.shrink(1)
    assert spool.state.waiting < 3
    assert spool.state.dropped_batches == 3 - spool.state.waiting
    spool.shrink(1 << 30)
    assert (spool.state.waiting, spool.state.dropped_samples) == (0, 30)
    fill(spool, 1)
    assert numbers(spool.read(0, **ALL)) == [4]


def test_a_spool_that_has_rested_goes_on_as_before(make_spool: MakeSpool):
    spool = make_spool()
    fill(spool, 2)

    spool.rest()
    spool.rest()
    fill(spool, 1)
    spool.settle([1])

    assert numbers(spool.read(0, **ALL)) == [2, 3]
