"""The shelf of partitions: what is kept, and when it is given up."""

from dataclasses import replace
from pathlib import Path

from edge_agent.adapters.partition_folders import PartitionFolders
from edge_agent.adapters.partition_shelf import PartitionShelf, Pending, Seal
from fairway.clock import NS_PER_S, ManualClock
from tests.edge_agent.adapters.test_partitions import GATED, KEY, TABLE, packed

HOUR_NS = 3600 * NS_PER_S
TERMS = replace(GATED, max_age_s=3600)


def shelf_of(folder: Path, clock: ManualClock) -> PartitionShelf:
    folders = PartitionFolders(folder, max_bytes=1 << 20)
    seal = Seal("CAR", 100_000, {TABLE: b"12345678"})
    return PartitionShelf(folders, seal, clock, max_bytes=1 << 20)


def waiting(shelf: PartitionShelf) -> int:
    shelf.tidy([])
    return shelf.by_key[KEY].spool.state.waiting


def test_what_waited_too_long_is_given_up_and_counted(tmp_path: Path):
    clock = ManualClock()
    shelf = shelf_of(tmp_path, clock)
    shelf.write({KEY: Pending(TERMS, [packed(1.0)])}, {KEY})
    clock.advance(HOUR_NS - 1)
    assert waiting(shelf) == 1

    clock.advance(2)

    assert waiting(shelf) == 0
    assert shelf.counts[KEY.campaign].dropped_samples == 1
    shelf.close()


def test_an_age_is_not_that_of_a_wall_clock_that_was_set(tmp_path: Path):
    clock = ManualClock()
    shelf = shelf_of(tmp_path, clock)
    for jump_ns in (5 * HOUR_NS, -9 * HOUR_NS, 4 * HOUR_NS):
        shelf.write({KEY: Pending(TERMS, [packed(1.0)])}, {KEY})
        clock.jump(jump_ns)

    assert waiting(shelf) == 3
    shelf.close()
