"""Which documents an agent of FleetWise is sent, by what it says it has."""

from dataclasses import replace

import pytest

from fairway.campaign.document import sync_id
from fairway.campaign.model import Campaign, SignalToCollect, TimeBased
from fairway.control import (
    ActivateState,
    CampaignOrder,
    CampaignState,
    Command,
    DeactivateState,
    SnapshotState,
    StateTemplate,
    StateTemplateList,
    UploadPartition,
)
from fairway.errors import BadInput
from fairway.fleetwise.data import Checkin
from fairway.fleetwise.decoders import CustomSignal, DecoderManifest
from fairway.fleetwise.names import names_of
from fleet_cloud.fleetwise.documents import Documents, Wanted, documents, name_of, request_of
from fleet_cloud.fleetwise.ports import NamedManifest
from tests.fleetwise_peer import peer

NOW_NS = 1_700_000_000_000_000_000
MANIFEST = DecoderManifest("manifest@1", custom=(CustomSignal(1, "X", "a"),))
NAMED = NamedManifest(MANIFEST, names_of(MANIFEST, {1: "Vehicle.A"}))
CAMPAIGN = Campaign("beat", TimeBased(1000), (SignalToCollect("Vehicle.A"),))
BEAT = CampaignOrder(sync_id(CAMPAIGN), CAMPAIGN)
NONE = StateTemplateList(0, ())
DRIVE = StateTemplateList(3, (StateTemplate("drive", ("Vehicle.A",), 500),))


def sent(has: tuple[str, ...], wanted: Wanted) -> Documents:
    return documents(Checkin(has, 5), wanted, now_ns=NOW_NS)


def schemes_in(found: Documents) -> list[str]:
    assert found.schemes is not None
    message = peer["CollectionSchemes"].FromString(found.schemes)
    return [one.campaign_sync_id for one in message.collection_schemes]


def changes_in(found: Documents):
    assert found.templates is not None
    return peer["StateTemplates"].FromString(found.templates)


def test_an_agent_that_has_nothing_is_sent_everything():
    found = sent((), Wanted(NAMED, (BEAT,), DRIVE))

    assert found.manifest is not None
    assert peer["DecoderManifest"].FromString(found.manifest).sync_id == "manifest@1"
    assert schemes_in(found) == [BEAT.sync_id]
    assert [one.periodic.period_ms for one in changes_in(found).state_templates_to_add] == [500]
    assert found.check_in.campaigns == ()


def test_an_agent_that_has_everything_is_sent_nothing():
    (template,) = changes_in(sent((), Wanted(NAMED, (BEAT,), DRIVE))).state_templates_to_add
    has = ("manifest@1", BEAT.sync_id, template.state_template_sync_id)

    found = sent(has, Wanted(NAMED, (BEAT,), DRIVE))

    assert (found.manifest, found.schemes, found.templates) == (None, None, None)
    assert [one.state for one in found.check_in.campaigns] == [CampaignState.RUNNING]
    assert [one.name for one in found.check_in.state_templates] == ["drive"]
    assert found.check_in.time_ns == 5_000_000


def test_a_new_manifest_brings_the_list_with_it():
    found = sent(("manifest@0", BEAT.sync_id), Wanted(NAMED, (BEAT,), NONE))

    assert found.manifest is not None
    assert schemes_in(found) == [BEAT.sync_id]


def test_what_is_too_many_is_taken_away():
    found = sent(("manifest@1", "old@1", BEAT.sync_id), Wanted(NAMED, (BEAT,), NONE))

    assert schemes_in(found) == [BEAT.sync_id]
    assert list(changes_in(found).state_template_sync_ids_to_remove) == ["old@1"]


def test_while_nobody_knows_what_an_agent_is_to_have_nothing_is_taken_from_it():
    found = sent(("manifest@1", "old@1", "drive@1"), Wanted(NAMED, None, None))

    assert (found.schemes, found.templates) == (None, None)


def test_a_suspended_and_an_ended_campaign_are_not_in_the_list():
    ended = CampaignOrder("ended@1", replace(CAMPAIGN, expiry_time_ns=NOW_NS))
    suspended = replace(BEAT, is_suspended=True)

    found = sent(("manifest@1", BEAT.sync_id), Wanted(NAMED, (suspended, ended), NONE))

    assert schemes_in(found) == []
    assert {one.sync_id: one.state for one in found.check_in.campaigns} == {
        BEAT.sync_id: CampaignState.SUSPENDED,
        "ended@1": CampaignState.EXPIRED,
    }
    assert sent(("manifest@1",), Wanted(NAMED, (suspended, ended), NONE)).schemes is None


def test_what_was_sent_counts_until_the_agent_says_otherwise():
    suspended = Wanted(NAMED, (replace(BEAT, is_suspended=True),), NONE)
    running = Wanted(NAMED, (BEAT,), NONE)

    paused = sent(("manifest@1", BEAT.sync_id), suspended)
    resumed = sent(paused.will_have.sync_ids, running)

    assert schemes_in(paused) == []
    assert schemes_in(resumed) == [BEAT.sync_id]
    assert sent(resumed.will_have.sync_ids, running).schemes is None


def test_a_campaign_that_begins_later_is_ready():
    later = CampaignOrder("later@1", replace(CAMPAIGN, start_time_ns=NOW_NS + 1))

    found = sent(("manifest@1", "later@1"), Wanted(NAMED, (later,), NONE))

    assert [one.state for one in found.check_in.campaigns] == [CampaignState.READY]


def test_a_vehicle_without_a_manifest_is_sent_nothing_and_its_campaigns_are_refused():
    found = sent((), Wanted(None, (BEAT,), DRIVE))

    assert (found.manifest, found.schemes, found.templates) == (None, None, None)
    (status,) = found.check_in.campaigns
    assert (status.state, "no decoder manifest" in status.reason) == (CampaignState.REFUSED, True)


def test_a_template_that_changed_is_another_one():
    before = changes_in(sent((), Wanted(NAMED, (), DRIVE))).state_templates_to_add[0]
    faster = StateTemplateList(4, (StateTemplate("drive", ("Vehicle.A",), 100),))

    found = sent(("manifest@1", before.state_template_sync_id), Wanted(NAMED, (), faster))

    change = changes_in(found)
    assert list(change.state_template_sync_ids_to_remove) == [before.state_template_sync_id]
    assert name_of(change.state_templates_to_add[0].state_template_sync_id) == "drive"
    assert change.version == NOW_NS // 1_000_000


@pytest.mark.parametrize(
    ("what", "member"),
    [
        (ActivateState("drive", 9), "activate_operation"),
        (DeactivateState("drive"), "deactivate_operation"),
        (SnapshotState("drive"), "fetch_snapshot_operation"),
    ],
)
def test_a_command_names_the_template_that_the_agent_has(what, member):
    (template,) = changes_in(sent((), Wanted(NAMED, (), DRIVE))).state_templates_to_add

    body = request_of(Command("c1", NOW_NS + 10**9, what), DRIVE, NAMED, now_ns=NOW_NS)

    request = peer["CommandRequest"].FromString(body)
    (told,) = request.last_known_state_command.state_template_information
    assert told.WhichOneof("operation") == member
    assert told.state_template_sync_id == template.state_template_sync_id
    assert (request.timeout_ms, request.issued_timestamp_ms) == (1000, NOW_NS // 1_000_000)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Command("c1", NOW_NS + 10**9, UploadPartition("beat")), "do nothing but activate"),
        (Command("c1", NOW_NS + 10**9, SnapshotState("park")), "no state template park"),
        (Command("c1", NOW_NS, SnapshotState("drive")), "has expired"),
    ],
)
def test_a_command_that_cannot_be_done_is_refused(command, reason):
    with pytest.raises(BadInput, match=reason):
        request_of(command, DRIVE, NAMED, now_ns=NOW_NS)
