"""Which campaign a batch belongs to <-> the fields of TelemetryBatch that say so."""

from fairway.campaign.parts import CampaignEvent, CampaignPart
from fairway.errors import BadInput
from fairway.v1 import telemetry_pb2 as v1

SYNC_ID_MAX_CHARACTERS = 256
PARTITION_MAX_CHARACTERS = 128
# An event may have no samples: a thousand of them are a campaign gone wild, no mistake of the wire.
EVENTS_MAX = 65_536
DTCS_MAX = 1024
DTC_MAX_CHARACTERS = 64
SENTENCE_MAX_CHARACTERS = 500


def add_campaign(message: v1.TelemetryBatch, part: CampaignPart) -> None:
    """Say in `message` which campaign it is of."""
    message.campaign, message.partition = part.sync_id, part.partition
    message.events.extend(
        v1.TelemetryEvent(
            id=event.id,
            time_ns=event.time_ns,
            samples=event.samples,
            dtcs=event.dtcs,
            dtcs_missing=event.dtcs_missing[:SENTENCE_MAX_CHARACTERS],
        )
        for event in part.events
    )


def campaign_of(message: v1.TelemetryBatch) -> CampaignPart | None:
    """Return which campaign `message` is of; None: of none.  Raises BadInput."""
    if not message.campaign:
        return None
    if len(message.campaign) > SYNC_ID_MAX_CHARACTERS or not message.campaign.isprintable():
        raise BadInput(f"a batch is of a campaign {message.campaign[:80]!r}, which is no sync id")
    if len(message.partition) > PARTITION_MAX_CHARACTERS or len(message.events) > EVENTS_MAX:
        raise BadInput(
            f"a batch has over {EVENTS_MAX} events, or a partition whose name is too long"
        )
    if sum(event.samples for event in message.events) > message.samples:
        raise BadInput("the events of a batch have more samples than the batch")
    return CampaignPart(message.campaign, message.partition, tuple(map(_event, message.events)))


def _event(message: v1.TelemetryEvent) -> CampaignEvent:
    if len(message.dtcs) > DTCS_MAX or any(len(code) > DTC_MAX_CHARACTERS for code in message.dtcs):
        raise BadInput(
            f"an event has over {DTCS_MAX} trouble codes, or one that is too long: {message.dtcs[0][:80]!r}"
        )
    return CampaignEvent(
        message.id,
        message.time_ns,
        message.samples,
        tuple(message.dtcs),
        message.dtcs_missing[:SENTENCE_MAX_CHARACTERS],
    )
