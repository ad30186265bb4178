"""What becomes of messages, with stores that work and stores that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.errors import Unavailable
from fairway.identity import DEFAULT_TENANT
from fairway.ids import BatchName
from fairway.samples import Signal, SignalTable
from fairway.telemetry import Dictionary, Outcome
from fairway.wire.telemetry import dictionary_of, dictionary_to_bytes
from fleet_cloud.ingest.accept import MESSAGE_MAX_BYTES, parse
from fleet_cloud.ingest.groups import MISFITS_MAX_PER_GROUP
from fleet_cloud.ingest.ports import Fault, Message
from fleet_cloud.ingest.records import BatchKey, DictionaryKey
from fleet_cloud.ingest.tables import NEW_MAX_PER_VEHICLE
from tests.fleet_cloud.ingest.desk import (
    DICTIONARY_BYTES,
    NOW,
    STREAM,
    TENANTS,
    Desk,
    S,
    batch_bytes,
)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.take(DICTIONARY_BYTES)
    return desk


def dictionary_of_name(number: int) -> Dictionary:
    return dictionary_of(SignalTable((Signal(f"Made.Up.{number}"),)))


def name(sequence: int, vehicle: str = "VIN1") -> BatchName:
    return BatchName(vehicle, STREAM, sequence)


def key(sequence: int, vehicle: str = "VIN1") -> BatchKey:
    return BatchKey(DEFAULT_TENANT, name(sequence, vehicle))


def test_a_batch_is_stored_and_answered(desk: Desk):
    assert desk.take(batch_bytes(1), batch_bytes(2)) == [Outcome.STORED, Outcome.STORED]

    assert desk.store.inserted == [key(1), key(2)]
    stored = desk.store.batches[key(1)]
    assert [row[2] for row in stored.block.rows()] == [0.0, 0.01, 0.02]
    assert (stored.tenant, stored.received_time_ns) == ("default", NOW)
    assert (desk.counts.batches, desk.counts.samples) == (2, 6)


def test_a_batch_that_comes_again_is_a_duplicate(desk: Desk):
    desk.take(batch_bytes(1))

    assert desk.take(batch_bytes(1)) == [Outcome.DUPLICATE]
    assert desk.store.inserted == [key(1)]


def test_a_batch_that_comes_twice_at_once_is_stored_once_and_answered_twice(desk: Desk):
    assert desk.take(batch_bytes(1), batch_bytes(1)) == [Outcome.STORED, Outcome.STORED]
    assert desk.store.inserted == [key(1)]


def test_a_batch_that_comes_again_while_it_is_stored_has_to_wait(desk: Desk):
    group = desk.prepare(batch_bytes(1))

    assert desk.take(batch_bytes(1)) == [Outcome.BUSY]
    desk.finish(group)
    assert desk.take(batch_bytes(1)) == [Outcome.DUPLICATE]
    assert desk.store.inserted == [key(1)]


def test_a_batch_without_its_dictionary_is_sent_back_for_it():
    desk = Desk()

    assert desk.take(batch_bytes(1)) == [Outcome.UNKNOWN_DICTIONARY]
    assert desk.take(DICTIONARY_BYTES, batch_bytes(1)) == [None, Outcome.STORED]


def test_a_dictionary_survives_the_process(desk: Desk):
    restarted = Desk(beside=desk)

    assert restarted.take(batch_bytes(1)) == [Outcome.STORED]


def test_a_vehicle_that_sends_dictionaries_without_end_fills_nothing(desk: Desk):
    many = [dictionary_to_bytes(dictionary_of_name(n)) for n in range(NEW_MAX_PER_VEHICLE + 20)]

    desk.take(*many[:60])
    desk.take(*many[60:])

    kept = desk.registry.dictionaries.load(
        [DictionaryKey(DEFAULT_TENANT, dictionary_of_name(n).id) for n in range(len(many))]
    )
    assert len(kept) == NEW_MAX_PER_VEHICLE - 1  # and the one it needs
    assert desk.take(batch_bytes(1)) == [Outcome.STORED]


def test_a_batch_of_another_vehicle_is_denied_and_kept(desk: Desk):
    assert desk.take(batch_bytes(1, vehicle="VIN2")) == [Fault.DENIED]

    assert desk.store.inserted == []
    assert "VIN2" in desk.registry.quarantine.entries()[0].reason


def test_a_vehicle_that_is_not_registered_gets_no_receipt_and_fills_no_quarantine(desk: Desk):
    said = desk.take(batch_bytes(1, vehicle="stranger"), vehicle="stranger")

    assert said == [Fault.DENIED]
    assert desk.registry.quarantine.count() == 0
    assert desk.counts.denied == 1


def test_a_batch_whose_columns_are_unreadable_is_refused_and_kept_once(desk: Desk):
    whole = batch_bytes(1, samples=200)
    damaged = whole.replace(b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfc")  # not a zstd frame any more

    assert desk.take(damaged, batch_bytes(2)) == [Outcome.REFUSED, Outcome.STORED]
    assert desk.take(damaged) == [Outcome.REFUSED]
    entry = desk.registry.quarantine.entries()[0]
    assert entry.name == name(1)
    assert desk.registry.quarantine.payload(entry.id) == damaged
    assert desk.registry.quarantine.count() == 1
    assert desk.take(whole) == [Outcome.STORED]


def test_a_message_over_the_limit_is_refused_by_name(desk: Desk):
    padded = batch_bytes(1) + b"\x7a\x80\x80\x80\x02" + bytes(MESSAGE_MAX_BYTES)  # an unknown field

    assert desk.take(padded) == [Outcome.REFUSED]


@pytest.mark.parametrize("sequence", [0, 2**63, 2**64 - 1])
def test_a_sequence_that_no_ledger_can_hold_is_unreadable(desk: Desk, sequence: int):
    assert desk.take(batch_bytes(sequence)) == [Fault.UNREADABLE]
    assert desk.registry.quarantine.count() == 1


def test_a_flood_of_misfits_is_counted_but_not_all_kept(desk: Desk):
    many = MISFITS_MAX_PER_GROUP + 10

    assert desk.take(*[b"\xff%d" % number for number in range(many)]) == [Fault.UNREADABLE] * many
    assert desk.counts.unreadable == many
    assert desk.registry.quarantine.count() == MISFITS_MAX_PER_GROUP


def test_a_full_store_is_answered_busy_and_later_takes_everything_once(desk: Desk):
    desk.store.fails = "before"
    assert desk.take(batch_bytes(1), batch_bytes(2)) == [Outcome.BUSY, Outcome.BUSY]
    retry = desk.door.answers[-1].receipt
    assert retry is not None
    assert retry.retry_after_ms >= 1000

    desk.store.fails = ""
    assert desk.take(batch_bytes(1), batch_bytes(2)) == [Outcome.STORED, Outcome.STORED]
    assert desk.store.inserted == [key(1), key(2)]


def test_a_store_that_failed_after_storing_is_asked_before_it_is_given_again(desk: Desk):
    desk.store.fails = "after"
    assert desk.take(batch_bytes(1), batch_bytes(2)) == [Outcome.BUSY, Outcome.BUSY]

    desk.store.fails = ""
    again = desk.take(batch_bytes(1), batch_bytes(2), batch_bytes(3))
    assert again == [Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.STORED]
    assert desk.store.inserted == [key(1), key(2), key(3)]


def test_senders_of_a_store_that_stays_full_come_ever_less_often(desk: Desk):
    desk.store.fails = "before"
    waits = []
    for sequence in range(1, 9):
        desk.take(batch_bytes(sequence))
        receipt = desk.door.answers[-1].receipt
        assert receipt is not None
        waits.append(receipt.retry_after_ms)

    assert waits == sorted(waits)
    assert waits[0] <= 2_000
    assert waits[-1] == 30_000


def test_a_batch_that_the_store_never_takes_does_not_hold_up_the_others(desk: Desk):
    desk.store.never_takes = {name(2)}

    said = desk.take(batch_bytes(1), batch_bytes(2), batch_bytes(3))
    assert said == [Outcome.STORED, Outcome.REFUSED, Outcome.STORED]
    assert desk.registry.quarantine.entries()[0].name == name(2)


def test_a_process_that_died_before_inserting_loses_nothing(desk: Desk):
    desk.prepare(batch_bytes(1))  # claimed, and then the process is gone

    restarted = Desk(beside=desk)
    assert restarted.take(batch_bytes(1)) == [Outcome.STORED]


def test_a_process_that_died_between_insert_and_settle_stores_nothing_twice(desk: Desk):
    group = desk.prepare(batch_bytes(1))
    desk.store.append(group.batches)  # stored, and then the process is gone

    restarted = Desk(beside=desk)
    assert restarted.take(batch_bytes(1)) == [Outcome.DUPLICATE]
    assert desk.store.inserted == [key(1)]


def test_another_process_waits_for_the_lease_and_then_asks_the_store(desk: Desk):
    group = desk.prepare(batch_bytes(1), batch_bytes(2))
    desk.store.append(group.batches[:1])  # one of two stored, and then the process is gone

    other = Desk(owner="them", beside=desk)
    assert other.take(batch_bytes(1), batch_bytes(2)) == [Outcome.BUSY, Outcome.BUSY]
    other.now_ns += 30 * S
    assert other.take(batch_bytes(1), batch_bytes(2)) == [Outcome.DUPLICATE, Outcome.STORED]
    assert sorted(desk.store.inserted) == [key(1), key(2)]


def test_another_process_whose_clock_is_a_year_off_takes_no_batch_twice(desk: Desk):
    group = desk.prepare(batch_bytes(1))
    for owner, year in (("behind", -1), ("ahead", 1)):
        other = Desk(owner=owner, beside=desk)
        other.now_ns += year * 365 * 86_400 * S
        assert other.take(batch_bytes(1)) == [Outcome.BUSY]

    desk.finish(group)

    assert desk.store.inserted == [key(1)]


def test_one_batch_that_no_store_takes_costs_few_inserts(desk: Desk):
    desk.store.never_takes = {name(40)}

    outcomes = desk.take(*(batch_bytes(number) for number in range(1, 65)))

    assert outcomes.count(Outcome.STORED) == 63
    assert desk.store.asked <= 13


def test_a_group_that_waited_too_long_for_the_store_is_not_inserted(desk: Desk):
    group = desk.prepare(batch_bytes(1))
    desk.now_ns += 20 * S

    desk.finish(group)

    assert desk.store.inserted == []
    receipt = desk.door.answers[-1].receipt
    assert receipt is not None
    assert receipt.outcome is Outcome.BUSY


def test_a_year_of_clock_jump_loses_nothing(desk: Desk):
    group = desk.prepare(batch_bytes(1))
    desk.now_ns += 365 * 86_400 * S
    desk.finish(group)

    assert desk.take(batch_bytes(1)) == [Outcome.STORED]
    desk.now_ns -= 2 * 365 * 86_400 * S
    assert desk.take(batch_bytes(1), batch_bytes(2)) == [Outcome.DUPLICATE, Outcome.STORED]
    assert desk.store.inserted == [key(1), key(2)]


class _DeafLedger:
    """A ledger that can be made not to answer."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger
        self.is_deaf: set[str] = set()

    def __getattr__(self, what):
        if what in self.is_deaf:
            raise Unavailable("the registry is full")
        return getattr(self._ledger, what)


def test_a_ledger_that_cannot_claim_is_answered_busy(desk: Desk):
    ledger = _DeafLedger(desk.registry.ledger)
    desk.groups._ledger = ledger
    ledger.is_deaf = {"claim"}
    assert desk.take(batch_bytes(1)) == [Outcome.BUSY]

    ledger.is_deaf = set()
    assert desk.take(batch_bytes(1)) == [Outcome.STORED]


def test_rows_are_acknowledged_although_the_ledger_cannot_settle(desk: Desk):
    ledger = _DeafLedger(desk.registry.ledger)
    desk.groups._ledger = ledger
    ledger.is_deaf = {"settle"}
    assert desk.take(batch_bytes(1)) == [Outcome.STORED]

    ledger.is_deaf = set()
    assert desk.take(batch_bytes(2)) == [Outcome.STORED]  # settles both
    assert desk.take(batch_bytes(1), batch_bytes(2)) == [Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert desk.store.inserted == [key(1), key(2)]


@given(
    st.binary(max_size=200) | st.binary(max_size=40).map(lambda tail: batch_bytes(1)[:-8] + tail)
)
def test_random_bytes_change_nothing_that_is_stored(data: bytes):
    desk = Desk()
    desk.take(DICTIONARY_BYTES, batch_bytes(9))
    content = parse(Message("VIN1", data, NOW, desk.door), TENANTS).content

    said = desk.take(data)

    assert len(said) == 1
    assert content is not None
    assert desk.store.batches[key(9)].block.value.tolist() == [0.0, 0.01, 0.02]
    assert desk.take(batch_bytes(9)) == [Outcome.DUPLICATE]


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_flipped_byte_is_stored_as_sent_or_refused_but_never_raises(at: int, value: int):
    desk = Desk()
    data = bytearray(batch_bytes(1, samples=50))
    data[at % len(data)] = value

    said = desk.take(DICTIONARY_BYTES, bytes(data))

    assert len(said) == 2
