"""What there is to count of updates."""

from dataclasses import dataclass

from fairway.update import Stage


@dataclass(frozen=True, slots=True)
class UpdateNumbers:
    """At one moment."""

    stage: Stage | None = None  # of the update under way
    percent: int = 0
    looks: int = 0  # since the agent started, as all that follows
    refusals: int = 0
    commits: int = 0
    roll_backs: int = 0
    untold_events: int = 0
    disk_failing: bool = False
