"""Commands to vehicles in SQL, and what became of them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row
from sqlalchemy.dialects import postgresql, sqlite

from fairway.control import (
    ActivateState,
    Answer,
    AnswerState,
    DeactivateState,
    ExecuteInService,
    ExplainCampaign,
    ExplainService,
    FetchServiceLogs,
    RestartService,
    SnapshotState,
    StopService,
    UploadPartition,
    What,
)
from fairway.identity import Scope
from fleet_cloud.adapters import registry_scope
from fleet_cloud.adapters.registry_campaign_tables import vehicle_commands
from fleet_cloud.adapters.registry_campaigns import PLAN_REVISION, moved_on
from fleet_cloud.adapters.registry_sql import Database, chunks
from fleet_cloud.control.ports import (
    Order,
    Vehicle,
)

# What is waited for at once; an operator with more open questions than this asks slower.
OPEN_MAX = 10_000
_WHATS: tuple[type[What], ...] = (
    ExplainCampaign,
    UploadPartition,
    ActivateState,
    DeactivateState,
    SnapshotState,
    FetchServiceLogs,
    ExplainService,
    RestartService,
    StopService,
    ExecuteInService,
)
_BY_NAME = {kind.__name__: kind for kind in _WHATS}
_NO_ANSWER = 0


class SqlCommands:
    """Keeps commands in the registry database."""

    def __init__(self, database: Database, region: str) -> None:
        self._database = database
        self._region = region
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def add_command(self, order: Order) -> None:
        with self._database.writing() as connection:
            moved_on(connection, self._region, PLAN_REVISION)  # or nobody would look
            values = registry_scope.row(
                Scope(self._region, order.vehicle.tenant),
                id=order.id,
                vehicle=order.vehicle.name,
                what=json.dumps([type(order.what).__name__, asdict(order.what)]),
                actor=order.actor,
                created_time_ns=order.created_time_ns,
                expires_time_ns=order.expires_time_ns,
                is_sent=order.is_sent,
                state=_NO_ANSWER,
                reason_code=0,
                sentence="",
                json="",
            )
            connection.execute(self._insert(vehicle_commands).values(values))

    def command(self, tenants: Collection[str] | None, command: str) -> Order | None:
        wanted = registry_scope.in_region(
            vehicle_commands, self._region, vehicle_commands.c.id == command
        )
        if tenants is not None:
            wanted = wanted.where(vehicle_commands.c.tenant.in_(sorted(tenants)))
        with self._database.reading() as connection:
            found = connection.execute(wanted).first()
        return None if found is None else _order(found)

    def open_commands(self, now_ns: int) -> list[Order]:
        wanted = registry_scope.in_region(
            vehicle_commands,
            self._region,
            vehicle_commands.c.expires_time_ns > now_ns,
            vehicle_commands.c.state == _NO_ANSWER,
        ).order_by(vehicle_commands.c.created_time_ns, vehicle_commands.c.id)
        with self._database.reading() as connection:
            return [_order(one) for one in connection.execute(wanted.limit(OPEN_MAX))]

    def mark_sent(self, orders: Sequence[Order]) -> list[Order]:
        by_id = {order.id: order for order in orders}
        ours = []
        with self._database.writing() as connection:
            for some in chunks(sorted(by_id)):
                marked = connection.execute(
                    registry_scope.changed_each(
                        vehicle_commands,
                        self._region,
                        vehicle_commands.c.id.in_(some),
                        vehicle_commands.c.is_sent.is_(False),
                    )
                    .values(is_sent=True)
                    .returning(vehicle_commands.c.id)
                )
                ours += [by_id[one.id] for one in marked]
        return ours

    def forget_commands(self, before_ns: int) -> None:
        with self._database.writing() as connection:
            connection.execute(
                registry_scope.removed_in_region(
                    vehicle_commands, self._region, vehicle_commands.c.expires_time_ns < before_ns
                )
            )

    def answered(self, answers: Sequence[tuple[Vehicle, Answer]]) -> None:
        with self._database.writing() as connection:
            for vehicle, answer in answers:
                note = registry_scope.changed(
                    vehicle_commands,
                    Scope(self._region, vehicle.tenant),
                    vehicle_commands.c.id == answer.id,
                    vehicle_commands.c.vehicle == vehicle.name,
                    vehicle_commands.c.state.in_([_NO_ANSWER, int(AnswerState.IN_PROGRESS)]),
                )
                connection.execute(
                    note.values(
                        state=int(answer.state),
                        reason_code=answer.reason_code,
                        sentence=answer.sentence.replace("\0", "\\0"),
                        json=answer.json.replace("\0", "\\0"),
                    )
                )


def _order(found: Row[Any]) -> Order:
    kind, fields = json.loads(found.what)
    answer = None
    if found.state != _NO_ANSWER:
        answer = Answer(
            found.id, AnswerState(found.state), found.reason_code, found.sentence, found.json
        )
    return Order(
        found.id,
        Vehicle(found.tenant, found.vehicle),
        _BY_NAME[kind](**{name: _frozen(value) for name, value in fields.items()}),
        found.actor,
        found.created_time_ns,
        found.expires_time_ns,
        is_sent=bool(found.is_sent),
        answer=answer,
    )


def _frozen(value: Any) -> Any:
    """Return what JSON says, as a command has it."""
    return tuple(value) if isinstance(value, list) else value
