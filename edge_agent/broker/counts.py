"""What the on-board door counts, for metrics: read at any moment."""

from dataclasses import dataclass, field

# Why a call is refused, or ends before its app ends it.
REASONS = ("no_token", "bad_token", "denied_token", "no_scope", "ended")

# How an order of an app ends: confirmed, or the reason of its failure or refusal (closed_loop.Reason).
OUTCOMES = (
    "confirmed",
    "interlock",
    "writer",
    "overruled",
    "replaced",
    "deadline",
    "forbidden",
    "bus",
    "stopped",
    "batch",  # refused with another one
)


@dataclass(slots=True)
class OnboardCounts:
    """Calls of apps since the start."""

    calls: int = 0  # refused ones too
    open: int = 0  # now
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    last_reason: str = ""  # of the last refusal, for the log


@dataclass(slots=True)
class DataCounts:
    """What the vehicle-data API did since the start."""

    published: int = 0  # values taken from apps
    refused: int = 0  # values of apps that did not fit
    told: int = 0  # messages to subscribers, but for the first of each
    actuations: int = 0  # target values forwarded
    frames_sent: int = 0  # on buses, all of the allow-list
    orders: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))


@dataclass(frozen=True, slots=True)
class DataNumbers:
    """The same, and who is there now."""

    counts: DataCounts
    dropped: int  # values that slow subscribers were never told
    subscriptions: int
    providers: int
