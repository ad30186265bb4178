"""What people do to rollouts: approval, start, pause, stop, and trying again.

Rule 1: an act is about the rollout as it was looked at: who comes too late is told so (409).
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from fleet_cloud.api.ports import ApiPorts, UpdatePorts
from fleet_cloud.api.rollout_views import Retried, RolloutView
from fleet_cloud.api.rollouts import ACTS, Approve, RolloutId, Write, seen_rollout, shown
from fleet_cloud.rollouts.model import Kept


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, for whoever looks later."""

    why: Annotated[str, Field(max_length=500)] = ""


def router(ports: ApiPorts, updates: UpdatePorts) -> APIRouter:
    """Return the routes of acts."""
    routes = APIRouter(prefix="/v1/rollouts", tags=["rollouts"])
    _before(routes, ports, updates)
    _during(routes, ports, updates)
    _ending(routes, ports, updates)
    return routes


def _before(routes: APIRouter, ports: ApiPorts, updates: UpdatePorts) -> None:
    """Add what is done before it begins."""
    desk, clock = updates.desk, ports.clock

    def told(kept: Kept) -> RolloutView:
        """Have the worker of this process look at once."""
        updates.poke()
        return shown(updates, kept)

    @routes.post("/{rollout}/submit", responses=ACTS)
    def submit_rollout(caller: Write, rollout: RolloutId) -> RolloutView:
        """Have a draft wait for approval."""
        kept = seen_rollout(updates, caller, rollout)
        return told(desk.submit(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))

    @routes.post("/{rollout}/approve", responses=ACTS)
    def approve_rollout(caller: Approve, rollout: RolloutId) -> RolloutView:
        """Approve a rollout; its author cannot."""
        kept = seen_rollout(updates, caller, rollout)
        return told(desk.approve(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))

    @routes.post("/{rollout}/reject", responses=ACTS)
    def reject_rollout(caller: Approve, rollout: RolloutId, reason: Reason) -> RolloutView:
        """End a rollout before it has begun."""
        kept = seen_rollout(updates, caller, rollout)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return told(desk.reject(kept, reason.why, actor=actor, now_ns=now_ns))


def _during(routes: APIRouter, ports: ApiPorts, updates: UpdatePorts) -> None:
    """Add what is done while it runs."""
    desk, clock = updates.desk, ports.clock

    def told(kept: Kept) -> RolloutView:
        """Have the worker of this process look at once."""
        updates.poke()
        return shown(updates, kept)

    @routes.post("/{rollout}/start", responses=ACTS)
    def start_rollout(caller: Write, rollout: RolloutId) -> RolloutView:
        """Begin with the first wave."""
        kept = seen_rollout(updates, caller, rollout)
        return told(desk.start(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))

    @routes.post("/{rollout}/pause", responses=ACTS)
    def pause_rollout(caller: Write, rollout: RolloutId, reason: Reason) -> RolloutView:
        """Offer it to nobody more; who has begun fetches, and does not install."""
        kept = seen_rollout(updates, caller, rollout)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return told(desk.pause(kept, reason.why, actor=actor, now_ns=now_ns))

    @routes.post("/{rollout}/resume", responses=ACTS)
    def resume_rollout(caller: Write, rollout: RolloutId) -> RolloutView:
        """Go on, knowing who failed: they are not counted again."""
        kept = seen_rollout(updates, caller, rollout)
        return told(desk.resume(kept, actor=caller.principal.actor, now_ns=clock.now_ns()))


def _ending(routes: APIRouter, ports: ApiPorts, updates: UpdatePorts) -> None:
    """Add what ends it, and what tries again."""
    desk, clock = updates.desk, ports.clock

    def told(kept: Kept) -> RolloutView:
        """Have the worker of this process look at once."""
        updates.poke()
        return shown(updates, kept)

    @routes.post("/{rollout}/stop", responses=ACTS)
    def stop_rollout(caller: Write, rollout: RolloutId, reason: Reason) -> RolloutView:
        """End it for good: whoever has changed nothing yet gives it up."""
        kept = seen_rollout(updates, caller, rollout)
        actor, now_ns = caller.principal.actor, clock.now_ns()
        return told(desk.stop(kept, reason.why, actor=actor, now_ns=now_ns))

    @routes.post("/{rollout}/retry", responses=ACTS)
    def retry_rollout(caller: Write, rollout: RolloutId) -> Retried:
        """Offer it again to those who failed or declined, but for versions that failed in them."""
        kept = seen_rollout(updates, caller, rollout)
        _, count = desk.retry(kept, actor=caller.principal.actor, now_ns=clock.now_ns())
        updates.poke()
        return Retried(count)
