"""Ingest's two threads over memory stores."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from fairway.clock import SystemClock
from fairway.identity import DEFAULT_TENANT
from fairway.telemetry import Outcome
from fleet_cloud.adapters.feed import Feed
from fleet_cloud.adapters.intake import Intake
from fleet_cloud.adapters.worker import Limits, Worker
from fleet_cloud.ingest.ports import AcceptedBatch, Answer, Message
from fleet_cloud.vehicles.registry import Vehicle, VehicleState
from tests.fleet_cloud.ingest.desk import (
    DICTIONARY_BYTES,
    NOW,
    TENANTS,
    Desk,
    WilfulStore,
    batch_bytes,
)


class Counter:
    """A door that counts answers and can be waited for."""

    def __init__(self) -> None:
        self.said: list[Outcome | None] = []
        self._changed = threading.Condition()

    def answer(self, answers: Sequence[Answer]) -> None:
        with self._changed:
            self.said += [a.receipt.outcome if a.receipt else None for a in answers]
            self._changed.notify_all()

    def wait(self, count: int) -> list[Outcome | None]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.said) >= count, 10), self.said
        return self.said


class GatedStore(WilfulStore):
    """A store whose inserts wait until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int] = []
        self.breaks = False

    def append(self, batches: Sequence[AcceptedBatch]) -> None:
        self.gate.wait(10)
        if self.breaks:
            raise ZeroDivisionError
        self.sizes.append(len(batches))
        super().append(batches)


class Plant:
    """A running worker."""

    def __init__(self, desk: Desk, *, queue_max_bytes: int = 10**6) -> None:
        self.desk = desk
        self.store = GatedStore()
        desk.store = self.store
        desk.groups._store = self.store
        self.intake = Intake(queue_max_bytes)
        self.door = Counter()
        self.died: list[BaseException] = []
        self.worker = Worker(
            intake=self.intake,
            groups=desk.groups,
            tenants=lambda: TENANTS,
            vehicles=desk.registry.vehicles,
            feed=Feed(),
            clock=SystemClock(),
            limits=Limits(group_max_samples=1_000, group_max_age_ms=20),
            failed=self.died.append,
        )
        self.worker.start()

    def send(self, *data: bytes) -> None:
        for item in data:
            assert self.intake.offer(Message("VIN1", item, NOW, self.door))


@pytest.fixture
def plant() -> Iterator[Plant]:
    plant = Plant(Desk())
    yield plant
    plant.store.gate.set()
    plant.worker.stop()
    assert plant.died == []


def until(done: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if done():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come to that")


def test_messages_are_stored_answered_counted_and_released(plant: Plant):
    plant.send(DICTIONARY_BYTES, batch_bytes(1), batch_bytes(2))

    assert plant.door.wait(3) == [None, Outcome.STORED, Outcome.STORED]
    until(lambda: plant.intake.held_bytes == 0)
    status = plant.worker.status()
    assert (status.counts.messages, status.counts.batches, status.counts.samples) == (3, 2, 6)
    assert status.healthy


def test_while_the_store_is_busy_a_group_grows(plant: Plant):
    plant.send(DICTIONARY_BYTES)
    plant.door.wait(1)
    plant.store.gate.clear()
    plant.send(batch_bytes(1))
    until(lambda: not plant.intake._waiting)

    for sequence in range(2, 102):
        plant.send(batch_bytes(sequence))
        threading.Event().wait(0.002)
    plant.store.gate.set()

    plant.door.wait(102)
    assert sum(plant.store.sizes) == 101
    assert len(plant.store.sizes) <= 4


def test_stopping_stores_and_answers_what_waits(plant: Plant):
    plant.send(DICTIONARY_BYTES, *(batch_bytes(sequence) for sequence in range(1, 50)))

    plant.worker.stop()

    assert plant.door.said.count(Outcome.STORED) == 49
    assert not plant.intake.offer(Message("VIN1", b"", NOW, plant.door))


def test_a_failing_store_is_told_and_recovers(plant: Plant):
    plant.store.fails = "before"
    plant.send(DICTIONARY_BYTES, batch_bytes(1))
    assert plant.door.wait(2)[-1] is Outcome.BUSY
    status = plant.worker.status()
    assert not status.healthy
    assert status.last_error == "the disk is full"

    plant.store.fails = ""
    plant.send(batch_bytes(1))
    assert plant.door.wait(3)[-1] is Outcome.STORED
    assert plant.worker.status().healthy


def test_vehicles_that_sent_were_seen(plant: Plant):
    plant.desk.registry.vehicles.add(
        Vehicle("VIN1", DEFAULT_TENANT, VehicleState.ACTIVE, NOW, None)
    )
    plant.send(DICTIONARY_BYTES, batch_bytes(1))
    plant.door.wait(2)
    plant.worker.stop()

    seen = plant.desk.registry.vehicles.vehicle("VIN1")
    assert seen is not None
    assert seen.last_seen_time_ns == NOW


def test_a_defect_ends_ingest_and_is_handed_to_the_program():
    plant = Plant(Desk(), queue_max_bytes=10**8)
    plant.store.breaks = True
    plant.store.gate.clear()
    plant.send(DICTIONARY_BYTES)
    for sequence in range(1, 2000):
        plant.send(
            batch_bytes(sequence)
        )  # enough for the reading thread to wait for the storing one
    plant.store.gate.set()
    until(lambda: bool(plant.died))
    plant.worker.stop()

    assert isinstance(plant.died[0], ZeroDivisionError)
    assert set(plant.door.said) == {None}


def test_what_a_vehicle_sent_before_it_was_removed_is_stored_as_its_tenants():
    plant = Plant(Desk())
    known = iter([TENANTS, TENANTS])  # and then there is no such vehicle any more
    plant.worker._tenants = lambda: next(known, {})
    plant.send(DICTIONARY_BYTES, batch_bytes(1))

    assert plant.door.wait(2) == [None, Outcome.STORED]
    plant.worker.stop()
    assert plant.died == []
