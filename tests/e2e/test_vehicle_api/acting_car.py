"""A car whose body units are one program and whose agent is another; tests listen to the bus between them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.adapters.unix_bus import UnixBus
from edge_agent.canbus.frames import Frame
from fairway.errors import Unavailable
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc
from fairway.v1 import vehicle_data_pb2 as pb
from fairway.v1 import vehicle_data_pb2_grpc
from tests.e2e.programs import Program, until
from tests.onboard_apps import Issuer, bearer, channel

DBC = Path(__file__).parents[3] / "dbc"
DOOR = "Vehicle.Cabin.Door.Row1.DriverSide.IsOpen"
LOCK = "Vehicle.Cabin.Door.Row1.DriverSide.IsLocked"
WINDOW = "Vehicle.Cabin.Door.Row1.DriverSide.Window.Position"
TEMPERATURE = "Vehicle.Cabin.HVAC.Station.Row1.Driver.Temperature"
FAN = "Vehicle.Cabin.HVAC.Station.Row1.Driver.FanSpeed"
DOOR_COMMAND, CLIMATE_COMMAND = 0x3A0, 0x3A2
AGENT = f"""\
[vehicle]
id = "CAR-1"
[[bus]]
name = "body"
source = "unix:bus.sock"
databases = ["{DBC}/fairway_body.dbc"]
[signals]
catalogs = ["{DBC}/fairway_vss.json"]
overlays = ["{DBC}/fairway_body.vspec"]
[spool]
dir = "data/spool"
[onboard]
keys = ["issuer/apps.pub"]
[[outbound]]
bus = "body"
id = {DOOR_COMMAND:#x}
min_period_ms = 20
fill = "defaults"
condition = "Vehicle.Speed < 100"
checksum = "crc8-sae-j1850"
counter_signal = "Counter"
data_ids = [{DOOR_COMMAND:#x}]
[[actuation]]
path = "{DOOR}"
interlock = "Vehicle.Speed == 0"
deadline_ms = 1500
[[actuation]]
path = "{WINDOW}"
deadline_ms = 4000
tolerance = 0.5
writers = ["rescue"]
lease_ms = 600000
"""
CLIMATE = f"""\
[[outbound]]
bus = "body"
id = {CLIMATE_COMMAND:#x}
min_period_ms = 20
checksum = "crc8-sae-j1850"
counter_signal = "Counter"
data_ids = [{CLIMATE_COMMAND:#x}]
"""


@dataclass(frozen=True, slots=True)
class Car:
    folder: Path
    issuer: Issuer
    agent: Program
    body: Program

    @property
    def where(self) -> str:
        return f"unix:{self.folder / 'data' / 'onboard.sock'}"

    def order(
        self,
        targets: dict[str, Any],
        *,
        scope: str = "actuate",
        app: str = "app",
        deadline_ms: int = 0,
    ) -> list[tuple[str, str, str, str]]:
        """Give orders and return (path, state, reason, sentence) as they go."""
        token = {"metadata": bearer(self.issuer.token(scope, subject=app))}
        with channel(self.where) as opened:
            api: Any = vehicle_data_pb2_grpc.VehicleDataServiceStub(opened)
            request = pb.ActuateRequest(
                targets=[
                    pb.Target(path=path, value=types_pb2.Value(**value))
                    for path, value in targets.items()
                ],
                deadline_ms=deadline_ms,
            )
            return [
                (
                    change.path,
                    pb.OrderState.Name(change.state).removeprefix("ORDER_STATE_"),
                    pb.OrderReason.Name(change.reason).removeprefix("ORDER_REASON_"),
                    change.sentence,
                )
                for change in api.Actuate(request, timeout=30, **token)
            ]

    def actuate(self, path: str, **value: Any) -> None:
        """Ask an actuator for a value as an app of KUKSA does."""
        with channel(self.where) as opened:
            request = val_pb2.ActuateRequest(
                signal_id=types_pb2.SignalID(path=path), value=types_pb2.Value(**value)
            )
            vehicle: Any = val_pb2_grpc.VALStub(opened)
            vehicle.Actuate(request, timeout=10, metadata=bearer(self.issuer.token("actuate")))

    def value(self, path: str) -> bool:
        """Return what the vehicle says of a boolean."""
        with channel(self.where) as opened:
            request = val_pb2.GetValueRequest(signal_id=types_pb2.SignalID(path=path))
            vehicle: Any = val_pb2_grpc.VALStub(opened)
            token = bearer(self.issuer.token("read"))
            return bool(vehicle.GetValue(request, timeout=10, metadata=token).data_point.value.bool)


@contextmanager
def acting_car(folder: Path, *body: str, climate: bool = False) -> Iterator[Car]:
    """Start body units and agent."""
    issuer = Issuer(folder / "issuer")
    where = f"unix:{folder / 'bus.sock'}"
    (folder / "agent.toml").write_text(
        (AGENT + (CLIMATE if climate else "")).replace("unix:bus.sock", where)
    )
    units = Program("vehicle-sim", "body", "--to", where, *body, log=folder / "body.log").start()
    agent = Program(
        "edge-agent", "run", "--config", folder / "agent.toml", log=folder / "agent.log"
    )
    try:
        until("the bus", (folder / "bus.sock").exists)
        agent.start()
        until("the door", lambda: not agent.is_running or "onboard_listen" in agent.said())
        assert agent.is_running, agent.said()
        yield Car(folder, issuer, agent, units)
    finally:
        agent.close()
        units.close()


@contextmanager
def tapped(folder: Path) -> Iterator[list[Frame]]:
    """Collect every frame on the bus, in a thread of its own."""
    frames: list[Frame] = []
    bus, ready, over = (
        UnixBus(folder / "bus.sock", channel=None),
        threading.Event(),
        threading.Event(),
    )

    async def listen() -> None:
        try:
            while (block := await bus.receive()) is not None:
                frames.extend(block.frames())
                ready.set()
                if over.is_set():
                    return
        except Unavailable:
            return
        finally:
            bus.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    assert ready.wait(10)
    try:
        yield frames
    finally:
        over.set()
        thread.join(10)
