"""Doors of services over a small vehicle, services that come to them, and clients of each kind."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from edge_agent.adapters.edge_audit import MemoryAudit
from edge_agent.adapters.kuksa import services_of
from edge_agent.adapters.kuksa_service import Service as Served
from edge_agent.adapters.service_doors import ServiceDoors
from edge_agent.adapters.service_tokens import Mint
from edge_agent.broker.vehicle import VehicleData
from edge_agent.services.audit import Act, Head
from edge_agent.services.instance import Instance
from fairway.clock import SystemClock
from fairway.errors import Unavailable
from fairway.services.model import Access, Offer, Service, Signals, Use
from fairway.v1 import services_pb2_grpc
from tests.edge_agent.vehicle_api import App, vehicle
from tests.onboard_apps import bearer

# Users that no machine has; without root all services are this one, as with plain processes.
IS_ROOT = os.geteuid() == 0
UIDS = {"battery": 61_001, "trip-log": 61_002, "nosy": 61_003}
needs_root = pytest.mark.skipif(
    not IS_ROOT, reason="services have users of their own only under root"
)

HEALTH = Offer(
    "battery.health", "1.2.0", "health.sock", "battery.v1.Health", ("soh", "trend"), ("trip-log",)
)
BATTERY = Service(
    "battery",
    "3.0",
    signals=Signals(
        read=("Vehicle.Speed",),
        write=("Vehicle.Cabin.Lights.Mode",),
        provide=("Vehicle.TraveledDistanceTotal",),
    ),
    offers=(HEALTH,),
)
TRIP_LOG = Service("trip-log", "1.0", uses=(Use("battery.health", "^1.2"),))
NOSY = Service("nosy", "1.0", access=Access.SOCKET)


class SmallAudit(MemoryAudit):
    """An audit whose disk may be full."""

    is_full = False

    def write(self, acts: Sequence[Act]) -> Head:
        if self.is_full:
            raise Unavailable("no room for the audit")
        return super().write(acts)


@dataclass
class Rig:
    """Doors, and what is behind them."""

    folder: Path
    doors: ServiceDoors
    data: VehicleData
    mint: Mint
    audit: SmallAudit
    clock: Any
    pids: dict[str, int] = field(default_factory=dict)  # of instances that run
    is_engine_away: bool = False

    def instance(self, service: Service, number: str = "a") -> Instance:
        """Return an instance of a service; it is not served yet."""
        id_ = f"{service.name}.{number * 12}"
        uid = UIDS.get(service.name, 61_100) if IS_ROOT else os.geteuid()
        return Instance(id_, service, None, uid, self.folder / "run" / id_)

    async def opened(self, service: Service, number: str = "a") -> Instance:
        """Open the door of a service."""
        instance = self.instance(service, number)
        await self.doors.open(instance)
        return instance

    async def in_force(self, *instances: Instance) -> None:
        """Let these be the ready ones."""
        await self.doors.serve({one.service.name: one for one in instances})

    def again(self) -> ServiceDoors:
        """Return the doors of an agent that was started after this one."""
        self.doors = _doors(self)
        return self.doors


def token(instance: Instance) -> str:
    """Return what a service reads in its token file."""
    return (instance.sockets / "token").read_text()


@asynccontextmanager
async def caller(instance: Instance, shown: str | None = "") -> AsyncIterator[Any]:
    """Connect as a service; `shown` is its own token, another one, or None for none."""
    shown = token(instance) if shown == "" else shown
    async with at(f"unix:{instance.sockets}/agent.sock", shown) as app:
        yield app


@asynccontextmanager
async def at(where: str, shown: str | None = None) -> AsyncIterator[Any]:
    """Connect to a door."""
    async with grpc.aio.insecure_channel(where) as channel:
        app: Any = App(channel, bearer(shown) if shown else ())
        app.registry = services_pb2_grpc.ServiceRegistryServiceStub(channel)
        yield app


# The interpreter may lie where only its own user goes: it starts as that one, and becomes the other.
BECOME = """
import os, socket, sys
uid = int(sys.argv.pop(1))
if uid >= 0:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
"""


def program(uid: int | None, code: str, *arguments: object) -> list[str]:
    """Return how to run a few lines of Python, which have os, socket and sys, as a user."""
    user = uid if IS_ROOT and uid is not None else -1
    return [sys.executable, "-I", "-S", "-c", BECOME + code, str(user), *map(str, arguments)]


def as_user(uid: int | None, code: str, *arguments: object) -> str:
    """Run a few lines of Python as a user, and return what they print."""
    run = program(uid, code, *arguments)
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()


def asked(path: Path, uid: int | None = None) -> str:
    """Connect to a socket, as a user, and return what it says or why that cannot be."""
    code = (
        "s = socket.socket(socket.AF_UNIX)\n"
        "try:\n s.connect(sys.argv[1]); print(s.recv(99).decode())\n"
        "except OSError as error: print(type(error).__name__)"
    )
    return as_user(uid, code, path)


@contextlib.contextmanager
def offering(instance: Instance, name: str = "health.sock", said: str = "good") -> Iterator[Path]:
    """Serve an offer as its service does: a socket in its folder, of its user, that says something to each."""
    path = instance.sockets / name
    path.unlink(missing_ok=True)
    code = (
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8); print(flush=True)\n"
        "while True:\n c = s.accept()[0]; c.sendall(sys.argv[2].encode()); c.close()"
    )
    run = program(instance.uid, code, path, said)
    with subprocess.Popen(run, stdout=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        serving.stdout.readline()
        try:
            yield path
        finally:
            serving.kill()
            path.unlink(missing_ok=True)


def bound(path: Path) -> socket.socket:
    """Return a socket that listens at a path, made by this user."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen()
    return made


def connected(path: Path) -> socket.socket:
    """Return a connection to a socket that says nothing and reads nothing."""
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    return made


@contextlib.contextmanager
def alone(instance: Instance) -> Iterator[int]:
    """Have a process of the user of an instance, in a network of its own with a loopback; return its pid."""
    code = """
import ctypes, fcntl, struct
if ctypes.CDLL(None).unshare(0x40000000):
    raise SystemExit("no namespaces")
with socket.socket() as made:
    fcntl.ioctl(made, 0x8914, struct.pack("16sH14x", b"lo", 0x1))  # SIOCSIFFLAGS, IFF_UP
"""
    become = f"os.setgroups([]); os.setgid({instance.uid}); os.setuid({instance.uid})"
    run = program(None, f"{code}\n{become}\nprint(flush=True)\nsys.stdin.read()")
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        try:
            yield process.pid
        finally:
            process.kill()


@asynccontextmanager
async def served(
    kind: Any = Rig, clock: Any = None, data: VehicleData | None = None
) -> AsyncIterator[Any]:
    """Have doors in a folder with a short name, which all users may pass."""
    folder = Path(tempfile.mkdtemp(prefix="ecu-"))
    folder.chmod(0o755)
    clock = clock or SystemClock()
    data = vehicle() if data is None else data
    mint, audit = Mint.of(folder, clock), SmallAudit(clock)
    rig = kind(folder, None, data, mint, audit, clock)
    rig.again()
    try:
        yield rig
    finally:
        await rig.doors.stop()
        shutil.rmtree(folder)


def _doors(rig: Rig) -> ServiceDoors:
    async def pid_of(id_: str) -> int:
        if rig.is_engine_away:
            raise Unavailable("the container engine is not there")
        return rig.pids.get(id_, 0)

    served = services_of(rig.data, rig.clock, None, Served(rig.data, rig.clock))
    return ServiceDoors(rig.data, rig.mint, rig.audit, rig.clock, served, pid_of)
