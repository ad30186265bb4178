"""How campaigns stand, and why: what the engine, the budgets and the partitions know, put together."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from edge_agent.adapters.campaign_fetches import Fetches
from edge_agent.adapters.campaigns import Campaigns
from edge_agent.adapters.purse import BudgetPurse
from edge_agent.functions.report import Report
from edge_agent.telemetry.active import Standing
from edge_agent.telemetry.budgets import VEHICLE
from edge_agent.telemetry.campaign_counts import CampaignNumbers
from edge_agent.telemetry.explain import sentences
from edge_agent.telemetry.partitions import Holding
from fairway.clock import Clock
from fairway.control import CampaignState, CampaignStatus
from fairway.errors import BadInput


class CampaignStatuses:
    """Reads all of them; changes nothing."""

    def __init__(
        self,
        campaigns: Campaigns,
        purse: BudgetPurse,
        fetches: Fetches,
        clock: Clock,
        is_connected: Callable[[], bool],
    ) -> None:
        self._campaigns, self._purse, self._fetches = campaigns, purse, fetches
        self._clock, self._is_connected = clock, is_connected
        # What there is to say of a campaign's custom functions; None: it has none.
        self.functions: Callable[[str], Report | None] = lambda _: None

    def all(self) -> tuple[CampaignStatus, ...]:
        """Return how every campaign stands, those that cannot be read among them."""
        holdings: dict[str, list[Holding]] = {}
        for one in self._campaigns.partitions.holdings():
            holdings.setdefault(one.key.campaign, []).append(one)
        plan, orders = self._campaigns.plan, self._campaigns.orders
        reports = self._reports()
        return (
            *(
                self._status(one, holdings.get(one.order.sync_id, []), reports)
                for one in plan.standings
            ),
            *(
                CampaignStatus(sync_id, CampaignState.REFUSED, reason)
                for sync_id, reason in orders.unreadable
            ),
        )

    def _status(
        self, standing: Standing, holdings: list[Holding], reports: dict[str, Report]
    ) -> CampaignStatus:
        sync_id = standing.order.sync_id
        verdict = self._campaigns.verdicts.get(sync_id)
        refused = verdict.refused if verdict and standing.state is CampaignState.RUNNING else None
        counts = self._campaigns.counts.of(sync_id)
        waiting = sum(one.size_bytes for one in holdings)
        held_back = self._purse.why(sync_id)
        warnings = verdict.warnings if verdict and refused is None else ()
        return CampaignStatus(
            sync_id,
            standing.state if refused is None else CampaignState.REFUSED,
            refused or "",
            (
                *warnings,
                *(reports[sync_id].sentences if sync_id in reports else ()),
                *([f"held back: {held_back}"] if held_back else []),
            ),
            triggers=counts.triggers,
            samples=counts.samples,
            sent_bytes=counts.sent_bytes,
            waiting_bytes=waiting,
            dropped_samples=counts.dropped_samples + self._dropped(sync_id),
            held_back_bytes=waiting if held_back else 0,
        )

    def _reports(self) -> dict[str, Report]:
        """Return what there is to say of custom functions, by campaign."""
        found = {owner: self.functions(id_) for id_, owner in self._campaigns.plan.owners.items()}
        return {owner: report for owner, report in found.items() if report is not None}

    def _dropped(self, sync_id: str) -> int:
        counts = self._campaigns.partitions.shelf.counts
        return counts[sync_id].dropped_samples if sync_id in counts else 0

    def numbers(self) -> CampaignNumbers:
        """Return what there is to tell of all campaigns together."""
        statuses, partitions = self.all(), self._campaigns.partitions
        batches = self._campaigns.batches
        states = Counter(one.state.name.lower() for one in statuses)
        holdings, counts = partitions.holdings(), partitions.shelf.counts.values()
        reports = self._reports().values()
        return CampaignNumbers(
            {state.name.lower(): states[state.name.lower()] for state in CampaignState},
            events=batches.events,
            lateness=batches.lateness,
            samples=batches.samples,
            batches=sum(one.batches for one in counts),
            batch_bytes=sum(one.request_bytes for one in counts),
            dropped_samples=sum(one.dropped_samples for one in counts),
            partitions=sum(one.waiting > 0 for one in holdings),
            waiting_batches=sum(one.waiting for one in holdings),
            waiting_bytes=sum(one.size_bytes for one in holdings),
            held_back=sum(one.held_back_bytes > 0 for one in statuses),
            disk_failing=int(partitions.shelf.is_failing),
            function_calls=sum(one.calls for one in reports),
            function_failures=sum(one.errors + one.undefined for one in reports),
        )

    def listed(self) -> list[dict[str, Any]]:
        """Return every campaign for people."""
        names = {one.sync_id: one.campaign.name for one in self._campaigns.orders.all}
        return [
            asdict(one) | {"name": names.get(one.sync_id, ""), "state": one.state.name}
            for one in self.all()
        ]

    def why(self, name: str) -> dict[str, Any]:
        """Return why a campaign, by its name or sync id, sends what it sends.  Raises BadInput."""
        order = self._campaigns.orders.by_name(name)
        if order is None:
            known = ", ".join(one.campaign.name for one in self._campaigns.orders.all) or "none"
            raise BadInput(f"no campaign is called {name!r}; this vehicle has {known}")
        status = next(one for one in self.all() if one.sync_id == order.sync_id)
        why = {
            "name": order.campaign.name,
            "status": asdict(status) | {"state": status.state.name},
            "time_ns": self._clock.now_ns(),
            "start_time_ns": order.campaign.start_time_ns,
            "expiry_time_ns": order.campaign.expiry_time_ns,
            "engine": self._engine(order.sync_id),
            "budget": {
                "held_back": self._purse.why(order.sync_id) or self._purse.why(VEHICLE),
                "campaign": self._purse.budgets.spent(order.sync_id),
                "vehicle": self._purse.budgets.spent(VEHICLE),
            },
            "partitions": self._campaigns.partitions.explained(order.sync_id),
            "fetches_failed": {
                fetch.name: self._fetches.failed[fetch.name]
                for fetch in order.campaign.fetches or ()
                if fetch.name in self._fetches.failed
            },
            "is_connected": self._is_connected(),
        }
        return why | {"sentences": sentences(why)}

    def _engine(self, sync_id: str) -> dict[str, Any] | None:
        """Return what the engine says of a campaign that it runs."""
        plan = self._campaigns.plan
        for standing in plan.standings:
            if standing.order.sync_id == sync_id and standing.state is CampaignState.RUNNING:
                found = self._campaigns.engine.why(standing.order.campaign.name)
                return asdict(found)
        return None
