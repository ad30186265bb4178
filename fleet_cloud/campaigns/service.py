"""What people do to campaigns: each act is checked, written to the audit log, and then done.

Rule 1: who wrote a campaign does not approve it, unless the operator has said so (campaigns.self_approval).
Rule 2: an act is audited before it is done; one that came too late is a Conflict, and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fairway.campaign.document import sync_id
from fairway.campaign.model import Campaign
from fairway.errors import BadInput, Conflict, Denied
from fleet_cloud.audit.acts import Act, Audit
from fleet_cloud.campaigns.check import prepare
from fleet_cloud.campaigns.life import Move, State, moved
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.ports import Campaigns
from fleet_cloud.campaigns.stages import (
    REFUSED_MAX_PERCENT,
    Stage,
    checked,
    scheduled_percent,
)
from fleet_cloud.control.targets import (
    Target,
)

# Who does what goes by schedule.
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Wish:
    """A campaign as somebody wants it."""

    campaign: Campaign
    target: Target
    stages: Sequence[Stage] = ()
    max_refused_percent: float = REFUSED_MAX_PERCENT


class Service:
    """Acts on the campaigns of all tenants; whether somebody may is asked before."""

    def __init__(self, campaigns: Campaigns, audit: Audit, *, self_approval: bool = False) -> None:
        self._campaigns, self._audit = campaigns, audit
        self._self_approval = self_approval

    def create(self, tenant: str, wish: Wish, *, actor: str, now_ns: int) -> Kept:
        """Keep a campaign, which then waits for approval.  Raises BadInput, Conflict, Unavailable."""
        name = wish.campaign.name
        prepare(wish.campaign)
        if self._campaigns.campaign(tenant, name) is not None:
            raise Conflict(f"there is a campaign called {name} already: choose another name")
        kept = Kept(
            tenant=tenant,
            campaign=wish.campaign,
            sync_id=sync_id(wish.campaign),
            target=wish.target,
            state=moved(name, State.CREATING, Move.SUBMIT),
            author=actor,
            created_time_ns=now_ns,
            changed_time_ns=now_ns,
            stages=checked(wish.stages),
            max_refused_percent=wish.max_refused_percent,
            percent=wish.stages[0].percent if wish.stages else 100.0,
        )
        self._write("create", kept, actor)
        self._campaigns.add(kept)
        return kept

    def change(self, kept: Kept, wish: Wish, *, actor: str, now_ns: int) -> Kept:
        """Put another content in its place, which waits for approval anew."""
        if wish.campaign.name != kept.name:
            raise BadInput(
                f"name: the document is called {wish.campaign.name}, the campaign {kept.name}"
            )
        prepare(wish.campaign)
        to = replace(
            kept,
            campaign=wish.campaign,
            sync_id=sync_id(wish.campaign),
            target=wish.target,
            stages=checked(wish.stages),
            max_refused_percent=wish.max_refused_percent,
            percent=wish.stages[0].percent if wish.stages else 100.0,
            author=actor,
            approved_by="",
        )
        return self._moved(to, Move.CHANGE, actor, now_ns)

    def approve(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Approve the content as it is.  Raises Denied to its author."""
        if actor == kept.author and not self._self_approval:
            raise Denied(
                f"{actor} wrote the campaign {kept.name}: somebody else approves it"
                " (or campaigns.self_approval is set)"
            )
        return self._moved(replace(kept, approved_by=actor), Move.APPROVE, actor, now_ns)

    def start(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Send it to its targets, or to the first of them."""
        to = replace(
            kept, started_time_ns=now_ns, percent=scheduled_percent(kept.stages, now_ns, now_ns)
        )
        return self._moved(to, Move.START, actor, now_ns)

    def suspend(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Have vehicles pause it; what waits in them is still sent."""
        return self._moved(kept, Move.SUSPEND, actor, now_ns)

    def resume(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Have vehicles go on with it."""
        return self._moved(kept, Move.RESUME, actor, now_ns)

    def stage(self, kept: Kept, percent: float, *, actor: str, now_ns: int) -> Kept:
        """Raise its share of the targets by hand.  Raises BadInput when that would lower it."""
        if not kept.percent <= percent <= 100:
            raise BadInput(
                f"percent is {percent:g}; {kept.name} has reached {kept.percent:g}, and a share is only raised"
            )
        to = replace(kept, percent=percent, halted="")
        return self._moved(to, Move.STAGE, actor, now_ns, percent=f"{percent:g}")

    def halt(self, kept: Kept, why: str, *, now_ns: int) -> Kept:
        """Stop raising its share by itself."""
        return self._moved(replace(kept, halted=why), Move.HALT, SYSTEM, now_ns, why=why)

    def delete(self, kept: Kept, *, actor: str, now_ns: int) -> Kept:
        """Take it from its vehicles, and forget it; what it has brought stays."""
        return self._moved(kept, Move.DELETE, actor, now_ns)

    def _moved(self, to: Kept, move: Move, actor: str, now_ns: int, **facts: str) -> Kept:
        state = moved(to.name, to.state, move)
        changed = replace(to, state=state, changed_time_ns=now_ns, version=to.version + 1)
        self._write(move, changed, actor, **facts)
        if not self._campaigns.change(changed):
            raise Conflict(
                f"somebody else has just changed the campaign {to.name}: look at it again"
            )
        return changed

    def _write(self, verb: str, kept: Kept, actor: str, **facts: str) -> None:
        details = {"sync_id": kept.sync_id, "target": f"{kept.target.kind}:{kept.target.text}"}
        act = Act(
            f"campaign.{verb}", actor, f"campaign:{kept.name}", kept.tenant, details=details | facts
        )
        self._audit.write(act)
