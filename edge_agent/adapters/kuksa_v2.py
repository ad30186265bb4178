"""Serves `kuksa.val.v2` at the on-board door: values, subscriptions, actuation; providers in kuksa_provider.py.

Rule 1: every call checks the caller's rights for every path; handlers raise, the door's guard answers.
Rule 2: the first message of a subscription is the current value of all its signals, known or not.
Rule 3: a subscriber that reads slowly waits in its own call alone; what it loses is counted.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from edge_agent.adapters.kuksa_metadata import metadata
from edge_agent.adapters.kuksa_provider import ProviderStream, ask
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
from edge_agent.adapters.onboard_calls import current_grant
from edge_agent.broker.access import Action
from edge_agent.broker.changes import Message
from edge_agent.broker.providers import Target
from edge_agent.broker.vehicle import one
from fairway.clock import NS_PER_MS, NS_PER_S
from fairway.errors import BadInput
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2


class KuksaV2:
    """The service."""

    def __init__(self, service: Service) -> None:
        self._service, self._data, self._clock = service, service.data, service.clock

    def add(self, server: grpc.aio.Server) -> str:
        """Serve, and return the service's name."""
        handlers: dict[str, Handler] = {
            "GetValue": self._get_value,
            "GetValues": self._get_values,
            "Subscribe": self._subscribe,
            "SubscribeById": self._subscribe_by_id,
            "Actuate": self._actuate,
            "ActuateStream": self._actuate_stream,
            "BatchActuate": self._batch_actuate,
            "ListMetadata": self._list_metadata,
            "PublishValue": self._publish_value,
            "OpenProviderStream": self._open_provider_stream,
            "GetServerInfo": self._get_server_info,
        }
        return add_service(server, val_pb2.DESCRIPTOR.services_by_name["VAL"], handlers)

    async def _get_value(self, request: val_pb2.GetValueRequest, _: Context) -> Any:
        number = self._service.asked(request.signal_id)
        points = await self._points([number])
        return val_pb2.GetValueResponse(data_point=points[0])

    async def _get_values(self, request: val_pb2.GetValuesRequest, _: Context) -> Any:
        _check_count(len(request.signal_ids))
        numbers = [self._service.asked(signal) for signal in request.signal_ids]
        return val_pb2.GetValuesResponse(data_points=await self._points(numbers))

    async def _points(self, numbers: Sequence[int]) -> list[types_pb2.Datapoint]:
        """Return values; providers are asked for those that they claimed and have not said."""
        await ask(self._service, numbers)
        changes = self._data.current(numbers).of
        return [self._service.encoder.datapoint(changes, row) for row in range(len(numbers))]

    async def _subscribe(self, request: val_pb2.SubscribeRequest, context: Context) -> None:
        _check_count(len(request.signal_paths))
        numbers = [self._service.number(path) for path in request.signal_paths]
        with self._service.room():
            await self._told(numbers, request, context, self._service.encoder.by_path)

    async def _subscribe_by_id(
        self, request: val_pb2.SubscribeByIdRequest, context: Context
    ) -> None:
        _check_count(len(request.signal_ids))
        numbers = [self._service.known(number) for number in request.signal_ids]
        with self._service.room():
            await self._told(numbers, request, context, self._service.encoder.by_id)

    async def _told(
        self,
        numbers: Sequence[int],
        request: Any,
        context: Context,
        encode: Callable[[Message], bytes],
    ) -> None:
        """Tell a subscriber of its signals until it leaves, or the duration is over that it asked for."""
        clock, counts, wake = self._clock, self._service.counts, asyncio.Event()
        interval_ns = request.filter.min_sample_interval.interval_ms * NS_PER_MS
        ends_ns = clock.monotonic_ns() + request.filter.duration_ms * NS_PER_MS
        is_endless = not request.filter.duration_ms
        subscriber, message = self._data.subscribe(
            numbers, wake.set, buffer=request.buffer_size, interval_ns=interval_ns
        )
        try:
            self._service.tell_filters(subscriber.ids)
            await context.write(encode(message))
            while is_endless or clock.monotonic_ns() < ends_ns:
                now_ns = clock.monotonic_ns()
                told = subscriber.take(now_ns)
                if told is not None:
                    await context.write(encode(told))
                    counts.told += 1
                    continue
                wake.clear()
                waits = [subscriber.wait_ns(now_ns), None if is_endless else ends_ns - now_ns]
                await woken(wake, min((wait for wait in waits if wait is not None), default=None))
        finally:
            self._data.subscriptions.close(subscriber)
            self._service.tell_filters(subscriber.ids)

    async def _actuate(self, request: val_pb2.ActuateRequest, _: Context) -> Any:
        self._forward([self._target(request)])
        return val_pb2.ActuateResponse()

    async def _actuate_stream(self, requests: Any, _: Context) -> Any:
        async for request in requests:
            self._forward([self._target(request)])
        return val_pb2.ActuateResponse()

    async def _batch_actuate(self, request: val_pb2.BatchActuateRequest, _: Context) -> Any:
        _check_count(len(request.actuate_requests))
        self._forward([self._target(each) for each in request.actuate_requests])
        return val_pb2.BatchActuateResponse()

    def _target(self, request: val_pb2.ActuateRequest) -> Target:
        number = self._service.asked(request.signal_id, Action.ACTUATE)
        limits = self._data.limits[number]
        if self._data.signals[number].type != "actuator":
            return self._data.actuation.check(number, None)  # says so
        value = checked(limits, self._service.members[number], request.value, "typed_value")
        if value is None:
            raise BadInput(f"there is no value for {limits.path}")
        return self._data.actuation.check(number, value)

    def _forward(self, targets: Sequence[Target]) -> None:
        stuck = self._data.actuate(targets, now_ns=self._clock.now_ns())
        if stuck is not None:
            raise Ended(grpc.StatusCode.DATA_LOSS, f"{stuck.name} does not take what it is sent")
        self._service.counts.actuations += len(targets)

    async def _list_metadata(self, request: val_pb2.ListMetadataRequest, _: Context) -> Any:
        numbers = self._service.matching(request.root)
        if not numbers:
            raise Ended(grpc.StatusCode.NOT_FOUND, f"nothing is there for {request.root!r:.100}")
        return val_pb2.ListMetadataResponse(
            metadata=[metadata(self._data, number) for number in numbers]
        )

    async def _publish_value(self, request: val_pb2.PublishValueRequest, _: Context) -> Any:
        number = self._service.asked(request.signal_id, Action.PROVIDE_DATA)
        limits, counts = self._data.limits[number], self._service.counts
        if not request.HasField("data_point"):
            raise BadInput(f"there is no data point for {limits.path}")
        point = request.data_point
        try:
            value = checked(limits, self._service.members[number], point.value, "typed_value")
        except BadInput:
            counts.refused += 1
            raise
        arrived = one(
            number,
            value,
            is_number=bool(self._data.signals.is_number[number]),
            time_ns=self._clock.now_ns(),
            source_ns=stamp_ns(point.timestamp),
        )
        publisher = self._data.providers.publisher(current_grant().publisher)
        self._data.publish(arrived, provider=publisher, now_ns=self._clock.monotonic_ns())
        counts.published += 1
        return val_pb2.PublishValueResponse()

    async def _open_provider_stream(self, requests: Any, context: Context) -> None:
        await ProviderStream(self._service, current_grant()).serve(requests, context)

    async def _get_server_info(self, _: val_pb2.GetServerInfoRequest, __: Context) -> Any:
        return val_pb2.GetServerInfoResponse(name=SERVER_NAME, version=SERVER_VERSION)


def _check_count(count: int) -> None:
    if not 0 < count <= SIGNALS_MAX:
        raise BadInput(f"{count} signals are named; choose from 1 to {SIGNALS_MAX}")


async def woken(wake: asyncio.Event, wait_ns: int | None) -> None:
    """Wait to be woken, or so long."""
    try:
        async with asyncio.timeout(None if wait_ns is None else wait_ns / NS_PER_S):
            await wake.wait()
    except TimeoutError:
        return
