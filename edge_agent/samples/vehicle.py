"""What a service needs of the vehicle: signals in, derived signals out, over the socket in its folder.

    agent.sock, token > Vehicle.updates() > the service's own thinking > Vehicle.publish()

Rule 1: this folder is what a service's author writes: the standard library, gRPC and the stubs of kuksa.val.v2,
        nothing of the agent.
Rule 2: the agent may go and come back at any time: that is waited out, and never the end of the service.
Rule 3: what the manifest does not allow is told once and ends the service: waiting would not help.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
CALL_TIMEOUT_S = 5.0
# What is not read in time is dropped, the oldest first: enough for a second of ten signals at 100 Hz.
BUFFER = 1000
_NEVER_WILL = (
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
)


class Refused(Exception):
    """The vehicle never will: the manifest does not list it, or no such signal is there."""


@dataclass(frozen=True, slots=True)
class Update:
    """Signals that changed together."""

    time_s: float  # since the Unix epoch, of the newest of them: when the bus said it
    values: Mapping[str, float]


class Vehicle:
    """The vehicle's data, as this service may see it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.sockets = Path(environment.get("FAIRWAY_SOCKETS", "/run/ecu"))
        self._token = Path(environment.get("FAIRWAY_TOKEN_FILE", str(self.sockets / "token")))
        self._channel = grpc.insecure_channel(
            f"unix:{self.sockets / 'agent.sock'}",
            options=[
                ("grpc.default_authority", "localhost"),  # a socket's path is no host name
                ("grpc.initial_reconnect_backoff_ms", 200),
                ("grpc.max_reconnect_backoff_ms", 2000),
            ],
        )
        self._stub: Any = val_pb2_grpc.VALStub(self._channel)
        self._call: Any = None
        self._stopping = threading.Event()
        self.is_connected = False

    def stop(self) -> None:
        """End `updates`; for a signal handler, so it only says so."""
        self._stopping.set()

    def close(self) -> None:
        """Leave."""
        self._stopping.set()
        self._channel.close()

    def updates(self, paths: Sequence[str]) -> Iterator[Update]:
        """Yield what changes until stop().  Raises Refused for signals that it may not read."""
        threading.Thread(target=self._cancel_when_stopping, daemon=True).start()
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            try:
                for update in self._stream(paths):
                    wait_s = FIRST_WAIT_S
                    yield update
            except grpc.RpcError as error:
                _raise_if_refused(error, "read", paths)
            self.is_connected = False
            self._stopping.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def publish(self, values: Mapping[str, bool | float | str], time_s: float) -> bool:
        """Say signals of our own, stamped with the time that they are about; False: nobody took them now.

        Raises Refused for what the manifest does not provide.
        """
        for path, value in values.items():
            point = types_pb2.Datapoint(value=_value(value))
            point.timestamp.FromNanoseconds(round(time_s * 1e9))
            request = val_pb2.PublishValueRequest(
                signal_id=types_pb2.SignalID(path=path), data_point=point
            )
            try:
                self._stub.PublishValue(request, metadata=self._bearer(), timeout=CALL_TIMEOUT_S)
            except grpc.RpcError as error:
                _raise_if_refused(error, "provide", [path])
                return False
        return True

    def _stream(self, paths: Sequence[str]) -> Iterator[Update]:
        request = val_pb2.SubscribeRequest(signal_paths=list(paths), buffer_size=BUFFER)
        self._call = self._stub.Subscribe(request, metadata=self._bearer())
        for message in self._call:
            self.is_connected = True
            values, newest_ns = {}, 0
            for path, point in message.entries.items():
                if point.HasField("value"):
                    values[path] = _number(point.value)
                    newest_ns = max(newest_ns, point.timestamp.ToNanoseconds())
            if values:
                yield Update(newest_ns / 1e9, values)

    def _bearer(self) -> list[tuple[str, str]]:
        """Return the token as it is now: the agent renews it in place."""
        try:
            return [("authorization", f"Bearer {self._token.read_text('ascii').strip()}")]
        except OSError:
            return []  # a service that is known by its socket has none

    def _cancel_when_stopping(self) -> None:
        self._stopping.wait()
        if self._call is not None:
            self._call.cancel()


def _raise_if_refused(error: Any, action: str, paths: Sequence[str]) -> None:
    if error.code() in _NEVER_WILL:
        raise Refused(f"may not {action} {', '.join(paths)}: {error.details()}") from error


def _value(value: bool | float | str) -> Any:  # noqa: FBT001 - it is a value
    if isinstance(value, bool):
        return types_pb2.Value(bool=value)
    if isinstance(value, str):
        return types_pb2.Value(string=value)
    return types_pb2.Value(float=value)


def _number(value: Any) -> float:
    kind = value.WhichOneof("typed_value")
    found = getattr(value, kind)
    return float(found) if isinstance(found, int | float) else float("nan")
