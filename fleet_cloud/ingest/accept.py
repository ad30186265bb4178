"""What a message from a vehicle is, before anything is done about it.

    bytes --parse--> Dictionary | SealedBatch | Rejected

Rule 1: whose message it is comes from the connection, never from the message.
Rule 2: every byte string has an answer here; nothing a vehicle sends may raise past this file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairway.errors import BadInput, Denied
from fairway.ids import BatchName
from fairway.samples import SampleBlock, SignalTable
from fairway.telemetry import Dictionary, SealedBatch
from fairway.wire.telemetry import opened_each, request_from_bytes
from fleet_cloud.ingest.ports import Fault, Message

# A batch of 10,000 samples is 10 to 40 kB on the wire and a dictionary of 10,000 signals 200 kB; brokers often
# stop long before (AWS IoT Core at 128 kB).  Doors take twice this, so that a batch over it is refused by name.
MESSAGE_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is nothing to store."""

    reason: str
    fault: Fault
    name: BatchName | None = (
        None  # known: it is answered REFUSED; unknown: the door deals with the fault
    )
    quarantine: bool = True  # a stranger's messages are not kept: anyone could fill the quarantine


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A message and what it turned out to be."""

    message: Message
    content: Dictionary | SealedBatch | Rejected
    tenant: (
        str  # the vehicle's when the message came in, whatever becomes of it; empty: it has none
    )

    @property
    def samples(self) -> int:
        """How many samples the message says it has."""
        return self.content.samples if isinstance(self.content, SealedBatch) else 0


def parse(message: Message, tenants: Mapping[str, str]) -> Parsed:
    """Say what `message` is; `tenants` names the tenant of every vehicle that may send."""
    tenant = tenants.get(message.vehicle, "")
    return Parsed(message, _content(message, tenant), tenant)


def _content(message: Message, tenant: str) -> Dictionary | SealedBatch | Rejected:
    if not tenant:
        reason = f"the vehicle {message.vehicle} is not registered: add it with `fleet-cloud vehicle add`"
        return Rejected(reason, Fault.DENIED, quarantine=False)
    try:
        content = request_from_bytes(message.data, vehicle=message.vehicle)
    except Denied as error:
        return Rejected(str(error), Fault.DENIED)
    except BadInput as error:
        return Rejected(str(error), Fault.UNREADABLE)
    name = content.name if isinstance(content, SealedBatch) else None
    if len(message.data) > MESSAGE_MAX_BYTES:
        reason = f"a message of {len(message.data)} bytes; at most {MESSAGE_MAX_BYTES} are taken"
        return Rejected(reason, Fault.UNREADABLE, name)
    return content


def columns_of_each(
    batches: Sequence[tuple[SealedBatch, SignalTable]],
) -> list[SampleBlock | str]:
    """Return the samples of each batch, or in one sentence why they cannot be read."""
    return [str(block) if isinstance(block, BadInput) else block for block in opened_each(batches)]
