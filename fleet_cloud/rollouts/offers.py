"""What a vehicle that holds an order is offered now, and what the Director tells it.

    a rollout that runs      install it
    ... that is paused       who has begun may fetch, and does not install; who has not is offered nothing
    ... that is over         who has changed nothing yet gives it up; who has finishes

Rule 1: nothing is offered that the Image repository does not list, or that does not fit any more.
"""

from dataclasses import dataclass

from fairway.update import Stage
from fleet_cloud.rollouts.director import Instruction
from fleet_cloud.rollouts.life import REVOCABLE_STAGES, State
from fleet_cloud.rollouts.model import Kept, VehicleKept
from fleet_cloud.rollouts.ports import Offer
from fleet_cloud.rollouts.solver import HAS_ALL, Fit
from fleet_cloud.rollouts.waves import window_open
from ota.manifest import Image


@dataclass(frozen=True, slots=True)
class Standing:
    """The order that a vehicle holds."""

    kept: Kept
    one: VehicleKept
    fit: Fit
    images: tuple[Image, ...] | None  # of the release; None: one of them is listed no more

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to be given up."""
        is_over = self.kept.state.is_over or bool(self.kept.safety)
        return is_over and self.one.stage in REVOCABLE_STAGES


def offered(standing: Standing, now_ns: int) -> Offer | None:
    """Return what a vehicle is offered, None for nothing."""
    kept, one = standing.kept, standing.one
    is_paused = kept.state is State.PAUSED
    images = _images(standing)
    if not standing.is_cancelled and (images is None or (is_paused and one.stage is Stage.OFFERED)):
        return None
    return Offer(
        action=one.action,
        rollout=kept.id,
        bundle=kept.content.bundle,
        images=images or (),
        needs_consent=kept.wish.needs_consent,
        is_cancelled=standing.is_cancelled,
        window_open=not is_paused and window_open(kept.wish.windows, now_ns),
        is_forced=kept.wish.is_forced,
    )


def instructed(vehicle: str, standing: Standing | None, now_ns: int) -> Instruction:
    """Return what the Director tells a vehicle."""
    offer = offered(standing, now_ns) if standing is not None else None
    if standing is None or offer is None or offer.is_cancelled or not standing.fit.given:
        return Instruction(vehicle)
    return Instruction(
        vehicle,
        offer.action,
        standing.fit.given,
        is_downgrade=standing.kept.wish.is_downgrade,
    )


def _images(standing: Standing) -> tuple[Image, ...] | None:
    """Return the images for the vehicle, None when it cannot be offered any (any more)."""
    if standing.images is None:
        return None
    # It may hold all of it by now, and has only to say so: what was offered stays.
    fits = standing.fit.why in ("", HAS_ALL) or standing.one.stage is not Stage.OFFERED
    if standing.fit.given and fits:
        return standing.fit.images
    if standing.fit.why:
        return None
    return standing.images  # nobody knows its ECUs, and it is offered all the same
