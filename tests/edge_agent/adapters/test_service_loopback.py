"""A service that knows no Unix socket reaches its door by a port on its own loopback, and nobody else's."""

import asyncio
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from edge_agent.adapters.service_loopback import CONNECTIONS_MAX, PORT, Loopback
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Access, Network, Runner, Signals
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, needs_root
from tests.edge_agent.vehicle_api import SPEED, take

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]

READER = replace(NOSY, signals=Signals(read=("Vehicle.Speed",)))
ASK = """
import grpc, sys
from fairway.foreign.kuksa.val.v2 import types_pb2, val_pb2, val_pb2_grpc
with grpc.insecure_channel("127.0.0.1:55555") as channel:
    stub = val_pb2_grpc.VALStub(channel)
    for path in sys.argv[1:]:
        try:
            request = val_pb2.GetValueRequest(signal_id=types_pb2.SignalID(path=path))
            print(stub.GetValue(request, timeout=20).data_point.value.float)
        except grpc.RpcError as error:
            print(error.code().name)
"""
TRIED = """
import socket
try:
    socket.create_connection(("127.0.0.1", 55555), timeout=5)
    print("there")
except OSError as error:
    print(type(error).__name__)
"""


async def inside(pid: int, code: str, *arguments: str) -> list[str]:
    """Run a few lines of Python in the network of a process."""
    command = ["nsenter", "-t", str(pid), "-n", sys.executable, "-c", code, *arguments]

    def run() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return (await asyncio.to_thread(run)).split()


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


@needs_root
async def test_it_reads_there_what_its_manifest_says(rig):
    take(rig.data, [(SPEED, 1, 42.0)])
    instance = await rig.opened(READER)
    with rigs.alone(instance) as pid:
        rig.pids[instance.id] = pid
        await rig.doors.started(instance.id)

        seen = await inside(pid, ASK, "Vehicle.Speed", "Vehicle.OBD.DTCList")

    assert seen == ["42.0", "PERMISSION_DENIED"]
    assert [one.what for one in rig.doors.denials("nosy")] == ["Vehicle.OBD.DTCList"]


@needs_root
async def test_on_no_other_loopback_is_that_port(rig):
    instance, other = await rig.opened(READER), await rig.opened(BATTERY)
    with rigs.alone(instance) as pid, rigs.alone(other) as others:
        rig.pids |= {instance.id: pid, other.id: others}
        await rig.doors.look()

        assert await inside(pid, TRIED) == ["there"]
        assert await inside(others, TRIED) == ["ConnectionRefusedError"]
        assert not _listens_here(instance)


@needs_root
async def test_an_engine_that_is_away_costs_no_door_anything(rig):
    instance = await rig.opened(READER)
    with rigs.alone(instance) as pid:
        rig.pids[instance.id] = pid
        rig.is_engine_away = True
        await rig.doors.look()
        away = await inside(pid, TRIED)
        rig.is_engine_away = False
        await rig.doors.look()

        assert (away, await inside(pid, TRIED)) == (["ConnectionRefusedError"], ["there"])


@needs_root
async def test_a_new_process_gets_a_port_and_a_closed_door_none(rig):
    instance = await rig.opened(READER)
    with rigs.alone(instance) as first:
        rig.pids[instance.id] = first
        await rig.doors.look()
    with rigs.alone(instance) as second:
        rig.pids[instance.id] = second
        await rig.doors.started(instance.id)
        again = await inside(second, TRIED)
        await rig.doors.close(instance.id)

        assert again == ["there"]
        assert await inside(second, TRIED) == ["ConnectionRefusedError"]


@needs_root
async def test_so_many_connections_and_no_more(rig):
    flood = (
        "import socket\nopened = [socket.create_connection(('127.0.0.1', 55555)) for _ in range(60)]\n"
        "left = 0\n"
        "for made in opened:\n"
        " made.settimeout(20)\n"
        " try: left += made.recv(1) != b''\n"
        " except OSError: pass\n"
        "print(left)"
    )
    instance = await rig.opened(READER)
    with rigs.alone(instance) as pid:
        rig.pids[instance.id] = pid
        await rig.doors.look()

        (left,) = await inside(pid, flood)
        await rig.doors.close(instance.id)

    assert 0 < int(left) <= CONNECTIONS_MAX


@needs_root
async def test_a_process_of_another_user_is_not_taken_for_the_service(rig):
    instance = rig.instance(READER)
    with (
        rigs.alone(rig.instance(BATTERY)) as pid,
        pytest.raises(Unavailable, match="not of the user"),
    ):
        await Loopback(instance.sockets).open(pid, instance.uid)


async def test_one_in_the_vehicles_own_network_gets_no_port(rig):
    with pytest.raises(BadInput, match="the vehicle's network"):
        await Loopback(rig.folder).open(os.getpid(), os.getuid())


async def test_one_that_is_gone_gets_none(rig):
    with subprocess.Popen(["true"]) as done:
        pass

    with pytest.raises(Unavailable, match="is not there"):
        await Loopback(rig.folder).open(done.pid, 1)


@pytest.mark.parametrize(
    "service",
    [
        replace(READER, access=Access.TOKEN),
        replace(READER, network=Network.HOST),
        replace(READER, runner=Runner.PROCESS),
    ],
)
async def test_who_is_not_to_have_one_is_not_even_looked_at(rig, service):
    instance = await rig.opened(service)
    rig.pids[instance.id] = os.getpid()

    await rig.doors.started(instance.id)

    assert not _listens_here(instance)
    assert dict(await rig.doors.open(instance))["KUKSA_ADDRESS"].startswith("unix:")


async def test_its_libraries_are_led_to_the_port(rig):
    environment = dict(await rig.doors.open(rig.instance(READER)))

    assert environment["KUKSA_ADDRESS"] == "grpc://127.0.0.1:55555"
    assert environment["SDV_VEHICLEDATABROKER_ADDRESS"] == "grpc://127.0.0.1:55555"
    assert environment["FAIRWAY_AGENT"] == "unix:/run/ecu/agent.sock"


def _listens_here(instance) -> bool:
    """Whether somebody listens on the port on this machine's own loopback."""
    with socket.socket() as made:
        return made.connect_ex(("127.0.0.1", PORT)) == 0
