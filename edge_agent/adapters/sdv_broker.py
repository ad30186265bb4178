"""Serves `sdv.databroker.v1.Broker` at the on-board door: the only API of Velocitas' SDK for Python.

    GetDatapoints, SetDatapoints, Subscribe(query), GetMetadata

Rule 1: a value that cannot be told is told to be missing, and why: the SDK's map has all that was asked for.
Rule 2: a query is evaluated at the start, and for each change of one of its signals, in the order they came.
Rule 3: a target value goes the way of one of `kuksa.val.v1`: apps of that time act without a claim.
"""

import asyncio
from typing import Any, TypeAlias

import grpc.aio
import numpy as np

from edge_agent.adapters.kuksa_provider import ask
from edge_agent.adapters.kuksa_service import SIGNALS_MAX, Context, Handler, Service, add_service
from edge_agent.adapters.kuksa_values import fill, member_of, read, stamp
from edge_agent.adapters.onboard_calls import current_rights
from edge_agent.adapters.sdv_metadata import metadata
from edge_agent.broker.access import PATH_MAX_CHARS, Action
from edge_agent.broker.query import Query, query_of
from edge_agent.broker.signals import Signals
from edge_agent.broker.store import value_of
from edge_agent.broker.subscriptions import BUFFER_MAX_MESSAGES, Subscriber
from edge_agent.broker.values import Value
from fairway.catalog.model import FLOAT_RANGES, INTEGER_RANGES
from fairway.errors import BadInput, Conflict, Denied, Unavailable
from fairway.foreign.sdv.databroker.v1 import broker_pb2, types_pb2

_UNKNOWN = types_pb2.Datapoint.UNKNOWN_DATAPOINT
_DENIED = types_pb2.Datapoint.ACCESS_DENIED
_NOTHING = types_pb2.Datapoint.NOT_AVAILABLE

_Error: TypeAlias = "types_pb2.DatapointError.ValueType"
# An interlock, or who acts takes nothing now: there is no better word for either.
_ERRORS: dict[type[Exception], "_Error"] = {
    BadInput: types_pb2.OUT_OF_BOUNDS,
    Denied: types_pb2.ACCESS_DENIED,
    Conflict: types_pb2.INTERNAL_ERROR,
    Unavailable: types_pb2.INTERNAL_ERROR,
}


class SdvBroker:
    """The service."""

    def __init__(self, service: Service) -> None:
        self._service, self._data, self._clock = service, service.data, service.clock
        self._members = [_member(leaf.datatype) for leaf in service.data.signals]

    def add(self, server: grpc.aio.Server) -> str:
        """Serve, and return the service's name."""
        handlers: dict[str, Handler] = {
            "GetDatapoints": self._get_datapoints,
            "SetDatapoints": self._set_datapoints,
            "Subscribe": self._subscribe,
            "GetMetadata": self._get_metadata,
        }
        return add_service(server, broker_pb2.DESCRIPTOR.services_by_name["Broker"], handlers)

    async def _get_datapoints(self, request: broker_pb2.GetDatapointsRequest, _: Context) -> Any:
        _check_count(len(request.datapoints))
        rights, signals = current_rights(), self._data.signals
        answer = broker_pb2.GetDatapointsReply()
        numbers: dict[int, None] = {}
        for path in request.datapoints:
            number = signals.find(path)
            if not rights.named(Action.READ, path):
                answer.datapoints[path[:PATH_MAX_CHARS]].failure_value = _DENIED
            elif number is None:
                answer.datapoints[path[:PATH_MAX_CHARS]].failure_value = _UNKNOWN
            else:
                numbers[number] = None
        if numbers:
            await ask(self._service, list(numbers))
            current = self._data.current(list(numbers)).of
            for row, number in enumerate(numbers):
                value = None
                if current.is_there[row]:
                    value = value_of(signals, number, float(current.value[row]), current.objects)
                point = answer.datapoints[signals[number].path]
                self._fill(point, number, value, int(current.time_ns[row]))
        return answer

    async def _set_datapoints(self, request: broker_pb2.SetDatapointsRequest, _: Context) -> Any:
        _check_count(len(request.datapoints))
        answer = broker_pb2.SetDatapointsReply()
        for path, point in request.datapoints.items():
            error = self._set(path, point)
            if error is not None:
                answer.errors[path] = error
        self._service.counts.refused += len(answer.errors)
        return answer

    def _set(self, path: str, point: types_pb2.Datapoint) -> "_Error | None":
        """Forward a target value, or return why not."""
        error = self._refusal(path, point)
        if error is not None:
            return error
        data, number = self._data, self._data.signals.find(path)
        assert number is not None
        try:
            target = data.actuation.check(number, read(point, "value")[1])
            data.ask([target], now_ns=self._clock.now_ns())
        except (BadInput, Denied, Conflict, Unavailable) as refused:
            return _ERRORS[type(refused)]
        self._service.counts.actuations += 1
        return None

    def _refusal(self, path: str, point: types_pb2.Datapoint) -> "_Error | None":
        """Return why a target value is not even looked at, None when it is."""
        if not current_rights().named(Action.ACTUATE, path):
            return types_pb2.ACCESS_DENIED
        number = self._data.signals.find(path)
        if number is None:
            return types_pb2.UNKNOWN_DATAPOINT
        if self._data.signals[number].type != "actuator":
            return types_pb2.ACCESS_DENIED
        if read(point, "value")[0] != self._members[number]:
            return types_pb2.INVALID_TYPE
        return None

    async def _subscribe(self, request: broker_pb2.SubscribeRequest, context: Context) -> None:
        query = query_of(request.query, _Kinds(self._data.signals))
        with self._service.room():
            await self._told(query, context)

    async def _told(self, query: Query, context: Context) -> None:
        data, wake = self._data, asyncio.Event()
        signals = data.signals
        numbers = [number for path in query.paths if (number := signals.find(path)) is not None]
        # Without a condition only the newest values count; with one, none may be passed over.
        buffer = BUFFER_MAX_MESSAGES if query.condition is not None else 0
        subscriber, message = data.subscribe(numbers, wake.set, buffer=buffer)
        row = _Row(signals)
        try:
            self._service.tell_filters(subscriber.ids)
            row.take(message)
            await self._tell(query, row, context)
            while True:
                wake.clear()
                while (told := subscriber.take(self._clock.monotonic_ns())) is not None:
                    self._catch_up(row, subscriber, numbers)
                    row.take(told)
                    await self._tell(query, row, context)
                await wake.wait()
        finally:
            data.subscriptions.close(subscriber)
            self._service.tell_filters(subscriber.ids)

    def _catch_up(self, row: "_Row", subscriber: Subscriber, numbers: list[int]) -> None:
        """Take what stands in the store when messages were lost: they may have had a signal's last value."""
        if subscriber.dropped != row.dropped:
            row.dropped = subscriber.dropped
            row.take(self._data.current(numbers))

    async def _tell(self, query: Query, row: "_Row", context: Context) -> None:
        if not query.holds(row.now, row.before):
            return
        answer = broker_pb2.SubscribeReply()
        for name, signal in query.fields:
            number = self._data.signals.find(signal.path)
            assert number is not None
            value = (row.before if signal.is_before else row.now).get(signal.path)
            self._fill(answer.fields[name], number, value, row.time_ns.get(signal.path, 0))
        await context.write(answer)
        self._service.counts.told += 1

    def _fill(
        self, point: types_pb2.Datapoint, number: int, value: Value | None, time_ns: int
    ) -> None:
        if time_ns:
            stamp(point.timestamp, time_ns)
        if value is None:
            point.failure_value = _NOTHING
        else:
            fill(point, self._members[number], value)

    async def _get_metadata(self, request: broker_pb2.GetMetadataRequest, _: Context) -> Any:
        rights, signals = current_rights(), self._data.signals
        if len(request.names) > SIGNALS_MAX:
            raise BadInput(f"more than {SIGNALS_MAX} signals are named")
        named = [signals.find(name) for name in request.names]
        numbers = [number for number in named if number is not None]
        return broker_pb2.GetMetadataReply(
            list=[
                metadata(signals[number], number)
                for number in (numbers if request.names else range(len(signals)))
                if rights.may(Action.READ, signals[number].path)
            ]
        )


class _Row:
    """The values of a query's signals at one moment, and at the one before."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self.now: dict[str, Value | None] = {}
        self.before: dict[str, Value | None] = {}
        self.time_ns: dict[str, int] = {}
        self.dropped = 0

    def take(self, message: Any) -> None:
        """Take what has changed."""
        of = message.of
        self.before = dict(self.now)
        for at in range(len(of)) if message.rows is None else message.rows.tolist():
            number = int(of.ids[at])
            path = self._signals[number].path
            self.time_ns[path] = int(of.time_ns[at])
            value = None
            if of.is_there[at]:
                value = value_of(self._signals, number, float(of.value[at]), of.objects)
                if self._signals[number].datatype == "float":
                    value = float(np.float32(value))  # type: ignore[arg-type]
            self.now[path] = value


class _Kinds:
    """What the caller may name in a query."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def kind(self, path: str) -> str:
        """Return float, number, truth, text or array.  Raises Denied or BadInput."""
        current_rights().need(Action.READ, path)
        number = self._signals.find(path)
        if number is None:
            raise BadInput(f"there is no signal {path}")
        datatype = self._signals[number].datatype
        if datatype.endswith("[]"):
            return "array"
        if datatype == "float":
            return "float"
        if datatype in INTEGER_RANGES or datatype in FLOAT_RANGES:
            return "number"
        return "truth" if datatype == "boolean" else "text"


def _member(datatype: str) -> str:
    member = member_of(datatype)
    return member if member.endswith("_array") else f"{member}_value"


def _check_count(count: int) -> None:
    if not 0 < count <= SIGNALS_MAX:
        raise BadInput(f"{count} signals are named; choose from 1 to {SIGNALS_MAX}")
