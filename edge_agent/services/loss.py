"""What runs while the vehicle has no cloud, and what a person switched: why a service is not to run now.

Rule 1: the cloud is away, and back, only after it was so for HOLD_S: a tunnel starts and stops nothing.
Rule 2: what a person said at the vehicle outweighs every policy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fairway.clock import NS_PER_S
from fairway.services.model import OnLoss, Service

HOLD_S = 10.0


@dataclass(frozen=True, slots=True)
class Link:
    """The way to the cloud, as it was looked at."""

    is_there: bool
    since_ns: int  # monotonic
    is_lost: bool = False  # settled: policies follow it

    @property
    def settles_ns(self) -> int | None:
        """When it settles if nothing changes; None: it has."""
        if self.is_lost == (not self.is_there):
            return None
        return self.since_ns + round(HOLD_S * NS_PER_S)


def looked(link: Link, *, is_there: bool, now_ns: int) -> Link:
    """Return the link after another look."""
    if is_there != link.is_there:
        link = Link(is_there, now_ns, link.is_lost)
    settles_ns = link.settles_ns
    if settles_ns is not None and now_ns >= settles_ns:
        return replace(link, is_lost=not link.is_there)
    return link


def holds(
    services: Iterable[Service], by_hand: Mapping[str, bool], *, is_lost: bool
) -> Mapping[str, str]:
    """Return of each service that is not to run why not."""
    services = tuple(services)
    stand_ins = {
        one.fall_back: one.name
        for one in services
        if is_lost and one.on_loss is OnLoss.FALL_BACK and by_hand.get(one.name) is None
    }
    held: dict[str, str] = {}
    for one in services:
        said = by_hand.get(one.name)
        if said is not None:
            why = "" if said else "it was stopped by hand"
        elif is_lost and one.on_loss is OnLoss.STOP:
            why = "the vehicle has no cloud, and it does not run without"
        elif one.name in stand_ins.values() and one.name not in stand_ins:
            why = f"the vehicle has no cloud, and {one.fall_back} runs in its place"
        elif not one.is_active and one.name not in stand_ins:
            why = "it is declared, but not active"
        else:
            why = ""
        if why:
            held[one.name] = why
    return held
