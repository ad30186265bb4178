"""What is forgotten of campaigns, so that the registry stays small: old events, and commands long over.

Rule 1: counts of progress stay; what is forgotten is the list behind them.
"""

from fairway.clock import NS_PER_S
from fleet_cloud.campaigns.plan import Plan
from fleet_cloud.campaigns.ports import (
    ProgressReader,
)
from fleet_cloud.control.ports import (
    Commands,
)

# Some 20 MB of a registry for a campaign that triggers without end; what a person looks through is far less.
EVENTS_KEPT = 100_000
# Whoever asks what became of a command asks within weeks; the audit log knows for ever that it was given.
COMMANDS_KEPT_S = 30 * 86_400
TIDY_NS = 600 * NS_PER_S


class Tidying:
    """Forgets, every ten minutes."""

    def __init__(self, plan: Plan, progress: ProgressReader, commands: Commands) -> None:
        self._plan, self._progress, self._commands = plan, progress, commands
        self._tidied_ns = 0

    def tick(self, now_ns: int) -> None:
        """Do what is due.  Raises Unavailable."""
        if abs(now_ns - self._tidied_ns) < TIDY_NS:
            return
        self._tidied_ns = now_ns
        self._commands.forget_commands(now_ns - COMMANDS_KEPT_S * NS_PER_S)
        for kept in self._plan.running():
            self._progress.trim_events(kept.tenant, kept.sync_id, EVENTS_KEPT)
