"""A registry whose disk is full: nothing is acknowledged, nothing is lost, and it goes on afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.errors import Unavailable
from fairway.ids import BatchName
from fairway.telemetry import Outcome
from fleet_cloud.adapters.addresses import sqlite_url
from fleet_cloud.adapters.registry import Registry, open_registry
from fleet_cloud.ingest.groups import Groups
from fleet_cloud.ingest.records import Claimant, Misfit
from tests.fleet_cloud.ingest.desk import DICTIONARY_BYTES, NOW, STREAM, Desk, S, batch_bytes
from tests.small_disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 4 * 1024 * 1024) as disk:
        yield disk


@pytest.fixture
def registry(disk: SmallDisk) -> Iterator[Registry]:
    registry = open_registry(sqlite_url(disk.folder / "registry.sqlite"))
    yield registry
    registry.close()


def desk_over(registry: Registry) -> Desk:
    desk = Desk()
    desk.registry = registry
    desk.groups = Groups(
        store=desk.store,
        ledger=registry.ledger,
        dictionaries=registry.dictionaries,
        quarantine=registry.quarantine,
        claims=lambda now_ns: Claimant("us", now_ns, lease_ns=30 * S),
    )
    return desk


def test_batches_are_answered_busy_and_stored_once_when_there_is_room(
    disk: SmallDisk, registry: Registry
):
    desk = desk_over(registry)
    assert desk.take(DICTIONARY_BYTES, batch_bytes(1)) == [None, Outcome.STORED]
    disk.fill()

    answers = []
    for sequence in range(2, 200):  # the write-ahead log has some room of its own at first
        answers += desk.take(batch_bytes(sequence))
    disk.clear()
    again = desk.take(*(batch_bytes(sequence) for sequence in range(1, 200)))

    assert set(answers) >= {Outcome.BUSY}
    assert set(answers) <= {Outcome.BUSY, Outcome.STORED}
    assert set(again) <= {Outcome.DUPLICATE, Outcome.STORED}
    acknowledged = {n for n, said in enumerate(answers, 2) if said is Outcome.STORED}
    assert acknowledged <= {key.name.sequence for key in desk.store.inserted}
    assert sorted(key.name for key in desk.store.inserted) == [
        BatchName("VIN1", STREAM, n) for n in range(1, 200)
    ]


def test_a_dictionary_that_cannot_be_kept_is_not_used(disk: SmallDisk, registry: Registry):
    disk.fill()
    while True:
        try:  # fill the log's own room
            registry.quarantine.keep([Misfit("default", "VIN1", "filler", NOW, bytes(1000))])
        except Unavailable as error:
            assert "full" in str(error)  # noqa: PT017 - the loop ends here
            break
    desk = desk_over(registry)

    assert desk.take(DICTIONARY_BYTES, batch_bytes(1)) == [None, Outcome.BUSY]

    disk.clear()
    assert desk.take(DICTIONARY_BYTES, batch_bytes(1)) == [None, Outcome.STORED]
