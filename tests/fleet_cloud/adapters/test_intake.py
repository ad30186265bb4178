"""The bounded queue between doors and ingest."""

import threading

from fleet_cloud.adapters.intake import MESSAGE_OVERHEAD_BYTES, Intake, cost_bytes
from fleet_cloud.ingest.ports import Message
from tests.fleet_cloud.ingest.desk import Shelf


def message(size: int) -> Message:
    return Message("VIN1", bytes(size), 0, Shelf())


def test_messages_come_out_as_they_went_in():
    intake = Intake(10_000)
    first, second, third = message(1), message(2), message(3)
    for one in (first, second, third):
        assert intake.offer(one)

    assert intake.take(2, wait_s=0) == [first, second]
    assert intake.take(2, wait_s=0) == [third]
    assert intake.take(2, wait_s=0) == []


def test_a_full_intake_takes_nothing_until_something_was_answered():
    intake = Intake(2 * MESSAGE_OVERHEAD_BYTES + 100)
    told = []
    intake.call_when_room(lambda: told.append("room"))
    first = message(100)
    assert intake.offer(first)

    assert not intake.offer(message(200))
    intake.take(1, wait_s=0)  # taken is not answered
    assert not intake.offer(message(200))

    intake.release(cost_bytes(first))
    assert told == ["room"]
    assert intake.offer(message(200))
    assert intake.held_bytes == 200 + MESSAGE_OVERHEAD_BYTES


def test_an_empty_intake_takes_a_message_of_any_size():
    intake = Intake(1)

    assert intake.offer(message(5_000))
    assert not intake.offer(message(0))


def test_a_waiting_door_gets_in_as_soon_as_there_is_room():
    intake = Intake(1)
    first = message(10)
    intake.offer(first)
    threading.Timer(0.05, intake.release, [cost_bytes(first)]).start()

    assert intake.offer(message(10), wait_s=5.0)


def test_a_closed_intake_hands_out_what_it_has_and_takes_nothing():
    intake = Intake(10_000)
    intake.offer(message(1))
    intake.close()

    assert not intake.offer(message(1), wait_s=5.0)
    assert not intake.is_drained
    assert len(intake.take(9, wait_s=5.0)) == 1
    assert intake.is_drained
