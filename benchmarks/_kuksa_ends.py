"""The two ends of kuksa-perf's two operations: who sends values, and who receives them.

    Published   provider --OpenProviderStream--> broker --SubscribeById--> subscriber
    Actuated    client   --BatchActuate-------> broker --OpenProviderStream--> provider

Rule 1: requests are made before they are sent, and the time of an arrival is taken before it is looked into.
"""

import time
from typing import Any

import grpc.aio

from benchmarks._doors import VAL, Broker
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2


class Published:
    """The two ends of published values."""

    def __init__(self, where: Broker, triggers: grpc.aio.Channel, receivers: grpc.aio.Channel):
        self._where, self._triggers, self._receivers = where, triggers, receivers
        self._calls: list[Any] = []

    async def open(self, ids: list[int]) -> None:
        self._provider = await self._providing(
            self._triggers,
            val_pb2.OpenProviderStreamRequest(
                provide_signal_request=val_pb2.ProvideSignalRequest(
                    signals_sample_intervals=dict.fromkeys(ids, types_pb2.SampleInterval())
                )
            ),
        )
        call: Any = self._receivers.unary_stream(
            VAL + "SubscribeById",
            request_serializer=val_pb2.SubscribeByIdRequest.SerializeToString,
            response_deserializer=val_pb2.SubscribeByIdResponse.FromString,
        )
        request = val_pb2.SubscribeByIdRequest(signal_ids=ids, buffer_size=1)
        self._subscription = call(request, metadata=self._where.shows("read"))
        self._calls.append(self._subscription)
        await self._subscription.read()

    def request(self, values: dict[int, Any]) -> tuple[Any, dict[int, Any]]:
        """Return what is sent, and what is to arrive."""
        points = {number: types_pb2.Datapoint(value=value) for number, value in values.items()}
        request = val_pb2.OpenProviderStreamRequest(
            publish_values_request=val_pb2.PublishValuesRequest(request_id=1, data_points=points)
        )
        return request, values

    async def send(self, request: Any) -> None:
        await self._provider.write(request)

    async def receive(self) -> tuple[dict[int, Any], float]:
        """Return values by signal, and when they were there."""
        message = await self._subscription.read()
        arrived_s = time.perf_counter()
        return {number: point.value for number, point in message.entries.items()}, arrived_s

    def close(self) -> None:
        for call in self._calls:
            call.cancel()

    async def _providing(self, opened: grpc.aio.Channel, claim: Any) -> Any:
        call: Any = opened.stream_stream(
            VAL + "OpenProviderStream",
            request_serializer=val_pb2.OpenProviderStreamRequest.SerializeToString,
            response_deserializer=val_pb2.OpenProviderStreamResponse.FromString,
        )
        stream = call(metadata=self._where.shows("provide"))
        self._calls.append(stream)
        await stream.write(claim)
        await stream.read()
        return stream


class Actuated(Published):
    """The two ends of target values: whoever wants them set, and who moves something."""

    async def open(self, ids: list[int]) -> None:
        self._mover = await self._providing(
            self._receivers,
            val_pb2.OpenProviderStreamRequest(
                provide_actuation_request=val_pb2.ProvideActuationRequest(
                    actuator_identifiers=_ids(ids)
                )
            ),
        )
        self._actuate: Any = self._triggers.unary_unary(
            VAL + "BatchActuate",
            request_serializer=val_pb2.BatchActuateRequest.SerializeToString,
            response_deserializer=val_pb2.BatchActuateResponse.FromString,
        )
        self._metadata = self._where.shows("actuate")

    def request(self, values: dict[int, Any]) -> tuple[Any, dict[int, Any]]:
        targets = [
            val_pb2.ActuateRequest(signal_id=signal, value=values[signal.id])
            for signal in _ids(list(values))
        ]
        return val_pb2.BatchActuateRequest(actuate_requests=targets), values

    async def send(self, request: Any) -> None:
        await self._actuate(request, metadata=self._metadata)

    async def receive(self) -> tuple[dict[int, Any], float]:
        message = await self._mover.read()
        arrived_s = time.perf_counter()
        targets = message.batch_actuate_stream_request.actuate_requests
        return {target.signal_id.id: target.value for target in targets}, arrived_s


def _ids(numbers: list[int]) -> list[types_pb2.SignalID]:
    return [types_pb2.SignalID(id=number) for number in numbers]
