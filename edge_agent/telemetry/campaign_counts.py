"""What campaigns did since they were put into force, over restarts: coarse, for people and for the cloud.

Rule 1: counts are kept every few seconds and at the end; a crash costs what was counted since.
Rule 2: what exactly was collected and stored, the cloud knows from the batches themselves.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from edge_agent.telemetry.lateness import Lateness


@dataclass(slots=True)
class Counts:
    """One campaign."""

    triggers: int = 0
    samples: int = 0
    sent_bytes: int = 0
    dropped_samples: int = 0


@dataclass(frozen=True, slots=True)
class CampaignNumbers:
    """All campaigns together, since the agent started, or now."""

    states: Mapping[str, int]
    events: int = 0
    lateness: Lateness = field(default_factory=Lateness)  # of events of live buses
    samples: int = 0
    batches: int = 0
    batch_bytes: int = 0
    dropped_samples: int = 0
    partitions: int = 0
    waiting_batches: int = 0
    waiting_bytes: int = 0
    held_back: int = 0
    disk_failing: int = 0
    function_calls: int = 0  # of the campaigns there are
    function_failures: int = 0


class CampaignCounts:
    """All campaigns."""

    def __init__(self, record: bytes | None = None) -> None:
        """`record` is what `to_bytes` returned; a damaged one begins anew."""
        self._counts: dict[str, Counts] = {}
        try:
            said = json.loads(record or b"{}")
            self._counts = {id_: Counts(**counts) for id_, counts in said.items()}
        except (ValueError, TypeError, AttributeError):
            self._counts = {}

    def of(self, sync_id: str) -> Counts:
        """Return the counts of a campaign, to be read and to be added to."""
        return self._counts.setdefault(sync_id, Counts())

    def keep(self, sync_ids: Collection[str]) -> None:
        """Forget all campaigns but these."""
        self._counts = {id_: counts for id_, counts in self._counts.items() if id_ in sync_ids}

    def to_bytes(self) -> bytes:
        """Return everything."""
        counts = {id_: asdict(counts) for id_, counts in sorted(self._counts.items())}
        return json.dumps(counts).encode()
