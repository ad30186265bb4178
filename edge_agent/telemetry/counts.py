"""What the agent did since it started: plain numbers, read by metrics and by the summary."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class SamplingCounts:
    """From frames to durable batches."""

    frames: int = 0
    signals: int = 0  # values decoded
    samples: int = 0  # collected of them
    batches: int = 0  # durable in the spool
    request_bytes: int = 0  # of those batches
    lost_samples: int = 0  # collected and never spooled: the spool or the disk was full
    first_time_ns: int | None = None  # stamps of the frames
    last_time_ns: int | None = None
    refused: Counter[str] = field(default_factory=Counter)  # frames and values by reason
    is_disk_failing: bool = False
