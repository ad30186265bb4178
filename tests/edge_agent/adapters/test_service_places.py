"""The folder of a service: who gets there, what is refused, and what outlives the agent."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_agent.adapters.service_door import CONNECTIONS_MAX
from fairway.errors import BadInput
from fairway.services.model import Offer, Service
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, caller, needs_root

SPEED_PATH = "Vehicle.Speed"


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


@needs_root
async def test_another_service_cannot_open_its_socket_nor_read_its_token(rig):
    battery, nosy = await rig.opened(BATTERY), await rig.opened(NOSY)
    socket, token = battery.sockets / "agent.sock", battery.sockets / "token"
    read = "try: print(len(open(sys.argv[1]).read()))\nexcept OSError as e: print(type(e).__name__)"

    assert rigs.asked(socket, nosy.uid) == "PermissionError"
    assert rigs.as_user(nosy.uid, read, token) == "PermissionError"
    assert rigs.as_user(battery.uid, read, token).isdecimal()
    assert oct(battery.sockets.stat().st_mode)[-4:] == "1770"


@needs_root
async def test_it_cannot_remove_or_swap_what_the_agent_put_in_its_folder(rig):
    battery = await rig.opened(BATTERY)
    attack = """
os.chdir(sys.argv[1])
def tried(do, *words):
    try:
        do(*words)
        print("done", do.__name__, *words)
    except OSError:
        pass
for name in ("agent.sock", "token", "keys.jwks"):
    tried(os.unlink, name)
    tried(os.rename, name, "x")
    os.symlink("/nowhere", "mine")
    tried(os.rename, "mine", name)
    os.unlink("mine")
tried(os.rename, "uses", "x")
tried(os.rmdir, "uses")
tried(os.mkdir, "uses/x")
tried(open, "token", "w")
"""

    assert rigs.as_user(battery.uid, attack, battery.sockets) == ""


async def test_a_name_too_long_for_sockets_is_refused_before_anything_is_made(rig):
    long = replace(rig.instance(BATTERY), sockets=rig.folder / ("x" * 80))

    with pytest.raises(BadInput, match="too long"):
        await rig.doors.open(long)
    assert not long.sockets.exists()


@pytest.mark.parametrize(
    "offer",
    [
        Offer("battery.health", "1.2.0", "../agent.sock"),
        Offer("battery.health", "1.2.0", "agent.sock"),
        Offer("..", "1.2.0", "x.sock"),
        Offer("a/b", "1.2.0", "x.sock"),
        Offer("battery.health", "one", "x.sock"),
    ],
)
async def test_an_offer_whose_names_can_lead_elsewhere_is_refused(rig, offer):
    instance = rig.instance(Service("battery", "1", offers=(offer,)))

    with pytest.raises(BadInput):
        await rig.doors.open(instance)
    assert not instance.sockets.exists()


async def test_what_is_opened_and_closed_at_once_is_in_order(rig):
    instance = rig.instance(BATTERY)

    await asyncio.gather(*(rig.doors.open(instance) for _ in range(3)))
    await asyncio.gather(rig.doors.close(instance.id), rig.doors.open(instance))

    async with caller(instance) as app:
        await app.get(SPEED_PATH)
    await asyncio.gather(rig.doors.open(instance), rig.doors.close(instance.id))
    assert not instance.sockets.exists()


async def test_who_reads_nothing_does_not_keep_others_from_their_doors(rig):
    slow, other = await rig.opened(NOSY), rig.instance(BATTERY)
    stuck = await asyncio.to_thread(rigs.connected, slow.sockets / "agent.sock")
    closing = asyncio.create_task(rig.doors.close(slow.id))
    await asyncio.sleep(0)

    await rig.doors.open(other)

    async with caller(other) as app:
        await app.get(SPEED_PATH)
    await closing
    stuck.close()
    assert not slow.sockets.exists()


async def test_it_cannot_use_up_the_files_of_the_agent(rig):
    instance, other = await rig.opened(NOSY), await rig.opened(BATTERY)
    before = len(list(Path("/proc/self/fd").iterdir()))
    flood = """
import time
opened = []
for _ in range(200):
    made = socket.socket(socket.AF_UNIX)
    made.connect(sys.argv[1])
    opened.append(made)
    made.settimeout(20)
left = 0
for made in opened:
    try:
        left += made.recv(1) != b""  # the greeting of HTTP/2, or the end
    except OSError:
        pass
print(left)
"""

    left = await asyncio.to_thread(
        rigs.as_user, instance.uid, flood, instance.sockets / "agent.sock"
    )

    assert int(left) <= CONNECTIONS_MAX
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + CONNECTIONS_MAX + 8
    async with caller(other) as app:
        await app.get(SPEED_PATH)


async def test_what_is_open_is_served_on(rig):
    instance = await rig.opened(BATTERY)
    async with caller(instance) as app:
        await app.get(SPEED_PATH)
        assert await rig.doors.open(instance) == await rig.doors.open(rig.instance(BATTERY))
        await app.get(SPEED_PATH)
    await rig.doors.close(instance.id)
    await rig.doors.close(instance.id)
    assert list((rig.folder / "run").iterdir()) == []


async def test_when_the_agent_is_started_anew_the_same_folder_is_served_again(rig):
    instance = await rig.opened(BATTERY)
    folder = instance.sockets.stat().st_ino  # it is mounted in the container: it must stay this one
    async with caller(instance) as app:
        await app.get(SPEED_PATH)
        old = rigs.token(instance)
        await rig.doors.stop()
        again = rig.again()
        await again.open(instance)

        await app_comes_back(app)
        async with caller(instance, old) as former:
            await former.get(SPEED_PATH)  # what it read before is good until its own end

    assert instance.sockets.stat().st_ino == folder


async def app_comes_back(app: Any) -> Any:
    """Call until the channel has connected again."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(grpc.RpcError):
                return await app.get(SPEED_PATH)
            await asyncio.sleep(0.05)
