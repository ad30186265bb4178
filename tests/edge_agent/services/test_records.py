"""What outlives a power cut comes back equal; what was damaged is told from it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.services.records import (
    Bad,
    Declared,
    Moving,
    Phase,
    Record,
    Source,
    Wanted,
    instance_id,
    record_from_bytes,
    record_to_bytes,
    wanted_from_bytes,
    wanted_to_bytes,
)
from fairway.errors import BadInput
from fairway.services.model import Service
from tests.fairway.services.strategies import services

movings = st.builds(Moving, services, st.sampled_from(Phase), st.integers(0, 9))
records = st.builds(
    Record,
    good=st.none() | services,
    previous=st.none() | services,
    change=st.none() | movings,
    bad=st.lists(st.builds(Bad, st.text(), st.text(), st.text()), max_size=3).map(tuple),
    is_seasoned=st.booleans(),
)
wanted_states = st.builds(
    Wanted,
    declared=st.lists(
        st.builds(Declared, services, st.sampled_from(Source)),
        max_size=2,
        unique_by=lambda one: one.service.name,
    ).map(tuple),
    by_hand=st.dictionaries(st.text(max_size=5), st.booleans(), max_size=3),
    revision=st.text(max_size=9),
)


@settings(max_examples=25)
@given(records)
def test_a_record_comes_back_equal(record: Record):
    assert record_from_bytes(record_to_bytes(record)) == record


@settings(max_examples=25)
@given(wanted_states)
def test_the_wanted_state_comes_back_equal(wanted: Wanted):
    assert wanted_from_bytes(wanted_to_bytes(wanted)) == wanted


@given(st.binary(max_size=100))
def test_garbage_is_bad_input(content: bytes):
    for read in (record_from_bytes, wanted_from_bytes):
        with pytest.raises(BadInput):
            read(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = ["format", "good", "previous", "change", "bad", "declared", "by_hand", "revision"]


@given(st.sampled_from(KEYS), json_values)
def test_any_value_in_any_place_is_read_or_bad_input(key: str, value: object):
    one = Service("one", "1", image="sha256:" + "0" * 64)
    change = Moving(one, Phase.PROVE, 1)
    record = json.loads(record_to_bytes(Record(one, None, change, (Bad("a", "b", "c"),))))
    wanted = json.loads(wanted_to_bytes(Wanted((Declared(one, Source.LOCAL),), {"one": True}, "r")))
    for read, tree in ((record_from_bytes, record), (wanted_from_bytes, wanted)):
        try:
            read(json.dumps(tree | {key: value}).encode())
        except BadInput:
            pass
        else:
            assert key not in tree or key != "format" or value == 1


def test_a_version_is_named_by_everything_that_its_manifest_says():
    one = Service("one", "1", image="sha256:" + "0" * 64)

    assert instance_id(one) == instance_id(Service("one", "1", image="sha256:" + "0" * 64))
    assert instance_id(one) != instance_id(
        Service("one", "1", image="sha256:" + "0" * 64, stop_grace_s=1)
    )
    assert len(instance_id(one)) == len("one.") + 12
