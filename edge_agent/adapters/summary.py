"""What a run of the agent did, in one record, for people and for programs."""

from dataclasses import dataclass, field

from edge_agent.adapters.metrics_http import Status
from edge_agent.canbus.mapping import Mapping


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, for people and machines."""

    vehicle: str
    stream: str
    frames: int
    signals: int
    samples: int
    batches: int
    request_bytes: int
    bytes_per_sample: float
    dropped_frames: int
    lost_samples: int
    dropped_batches: int
    damaged_batches: int
    waiting_batches: int
    sent: int
    resent: int
    stored: int
    duplicate: int
    refused: int
    busy: int
    connections: int
    refused_by_reason: dict[str, int] = field(default_factory=dict)


def summary_of(vehicle: str, stream: str, status: Status, mapping: Mapping) -> Summary:
    """Return what was done so far."""
    counts, uplink = status.sampling, status.uplink
    refused = {reason: count for reason, count in counts.refused.items() if count}
    refused |= {str(reason): count for reason, count in mapping.refused.items() if count}
    spooled = counts.samples - counts.lost_samples
    return Summary(
        vehicle=vehicle,
        stream=stream,
        frames=counts.frames,
        signals=counts.signals,
        samples=counts.samples,
        batches=counts.batches,
        request_bytes=counts.request_bytes,
        bytes_per_sample=round(counts.request_bytes / spooled, 4) if spooled else 0.0,
        dropped_frames=sum(count for _, count in status.dropped_frames),
        lost_samples=counts.lost_samples,
        dropped_batches=status.spool.dropped_batches,
        damaged_batches=status.spool.damaged_batches,
        waiting_batches=status.spool.waiting,
        sent=uplink.sent if uplink else 0,
        resent=uplink.resent if uplink else 0,
        stored=uplink.stored if uplink else 0,
        duplicate=uplink.duplicate if uplink else 0,
        refused=uplink.refused if uplink else 0,
        busy=uplink.busy if uplink else 0,
        connections=status.connections,
        refused_by_reason=refused,
    )
