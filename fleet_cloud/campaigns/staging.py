"""What happens to staged campaigns by themselves: shares are raised by schedule, and stop when many refuse.

Rule 1: whoever is quicker wins: every process looks, the first to write has done it.
"""

from collections.abc import Mapping

from fairway.control import CampaignState
from fairway.errors import Conflict
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import Kept
from fleet_cloud.campaigns.plan import Plan
from fleet_cloud.campaigns.ports import CheckIns
from fleet_cloud.campaigns.service import SYSTEM, Service
from fleet_cloud.campaigns.stages import refused_too_often, scheduled_percent


class Staging:
    """Looks after the staged campaigns of a plan."""

    def __init__(self, plan: Plan, check_ins: CheckIns, service: Service) -> None:
        self._plan, self._check_ins, self._service = plan, check_ins, service

    def tick(self, now_ns: int) -> None:
        """Do what is due.  Raises Unavailable."""
        for kept in self._plan.running():
            if kept.state is State.RUNNING and kept.stages and not kept.halted:
                try:
                    self._look_after(kept, now_ns)
                except Conflict:
                    continue  # another process, or a person, was quicker: the plan will say

    def _look_after(self, kept: Kept, now_ns: int) -> None:
        why = refusal(kept, self._check_ins.state_counts(kept.tenant, kept.sync_id))
        if why:
            self._service.halt(kept, why, now_ns=now_ns)
            return
        due = scheduled_percent(kept.stages, kept.started_time_ns or now_ns, now_ns)
        if due > kept.percent:
            self._service.stage(kept, due, actor=SYSTEM, now_ns=now_ns)


def refusal(kept: Kept, counts: Mapping[int, int]) -> str:
    """Return why a campaign is not to reach more vehicles; empty: it may."""
    answered, refused = sum(counts.values()), counts.get(int(CampaignState.REFUSED), 0)
    if kept.percent >= 100 or not refused_too_often(answered, refused, kept.max_refused_percent):
        return ""
    return (
        f"{refused} of {answered} vehicles refuse it, more than {kept.max_refused_percent:g} %: see why in"
        " their statuses, then raise it by hand, or delete it"
    )
