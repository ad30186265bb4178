"""Notices of updates in the conversation of vehicle and cloud."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.control import CheckIn, UpdateNotice
from fairway.errors import BadInput
from fairway.v1 import control_pb2 as v1
from fairway.wire.control import (
    from_vehicle_from_bytes,
    from_vehicle_to_bytes,
    to_vehicle_from_bytes,
    to_vehicle_to_bytes,
)

COUNT = st.integers(0, 2**64 - 1)
URLS = st.sampled_from(["", "https://updates.example:8444", "https://[::1]:1"])


@given(st.builds(UpdateNotice, URLS, COUNT))
def test_a_notice_is_heard_as_it_was_said(notice):
    assert to_vehicle_from_bytes(to_vehicle_to_bytes(notice)) == notice


@given(st.none() | COUNT)
def test_a_vehicle_says_whether_it_takes_notices(revision):
    said = CheckIn("1", 1, updates_revision=revision)

    assert from_vehicle_from_bytes(from_vehicle_to_bytes(said)) == said


def test_a_vehicle_of_an_earlier_version_takes_none():
    before = v1.ControlRequest(check_in=v1.CheckIn(agent_version="0.6"))

    heard = from_vehicle_from_bytes(before.SerializeToString())

    assert isinstance(heard, CheckIn)
    assert heard.updates_revision is None


@pytest.mark.parametrize("url", ["http://plain", "file:///etc/passwd", "https://" + "a" * 600])
def test_a_notice_that_leads_elsewhere_is_refused(url: str):
    said = v1.ControlResponse(update=v1.UpdateNotice(url=url, revision=1))

    with pytest.raises(BadInput, match="a notice of updates names"):
        to_vehicle_from_bytes(said.SerializeToString())


@given(st.binary(max_size=120))
def test_garbage_in_the_place_of_a_notice_raises_nothing_but_bad_input(data):
    with suppress(BadInput):
        to_vehicle_from_bytes(b"\x32" + bytes([len(data)]) + data)  # field 6: update
