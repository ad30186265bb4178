"""Campaign lists and check-ins <-> messages: the half of the control wire that is about campaigns."""

import json

from fairway.campaign.document import (
    DOCUMENT_MAX_BYTES,
    campaign_document,
    campaign_from_json,
)
from fairway.control import (
    CampaignList,
    CampaignOrder,
    CampaignState,
    CampaignStatus,
    CheckIn,
    StateTemplateStatus,
)
from fairway.errors import BadInput
from fairway.v1 import control_pb2 as v1
from fairway.wire import control_services as services
from fairway.wire.compression import compressed, decompressed

# More than any agent takes: beyond it a list is a mistake.
CAMPAIGNS_MAX = 1024
WARNINGS_MAX = 32
SENTENCE_MAX_CHARACTERS = 500
VERSION_MAX_CHARACTERS = 128
SYNC_ID_MAX_CHARACTERS = 256


def list_message(campaigns: CampaignList) -> v1.CampaignList:
    """Return a CampaignList message."""
    return v1.CampaignList(
        revision=campaigns.revision,
        campaigns=[
            v1.CampaignDocument(
                sync_id=order.sync_id,
                json=compressed(json.dumps(campaign_document(order.campaign)).encode()),
                is_suspended=order.is_suspended,
            )
            for order in campaigns.campaigns
        ],
    )


def campaign_list(message: v1.CampaignList) -> CampaignList:
    """Read a CampaignList message.  Raises BadInput."""
    if len(message.campaigns) > CAMPAIGNS_MAX:
        raise BadInput(
            f"a list of {len(message.campaigns)} campaigns is over the limit of {CAMPAIGNS_MAX}"
        )
    orders, unreadable = [], []
    for one in message.campaigns:
        name = _sync_id(one.sync_id)
        try:
            text = decompressed(one.json, max_bytes=DOCUMENT_MAX_BYTES, what="a campaign")
            orders.append(CampaignOrder(name, campaign_from_json(text), one.is_suspended))
        except BadInput as error:
            unreadable.append((name, str(error)[:SENTENCE_MAX_CHARACTERS]))
    return CampaignList(message.revision, tuple(orders), tuple(unreadable))


def check_in_message(check_in: CheckIn) -> v1.CheckIn:
    """Return a CheckIn message."""
    return v1.CheckIn(
        agent_version=check_in.agent_version[:VERSION_MAX_CHARACTERS],
        time_ns=check_in.time_ns,
        campaigns_revision=check_in.campaigns_revision,
        campaigns=[_status_message(status) for status in check_in.campaigns],
        catalogue_id=check_in.catalogue_id,
        state_templates_revision=check_in.state_templates_revision,
        state_templates=[
            v1.StateTemplateStatus(
                name=one.name, is_active=one.is_active, reason=one.reason[:SENTENCE_MAX_CHARACTERS]
            )
            for one in check_in.state_templates
        ],
        services_revision=check_in.services_revision,
        services=[services.status_message(one) for one in check_in.services],
        updates_revision=check_in.updates_revision,
    )


def check_in(message: v1.CheckIn) -> CheckIn:
    """Read a CheckIn message; a campaign in a state of a later version is left out.  Raises BadInput."""
    if len(message.campaigns) > CAMPAIGNS_MAX or len(message.state_templates) > CAMPAIGNS_MAX:
        raise BadInput(f"a check-in has more than {CAMPAIGNS_MAX} campaigns or state templates")
    if len(message.catalogue_id) not in (0, 8):
        raise BadInput("a check-in names no catalogue: an id has 8 bytes")
    known = {int(state) for state in CampaignState}
    return CheckIn(
        message.agent_version[:VERSION_MAX_CHARACTERS],
        message.time_ns,
        message.campaigns_revision,
        tuple(_status(status) for status in message.campaigns if status.state in known),
        message.catalogue_id,
        message.state_templates_revision,
        tuple(
            StateTemplateStatus(
                one.name[:SYNC_ID_MAX_CHARACTERS],
                one.is_active,
                one.reason[:SENTENCE_MAX_CHARACTERS],
            )
            for one in message.state_templates
        ),
        message.services_revision if message.HasField("services_revision") else None,
        services.statuses(message.services),
        message.updates_revision if message.HasField("updates_revision") else None,
    )


def _status_message(status: CampaignStatus) -> v1.CampaignStatus:
    return v1.CampaignStatus(
        sync_id=status.sync_id,
        state=v1.CampaignState.ValueType(status.state),
        reason=status.reason[:SENTENCE_MAX_CHARACTERS],
        warnings=[text[:SENTENCE_MAX_CHARACTERS] for text in status.warnings[:WARNINGS_MAX]],
        triggers=status.triggers,
        samples=status.samples,
        sent_bytes=status.sent_bytes,
        waiting_bytes=status.waiting_bytes,
        dropped_samples=status.dropped_samples,
        held_back_bytes=status.held_back_bytes,
    )


def _status(message: v1.CampaignStatus) -> CampaignStatus:
    return CampaignStatus(
        _sync_id(message.sync_id),
        CampaignState(message.state),
        message.reason[:SENTENCE_MAX_CHARACTERS],
        tuple(text[:SENTENCE_MAX_CHARACTERS] for text in message.warnings[:WARNINGS_MAX]),
        message.triggers,
        message.samples,
        message.sent_bytes,
        message.waiting_bytes,
        message.dropped_samples,
        message.held_back_bytes,
    )


def _sync_id(text: str) -> str:
    if not 0 < len(text) <= SYNC_ID_MAX_CHARACTERS or not text.isprintable():
        raise BadInput(
            f"{text[:80]!r} is no sync id: 1 to {SYNC_ID_MAX_CHARACTERS} printable characters"
        )
    return text
