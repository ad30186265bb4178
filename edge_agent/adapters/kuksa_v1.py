"""Serves `kuksa.val.v1` at the on-board door: what kuksa-client 0.6 still asks of it, and older apps.

    Get, Set, StreamedUpdate, Subscribe, GetServerInfo        values, target values and metadata of entries

Rule 1: rights are asked for each path; errors of entries are in the answer, with the status codes of HTTP.
Rule 2: a target value that is set goes to who provides the actuator, if somebody does, and to who subscribed to
        targets here: apps of v1 act on those.
Rule 3: a subscription keeps the newest value of each signal for a slow reader: v1 knows no buffer.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
import grpc.aio

from edge_agent.adapters.kuksa_entries import V1Entries, fields_of
from edge_agent.adapters.kuksa_service import (
    SERVER_NAME,
    SERVER_VERSION,
    SIGNALS_MAX,
    Context,
    Ended,
    Handler,
    Service,
    add_service,
)
from edge_agent.adapters.kuksa_values import checked, stamp_ns
from edge_agent.adapters.onboard_calls import current_grant, current_rights
from edge_agent.broker.access import PATH_MAX_CHARS, Action
from edge_agent.broker.changes import Message
from edge_agent.broker.values import Value
from edge_agent.broker.vehicle import one
from fairway.errors import BadInput, Conflict, Denied, Unavailable
from fairway.foreign.kuksa.val.v1 import types_pb2, val_pb2

_VALUE, _TARGET = types_pb2.FIELD_VALUE, types_pb2.FIELD_ACTUATOR_TARGET
_REASONS = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    503: "unavailable",
}


class KuksaV1:
    """The service."""

    def __init__(self, service: Service) -> None:
        self._service, self._data, self._clock = service, service.data, service.clock
        self._entries = V1Entries(service.data, service.members)

    def add(self, server: grpc.aio.Server) -> str:
        """Serve, and return the service's name."""
        handlers: dict[str, Handler] = {
            "Get": self._get,
            "Set": self._set,
            "StreamedUpdate": self._streamed_update,
            "Subscribe": self._subscribe,
            "GetServerInfo": self._get_server_info,
        }
        return add_service(server, val_pb2.DESCRIPTOR.services_by_name["VAL"], handlers)

    async def _get(self, request: val_pb2.GetRequest, _: Context) -> Any:
        if not request.entries:
            raise BadInput("no entry is named")
        answer = val_pb2.GetResponse()
        for asked in request.entries:
            try:
                numbers = self._named(asked.path)
            except (BadInput, Denied, Ended) as error:
                answer.errors.append(_error(asked.path, error))
                continue
            if len(answer.entries) + len(numbers) > SIGNALS_MAX:
                raise BadInput(f"more than {SIGNALS_MAX} entries are asked for")
            fields = fields_of(asked.view, asked.fields)
            answer.entries.extend(self._entries.entry(number, fields) for number in numbers)
        if answer.errors:
            answer.error.CopyFrom(answer.errors[0].error)
            if any(error.error.code == 403 for error in answer.errors):
                del answer.entries[:]
        return answer

    async def _set(self, request: val_pb2.SetRequest, _: Context) -> Any:
        if not all(update.HasField("entry") for update in request.updates):
            raise BadInput("an update has no entry")
        return val_pb2.SetResponse(errors=self._updated(request.updates))

    async def _streamed_update(self, requests: Any, context: Context) -> None:
        async for request in requests:
            errors = self._updated(request.updates)
            answer = val_pb2.StreamedUpdateResponse(errors=errors)
            if errors:
                answer.error.CopyFrom(errors[0].error)
            await context.write(answer)

    def _updated(self, updates: Iterable[val_pb2.EntryUpdate]) -> list[types_pb2.DataEntryError]:
        """Do what is asked for, and return what was refused."""
        errors = []
        for update in updates:
            try:
                self._update(update.entry, set(update.fields))
            except (BadInput, Conflict, Denied, Unavailable, Ended) as error:
                errors.append(_error(update.entry.path, error))
        self._service.counts.refused += len(errors)
        return errors

    def _update(self, entry: types_pb2.DataEntry, fields: set[int]) -> None:
        if not fields or fields - {_VALUE, _TARGET, types_pb2.FIELD_PATH}:
            raise BadInput("only the fields value and actuator_target can be set")
        if _VALUE in fields:
            self._set_value(entry)
        if _TARGET in fields:
            number = self._service.number(entry.path, Action.ACTUATE)
            value = self._checked(number, entry.actuator_target)
            target = self._data.actuation.check(number, value)
            self._data.ask([target], now_ns=self._clock.now_ns())

    def _set_value(self, entry: types_pb2.DataEntry) -> None:
        number = self._service.number(entry.path, Action.PROVIDE_DATA)
        arrived = one(
            number,
            self._checked(number, entry.value),
            is_number=bool(self._data.signals.is_number[number]),
            time_ns=self._clock.now_ns(),
            source_ns=stamp_ns(entry.value.timestamp),
        )
        publisher = self._data.providers.publisher(current_grant().publisher)
        self._data.publish(arrived, provider=publisher, now_ns=self._clock.monotonic_ns())
        self._service.counts.published += 1

    def _checked(self, number: int, point: types_pb2.Datapoint) -> Value | None:
        members = self._service.members
        return checked(self._data.limits[number], members[number], point, "value")

    async def _subscribe(self, request: val_pb2.SubscribeRequest, context: Context) -> None:
        if not request.entries:
            raise BadInput("no entry is named")
        fields: dict[int, set[int]] = {}
        for asked in request.entries:
            for number in self._named(asked.path):
                fields.setdefault(number, set()).update(fields_of(asked.view, asked.fields))
        if len(fields) > SIGNALS_MAX:
            raise BadInput(f"more than {SIGNALS_MAX} entries are named")
        with self._service.room():
            await self._told(fields, context)

    async def _told(self, fields: dict[int, set[int]], context: Context) -> None:
        """Tell a subscriber of its entries until it leaves."""
        wake, data = asyncio.Event(), self._data
        opened = []
        try:
            for field, subscriptions in ((_VALUE, data.subscriptions), (_TARGET, data.targets)):
                numbers = [number for number, wanted in fields.items() if field in wanted]
                if numbers:
                    one_of = subscriptions.open(numbers, wake.set)
                    opened.append((field, subscriptions, one_of))
            await context.write(
                val_pb2.SubscribeResponse(
                    updates=[
                        val_pb2.EntryUpdate(
                            entry=self._entries.entry(number, wanted),
                            fields=map(types_pb2.Field.ValueType, sorted(wanted)),
                        )
                        for number, wanted in fields.items()
                    ]
                )
            )
            while True:
                wake.clear()
                for field, _, subscriber in opened:
                    message = subscriber.take(self._clock.monotonic_ns())
                    if message is not None:
                        await context.write(self._changed(message, field))
                        self._service.counts.told += 1
                if not any(len(subscriber) for _, _, subscriber in opened):
                    await wake.wait()
        finally:
            for _, subscriptions, subscriber in opened:
                subscriptions.close(subscriber)

    def _changed(self, message: Message, field: int) -> val_pb2.SubscribeResponse:
        rows = range(len(message.of)) if message.rows is None else message.rows.tolist()
        return val_pb2.SubscribeResponse(
            updates=[
                val_pb2.EntryUpdate(
                    entry=self._entries.changed(message.of, row, field),
                    fields=[types_pb2.Field.ValueType(field)],
                )
                for row in rows
            ]
        )

    def _named(self, path: str) -> list[int]:
        """Return the signals of a path, a branch or a pattern.  Raises BadInput, Denied, Ended."""
        if len(path) > PATH_MAX_CHARS:
            raise BadInput("the path is longer than 1000 characters")
        rights, signals = current_rights(), self._data.signals
        numbers = signals.matching(path)
        for number in numbers:
            rights.need(Action.READ, signals[number].path)
        if not numbers:
            if "*" not in path:
                rights.need(Action.READ, path)
            raise Ended(grpc.StatusCode.NOT_FOUND, f"nothing is there for {path!r:.100}")
        return numbers

    async def _get_server_info(self, _: val_pb2.GetServerInfoRequest, __: Context) -> Any:
        return val_pb2.GetServerInfoResponse(name=SERVER_NAME, version=SERVER_VERSION)


def _error(path: str, error: Exception) -> types_pb2.DataEntryError:
    code = 400
    if isinstance(error, Denied):
        code = 403
    elif isinstance(error, Ended):
        code = 404
    elif isinstance(error, Conflict):
        code = 409
    elif isinstance(error, Unavailable):
        code = 503
    return types_pb2.DataEntryError(
        path=path[:PATH_MAX_CHARS],
        error=types_pb2.Error(code=code, reason=_REASONS[code], message=str(error)),
    )
