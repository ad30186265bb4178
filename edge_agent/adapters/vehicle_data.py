"""Serves `fairway.v1.VehicleDataService`: subscriptions that tell what they leave out, orders that end.

Rule 1: what may not be read, or is not there, costs only itself; who may read none of it is told so.
Rule 2: an order is given with the right to actuate; how it goes its app is told, whoever else acts meanwhile.
"""

import asyncio

import grpc
import grpc.aio

from edge_agent.adapters.actuators import Actuators
from edge_agent.adapters.kuksa_service import (
    SIGNALS_MAX,
    Context,
    Ended,
    Handler,
    Service,
    add_service,
)
from edge_agent.adapters.kuksa_v2 import woken
from edge_agent.adapters.kuksa_values import checked, stamp
from edge_agent.adapters.onboard_calls import current_grant, current_rights
from edge_agent.adapters.onboard_states import QUALITIES
from edge_agent.broker.access import PATH_MAX_CHARS, Action
from edge_agent.broker.changes import Changes, Message
from edge_agent.broker.closed_loop import Order, Reason, State
from edge_agent.broker.providers import Target
from edge_agent.broker.store import Quality
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput
from fairway.v1 import vehicle_data_pb2 as pb

STATES = {state: getattr(pb, f"ORDER_STATE_{state.name}") for state in State}
REASONS = {
    reason: getattr(pb, f"ORDER_REASON_{reason.name if reason.value else 'UNSPECIFIED'}")
    for reason in Reason
}


class VehicleDataApi:
    """The service."""

    def __init__(self, service: Service, actuators: Actuators | None) -> None:
        self._service, self._data, self._clock = service, service.data, service.clock
        self._actuators = actuators

    def add(self, server: grpc.aio.Server) -> str:
        """Serve, and return the service's name."""
        handlers: dict[str, Handler] = {
            "SubscribePartial": self._subscribe_partial,
            "Actuate": self._actuate,
        }
        service = pb.DESCRIPTOR.services_by_name["VehicleDataService"]
        return add_service(server, service, handlers)

    async def _subscribe_partial(
        self, request: pb.SubscribePartialRequest, context: Context
    ) -> None:
        numbers, refused = self._readable(list(request.paths))
        with self._service.room():
            await self._told(numbers, refused, request, context)

    def _readable(self, paths: list[str]) -> tuple[list[int], dict[str, str]]:
        """Return the signals that are named and may be read, and why others are left out.  Raises BadInput."""
        if not 0 < len(paths) <= SIGNALS_MAX:
            raise BadInput(f"{len(paths)} signals are named; choose from 1 to {SIGNALS_MAX}")
        rights, signals = current_rights(), self._data.signals
        numbers: dict[int, None] = {}
        refused: dict[str, str] = {}
        for path in paths:
            try:
                found = [
                    number
                    for number in signals.matching(path)
                    if rights.may(Action.READ, signals[number].path)
                ]
                if not found:
                    rights.named(Action.READ, path)
                    raise BadInput("no signal is there that the token may read")  # noqa: TRY301
                numbers |= dict.fromkeys(found)
            except BadInput as error:
                refused[path[:PATH_MAX_CHARS]] = str(error)
        if not numbers:
            raise BadInput(f"nothing that is named can be told: {next(iter(refused.values()))}")
        return list(numbers), refused

    async def _told(
        self,
        numbers: list[int],
        refused: dict[str, str],
        request: pb.SubscribePartialRequest,
        context: Context,
    ) -> None:
        clock, wake = self._clock, asyncio.Event()
        subscriber, current = self._data.subscribe(
            numbers,
            wake.set,
            buffer=request.buffer_size,
            interval_ns=request.min_interval_ms * NS_PER_MS,
        )
        try:
            self._service.tell_filters(subscriber.ids)
            first = self._response(current)
            first.refused.update(refused)
            await context.write(first)
            while True:
                now_ns = clock.monotonic_ns()
                told = subscriber.take(now_ns)
                if told is None:
                    wake.clear()
                    await woken(wake, subscriber.wait_ns(now_ns))
                    continue
                response = self._response(told)
                response.dropped = subscriber.dropped
                await context.write(response)
                self._service.counts.told += 1
        finally:
            self._data.subscriptions.close(subscriber)
            self._service.tell_filters(subscriber.ids)

    def _response(self, message: Message) -> pb.SubscribePartialResponse:
        changes: Changes = message.of
        rows = range(len(changes)) if message.rows is None else message.rows.tolist()
        qualities = self._data.store.quality(message.ids, now_ns=self._clock.monotonic_ns())
        response = pb.SubscribePartialResponse()
        for row, quality in zip(rows, qualities.tolist(), strict=True):
            update = response.updates.add()
            update.path = self._data.signals[int(changes.ids[row])].path
            update.data_point.CopyFrom(self._service.encoder.datapoint(changes, row))
            update.quality = QUALITIES[Quality(quality)]
        return response

    async def _actuate(self, request: pb.ActuateRequest, context: Context) -> None:
        targets = [self._target(target) for target in request.targets]
        if not 0 < len(targets) <= SIGNALS_MAX:
            raise BadInput(f"{len(targets)} targets are named; choose from 1 to {SIGNALS_MAX}")
        for target in targets:
            if self._actuators is None or not self._actuators.acts_on(target.signal):
                path = self._data.signals[target.signal].path
                raise Ended(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"{path} is not acted on by the vehicle itself: nothing would confirm it; use kuksa.val.v2",
                )
        assert self._actuators is not None
        watch = self._actuators.ask(
            targets, current_grant().subject, deadline_ns=request.deadline_ms * NS_PER_MS
        )
        self._service.counts.actuations += len(targets)
        async for order in watch.changes():
            await context.write(self._change(order))

    def _target(self, asked: pb.Target) -> Target:
        number = self._service.number(asked.path, Action.ACTUATE)
        limits = self._data.limits[number]
        if self._data.signals[number].type != "actuator":
            return self._data.actuation.check(number, None)  # says so
        value = checked(limits, self._service.members[number], asked.value, "typed_value")
        if value is None:
            raise BadInput(f"there is no value for {limits.path}")
        return self._data.actuation.check(number, value)

    def _change(self, order: Order) -> pb.ActuateResponse:
        made = pb.ActuateResponse(
            path=self._data.signals[order.actuator].path,
            state=STATES[order.state],
            reason=REASONS[order.reason],
            sentence=order.sentence,
        )
        stamp(made.time, self._clock.now_ns())
        return made
