"""Calls the on-board door for people: values, orders, subscriptions and the past, as plain dataclasses.

Rule 1: what the door refuses comes as an error of the house with the door's own sentence.
Rule 2: an agent of before VehicleDataService is asked by kuksa.val.v2: what it forwards it does not confirm.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from edge_agent.adapters.kuksa_values import (
    DATA_TYPES,
    ENTRY_TYPES,
    fill,
    member_of,
    read,
    stamp,
    stamp_ns,
)
from edge_agent.adapters.onboard_listen import listen_at
from edge_agent.broker.values import Value
from fairway.errors import BadInput, Conflict, Denied, FairwayError, Unavailable
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc
from fairway.v1 import onboard_pb2, onboard_pb2_grpc, vehicle_data_pb2, vehicle_data_pb2_grpc

CALL_MAX_S = 10.0
# An order lasts as long as the agent's settings say, ten minutes at most.
ORDER_MAX_S = 620.0
_NAMES = {number: name for name, number in DATA_TYPES.items()}
_KINDS = {number: name for name, number in ENTRY_TYPES.items()}
_NOT_CLOSED = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.FAILED_PRECONDITION)


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a signal."""

    path: str
    value: Value | None
    quality: str
    time_ns: int  # 0: never
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """What a signal is."""

    path: str
    datatype: str
    type: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class News:
    """A message of a subscription."""

    told: tuple[Told, ...]
    refused: dict[str, str]
    dropped: int


@dataclass(frozen=True, slots=True)
class Change:
    """How an order goes; `forwarded` is the word where nothing will confirm it."""

    path: str
    state: str
    reason: str
    sentence: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the door."""

    where: str  # unix:/path, tls://host:port, or tcp://host:port of this machine
    token: str = ""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class SignalsClient:
    """A connection to the door."""

    def __init__(self, access: Access) -> None:
        """Open it; nothing is asked yet.  Raises BadInput."""
        listen = listen_at(access.where, plain=True)
        self._where = str(listen)
        self._metadata = (("authorization", f"Bearer {access.token}"),) if access.token else ()
        if listen.scheme == "tls":
            self._channel = grpc.secure_channel(listen.authority, _credentials(access))
        else:
            target = f"unix:{listen.path}" if listen.scheme == "unix" else listen.authority
            self._channel = grpc.insecure_channel(target)
        self._v2: Any = val_pb2_grpc.VALStub(self._channel)
        self._states: Any = onboard_pb2_grpc.OnboardServiceStub(self._channel)
        self._orders: Any = vehicle_data_pb2_grpc.VehicleDataServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def get(self, paths: Sequence[str]) -> tuple[list[Told], dict[str, str]]:
        """Return what is known of signals by path, branch or pattern, and why others are left out."""
        with self._errors():
            answer = self._states.GetStates(
                onboard_pb2.GetStatesRequest(paths=paths), **self._within(CALL_MAX_S)
            )
        told = [_told(one.path, one.data_point, one.quality, one.provider) for one in answer.states]
        return told, dict(answer.refused)

    def described(self, pattern: str) -> list[Described]:
        """Return the signals that a pattern is for and the token may read."""
        with self._errors():
            answer = self._v2.ListMetadata(
                val_pb2.ListMetadataRequest(root=pattern), **self._within(CALL_MAX_S)
            )
        return [
            Described(
                one.path,
                _NAMES.get(one.data_type, "unknown"),
                _KINDS.get(one.entry_type, "unknown"),
                one.unit,
                one.description,
            )
            for one in answer.metadata
        ]

    def history(self, path: str, *, since_ns: int, count: int) -> list[Told]:
        """Return the newest `count` values since a time, 0 for all."""
        request = onboard_pb2.GetHistoryRequest(path=path, max_count=count)
        if since_ns:
            stamp(getattr(request, "from"), since_ns)
        with self._errors():
            answer = self._states.GetHistory(request, **self._within(CALL_MAX_S))
        return [_told(path, point, 0) for point in answer.data_points]

    def watch(
        self, paths: Sequence[str], *, interval_ms: int, seconds: float | None
    ) -> Iterator[News]:
        """Yield what is now, then what changes, until the time is up."""
        request = vehicle_data_pb2.SubscribePartialRequest(
            paths=paths, buffer_size=0 if interval_ms else 1000, min_interval_ms=interval_ms
        )
        with self._errors():
            try:
                for news in self._orders.SubscribePartial(request, **self._within(seconds)):
                    yield News(
                        tuple(_told(one.path, one.data_point, one.quality) for one in news.updates),
                        dict(news.refused),
                        news.dropped,
                    )
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED or seconds is None:
                    raise

    def set(self, values: dict[str, Value], *, deadline_ms: int) -> Iterator[Change]:
        """Give orders, and yield how they go."""
        datatypes = self.datatypes(list(values))
        asked: dict[str, types_pb2.Value] = {}
        for path, value in values.items():
            asked[path] = types_pb2.Value()
            fill(asked[path], member_of(datatypes[path]), value)
        request = vehicle_data_pb2.ActuateRequest(
            targets=[
                vehicle_data_pb2.Target(path=path, value=value) for path, value in asked.items()
            ],
            deadline_ms=deadline_ms,
        )
        with self._errors():
            try:
                for change in self._orders.Actuate(request, **self._within(ORDER_MAX_S)):
                    yield _change(change)
            except grpc.RpcError as error:
                if error.code() not in _NOT_CLOSED:
                    raise
                yield from self._forwarded(asked)

    def datatypes(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the data types of signals by path.  Raises BadInput when one is not there."""
        return {path: self._datatype(path) for path in paths}

    def _datatype(self, path: str) -> str:
        for one in self.described(path):
            if one.path == path:
                return one.datatype
        raise BadInput(f"{path} is no signal: name a leaf")

    def _forwarded(self, asked: dict[str, types_pb2.Value]) -> Iterator[Change]:
        requests = [
            val_pb2.ActuateRequest(signal_id=types_pb2.SignalID(path=path), value=value)
            for path, value in asked.items()
        ]
        self._v2.BatchActuate(
            val_pb2.BatchActuateRequest(actuate_requests=requests), **self._within(CALL_MAX_S)
        )
        for path in asked:
            yield Change(path, "forwarded", "", "its provider has it; nothing confirms it", 0)

    def _within(self, seconds: float | None) -> dict[str, Any]:
        return {"metadata": self._metadata, "timeout": seconds}

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise _ours(error, self._where) from error


def _ours(error: Any, where: str) -> FairwayError:
    sentence, code = str(error.details()), error.code()
    if code is grpc.StatusCode.UNAVAILABLE and "connect" in sentence.lower():
        return Unavailable(f"nobody answers at {where}: does the agent run, with [onboard]?")
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return Denied(sentence)
    if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
        return BadInput(sentence)
    if code is grpc.StatusCode.ABORTED:
        return Conflict(sentence)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return BadInput(f"the agent at {where} is too old for this: update it")
    return Unavailable(sentence or f"{where} answered {code.name.lower()}")


def _told(path: str, point: Any, quality: int, provider: str = "") -> Told:
    _, value = read(point.value, "typed_value")
    stamped: Timestamp = point.timestamp
    word = _word(onboard_pb2.Quality, quality, "QUALITY_").replace("_", " ")
    return Told(path, value, word, stamp_ns(stamped), provider)


def _change(change: vehicle_data_pb2.ActuateResponse) -> Change:
    return Change(
        change.path,
        _word(vehicle_data_pb2.OrderState, change.state, "ORDER_STATE_"),
        _word(vehicle_data_pb2.OrderReason, change.reason, "ORDER_REASON_"),
        change.sentence,
        stamp_ns(change.time),
    )


def _word(kind: Any, number: int, prefix: str) -> str:
    """Return an enum's word; one that a newer agent says and we do not know is its number."""
    if number not in kind.values():
        return str(number)
    word = str(kind.Name(number)).removeprefix(prefix).lower()
    return "" if word == "unspecified" else word


def _credentials(access: Access) -> grpc.ChannelCredentials:
    files = (access.ca, access.key, access.certificate)
    try:
        ca, key, certificate = [None if path is None else path.read_bytes() for path in files]
    except OSError as error:
        raise BadInput(f"cannot read {error.filename}: {error.strerror}") from error
    return grpc.ssl_channel_credentials(ca, key, certificate)
