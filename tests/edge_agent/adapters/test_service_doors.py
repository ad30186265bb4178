"""What a service can do at its door, and what it cannot."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from edge_agent.adapters.service_door import CONNECTIONS_MAX
from edge_agent.adapters.service_tokens import RENEW_AFTER_S, TOKEN_LIFE_S
from edge_agent.adapters.tokens import unchecked_claims
from edge_agent.services.audit import checked
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput
from fairway.foreign.kuksa.val.v1 import types_pb2 as v1_types
from fairway.foreign.kuksa.val.v1 import val_pb2 as v1
from fairway.foreign.kuksa.val.v2 import val_pb2
from fairway.foreign.sdv.databroker.v1 import broker_pb2 as sdv
from fairway.services.model import Access, Offer, Runner, Service, Signals
from fairway.v1 import onboard_pb2
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, TRIP_LOG, caller, needs_root
from tests.edge_agent.vehicle_api import IS_OPEN, POSITION, SPEED, claims, take, told, values
from tests.onboard_apps import Issuer, health, refusal, services
from tests.onboard_apps import channel as sync_channel

SPEED_PATH = "Vehicle.Speed"
VIN_PATH = "Vehicle.VehicleIdentification.VIN"
TRAVELED = "Vehicle.TraveledDistanceTotal"


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


async def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return refusal(caught.value)


async def test_it_reads_and_publishes_what_its_manifest_says(rig):
    take(rig.data, [(SPEED, 1, 42.0)])
    instance = await rig.opened(BATTERY)

    async with caller(instance) as battery:
        await battery.publish(TRAVELED, uint64=7)

        assert await battery.get(SPEED_PATH) == 42.0
        assert await battery.get(TRAVELED) == 7


async def test_a_signal_that_its_manifest_does_not_list_is_denied_and_the_denial_is_seen(rig):
    instance = await rig.opened(BATTERY)

    async with caller(instance) as battery:
        code, sentence = await refused(battery.get(VIN_PATH))
        await refused(battery.get(VIN_PATH))
        await refused(battery.publish(SPEED_PATH, float=1.0))
    await rig.doors.look()

    assert code == "PERMISSION_DENIED"
    assert sentence == f"the manifest of battery does not say that it may read {VIN_PATH}"
    seen = {(one.action, one.what): one.count for one in rig.doors.denials("battery")}
    assert seen == {("read", VIN_PATH): 2, ("provide", SPEED_PATH): 1}
    lines = [content for content, _ in checked(rig.audit.lines)]
    assert {(line["action"], line["object"], line["outcome"]) for line in lines} == {
        ("signal.read", VIN_PATH, "denied"),
        ("signal.provide", SPEED_PATH, "denied"),
    }
    assert {line["actor"] for line in lines} == {"service:battery"}


async def test_a_denial_is_seen_by_whichever_api_it_asked(rig):
    nosy = replace(NOSY, signals=Signals(read=(SPEED_PATH,)))
    instance = await rig.opened(nosy)

    async with caller(instance, None) as app:
        v1_answer = await app.v1.Get(
            v1.GetRequest(entries=[v1.EntryRequest(path=VIN_PATH, view=v1_types.VIEW_ALL)])
        )
        await app.sdv.GetDatapoints(sdv.GetDatapointsRequest(datapoints=[VIN_PATH]))
        await app.states.GetStates(onboard_pb2.GetStatesRequest(paths=[VIN_PATH]))
        await refused(anext(aiter(app.subscribe(VIN_PATH))))
        with pytest.raises(grpc.RpcError):
            async for _ in app.sdv.Subscribe(sdv.SubscribeRequest(query=f"SELECT {VIN_PATH}")):
                pass

    assert v1_answer.error.code == 403
    (denial,) = rig.doors.denials("nosy")
    assert (denial.action, denial.what, denial.count) == ("read", VIN_PATH, 5)


async def test_what_it_merely_looks_through_is_no_denial(rig):
    instance = await rig.opened(BATTERY)

    async with caller(instance) as battery:
        request = val_pb2.ListMetadataRequest(root="Vehicle")
        listed = await battery.v2.ListMetadata(request, **battery.with_token)

    assert len(listed.metadata) == 3  # a right to write or provide is one to read
    assert rig.doors.denials("battery") == ()


async def test_without_a_token_it_gets_nothing_unless_its_socket_is_enough(rig):
    strict, trusted = await rig.opened(BATTERY), await rig.opened(NOSY)

    async with caller(strict, None) as app:
        assert (await refused(app.get(SPEED_PATH)))[0] == "UNAUTHENTICATED"
    async with caller(trusted, None) as app:
        assert (await refused(app.get(SPEED_PATH)))[
            0
        ] == "PERMISSION_DENIED"  # its manifest has none


@pytest.mark.parametrize("empty", ["", "Bearer ", "bearer"])
async def test_an_empty_token_is_none_where_none_is_needed(rig, empty):
    strict, trusted = await rig.opened(BATTERY), await rig.opened(NOSY)
    codes = []
    for instance in (strict, trusted):
        async with caller(instance, None) as app:
            app.with_token = {"metadata": (("authorization", empty),)}
            codes.append(await refused(app.get(SPEED_PATH)))

    assert codes[0][0] == "UNAUTHENTICATED"
    assert codes[1][0] == "PERMISSION_DENIED"  # its manifest has none


@pytest.mark.parametrize("access", Access)
async def test_tokens_of_others_are_refused_even_good_ones(rig, access, tmp_path):
    instance = await rig.opened(replace(BATTERY, access=access))
    other = await rig.opened(TRIP_LOG)
    newer = await rig.opened(replace(BATTERY, access=access), "b")
    issuer = Issuer(tmp_path)  # of apps, whose tokens are good at the on-board door
    shown = {
        "another service's": (rigs.token(other), "trip-log"),
        "another version's": (rigs.token(newer), "is for battery.aaaaaaaaaaaa alone"),
        "one of the fleet's issuer": (issuer.token(), "no token of this vehicle's agent"),
        "no token at all": ("x.y.z", "no token of this vehicle's agent"),
    }

    for name, (token, sentence) in shown.items():
        async with caller(instance, token) as app:
            code, said = await refused(app.get(SPEED_PATH))
            assert (name, code) == (name, "UNAUTHENTICATED")
            assert sentence in said
            assert token not in said


async def test_a_token_for_an_offer_is_none_for_the_agent(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    with rigs.offering(battery):
        await rig.in_force(battery)
        for_battery = (log.sockets / "uses/battery.health/token").read_text()

        async with caller(log, for_battery) as app:
            code, sentence = await refused(app.get(SPEED_PATH))

    assert code == "UNAUTHENTICATED"
    assert "the token is for battery" in sentence


async def test_an_expired_token_is_refused_and_the_renewed_one_taken():
    clock = ManualClock()
    async with rigs.served(clock=clock) as rig:
        instance = await rig.opened(BATTERY)
        first = rigs.token(instance)
        clock.advance(RENEW_AFTER_S * NS_PER_S)
        await rig.doors.look()
        second = rigs.token(instance)

        async with caller(instance, first) as app:
            await app.get(SPEED_PATH)  # until its own end
            clock.advance((TOKEN_LIFE_S - RENEW_AFTER_S) * NS_PER_S)
            code, sentence = await refused(app.get(SPEED_PATH))
        async with caller(instance, second) as app:
            await app.get(SPEED_PATH)

    assert second != first
    assert code == "UNAUTHENTICATED"
    assert "expired" in sentence


async def test_when_the_clock_is_set_tokens_are_renewed_at_the_next_look():
    clock = ManualClock(now_ns=0)
    async with rigs.served(clock=clock) as rig:
        instance = await rig.opened(BATTERY)
        clock.jump(1_800_000_000 * NS_PER_S)  # a head unit that woke up in 1970
        await rig.doors.look()

        async with caller(instance) as app:
            await app.get(SPEED_PATH)


async def test_an_open_call_goes_on_when_its_token_expires_and_ends_with_the_door():
    clock = ManualClock()
    async with rigs.served(clock=clock) as rig:
        instance = await rig.opened(BATTERY)
        async with caller(instance) as app:
            stream = aiter(app.subscribe(SPEED_PATH))
            await anext(stream)
            clock.advance(2 * TOKEN_LIFE_S * NS_PER_S)
            await rig.doors.look()
            take(rig.data, [(SPEED, 1, 9.0)])
            assert told(await anext(stream)) == {SPEED_PATH: 9.0}

            closing = asyncio.create_task(rig.doors.close(instance.id))
            code, _ = await refused(anext(stream))
            await closing

        assert code == "UNAVAILABLE"
        assert not instance.sockets.exists()


async def test_it_is_served_health_and_reflection_too(rig):
    instance = await rig.opened(NOSY)

    def ask():
        with sync_channel(f"unix:{instance.sockets}/agent.sock") as opened:
            return health(opened), services(opened)

    status, names = await asyncio.to_thread(ask)

    assert status == "SERVING"
    assert {"kuksa.val.v2.VAL", "fairway.v1.ServiceRegistryService"} <= set(names)


async def test_it_is_known_when_an_instance_last_published(rig):
    old, new = await rig.opened(BATTERY), await rig.opened(BATTERY, "b")

    async with caller(old) as app:
        await app.publish(TRAVELED, uint64=7)

    age_s = rig.doors.last_published(old.id, TRAVELED)
    assert age_s is not None
    assert 0 <= age_s < 60
    assert rig.doors.last_published(new.id, TRAVELED) is None  # the same service, another version
    assert rig.doors.last_published(old.id, SPEED_PATH) is None
    assert rig.doors.last_published("gone.x", TRAVELED) is None
    assert rig.doors.last_published(old.id, "Vehicle.Nowhere") is None
    await rig.doors.close(old.id)
    assert rig.doors.last_published(old.id, TRAVELED) is None


async def test_a_value_said_by_a_stream_or_by_v1_counts_as_published_and_none_does_not(rig):
    doors = Signals(
        provide=("Vehicle.Cabin.Door.Row2.Left.Position", "Vehicle.Cabin.Door.Row2.Left.IsOpen")
    )
    instance = await rig.opened(replace(NOSY, signals=doors))

    async with caller(instance, None) as app:
        stream = app.provider()
        await stream.write(claims(POSITION, IS_OPEN))
        await stream.read()
        await stream.write(values(1, **{f"s{POSITION}": {"uint32": 5}, f"s{IS_OPEN}": {}}))
        await stream.write(values(2, **{f"s{POSITION}": {"uint32": 999}}))  # out of range: answered
        await stream.read()
        open_s = rig.doors.last_published(instance.id, doors.provide[1])
        position_s = rig.doors.last_published(instance.id, doors.provide[0])
        stream.cancel()
        entry = v1_types.DataEntry(path=doors.provide[1], value=v1_types.Datapoint(bool=True))
        await app.v1.Set(
            v1.SetRequest(updates=[v1.EntryUpdate(entry=entry, fields=[v1_types.FIELD_VALUE])])
        )

    assert open_s is None
    assert position_s is not None
    assert rig.doors.last_published(instance.id, doors.provide[1]) is not None


async def test_the_environment_leads_it_to_its_door(rig):
    contained = dict(await rig.doors.open(rig.instance(BATTERY)))
    program = rig.instance(replace(TRIP_LOG, runner=Runner.PROCESS))
    plain = dict(await rig.doors.open(program))

    assert contained["FAIRWAY_SOCKETS"] == "/run/ecu"
    assert contained["FAIRWAY_TOKEN_FILE"] == "/run/ecu/token"
    assert contained["SDV_VEHICLEDATABROKER_ADDRESS"] == "unix:/run/ecu/agent.sock"
    assert Path(plain["FAIRWAY_TOKEN_FILE"]) == program.sockets / "token"
    assert plain["KUKSA_ADDRESS"] == f"unix:{program.sockets}/agent.sock"


async def test_the_token_says_who_it_is_and_what_it_may_do(rig):
    instance = await rig.opened(BATTERY)

    said = unchecked_claims(rigs.token(instance))

    assert (said["sub"], said["aud"], said["instance"]) == ("battery", ["kuksa.val"], instance.id)
    assert said["exp"] - said["iat"] == TOKEN_LIFE_S
    assert said["scope"] == BATTERY.signals.scope


async def test_a_manifest_of_hundreds_of_signals_has_a_door_like_any_other(rig):
    many = replace(
        BATTERY, signals=Signals(read=(SPEED_PATH, *(f"Vehicle.A{n}.B" for n in range(2000))))
    )
    instance = await rig.opened(many)

    async with caller(instance) as app:
        await app.get(SPEED_PATH)


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


async def test_an_audit_that_cannot_be_written_is_told_later(rig):
    instance = await rig.opened(BATTERY)
    async with caller(instance) as app:
        await refused(app.get(VIN_PATH))
    rig.audit.is_full = True
    await rig.doors.look()
    rig.audit.is_full = False
    await rig.doors.look()

    assert len(rig.audit.lines) == 1
