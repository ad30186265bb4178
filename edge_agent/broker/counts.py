"""What the on-board door counts, for metrics: read at any moment."""

from dataclasses import dataclass, field

# Why a call is refused, or ends before its app ends it.
REASONS = ("no_token", "bad_token", "denied_token", "no_scope", "ended")


@dataclass(slots=True)
class OnboardCounts:
    """Calls of apps since the start."""

    calls: int = 0  # refused ones too
    open: int = 0  # now
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
