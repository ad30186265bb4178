"""The control wire: what vehicle and cloud say beside telemetry comes out as it went in."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.campaign.model import Campaign, ConditionBased, SignalToCollect, TimeBased
from fairway.control import (
    ActivateState,
    Answer,
    AnswerState,
    CampaignList,
    CampaignOrder,
    CampaignState,
    CampaignStatus,
    Catalogue,
    CatalogueWanted,
    CheckIn,
    Command,
    DeactivateState,
    ExplainCampaign,
    SnapshotState,
    StateReport,
    StateTemplate,
    StateTemplateList,
    StateTemplateStatus,
    StateValue,
    UploadPartition,
)
from fairway.errors import BadInput
from fairway.samples import Kind, Signal, SignalTable
from fairway.v1 import control_pb2 as v1
from fairway.wire.compression import compressed
from fairway.wire.control import (
    from_vehicle_from_bytes,
    from_vehicle_to_bytes,
    to_vehicle_from_bytes,
    to_vehicle_to_bytes,
)
from fairway.wire.telemetry import dictionary_of

COUNT = st.integers(0, 2**63)
TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=40)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
TIMES = st.integers(-(2**62), 2**62)

STATUSES = st.builds(
    CampaignStatus,
    TEXT,
    st.sampled_from(CampaignState),
    st.text(max_size=40),
    st.lists(TEXT, max_size=3).map(tuple),
    *[COUNT] * 6,
)
CHECK_INS = st.builds(
    CheckIn,
    st.text(max_size=20),
    TIMES,
    COUNT,
    st.lists(STATUSES, max_size=4).map(tuple),
    st.sampled_from([b"", b"12345678"]),
    COUNT,
    st.lists(
        st.builds(StateTemplateStatus, TEXT, st.booleans(), st.text(max_size=20)), max_size=3
    ).map(tuple),
)
VALUES = st.floats(allow_nan=False) | st.booleans() | st.text(max_size=40)
REPORTS = st.builds(
    StateReport, TEXT, st.lists(st.builds(StateValue, TEXT, TIMES, VALUES), max_size=5).map(tuple)
)
ANSWERS = st.builds(
    Answer, IDS, st.sampled_from(AnswerState), st.integers(0, 2**32 - 1), TEXT, st.text(max_size=99)
)
COMMANDED = st.one_of(
    st.builds(ExplainCampaign, TEXT),
    st.builds(UploadPartition, TEXT, st.just("") | TEXT, TIMES),
    st.builds(ActivateState, TEXT, st.integers(0, 2**32 - 1)),
    st.builds(DeactivateState, TEXT),
    st.builds(SnapshotState, TEXT),
)
COMMANDS = st.builds(Command, IDS, TIMES, COMMANDED)
TEMPLATES = st.builds(
    StateTemplateList,
    COUNT,
    st.lists(
        st.builds(
            StateTemplate, TEXT, st.lists(TEXT, max_size=3).map(tuple), st.integers(0, 2**32 - 1)
        ),
        max_size=3,
    ).map(tuple),
)


@given(CHECK_INS | REPORTS | ANSWERS)
def test_what_a_vehicle_says_is_heard_as_it_was_said(noun):
    assert from_vehicle_from_bytes(from_vehicle_to_bytes(noun)) == noun


@given(COMMANDS | TEMPLATES | st.just(CatalogueWanted()))
def test_what_the_cloud_says_is_heard_as_it_was_said(noun):
    assert to_vehicle_from_bytes(to_vehicle_to_bytes(noun)) == noun


def test_a_catalogue_is_heard_as_it_was_said():
    table = SignalTable((Signal("Vehicle.Speed", unit="km/h"), Signal("Gear", Kind.TEXT)))

    heard = from_vehicle_from_bytes(from_vehicle_to_bytes(Catalogue(dictionary_of(table))))

    assert isinstance(heard, Catalogue)
    assert heard.dictionary.table == table


def test_campaigns_are_heard_as_they_were_said():
    campaigns = CampaignList(
        7,
        (
            CampaignOrder(
                "a@1", Campaign("a", TimeBased(10_000), (SignalToCollect("Vehicle.*", 3),))
            ),
            CampaignOrder(
                "b@2", Campaign("b", ConditionBased("true"), priority=4), is_suspended=True
            ),
        ),
    )

    assert to_vehicle_from_bytes(to_vehicle_to_bytes(campaigns)) == campaigns


def test_a_campaign_that_cannot_be_read_does_not_cost_the_others():
    message = v1.ControlResponse()
    message.campaigns.revision = 3
    message.campaigns.campaigns.add(sync_id="new@1", json=compressed(b'{"name": "new"}'))
    good = Campaign("good", TimeBased(10_000))
    listed = to_vehicle_to_bytes(CampaignList(3, (CampaignOrder("good@1", good),)))
    message.MergeFromString(listed)

    heard = to_vehicle_from_bytes(message.SerializeToString())

    assert isinstance(heard, CampaignList)
    assert [order.campaign for order in heard.campaigns] == [good]
    assert heard.unreadable == (("new@1", "collectionScheme: is missing: when does it collect?"),)


def test_a_campaign_in_a_state_of_a_later_version_is_left_out():
    message = v1.ControlRequest()
    message.check_in.campaigns.add(sync_id="a@1", state=v1.CAMPAIGN_STATE_RUNNING)
    message.check_in.campaigns.add(sync_id="b@1", state=99)

    heard = from_vehicle_from_bytes(message.SerializeToString())

    assert isinstance(heard, CheckIn)
    assert [status.sync_id for status in heard.campaigns] == ["a@1"]


@pytest.mark.parametrize("read", [from_vehicle_from_bytes, to_vehicle_from_bytes])
@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_garbage_raises_nothing_but_bad_input(read, data):
    with suppress(BadInput):
        read(data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty ControlRequest"),
        (b"\xff", "no ControlRequest"),
        (bytes(4 * 1024 * 1024 + 1), "over the limit"),
        (
            v1.ControlRequest(
                answer=v1.Answer(id="a b", state=v1.ANSWER_STATE_FAILED)
            ).SerializeToString(),
            "is no id",
        ),
        (b"\x22\x05\x0a\x01a\x10\x03", "later version"),  # an answer in state 3
        (v1.ControlRequest(check_in=v1.CheckIn(catalogue_id=b"1")).SerializeToString(), "8 bytes"),
    ],
)
def test_what_is_wrong_is_said(data, sentence):
    with pytest.raises(BadInput, match=sentence):
        from_vehicle_from_bytes(data)
