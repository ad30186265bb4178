"""Serves what `kuksa.val.v2` has no place for: quality, providers and the recent past of signals.

Rule 1: what may not be read, or is not there, costs only itself: the states of the others are told.
"""

from typing import Any

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from edge_agent.adapters.kuksa_service import SIGNALS_MAX, Context, Handler, Service, add_service
from edge_agent.adapters.kuksa_values import fill, stamp, stamp_ns
from edge_agent.adapters.onboard_calls import current_rights
from edge_agent.broker.access import PATH_MAX_CHARS, Action
from edge_agent.broker.store import Quality, State
from edge_agent.broker.values import Value
from fairway.errors import BadInput
from fairway.foreign.kuksa.val.v2 import types_pb2
from fairway.v1 import onboard_pb2

QUALITIES = {
    Quality.NOT_AVAILABLE: onboard_pb2.QUALITY_NOT_AVAILABLE,
    Quality.VALID: onboard_pb2.QUALITY_VALID,
    Quality.STALE: onboard_pb2.QUALITY_STALE,
    Quality.INVALID: onboard_pb2.QUALITY_INVALID,
}
# The end of the year 2262: times are 64-bit nanoseconds.
_LAST_NS = (1 << 63) - 1


class OnboardStates:
    """The service."""

    def __init__(self, service: Service) -> None:
        self._service, self._data = service, service.data

    def add(self, server: grpc.aio.Server) -> str:
        """Serve, and return the service's name."""
        handlers: dict[str, Handler] = {
            "GetStates": self._get_states,
            "GetHistory": self._get_history,
        }
        service = onboard_pb2.DESCRIPTOR.services_by_name["OnboardService"]
        return add_service(server, service, handlers)

    async def _get_states(self, request: onboard_pb2.GetStatesRequest, _: Context) -> Any:
        if not 0 < len(request.paths) <= SIGNALS_MAX:
            raise BadInput(
                f"{len(request.paths)} signals are named; choose from 1 to {SIGNALS_MAX}"
            )
        answer = onboard_pb2.GetStatesResponse()
        numbers: dict[int, None] = {}
        for path in request.paths:
            try:
                numbers |= dict.fromkeys(self._readable(path))
            except BadInput as error:
                answer.refused[path[:PATH_MAX_CHARS]] = str(error)
        now_ns = self._service.clock.monotonic_ns()
        found = self._data.store.states(list(numbers), now_ns=now_ns)
        for number, state in zip(numbers, found, strict=True):
            answer.states.append(self._state(number, state, now_ns))
        return answer

    def _readable(self, path: str) -> list[int]:
        """Return the signals that `path` is for.  Raises BadInput when none may be read."""
        rights, signals = current_rights(), self._data.signals
        numbers = signals.matching(path)
        readable = [number for number in numbers if rights.may(Action.READ, signals[number].path)]
        if not readable:
            rights.named(Action.READ, path)
            raise BadInput("no signal is there that the token may read")
        return readable

    def _state(self, number: int, state: State, now_ns: int) -> onboard_pb2.SignalState:
        data = self._data
        made = onboard_pb2.SignalState(
            path=data.signals[number].path,
            quality=QUALITIES[state.quality],
            provider=data.providers.name(state.provider),
            provider_is_here=data.providers.is_here(state.provider)
            and not data.store.is_silent(state.provider, now_ns=now_ns),
        )
        made.data_point.CopyFrom(self._point(number, state.time_ns, state.value))
        if state.source_time_ns:
            stamp(made.source_timestamp, state.source_time_ns)
        return made

    async def _get_history(self, request: onboard_pb2.GetHistoryRequest, _: Context) -> Any:
        number = self._service.number(request.path)
        history = self._data.store.history
        points = history.between(
            number,
            _time_ns(request, "from", 0),
            _time_ns(request, "to", _LAST_NS),
            now_ns=self._service.clock.monotonic_ns(),
            most=request.max_count or history.count,
        )
        return onboard_pb2.GetHistoryResponse(
            data_points=[self._point(number, point.time_ns, point.value) for point in points]
        )

    def _point(self, number: int, time_ns: int, value: Value | None) -> types_pb2.Datapoint:
        point = types_pb2.Datapoint()
        if time_ns:
            stamp(point.timestamp, time_ns)
        if value is not None:
            fill(point.value, self._service.members[number], self._typed(number, value))
        return point

    def _typed(self, number: int, value: Value) -> Value:
        """Return a value of the history, where every number is a float, as its data type has it."""
        member = self._service.members[number]
        if not isinstance(value, float) or member in ("float", "double"):
            return value
        return value != 0.0 if member == "bool" else int(value)


def _time_ns(request: onboard_pb2.GetHistoryRequest, name: str, default_ns: int) -> int:
    if not request.HasField(name):  # type: ignore[arg-type]
        return default_ns
    moment: Timestamp = getattr(request, name)
    return stamp_ns(moment)
