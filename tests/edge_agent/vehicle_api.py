"""A small vehicle behind a real on-board door, and apps that call it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest

from edge_agent.adapters.kuksa import services_of
from edge_agent.adapters.onboard_grpc import OnboardDoor
from edge_agent.adapters.onboard_listen import Listen
from edge_agent.adapters.tokens import Verifier, load_keys
from edge_agent.broker.claims import Expected
from edge_agent.broker.history import History
from edge_agent.broker.signals import Signals
from edge_agent.broker.vehicle import VehicleData
from fairway.catalog.model import Leaf
from fairway.clock import SystemClock
from fairway.foreign.kuksa.val.v1 import val_pb2_grpc as v1_grpc
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc
from fairway.foreign.sdv.databroker.v1 import broker_pb2_grpc as sdv_grpc
from fairway.samples import Kind, SampleBlock, Signal, SignalTable
from fairway.v1 import onboard_pb2_grpc, vehicle_data_pb2_grpc
from tests.onboard_apps import Issuer, bearer

LEAVES = (
    Leaf("Vehicle.Speed", "float", "sensor", unit="km/h", min=0, max=250, description="How fast."),
    Leaf("Vehicle.Powertrain.Transmission.CurrentGear", "int8", "sensor", change_type="onchange"),
    Leaf("Vehicle.Cabin.Door.Row2.Left.IsOpen", "boolean", "actuator"),
    Leaf("Vehicle.Cabin.Door.Row2.Left.Position", "uint8", "actuator", min=0, max=100),
    Leaf("Vehicle.Cabin.Lights.Mode", "string", "actuator", allowed=("OFF", "ON", "AUTO")),
    Leaf("Vehicle.VehicleIdentification.VIN", "string", "attribute", change_type="static"),
    Leaf("Vehicle.OBD.DTCList", "string[]", "sensor"),
    Leaf("Vehicle.TraveledDistanceTotal", "uint64", "sensor"),
)
BUS = 0  # the provider of what `take` says
SPEED, GEAR, IS_OPEN, POSITION, MODE, VIN, DTCS, TRAVELED = range(len(LEAVES))
PATHS = [leaf.path for leaf in LEAVES]


def vehicle(leaves=LEAVES, history_count: int = 100) -> VehicleData:
    """Return the data of a vehicle."""
    signals = Signals(leaves)
    data = VehicleData(
        signals, History(len(signals), count=history_count, age_s=600, max_bytes=1 << 24)
    )
    assert data.providers.open_bus("can0").number == BUS
    return data


def block(rows: list[tuple[int, int, float | str]], leaves=LEAVES) -> SampleBlock:
    """Return samples, each a (signal, time_ns, value), over a table of all leaves."""
    kinds = {"boolean": Kind.BOOL, "string": Kind.TEXT}
    table = SignalTable(
        tuple(Signal(leaf.path, kinds.get(leaf.datatype, Kind.NUMBER)) for leaf in leaves)
    )
    texts = sorted({value for _, _, value in rows if isinstance(value, str)})
    values = [texts.index(value) if isinstance(value, str) else value for _, _, value in rows]
    return SampleBlock(
        table,
        np.array([signal for signal, _, _ in rows], np.int32),
        np.array([time_ns for _, time_ns, _ in rows], np.int64),
        np.array(values, np.float64),
        tuple(texts),
    )


def take(data: VehicleData, rows: list[tuple[int, int, float | str]], now_ns: int = 0) -> None:
    """Let the buses of a vehicle say something."""
    numbers = np.arange(len(data.signals), dtype=np.int32)
    now_ns = now_ns or SystemClock().monotonic_ns()
    of_bus = np.full_like(numbers, BUS)
    data.take_block(block(rows, tuple(data.signals)), numbers, of_bus, now_ns=now_ns)


@dataclass(slots=True)
class Api:
    """A vehicle that is served."""

    data: VehicleData
    where: str
    issuer: Issuer

    @asynccontextmanager
    async def app(self, scope: str = "read", **token: Any) -> AsyncIterator["App"]:
        """Connect an app with a token of these scopes."""
        async with grpc.aio.insecure_channel(self.where) as channel:
            yield App(channel, bearer(self.issuer.token(scope, **token)))


class App:
    """Calls with a token."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Any) -> None:
        self.v2: Any = val_pb2_grpc.VALStub(channel)
        self.v1: Any = v1_grpc.VALStub(channel)
        self.sdv: Any = sdv_grpc.BrokerStub(channel)
        self.states: Any = onboard_pb2_grpc.OnboardServiceStub(channel)
        self.orders: Any = vehicle_data_pb2_grpc.VehicleDataServiceStub(channel)
        self.with_token = {"metadata": metadata}

    async def get(self, path: str) -> Any:
        """Return a value, None when there is none."""
        answer = await self.v2.GetValue(
            val_pb2.GetValueRequest(signal_id=types_pb2.SignalID(path=path)), **self.with_token
        )
        return plain(answer.data_point)

    async def publish(self, path: str, **value: Any) -> None:
        """Publish a value in the member that is named."""
        await self.v2.PublishValue(
            val_pb2.PublishValueRequest(
                signal_id=types_pb2.SignalID(path=path),
                data_point=types_pb2.Datapoint(value=types_pb2.Value(**value)),
            ),
            **self.with_token,
        )

    def subscribe(self, *paths: str, **more: Any) -> Any:
        """Open a subscription by paths."""
        return self.v2.Subscribe(
            val_pb2.SubscribeRequest(signal_paths=paths, **more), **self.with_token
        )

    def provider(self) -> Any:
        """Open the stream of a provider."""
        return self.v2.OpenProviderStream(**self.with_token)

    async def actuate(self, path: str, **value: Any) -> None:
        """Ask an actuator for a value."""
        await self.v2.Actuate(target(path, **value), **self.with_token)


def target(path: str, **value: Any) -> val_pb2.ActuateRequest:
    """Return a request to actuate."""
    return val_pb2.ActuateRequest(
        signal_id=types_pb2.SignalID(path=path), value=types_pb2.Value(**value)
    )


def claims(*signals: int, interval_ms: int = 0) -> val_pb2.OpenProviderStreamRequest:
    """Return what claims signals."""
    interval = types_pb2.SampleInterval(interval_ms=interval_ms)
    return val_pb2.OpenProviderStreamRequest(
        provide_signal_request=val_pb2.ProvideSignalRequest(
            signals_sample_intervals=dict.fromkeys(signals, interval)
        )
    )


def acts_on(*paths: str) -> val_pb2.OpenProviderStreamRequest:
    """Return what claims actuators."""
    return val_pb2.OpenProviderStreamRequest(
        provide_actuation_request=val_pb2.ProvideActuationRequest(
            actuator_identifiers=[types_pb2.SignalID(path=path) for path in paths]
        )
    )


def values(request_id: int, **by_number: dict[str, Any]) -> val_pb2.OpenProviderStreamRequest:
    """Return what publishes values: s0={"float": 1.0} for the signal 0."""
    return val_pb2.OpenProviderStreamRequest(
        publish_values_request=val_pb2.PublishValuesRequest(
            request_id=request_id,
            data_points={
                int(name[1:]): types_pb2.Datapoint(value=types_pb2.Value(**value))
                for name, value in by_number.items()
            },
        )
    )


def plain(point: Any) -> Any:
    """Return the value of a data point, None when there is none."""
    member = point.value.WhichOneof("typed_value")
    if member is None:
        return None
    value = getattr(point.value, member)
    return list(value.values) if member.endswith("_array") else value


def told(message: Any) -> dict[Any, Any]:
    """Return what a message of a subscription says."""
    return {key: plain(point) for key, point in message.entries.items()}


@asynccontextmanager
async def served(folder: Path, data: VehicleData | None = None, **door: Any) -> AsyncIterator[Api]:
    """Serve a vehicle on a socket."""
    data = vehicle() if data is None else data
    issuer, clock = Issuer(folder / "issuer"), SystemClock()
    verifier = Verifier(load_keys([issuer.public]), Expected(frozenset({"kuksa.val"})), clock)
    listen = Listen("unix", path=folder / "run" / "onboard.sock")
    opened = OnboardDoor(listen, verifier, services=services_of(data, clock), **door)
    where = await opened.start()
    try:
        yield Api(data, where, issuer)
    finally:
        await opened.stop()


@asynccontextmanager
async def refuses(code: str, sentence: str = ""):
    """Expect a call to end with a code, and some words."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        yield
    assert (error.value.code().name, sentence in str(error.value.details())) == (code, True), (
        error.value
    )
