"""Campaigns in memory, for trials and tests: nothing outlives the process, and no vehicle hears of them."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from fleet_cloud.models.campaigns import (
    CAMPAIGN,
    Asker,
    CampaignStatus,
    KeptCampaign,
    Move,
    moved,
)
from fleet_cloud.models.refusals import InTheWay, NotThere

_STATES = {
    CampaignStatus.CREATING: "CREATED",
    CampaignStatus.WAITING_FOR_APPROVAL: "CREATED",
    CampaignStatus.RUNNING: "READY",
    CampaignStatus.SUSPENDED: "SUSPENDED",
}


class MemoryCampaigns:
    """Keeps campaigns for as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], KeptCampaign] = {}

    def create(self, asker: Asker, document: Mapping[str, Any]) -> None:
        name = document["name"]
        with self._lock:
            if (asker.tenant, name) in self._kept:
                raise InTheWay(CAMPAIGN, name, f"there is a campaign called {name} already")
            self._kept[asker.tenant, name] = KeptCampaign(
                name, document, CampaignStatus.WAITING_FOR_APPROVAL, asker.now_ns, asker.now_ns
            )

    def campaign(self, tenant: str, name: str) -> KeptCampaign | None:
        with self._lock:
            return self._kept.get((tenant, name))

    def listed(
        self, tenant: str, *, after: str = "", limit: int, status: str = ""
    ) -> list[KeptCampaign]:
        with self._lock:
            found = [
                one
                for (owner, name), one in sorted(self._kept.items())
                if owner == tenant and name > after and status in ("", one.status)
            ]
        return found[:limit]

    def move(self, asker: Asker, name: str, move: Move, changes: Mapping[str, Any]) -> KeptCampaign:
        with self._lock:
            found = self._found(asker.tenant, name)
            status = moved(name, found.status, move)
            document = {**found.document, **changes} if move is Move.UPDATE else found.document
            after = replace(found, document=document, status=status, changed_time_ns=asker.now_ns)
            self._kept[asker.tenant, name] = after
        return after

    def remove(self, asker: Asker, name: str) -> KeptCampaign:
        with self._lock:
            found = self._found(asker.tenant, name)
            del self._kept[asker.tenant, name]
        return found

    def of_vehicle(
        self,
        tenant: str,
        vehicle: str,  # noqa: ARG002 - vehicles say nothing of campaigns in memory
        targets: Collection[str],
        *,
        after: str = "",
        limit: int,
    ) -> list[tuple[str, str]]:
        with self._lock:
            found = [
                (name, _STATES[one.status])
                for (owner, name), one in sorted(self._kept.items())
                if owner == tenant and name > after and one.document["targetArn"] in targets
            ]
        return found[:limit]

    def _found(self, tenant: str, name: str) -> KeptCampaign:
        found = self._kept.get((tenant, name))
        if found is None:
            raise NotThere(CAMPAIGN, name)
        return found
