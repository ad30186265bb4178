"""What came of a demo: counts that must add up, and two figures.

accepted = samples that agents wrote to their spools, and those of campaigns; rows = samples in the store.  What
is accepted and not a row is on its way while vehicles drive, and lost once everything has come to rest.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from simulators.demo.campaign import Brought
from simulators.demo.update import Updated


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one run."""

    vehicles: int
    seconds: float
    frames: int  # sent by the simulated vehicles
    frames_dropped: int  # that an agent did not get
    signals: int  # values decoded from them
    samples: int  # collected: changed, and at most one each 100 ms for a signal
    campaign: Brought
    update: Updated
    campaign_samples: int  # of its events, collected by agents
    rows_stored: int
    duplicates: int  # batches that came twice and were stored once
    on_the_way: int  # samples accepted by an agent that the store may still get
    lost: int  # samples accepted by an agent that it will not get
    bytes_per_sample: float  # on the wire, whole messages
    latency_p50_ms: float  # from the frame's time of arrival to the row
    latency_p99_ms: float

    @property
    def is_whole(self) -> bool:
        """Whether every accepted sample was stored, once."""
        return self.lost == 0 and self.rows_stored > 0

    def as_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(asdict(self))

    def as_text(self) -> str:
        """Return lines for a person."""
        stored = (
            f"{self.rows_stored:>10,} rows stored, {self.on_the_way} on the way, {self.lost} lost, "
            f"{self.duplicates} batches came twice and were stored once"
        )
        latency = (
            f"{self.latency_p50_ms:>10.0f} ms from bus to row (median), "
            f"{self.latency_p99_ms:.0f} ms (99 of 100)"
        )
        brought = self.campaign
        campaign = (
            f"{brought.events:>10,} events of the campaign {brought.name}, {brought.samples:,} samples of "
            f"{brought.vehicles} vehicles, because of {brought.condition}"
        )
        lines = (
            f"{self.frames:>10,} CAN frames sent, {self.frames_dropped} dropped",
            f"{self.signals:>10,} signal values decoded",
            f"{self.samples:>10,} samples collected (on change, at most every 100 ms)",
            campaign,
            stored,
            f"{self.bytes_per_sample:>10.2f} bytes a sample on the wire",
            latency,
            *_update(self.update),
        )
        head = f"{self.vehicles} vehicles drove for {self.seconds:.0f} s:"
        return "\n  ".join((head, *lines))


def _update(it: Updated) -> tuple[str, ...]:
    first = (
        f"{it.committed:>10,} of {it.vehicles} vehicles took the update {it.name} {it.version}, "
        f"{it.rolled_back} went back by itself; the rollout is {it.state}"
    )
    reasons = (f"{'':10} {why}" for why in (it.why, it.sentence) if why)
    return first, *reasons


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that `share` (0 to 1) of them do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
