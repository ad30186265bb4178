"""Campaigns as FleetWise's clients see them, over the service that has them.

    FleetWise                 here
    WAITING_FOR_APPROVAL      WAITING_FOR_APPROVAL, and APPROVED: approved elsewhere, and not started yet
    APPROVE                   approve, then start
    CREATED                   vehicles are not told of it yet
    READY                     it is told, and has not said that it runs it
    HEALTHY                   it has said so

Rule 1: what a document says is read and checked by the service's own reader, and said again from there.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fairway.campaign.document import campaign_document
from fairway.control import CampaignState
from fairway.errors import Conflict
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.ports import (
    PlanKeeper,
    Said,
)
from fleet_cloud.campaigns.service import Service
from fleet_cloud.campaigns.wishes import wish_of
from fleet_cloud.control.aims import Fleets
from fleet_cloud.control.ports import (
    PAGE_MAX,
    Vehicle,
)
from fleet_cloud.control.targets import (
    checked_facts,
)
from fleet_cloud.models.campaigns import Asker, KeptCampaign, Move
from fleet_cloud.models.documents import Kind
from fleet_cloud.models.refusals import InTheWay, NotThere

_HEALTHY = (CampaignState.READY, CampaignState.RUNNING)


class ServiceCampaigns:
    """Acts on campaigns for the FleetWise door."""

    def __init__(
        self, service: Service, plan: PlanKeeper, said: Said, poke: Callable[[], None]
    ) -> None:
        self._service, self._plan, self._said, self._poke = service, plan, said, poke

    def create(self, asker: Asker, document: Mapping[str, Any]) -> None:
        wish = wish_of(dict(document))
        with _in_the_way(wish.campaign.name):
            self._service.create(asker.tenant, wish, actor=asker.actor, now_ns=asker.now_ns)

    def campaign(self, tenant: str, name: str) -> KeptCampaign | None:
        found = self._plan.campaign(tenant, name)
        return None if found is None else _seen(found)

    def listed(
        self, tenant: str, *, after: str = "", limit: int, status: str = ""
    ) -> list[KeptCampaign]:
        found: list[KeptCampaign] = []
        for kept in self._behind(tenant, after):
            seen = _seen(kept)
            if status in ("", seen.status):
                found.append(seen)
                if len(found) == limit:
                    break
        return found

    def move(self, asker: Asker, name: str, move: Move, changes: Mapping[str, Any]) -> KeptCampaign:
        kept = self._kept(asker.tenant, name)
        with _in_the_way(name):
            moved = self._moved(asker, kept, move, changes)
        self._poke()
        return _seen(moved)

    def _moved(self, asker: Asker, kept: Kept, move: Move, changes: Mapping[str, Any]) -> Kept:
        actor, now_ns = asker.actor, asker.now_ns
        match move:
            case Move.APPROVE:
                if kept.state is not State.APPROVED:
                    kept = self._service.approve(kept, actor=actor, now_ns=now_ns)
                return self._service.start(kept, actor=actor, now_ns=now_ns)
            case Move.SUSPEND:
                return self._service.suspend(kept, actor=actor, now_ns=now_ns)
            case Move.RESUME:
                return self._service.resume(kept, actor=actor, now_ns=now_ns)
            case Move.UPDATE:
                document = {**campaign_document(kept.campaign), **changes}
                wish = replace(
                    wish_of(document),
                    target=kept.target,
                    stages=kept.stages,
                    max_refused_percent=kept.max_refused_percent,
                )
                return self._service.change(kept, wish, actor=actor, now_ns=now_ns)

    def remove(self, asker: Asker, name: str) -> None:
        kept = self._kept(asker.tenant, name)
        with _in_the_way(name):
            self._service.delete(kept, actor=asker.actor, now_ns=asker.now_ns)
        self._poke()

    def belongs(self, tenant: str, vehicle: str, fleets: Mapping[str, bool]) -> None:
        named = Vehicle(tenant, vehicle)
        known = self._plan.facts(named)
        left = {fleet for fleet, belongs in fleets.items() if not belongs}
        after = (known.fleets - left) | (fleets.keys() - left)
        if after != known.fleets:
            self._plan.put_facts(named, checked_facts(replace(known, fleets=frozenset(after))))
            self._poke()

    def of_vehicle(
        self, tenant: str, vehicle: str, *, after: str = "", limit: int
    ) -> list[tuple[str, str]]:
        fleets = Fleets(lambda: {vehicle: tenant})
        fleets.put(tenant, vehicle, self._plan.facts(Vehicle(tenant, vehicle)))
        checked_in = self._said.check_in(Vehicle(tenant, vehicle))
        said = (
            {one.sync_id: one.state for one in checked_in.check_in.campaigns} if checked_in else {}
        )
        found: list[tuple[str, str]] = []
        for kept in self._behind(tenant, after):
            if vehicle in fleets.meant(tenant, kept.target):
                found.append((kept.name, _there(kept, said.get(kept.sync_id))))
                if len(found) == limit:
                    break
        return found

    def _kept(self, tenant: str, name: str) -> Kept:
        found = self._plan.campaign(tenant, name)
        if found is None:
            raise NotThere(Kind.CAMPAIGN, name)
        return found

    def _behind(self, tenant: str, after: str) -> Iterator[Kept]:
        place = f"{tenant}/{after}" if after else ""
        while page := self._plan.campaigns(tenants=[tenant], after=place, limit=PAGE_MAX):
            yield from page
            place = f"{tenant}/{page[-1].name}"


@contextmanager
def _in_the_way(name: str) -> Iterator[None]:
    try:
        yield
    except Conflict as error:
        raise InTheWay(Kind.CAMPAIGN, name, str(error)) from error


def _seen(kept: Kept) -> KeptCampaign:
    waits = kept.state is State.APPROVED
    return KeptCampaign(
        kept.name,
        campaign_document(kept.campaign),
        State.WAITING_FOR_APPROVAL.value if waits else kept.state.value,
        kept.created_time_ns,
        kept.changed_time_ns,
    )


def _there(kept: Kept, said: CampaignState | None) -> str:
    """Return FleetWise's word for how a campaign stands in a vehicle that says this of it."""
    if not kept.state.is_in_vehicles:
        return "CREATED"
    if kept.state is State.SUSPENDED:
        return "SUSPENDED"
    return "HEALTHY" if said in _HEALTHY else "READY"
