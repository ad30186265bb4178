"""What vehicles say beside telemetry, in SQL: what they run, and what they last knew.

Rule 1: a check-in replaces the one before, whole; of one signal of a twin the latest value counts.
Rule 2: numbers of vehicles are bounded by what the columns take, and texts by what PostgreSQL does.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, func
from sqlalchemy.dialects import postgresql, sqlite

from fairway.control import (
    CampaignState,
    CampaignStatus,
    CheckIn,
    StateTemplateStatus,
    StateValue,
)
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaign_tables import campaign_states, check_ins, twins
from fleet_cloud.adapters.registry_sql import Database
from fleet_cloud.campaigns.ports import (
    CheckedIn,
)
from fleet_cloud.control.ports import (
    PAGE_MAX,
    Vehicle,
)

_INT64_MAX = 2**63 - 1
_COUNTS = (
    "triggers",
    "samples",
    "sent_bytes",
    "waiting_bytes",
    "dropped_samples",
    "held_back_bytes",
)


class SqlCheckIns:
    """Keeps what vehicles say in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        insert = sqlite.insert if database.is_sqlite else postgresql.insert
        note = insert(check_ins)
        self._note = note.on_conflict_do_update(
            index_elements=["region", "tenant", "vehicle"],
            set_={
                one.name: getattr(note.excluded, one.name)
                for one in check_ins.c
                if not one.primary_key
            },
        )
        value = insert(twins)
        self._report = value.on_conflict_do_update(
            index_elements=["region", "tenant", "vehicle", "name"],
            set_={
                one.name: getattr(value.excluded, one.name)
                for one in twins.c
                if not one.primary_key
            },
            where=twins.c.time_ns <= value.excluded.time_ns,
        )

    def note(self, checked_in: Sequence[CheckedIn]) -> None:
        if not checked_in:
            return
        ordered = sorted(checked_in, key=lambda one: one.vehicle)
        heads = [self._head(one) for one in ordered]
        statuses = [
            row
            for one in ordered
            for row in _by_key([self._status(one, s) for s in one.check_in.campaigns])
        ]
        gone = [
            {
                "of_region": self._region,
                "of_tenant": one.vehicle.tenant,
                "of_vehicle": one.vehicle.name,
            }
            for one in ordered
        ]
        with self._database.writing() as connection:
            connection.execute(self._note, heads)
            connection.execute(_FORGET, gone)
            if statuses:
                connection.execute(campaign_states.insert(), statuses)

    def check_in(self, vehicle: Vehicle) -> CheckedIn | None:
        scope = Scope(self._region, vehicle.tenant)
        with self._database.reading() as connection:
            head = connection.execute(
                registry_scope.chosen(check_ins, scope, check_ins.c.vehicle == vehicle.name)
            ).first()
            told = connection.execute(
                registry_scope.chosen(
                    campaign_states, scope, campaign_states.c.vehicle == vehicle.name
                ).order_by(campaign_states.c.sync_id)
            ).all()
        return None if head is None else _checked_in(head, [_status(one) for one in told])

    def statuses(
        self, tenant: str, sync_id: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[CheckedIn]:
        scope = Scope(self._region, tenant)
        wanted = (
            registry_scope.chosen(
                campaign_states,
                scope,
                campaign_states.c.sync_id == sync_id,
                campaign_states.c.vehicle > after,
            )
            .order_by(campaign_states.c.vehicle)
            .limit(min(limit, PAGE_MAX))
        )
        with self._database.reading() as connection:
            told = {one.vehicle: _status(one) for one in connection.execute(wanted)}
            heads = connection.execute(
                registry_scope.chosen(
                    check_ins, scope, check_ins.c.vehicle.in_(sorted(told))
                ).order_by(check_ins.c.vehicle)
            ).all()
        return [_checked_in(head, [told[head.vehicle]]) for head in heads]

    def state_counts(self, tenant: str, sync_id: str) -> Mapping[int, int]:
        wanted = registry_scope.chosen(
            campaign_states, Scope(self._region, tenant), campaign_states.c.sync_id == sync_id
        ).with_only_columns(campaign_states.c.state, func.count())
        with self._database.reading() as connection:
            found = connection.execute(wanted.group_by(campaign_states.c.state)).all()
        return {int(state): int(count) for state, count in found}

    def catalogues(self, tenant: str) -> Mapping[str, bytes]:
        wanted = registry_scope.chosen(check_ins, Scope(self._region, tenant)).with_only_columns(
            check_ins.c.vehicle, check_ins.c.catalogue_id
        )
        with self._database.reading() as connection:
            return {vehicle: bytes(named) for vehicle, named in connection.execute(wanted)}

    def report(
        self, reports: Sequence[tuple[Vehicle, str, Sequence[StateValue]]], now_ns: int
    ) -> None:
        latest: dict[tuple[Vehicle, str], dict[str, Any]] = {}
        for vehicle, template, values in reports:
            for one in values:
                known = latest.get((vehicle, one.name))
                if known is None or known["time_ns"] <= one.time_ns:
                    latest[vehicle, one.name] = registry_scope.row(
                        Scope(self._region, vehicle.tenant),
                        vehicle=vehicle.name,
                        name=_text(one.name),
                        time_ns=one.time_ns,
                        value=json.dumps(one.value),
                        template=_text(template),
                        received_time_ns=now_ns,
                    )
        if latest:
            rows = [latest[key] for key in sorted(latest)]
            with self._database.writing() as connection:
                connection.execute(self._report, rows)

    def twin(self, vehicle: Vehicle) -> list[tuple[StateValue, str]]:
        wanted = registry_scope.chosen(
            twins, Scope(self._region, vehicle.tenant), twins.c.vehicle == vehicle.name
        ).order_by(twins.c.name)
        with self._database.reading() as connection:
            return [
                (StateValue(one.name, one.time_ns, json.loads(one.value)), one.template)
                for one in connection.execute(wanted)
            ]

    def _head(self, one: CheckedIn) -> dict[str, Any]:
        said = one.check_in
        return registry_scope.row(
            Scope(self._region, one.vehicle.tenant),
            vehicle=one.vehicle.name,
            agent_version=_text(said.agent_version),
            time_ns=said.time_ns,
            received_time_ns=one.received_time_ns,
            campaigns_revision=_count(said.campaigns_revision),
            catalogue_id=said.catalogue_id,
            templates_revision=_count(said.state_templates_revision),
            templates=json.dumps([[t.name, t.is_active, t.reason] for t in said.state_templates]),
        )

    def _status(self, one: CheckedIn, status: CampaignStatus) -> dict[str, Any]:
        return registry_scope.row(
            Scope(self._region, one.vehicle.tenant),
            vehicle=one.vehicle.name,
            sync_id=status.sync_id,
            state=int(status.state),
            reason=_text(status.reason),
            warnings=json.dumps(status.warnings),
            **{name: _count(getattr(status, name)) for name in _COUNTS},
        )


_FORGET = registry_scope.removed_each(
    campaign_states, campaign_states.c.vehicle == bindparam("of_vehicle")
)


def _by_key(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each campaign: a vehicle that tells of one twice is believed the second time."""
    return list({row["sync_id"]: row for row in rows}.values())


def _text(text: str) -> str:
    return text.replace("\0", "\\0")  # PostgreSQL keeps no NUL in a text


def _count(number: int) -> int:
    return min(number, _INT64_MAX)


def _checked_in(head: Row[Any], statuses: Sequence[CampaignStatus]) -> CheckedIn:
    check_in = CheckIn(
        head.agent_version,
        head.time_ns,
        head.campaigns_revision,
        tuple(statuses),
        bytes(head.catalogue_id),
        head.templates_revision,
        tuple(StateTemplateStatus(*one) for one in json.loads(head.templates)),
    )
    return CheckedIn(Vehicle(head.tenant, head.vehicle), check_in, head.received_time_ns)


def _status(found: Row[Any]) -> CampaignStatus:
    return CampaignStatus(
        found.sync_id,
        CampaignState(found.state),
        found.reason,
        tuple(json.loads(found.warnings)),
        **{name: getattr(found, name) for name in _COUNTS},
    )
