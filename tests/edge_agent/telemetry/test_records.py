"""A spool's bytes: whole records come back, damage costs what it touches."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.telemetry.records import (
    Marks,
    SegmentHead,
    marks_from_bytes,
    marks_to_bytes,
    record_to_bytes,
    records,
    segment_head_from_bytes,
    segment_head_to_bytes,
)
from edge_agent.telemetry.spool import Cursor, SpooledBatch

UINT64 = st.integers(0, 2**64 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
CURSORS = st.builds(Cursor, st.binary(min_size=8, max_size=8), INT64)
BATCHES = st.builds(
    SpooledBatch,
    sequence=UINT64,
    dictionary_id=st.binary(min_size=8, max_size=8),
    samples=st.integers(0, 2**32 - 1),
    created_time_ns=INT64,
    cursor=CURSORS,
    request=st.binary(max_size=60) | st.just(b"FWR1" * 20),
)


@given(st.lists(BATCHES, max_size=5))
def test_records_survive(batches: list[SpooledBatch]):
    data = b"".join(map(record_to_bytes, batches))

    assert [batch for _, batch, _ in records(data, 0)] == batches


@given(st.lists(BATCHES, min_size=1, max_size=5), st.data())
def test_a_torn_tail_costs_only_the_torn_record(batches: list[SpooledBatch], data: st.DataObject):
    whole = b"".join(map(record_to_bytes, batches))
    cut = data.draw(st.integers(0, len(whole)))
    ends = [end for _, _, end in records(whole, 0)]

    found = [batch for _, batch, _ in records(whole[:cut], 0)]

    assert found == [batch for batch, end in zip(batches, ends, strict=True) if end <= cut]


@given(st.lists(BATCHES, min_size=1, max_size=5), st.data())
def test_a_damaged_byte_costs_only_its_record(batches: list[SpooledBatch], data: st.DataObject):
    whole = bytearray(b"".join(map(record_to_bytes, batches)))
    at = data.draw(st.integers(0, len(whole) - 1))
    spans = [(offset, end) for offset, _, end in records(bytes(whole), 0)]
    whole[at] ^= data.draw(st.integers(1, 255))

    found = [batch for _, batch, _ in records(bytes(whole), 0)]

    assert found == [
        batch for batch, (offset, end) in zip(batches, spans, strict=True) if not offset <= at < end
    ]


@given(st.binary(max_size=300))
def test_garbage_holds_no_records(data: bytes):
    assert list(records(data, 0)) == []
    assert segment_head_from_bytes(data) is None
    assert marks_from_bytes(data).settled == 0


@given(UINT64, CURSORS)
def test_a_segment_head_survives_and_a_damaged_one_is_none(first: int, cursor: Cursor):
    head = SegmentHead("0123456789abcdef", first, cursor)
    data = segment_head_to_bytes(head)

    assert segment_head_from_bytes(data) == head
    assert segment_head_from_bytes(data[:-1] + bytes([data[-1] ^ 1])) is None


@given(st.integers(1, 2**62), UINT64, UINT64, st.integers(0, 27))
def test_marks_torn_in_the_middle_leave_the_ones_before(
    generation: int, old: int, new: int, cut: int
):
    before, after = Marks(generation, old, old), Marks(generation + 1, new, new)
    whole = marks_to_bytes(after)

    assert marks_from_bytes(marks_to_bytes(before) + whole) == after
    torn = whole[:cut] + bytes(len(whole) - cut)
    assert marks_from_bytes(marks_to_bytes(before) + torn) in (before, after)
