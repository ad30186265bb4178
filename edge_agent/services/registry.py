"""Who offers what to whom: of all offers those that both manifests agree on, and a sentence for each other one.

    B offers battery.health 1.2.0 to [trip-log]    and    trip-log uses battery.health ^1.2    ->    it may call
                            '--- names the user                    '--- names the offer

Rule 1: without both names there is no call, and no socket either: nothing that a service does changes that.
Rule 2: of several that fit the one with the highest version is taken, then the first by name: always the same.
Rule 3: a service does not learn that there is an offer that is not for it; who operates the vehicle does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edge_agent.services.instance import Instance
from fairway.errors import Denied
from fairway.services.model import Offer, Service, Use
from fairway.services.ranges import range_of, version_of


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer of an instance that is in force."""

    offer: Offer
    service: str
    instance: str
    features: tuple[str, ...] = ()  # as it announced them
    is_ready: bool = True


@dataclass(frozen=True, slots=True)
class Announced:
    """What an instance said of one of its offers."""

    features: tuple[str, ...]
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """An offer as one service sees it; without `offered` a use that leads nowhere."""

    name: str
    offered: Offered | None = None
    is_own: bool = False
    why: str = ""  # why it cannot be called now, as its user may know it; "": it can be
    denial: str = (
        ""  # why it never will be while the manifests are these, for who operates the vehicle
    )

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same offer at another time: its name, and who offers it."""
        return self.name, "" if self.offered is None else self.offered.service

    @property
    def is_open(self) -> bool:
        """Whether it may be called now."""
        return not self.why and not self.is_own


# By instance and offer.
Announcements = Mapping[tuple[str, str], Announced]


def offered(
    active: Mapping[str, Instance], announced: Announcements | None = None
) -> tuple[Offered, ...]:
    """Return all offers of the instances that are in force, by name and service."""
    found = []
    for instance in active.values():
        for offer in instance.service.offers:
            said = (announced or {}).get((instance.id, offer.name))
            one = Offered(offer, instance.service.name, instance.id, offer.features)
            if said is not None:
                one = replace(one, features=said.features, is_ready=said.is_ready)
            found.append(one)
    return tuple(sorted(found, key=lambda one: (one.offer.name, one.service)))


def sights(user: Service, offers: Iterable[Offered], instance: str = "") -> tuple[Sight, ...]:
    """Return what `user` sees: its own offers (of `instance`), its uses, and what else it could use."""
    offers = tuple(offers)
    own = [
        Sight(one.offer.name, one, is_own=True, why="it is your own")
        for one in offers
        if one.service == user.name and one.instance == (instance or one.instance)
    ]
    others = [one for one in offers if one.service != user.name]
    uses = [_used(user, use, others) for use in user.uses]
    named = {use.name for use in user.uses}
    open_to = [
        Sight(one.offer.name, one, why=f"the manifest of {user.name} does not name it under uses")
        for one in others
        if user.name in one.offer.to and one.offer.name not in named
    ]
    return tuple(sorted((*own, *uses, *open_to), key=lambda sight: sight.key))


def differences(
    before: Iterable[Sight], after: Iterable[Sight]
) -> tuple[tuple[Sight, ...], tuple[Sight, ...]]:
    """Return what is new or otherwise in `after`, and which offers were in `before` alone."""
    old = {sight.key: sight for sight in before}
    new = {sight.key: sight for sight in after}
    changed = tuple(sight for key, sight in new.items() if old.get(key) != sight)
    gone = [sight for key, sight in old.items() if key not in new and sight.offered is not None]
    return changed, tuple(gone)


def announce(
    service: Service, name: str, features: tuple[str, ...], *, is_ready: bool
) -> Announced:
    """Return what a service says of an offer.  Raises Denied for what its manifest does not say."""
    offer = next((one for one in service.offers if one.name == name), None)
    if offer is None:
        raise Denied(f"the manifest of {service.name} offers no {name[:80]!r}")
    more = [feature[:80] for feature in features if feature not in offer.features]
    if more:
        raise Denied(
            f"the manifest of {service.name} gives {name} no feature {more[0]!r}: name it there first"
        )
    return Announced(features or offer.features, is_ready)


def _used(user: Service, use: Use, others: Iterable[Offered]) -> Sight:
    """Return what a use of a manifest leads to."""
    named = [one for one in others if one.offer.name == use.name]
    nobody = f"nobody offers {use.name} to {user.name} now"
    if not named:
        return Sight(use.name, why=nobody)
    allowed = [one for one in named if user.name in one.offer.to]
    if not allowed:
        who = " and ".join(one.service for one in named)
        return Sight(
            use.name,
            why=nobody,
            denial=f"{who} offers {use.name}, and not to {user.name}: its manifest does not name it under to",
        )
    wanted = range_of(use.version)
    fitting = [one for one in allowed if wanted.has(version_of(one.offer.version))]
    if not fitting:
        there = ", ".join(f"{one.service} {one.offer.version}" for one in allowed)
        sentence = f"{use.name} is offered by {there}, and {user.name} wants {wanted}"
        return Sight(use.name, why=sentence, denial=sentence)
    best = max(fitting, key=lambda one: (one.is_ready, version_of(one.offer.version)))
    why = "" if best.is_ready else f"{best.service} says that {use.name} is not ready"
    return Sight(use.name, best, why=why)
