"""One provider of `kuksa.val.v2`: claims, values and answers in; target values, filters and questions out.

    requests > reader > the vehicle's data
                  '----> outbox > writer > responses        actuation, filters and questions go there too

Rule 1: a claim is strict: what is not there, not allowed or not free ends the stream, and gives up all claims.
Rule 2: publishing is not: each value that does not fit is told by its number, and the others are taken.
Rule 3: a provider that does not read fills its own outbox; then actuators say DATA_LOSS, and nobody waits.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from edge_agent.adapters.kuksa_service import SIGNALS_MAX, Context, Ended, Service
from edge_agent.adapters.kuksa_values import checked, fill, stamp_ns
from edge_agent.broker.access import Action
from edge_agent.broker.claims import Grant
from edge_agent.broker.providers import Target
from edge_agent.broker.store import Arrived, Quality
from edge_agent.broker.values import Value, outside
from fairway import log as logs
from fairway.clock import NS_PER_MS
from fairway.errors import BadInput, Conflict
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2

log = logs.get("edge_agent.onboard")

# Messages on their way to a provider: minutes of actuation by hand, a second of a control loop.
OUTBOX_MAX = 100
# How long a question to a provider may take, as with KUKSA.
ANSWER_MAX_S = 1.0
# How long a provider has to take what was sent to it, when its stream ends.
DRAIN_MAX_S = 1.0
_INVALID = types_pb2.ERROR_CODE_INVALID_ARGUMENT

Response = val_pb2.OpenProviderStreamResponse
Request = val_pb2.OpenProviderStreamRequest


class ProviderStream:
    """One open stream."""

    def __init__(self, service: Service, grant: Grant) -> None:
        self._service, self._data, self._grant = service, service.data, grant
        self._outbox: asyncio.Queue[Response | None] = asyncio.Queue(OUTBOX_MAX)
        self._asked: dict[int, asyncio.Future[Mapping[int, Any]]] = {}
        self._question = 0
        group = grant.subject if grant.instance else ""
        self._provider = self._data.providers.open(grant.publisher, self, group)

    @property
    def has_room(self) -> bool:
        return not self._outbox.full()

    def admit(self, targets: Sequence[Target]) -> None:
        """Everything is admitted: what becomes of it is the provider's."""

    def offer(self, targets: Sequence[Target]) -> None:
        request = val_pb2.BatchActuateStreamRequest()
        for target in targets:
            one = request.actuate_requests.add()
            one.signal_id.id = target.signal
            fill(one.value, self._service.members[target.signal], target.value)
        self._outbox.put_nowait(Response(batch_actuate_stream_request=request))

    def tell(self, intervals_ns: Mapping[int, int | None]) -> None:
        """Send intervals by signal, in ns; None: nobody wants it any more."""
        if not self.has_room:
            return
        self._question += 1
        request = val_pb2.UpdateFilterRequest(request_id=self._question)
        for number, interval_ns in intervals_ns.items():
            told = request.filters_update[number]
            if interval_ns is not None:
                told.min_sample_interval.interval_ms = interval_ns // NS_PER_MS
        self._outbox.put_nowait(Response(update_filter_request=request))

    async def ask(self, numbers: Sequence[int]) -> None:
        """Ask for values, and take those that come in time."""
        if not self.has_room:
            return
        self._question += 1
        question, answer = self._question, asyncio.get_running_loop().create_future()
        self._asked[question] = answer
        request = val_pb2.GetProviderValueRequest(request_id=question, signal_ids=numbers)
        self._outbox.put_nowait(Response(get_provider_value_request=request))
        try:
            async with asyncio.timeout(ANSWER_MAX_S):
                points = await answer
        except TimeoutError:
            return
        finally:
            self._asked.pop(question, None)
        wanted = set(numbers) & set(self._provider.signals)
        self._take({number: point for number, point in points.items() if number in wanted})

    async def serve(self, requests: Any, context: Context) -> None:
        """Serve until the provider leaves, or does what ends its stream."""
        writing = asyncio.create_task(self._write(context))
        reading = asyncio.create_task(self._read(requests))
        try:
            await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                await self._stay(reading, writing)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_MAX_S):
                        await self._outbox.put(None)
                        await asyncio.shield(writing)
                reading.result()
        finally:
            signals = tuple(self._provider.signals)
            self._service.filters.forget(self._provider)
            self._data.leave(self._provider)
            self._service.tell_filters(signals)  # to who takes over
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _stay(self, reading: asyncio.Task[None], writing: asyncio.Task[None]) -> None:
        """Go on for a provider that has said all it will say, and waits for target values."""
        if reading.exception() is None and (self._provider.signals or self._provider.actuators):
            await asyncio.wait((writing,))

    async def _write(self, context: Context) -> None:
        while (response := await self._outbox.get()) is not None:
            await context.write(response)

    async def _read(self, requests: Any) -> None:
        async for request in requests:
            response = self._answer(request)
            if response is not None:
                await self._outbox.put(response)
                if response.HasField("provide_signal_response"):
                    self._service.tell_filters(self._provider.signals)

    def _answer(self, request: Request) -> Response | None:
        action = request.WhichOneof("action")
        if action == "publish_values_request":
            return self._publish(request.publish_values_request)
        if action == "provide_signal_request":
            return self._claim_signals(request.provide_signal_request)
        if action == "provide_actuation_request":
            return self._claim_actuators(request.provide_actuation_request)
        if action == "get_provider_value_response":
            answer = self._asked.get(request.get_provider_value_response.request_id)
            if answer is not None and not answer.done():
                answer.set_result(request.get_provider_value_response.entries)
        elif action == "batch_actuate_stream_response":
            self._note_refusal(request.batch_actuate_stream_response)
        elif action in ("provider_error_indication", "update_filter_response"):
            self._need_claims()
            if action == "provider_error_indication":
                clock = self._service.clock
                self._data.withdraw(
                    self._provider, time_ns=clock.now_ns(), now_ns=clock.monotonic_ns()
                )
        return None

    def _claim_signals(self, request: val_pb2.ProvideSignalRequest) -> Response:
        self._check_count(request.signals_sample_intervals)
        interval_ns = {
            self._service.known(number, Action.PROVIDE_DATA): interval.interval_ms * NS_PER_MS
            for number, interval in request.signals_sample_intervals.items()
        }
        try:
            self._data.claim(self._provider, interval_ns)
        except Conflict as error:
            raise Ended(grpc.StatusCode.ALREADY_EXISTS, str(error)) from error
        return Response(provide_signal_response=val_pb2.ProvideSignalResponse())

    def _claim_actuators(self, request: val_pb2.ProvideActuationRequest) -> Response:
        self._check_count(request.actuator_identifiers)
        numbers = [
            self._service.asked(signal, Action.PROVIDE_ACTUATION)
            for signal in request.actuator_identifiers
        ]
        for number in numbers:
            leaf = self._data.signals[number]
            if leaf.type != "actuator":
                raise BadInput(f"{leaf.path} is no actuator, it is a {leaf.type}")
        try:
            self._data.providers.claim_actuators(self._provider, numbers)
        except Conflict as error:
            raise Ended(grpc.StatusCode.ALREADY_EXISTS, str(error)) from error
        return Response(provide_actuation_response=val_pb2.ProvideActuationResponse())

    def _publish(self, request: val_pb2.PublishValuesRequest) -> Response | None:
        self._need_claims()
        errors: dict[int, types_pb2.Error] = {}
        points: Mapping[int, Any] = request.data_points
        claimed = self._provider.signals
        if not all(number in claimed for number in points):
            points, errors = self._claimed(points)
        errors |= self._take(points)
        if not errors:
            return None
        return Response(
            publish_values_response=val_pb2.PublishValuesResponse(
                request_id=request.request_id, status=errors
            )
        )

    def _claimed(self, points: Mapping[int, Any]) -> tuple[dict[int, Any], dict[int, Any]]:
        """Return the points of signals that are known, and errors for the others.  Raises Ended."""
        known: dict[int, Any] = {}
        errors: dict[int, Any] = {}
        for number, point in points.items():
            owner = self._data.providers.of_signal(number)
            if number in self._provider.signals:
                known[number] = point
            elif owner is not None:
                raise Ended(
                    grpc.StatusCode.ALREADY_EXISTS,
                    f"the signal {number} is provided by {owner.name}",
                )
            elif 0 <= number < len(self._data.signals):
                raise Ended(grpc.StatusCode.ABORTED, f"the signal {number} was not claimed before")
            else:
                errors[number] = types_pb2.Error(
                    code=types_pb2.ERROR_CODE_NOT_FOUND,
                    message=f"there is no signal with the number {number}",
                )
        return known, errors

    def _take(self, points: Mapping[int, Any]) -> dict[int, types_pb2.Error]:
        """Take the values that fit, and return errors for the others."""
        data, members = self._data, self._service.members
        by_range, is_number = data.is_checked_by_range, data.signals.is_number
        ids: list[int] = []
        values: list[float] = []
        stamps: list[int] = []
        there: list[bool] = []
        objects: dict[int, Value] = {}
        errors: dict[int, types_pb2.Error] = {}
        for number in points:  # a map's items() would be three times slower
            point = points[number]
            message = point.value
            member = message.WhichOneof("typed_value")
            if member == members[number] and by_range[number] and is_number[number]:
                value: Any = getattr(message, member)  # limits: all columns at once, below
            else:
                try:
                    value = checked(data.limits[number], members[number], message, "typed_value")
                except BadInput as error:
                    errors[number] = types_pb2.Error(code=_INVALID, message=str(error))
                    continue
                if value is not None and not is_number[number]:
                    objects[number], value = value, np.nan
            ids.append(number)
            there.append(value is not None)
            values.append(np.nan if value is None else value)
            stamps.append(stamp_ns(point.timestamp) if point.HasField("timestamp") else 0)
        arrived = self._arrived(ids, values, stamps, there, objects)
        arrived = self._inside(arrived, errors)
        counts = self._service.counts
        counts.refused += len(errors)
        counts.published += len(arrived)
        data.publish(
            arrived,
            provider=self._provider.number,
            now_ns=self._service.clock.monotonic_ns(),
        )
        if errors:
            data.store.invalidate(np.array(list(errors), np.int32))
        return errors

    def _arrived(
        self,
        ids: list[int],
        values: list[float],
        stamps: list[int],
        there: list[bool],
        objects: dict[int, Value],
    ) -> Arrived:
        return Arrived(
            ids=np.array(ids, np.int32),
            time_ns=np.full(len(ids), self._service.clock.now_ns(), np.int64),
            source_time_ns=np.array(stamps, np.int64),
            value=np.array(values, np.float64),
            is_there=np.array(there, np.bool_),
            objects=objects,
        )

    def _inside(self, arrived: Arrived, errors: dict[int, types_pb2.Error]) -> Arrived:
        """Return what lies within the limits of its signals; the rest goes to `errors`."""
        data = self._data
        fits = (data.low[arrived.ids] <= arrived.value) & (arrived.value <= data.high[arrived.ids])
        fits |= ~arrived.is_there | ~data.signals.is_number[arrived.ids]
        if bool(fits.all()):
            return arrived
        for row in (~fits).nonzero()[0].tolist():
            number = int(arrived.ids[row])
            error = outside(data.limits[number], float(arrived.value[row]))
            errors[number] = types_pb2.Error(code=_INVALID, message=str(error))
        return Arrived(
            arrived.ids[fits],
            arrived.time_ns[fits],
            arrived.source_time_ns[fits],
            arrived.value[fits],
            arrived.is_there[fits],
            arrived.objects,
        )

    def _need_claims(self) -> None:
        if not self._provider.signals:
            raise Ended(grpc.StatusCode.ABORTED, "no signal was claimed before")

    def _check_count(self, named: Any) -> None:
        if not 0 < len(named) <= SIGNALS_MAX:
            raise BadInput(f"{len(named)} signals are named; choose from 1 to {SIGNALS_MAX}")

    def _note_refusal(self, response: val_pb2.BatchActuateStreamResponse) -> None:
        if response.HasField("error") and response.error.code != types_pb2.ERROR_CODE_OK:
            log.info(
                "actuation_refused",
                provider=self._grant.subject,
                signal=response.signal_id.path or response.signal_id.id,
                reason=response.error.message[:200],
            )


async def ask(service: Service, numbers: Iterable[int]) -> None:
    """Ask providers for the values that they claimed and have not said, or not for long."""
    data = service.data
    claimed: dict[Any, list[int]] = {}
    for number in dict.fromkeys(numbers):
        provider = data.providers.of_signal(number)
        if provider is not None and isinstance(provider.outlet, ProviderStream):
            claimed.setdefault(provider.outlet, []).append(number)
    questions = []
    for outlet, its in claimed.items():
        ids = np.array(its, np.int32)
        quality = data.store.quality(ids, now_ns=service.clock.monotonic_ns())
        missing = ids[quality != int(Quality.VALID)].tolist()
        if missing:
            questions.append(outlet.ask(missing))
    if questions:
        await asyncio.gather(*questions)
