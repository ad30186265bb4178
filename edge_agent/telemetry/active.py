"""Which campaigns run now: by lists from the cloud, documents of our own, and the wall clock.

    READY --start--> RUNNING <--list--> SUSPENDED        REFUSED: it cannot run here
      '------------------'---expiry---> EXPIRED

Rule 1: a list replaces the list before; documents of our own run beside it.  The same content runs once.
Rule 2: a campaign that collects no more (suspended, expired, or gone with something left to send) still has
        the conditions of its partitions evaluated: what waits is sent under them.
Rule 3: whoever does not run has a sentence that says why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.telemetry.partitions import Key, Terms, dormant, terms_of
from fairway.campaign.document import sync_id
from fairway.campaign.model import Campaign
from fairway.control import CampaignList, CampaignOrder, CampaignState


@dataclass(frozen=True, slots=True)
class Standing:
    """How one campaign stands, before the engine is asked."""

    order: CampaignOrder
    state: CampaignState


@dataclass(frozen=True, slots=True)
class Plan:
    """What the engine is to run, and what that means for partitions."""

    standings: tuple[Standing, ...]
    campaigns: tuple[Campaign, ...]  # for the engine
    owners: Mapping[str, str]  # the engine's sync id -> the one we were given
    terms: Mapping[Key, Terms]
    next_change_ns: int | None  # wall clock: when a campaign starts or expires


@dataclass(frozen=True, slots=True)
class Orders:
    """Everything that was ordered."""

    revision: int = 0
    cloud: tuple[CampaignOrder, ...] = ()
    own: tuple[CampaignOrder, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()  # sync id, reason

    @property
    def all(self) -> tuple[CampaignOrder, ...]:
        """Return every order once, the cloud's first."""
        found = {order.sync_id: order for order in (*self.own, *self.cloud)}
        return tuple(found.values())

    def by_name(self, name: str) -> CampaignOrder | None:
        """Return the campaign of a name or a sync id."""
        return next((one for one in self.all if name in (one.sync_id, one.campaign.name)), None)


def with_list(orders: Orders, said: CampaignList) -> Orders:
    """Return the orders after a list of the cloud has come."""
    return Orders(said.revision, said.campaigns, orders.own, said.unreadable)


def state_of(order: CampaignOrder, now_ns: int) -> CampaignState:
    """Return how a campaign stands at a time of the wall clock."""
    campaign = order.campaign
    if campaign.expiry_time_ns is not None and now_ns >= campaign.expiry_time_ns:
        return CampaignState.EXPIRED
    if order.is_suspended:
        return CampaignState.SUSPENDED
    if campaign.start_time_ns is not None and now_ns < campaign.start_time_ns:
        return CampaignState.READY
    return CampaignState.RUNNING


def plan_of(orders: Orders, gone: Iterable[Terms], now_ns: int) -> Plan:
    """Return what is to run; `gone` are partitions of campaigns that were ordered once."""
    standings = tuple(Standing(order, state_of(order, now_ns)) for order in orders.all)
    draft = _Draft()
    for one in standings:
        order, terms = one.order, terms_of(one.order.sync_id, one.order.campaign)
        draft.terms |= {each.key: each for each in terms}
        if one.state is CampaignState.RUNNING:
            draft.add(order.campaign, order.sync_id)
        elif one.state is not CampaignState.READY:
            draft.add(dormant(terms), order.sync_id)
    known = {one.order.sync_id for one in standings}
    for campaign, owner in _gone_campaigns(gone, known):
        draft.add(campaign, owner)
    return Plan(
        standings,
        tuple(draft.campaigns),
        draft.owners,
        draft.terms,
        _next_change_ns(orders.all, now_ns),
    )


@dataclass(slots=True)
class _Draft:
    campaigns: list[Campaign] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    terms: dict[Key, Terms] = field(default_factory=dict)

    def add(self, campaign: Campaign | None, owner: str) -> None:
        if campaign is not None and sync_id(campaign) not in self.owners:
            self.owners[sync_id(campaign)] = owner
            self.campaigns.append(campaign)


def _gone_campaigns(gone: Iterable[Terms], known: set[str]) -> list[tuple[Campaign | None, str]]:
    by_owner: dict[str, list[Terms]] = {}
    for terms in gone:
        if terms.key.campaign not in known:
            by_owner.setdefault(terms.key.campaign, []).append(terms)
    return [(dormant(all_), owner) for owner, all_ in by_owner.items()]


def _next_change_ns(orders: Sequence[CampaignOrder], now_ns: int) -> int | None:
    times = [
        time_ns
        for order in orders
        for time_ns in (order.campaign.start_time_ns, order.campaign.expiry_time_ns)
        if time_ns is not None and time_ns > now_ns
    ]
    return min(times, default=None)
