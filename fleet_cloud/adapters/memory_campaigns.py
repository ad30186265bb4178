"""What campaigns keep, in memory, for trials and tests: nothing outlives the process."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from fairway.control import Answer, AnswerState, StateTemplate, StateValue
from fairway.errors import Conflict
from fleet_cloud.campaigns.life import State
from fleet_cloud.campaigns.model import (
    Kept,
)
from fleet_cloud.campaigns.ports import (
    Changes,
    CheckedIn,
)
from fleet_cloud.control.aims import (
    NOTHING,
)
from fleet_cloud.control.ports import (
    PAGE_MAX,
    REPORTED_MAX,
    ListKind,
    Order,
    Revised,
    Vehicle,
    Wanted,
)
from fleet_cloud.control.targets import (
    Facts,
)


class MemoryCampaigns:
    """Keeps what is wanted of vehicles, and numbers their lists."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revision = 0
        self._kept: dict[tuple[str, str], Kept] = {}
        self._facts: dict[Vehicle, Facts] = {}
        self._templates: dict[str, dict[str, StateTemplate]] = {}
        self._changed: dict[tuple[str, object], int] = {}
        self._lists: dict[tuple[ListKind, Vehicle], tuple[Revised, int]] = {}

    def step(self) -> int:
        """Move the plan's revision on, and return it."""
        with self._lock:
            self._revision += 1
            return self._revision

    def add(self, kept: Kept) -> None:
        with self._lock:
            if self._campaign(kept.tenant, kept.name) is not None:
                raise Conflict(
                    f"there is a campaign called {kept.name} already: choose another name"
                )
            self._put(kept)

    def change(self, kept: Kept) -> bool:
        with self._lock:
            known = self._campaign(kept.tenant, kept.name)
            if known is None or known.version != kept.version - 1:
                return False
            self._put(kept)
            return True

    def campaign(self, tenant: str, name: str) -> Kept | None:
        with self._lock:
            return self._campaign(tenant, name)

    def campaigns(
        self, *, tenants: Collection[str] | None = None, after: str = "", limit: int = PAGE_MAX
    ) -> list[Kept]:
        tenant, _, name = after.partition("/")
        with self._lock:
            found = [
                self._kept[key]
                for key in sorted(self._kept)
                if key > (tenant, name)
                and (tenants is None or key[0] in tenants)
                and self._kept[key].state is not State.DELETED
            ]
        return found[: min(limit, PAGE_MAX)]

    def put_facts(self, vehicle: Vehicle, facts: Facts) -> None:
        with self._lock:
            self._facts[vehicle] = facts
            self._note("facts", vehicle)

    def facts(self, vehicle: Vehicle) -> Facts:
        with self._lock:
            return self._facts.get(vehicle, Facts())

    def all_facts(self, tenant: str) -> dict[str, Facts]:
        with self._lock:
            return {of.name: facts for of, facts in self._facts.items() if of.tenant == tenant}

    def put_template(self, tenant: str, template: StateTemplate) -> bool:
        with self._lock:
            of_tenant = self._templates.setdefault(tenant, {})
            is_new = template.name not in of_tenant
            of_tenant[template.name] = template
            self._note("templates", tenant)
            return is_new

    def delete_template(self, tenant: str, name: str) -> bool:
        with self._lock:
            if self._templates.get(tenant, {}).pop(name, None) is None:
                return False
            self._note("templates", tenant)
            return True

    def templates(self, tenant: str) -> list[StateTemplate]:
        with self._lock:
            return self._templates_of(tenant)

    def changes(self, after: int) -> Changes:
        with self._lock:
            if self._revision == after:
                return Changes(after)
            changed = {key for key, at in self._changed.items() if at > after}
            return Changes(
                self._revision,
                tuple(one for key, one in self._kept.items() if ("campaign", key) in changed),
                tuple((key, one) for key, one in self._facts.items() if ("facts", key) in changed),
                {
                    tenant: tuple(self._templates_of(tenant))
                    for tenant in self._templates
                    if ("templates", tenant) in changed
                },
            )

    def revise(
        self, kind: ListKind, wanted: Sequence[Wanted], basis: int
    ) -> dict[Vehicle, Revised]:
        with self._lock:
            return {one.vehicle: self._revised(kind, one, basis) for one in wanted}

    def _revised(self, kind: ListKind, one: Wanted, basis: int) -> Revised:
        none = (Revised(0, NOTHING, is_new=False), 0)
        known, of = self._lists.get((kind, one.vehicle), none)
        reported = min(one.reported, REPORTED_MAX)
        is_ahead = reported > known.revision
        if of > basis or (one.digest == known.digest and not is_ahead):
            return known
        fresh = Revised(max(known.revision, reported) + 1, one.digest, is_new=True)
        self._lists[kind, one.vehicle] = (replace(fresh, is_new=False), basis)
        return fresh

    def _campaign(self, tenant: str, name: str) -> Kept | None:
        known = self._kept.get((tenant, name))
        return None if known is None or known.state is State.DELETED else known

    def _put(self, kept: Kept) -> None:
        self._kept[kept.tenant, kept.name] = kept
        self._note("campaign", (kept.tenant, kept.name))

    def _note(self, kind: str, key: object) -> None:
        self._revision += 1
        self._changed[kind, key] = self._revision

    def _templates_of(self, tenant: str) -> list[StateTemplate]:
        of_tenant = self._templates.get(tenant, {})
        return [of_tenant[name] for name in sorted(of_tenant)]


class MemoryCheckIns:
    """Keeps what vehicles say."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Vehicle, CheckedIn] = {}
        self._twins: dict[Vehicle, dict[str, tuple[StateValue, str]]] = {}

    def note(self, checked_in: Sequence[CheckedIn]) -> None:
        with self._lock:
            for one in checked_in:
                by_id = {status.sync_id: status for status in one.check_in.campaigns}
                told = tuple(by_id[name] for name in sorted(by_id))
                self._kept[one.vehicle] = replace(
                    one,
                    check_in=replace(
                        one.check_in, campaigns=told, services_revision=None, services=()
                    ),
                )

    def check_in(self, vehicle: Vehicle) -> CheckedIn | None:
        with self._lock:
            return self._kept.get(vehicle)

    def statuses(
        self, tenant: str, sync_id: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[CheckedIn]:
        with self._lock:
            found = [
                replace(
                    one,
                    check_in=replace(
                        one.check_in,
                        campaigns=tuple(s for s in one.check_in.campaigns if s.sync_id == sync_id),
                    ),
                )
                for vehicle, one in sorted(self._kept.items())
                if vehicle.tenant == tenant and vehicle.name > after
            ]
        return [one for one in found if one.check_in.campaigns][: min(limit, PAGE_MAX)]

    def state_counts(self, tenant: str, sync_id: str) -> Mapping[int, int]:
        counts: dict[int, int] = {}
        with self._lock:
            for vehicle, one in self._kept.items():
                for status in one.check_in.campaigns:
                    if vehicle.tenant == tenant and status.sync_id == sync_id:
                        counts[int(status.state)] = counts.get(int(status.state), 0) + 1
        return counts

    def catalogues(self, tenant: str) -> Mapping[str, bytes]:
        with self._lock:
            return {
                vehicle.name: one.check_in.catalogue_id
                for vehicle, one in self._kept.items()
                if vehicle.tenant == tenant
            }

    def report(
        self, reports: Sequence[tuple[Vehicle, str, Sequence[StateValue]]], now_ns: int
    ) -> None:
        del now_ns
        with self._lock:
            for vehicle, template, values in reports:
                twin = self._twins.setdefault(vehicle, {})
                for one in values:
                    if one.name not in twin or twin[one.name][0].time_ns <= one.time_ns:
                        twin[one.name] = (one, template)

    def twin(self, vehicle: Vehicle) -> list[tuple[StateValue, str]]:
        with self._lock:
            twin = self._twins.get(vehicle, {})
            return [twin[name] for name in sorted(twin)]


class MemoryCommands:
    """Keeps commands."""

    def __init__(self, campaigns: MemoryCampaigns) -> None:
        self._lock = threading.Lock()
        self._campaigns = campaigns
        self._orders: dict[str, Order] = {}

    def add_command(self, order: Order) -> None:
        with self._lock:
            self._orders[order.id] = order
        self._campaigns.step()

    def command(self, tenants: Collection[str] | None, command: str) -> Order | None:
        with self._lock:
            order = self._orders.get(command)
        is_theirs = order is not None and (tenants is None or order.vehicle.tenant in tenants)
        return order if is_theirs else None

    def open_commands(self, now_ns: int) -> list[Order]:
        with self._lock:
            return sorted(
                (
                    one
                    for one in self._orders.values()
                    if one.expires_time_ns > now_ns and one.answer is None
                ),
                key=lambda one: (one.created_time_ns, one.id),
            )

    def mark_sent(self, orders: Sequence[Order]) -> list[Order]:
        with self._lock:
            ours = [one for one in orders if not self._orders[one.id].is_sent]
            for one in ours:
                self._orders[one.id] = replace(self._orders[one.id], is_sent=True)
            return ours

    def forget_commands(self, before_ns: int) -> None:
        with self._lock:
            self._orders = {
                name: one for name, one in self._orders.items() if one.expires_time_ns >= before_ns
            }

    def answered(self, answers: Sequence[tuple[Vehicle, Answer]]) -> None:
        with self._lock:
            for vehicle, answer in answers:
                order = self._orders.get(answer.id)
                if order is None or order.vehicle != vehicle:
                    continue
                if order.answer is None or order.answer.state is AnswerState.IN_PROGRESS:
                    self._orders[answer.id] = replace(order, answer=answer)
