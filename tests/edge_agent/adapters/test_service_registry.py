"""What services ask the registry at their own socket."""

import asyncio
from dataclasses import replace

import grpc
import pytest

from fairway.services.model import Access
from fairway.v1 import services_pb2 as pb
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, TRIP_LOG, caller
from tests.onboard_apps import refusal


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


async def offers_of(app):
    answer = await app.registry.ListOffers(pb.ListOffersRequest(), **app.with_token)
    return {offer.name: offer for offer in answer.offers}


async def announce(app, *features, offer="battery.health", is_ready=True):
    request = pb.AnnounceRequest(offer=offer, features=features, is_ready=is_ready)
    await app.registry.Announce(request, **app.with_token)


async def test_a_service_learns_who_it_is(rig):
    instance = await rig.opened(BATTERY)

    async with caller(instance) as app:
        me = await app.registry.Whoami(pb.WhoamiRequest(), **app.with_token)

    assert (me.service, me.version, me.instance) == ("battery", "3.0", instance.id)
    assert list(me.read) == list(BATTERY.signals.read)
    assert list(me.offers) == ["battery.health"]


async def test_without_its_token_it_learns_nothing(rig):
    instance = await rig.opened(BATTERY)

    async with caller(instance, None) as app:
        with pytest.raises(grpc.RpcError) as caught:
            await app.registry.Whoami(pb.WhoamiRequest())

    assert refusal(caught.value)[0] == "UNAUTHENTICATED"


async def test_each_sees_what_concerns_it_with_the_way_there(rig):
    battery, log, nosy = [await rig.opened(one) for one in (BATTERY, TRIP_LOG, NOSY)]
    with rigs.offering(battery):
        await rig.in_force(battery, log, nosy)
        async with caller(battery) as its, caller(log) as user, caller(nosy, None) as other:
            own, used, nothing = await offers_of(its), await offers_of(user), await offers_of(other)

    assert own["battery.health"].is_own
    assert own["battery.health"].socket == ""
    way = used["battery.health"]
    assert (way.service, way.version, way.proto) == ("battery", "1.2.0", "battery.v1.Health")
    assert (way.socket, way.token_file) == ("uses/battery.health/sock", "uses/battery.health/token")
    assert (log.sockets / way.token_file).exists()
    assert nothing == {}


async def test_a_use_that_leads_nowhere_says_why(rig):
    log = await rig.opened(TRIP_LOG)

    async with caller(log) as app:
        (offer,) = (await offers_of(app)).values()

    assert offer.socket == ""
    assert offer.why == "nobody offers battery.health to trip-log now"


async def test_who_watches_is_told_of_each_change(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    async with caller(log) as app, caller(battery) as its:
        watch = aiter(app.registry.WatchOffers(pb.WatchOffersRequest(), **app.with_token))
        first = await anext(watch)
        with rigs.offering(battery):
            await rig.in_force(battery)
            there = await anext(watch)
            await announce(its, "soh")
            fewer = await anext(watch)
            await announce(its, is_ready=False)
            unready = await anext(watch)
            await rig.in_force()
            gone = await anext(watch)

    assert [offer.why for offer in first.offers] == ["nobody offers battery.health to trip-log now"]
    assert there.offers[0].socket
    assert list(there.offers[0].features) == ["soh", "trend"]
    assert list(there.gone) == []
    assert list(fewer.offers[0].features) == ["soh"]
    assert (unready.offers[0].socket, unready.offers[0].is_ready) == ("", False)
    assert unready.offers[0].why == "battery says that battery.health is not ready"
    assert [(offer.name, offer.service) for offer in gone.gone] == [("battery.health", "battery")]


async def test_a_watch_with_nothing_to_see_begins_all_the_same(rig):
    nosy = await rig.opened(NOSY)

    async with caller(nosy, None) as app:
        first = await anext(aiter(app.registry.WatchOffers(pb.WatchOffersRequest())))

    assert list(first.offers) == []


async def test_an_offer_that_is_not_ready_has_no_socket(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    with rigs.offering(battery):
        await rig.in_force(battery)
        link = log.sockets / "uses/battery.health/sock"
        assert link.exists()
        async with caller(battery) as its:
            await announce(its, is_ready=False)
            assert not link.exists()
            await announce(its)
            assert link.exists()


@pytest.mark.parametrize(
    ("offer", "features", "code"),
    [
        ("brakes", (), "PERMISSION_DENIED"),
        ("battery.health", ("charge",), "PERMISSION_DENIED"),
        ("battery.health", ("x",) * 300, "INVALID_ARGUMENT"),
        ("b" * 300, (), "INVALID_ARGUMENT"),
    ],
)
async def test_only_what_its_manifest_offers_is_announced(rig, offer, features, code):
    battery = await rig.opened(BATTERY)

    async with caller(battery) as app:
        with pytest.raises(grpc.RpcError) as caught:
            await announce(app, *features, offer=offer)

    assert refusal(caught.value)[0] == code


async def test_what_one_version_announced_is_not_what_the_next_one_does(rig):
    newer = replace(BATTERY, version="4.0", access=Access.SOCKET)
    old, new, log = (
        await rig.opened(BATTERY),
        await rig.opened(newer, "b"),
        await rig.opened(TRIP_LOG),
    )
    with rigs.offering(old), rigs.offering(new):
        async with caller(old) as app:
            await announce(app, is_ready=False)
        await rig.in_force(new)
        async with caller(log) as app:
            (offer,) = (await offers_of(app)).values()

    assert offer.is_ready
    assert offer.instance == new.id


async def test_a_watch_ends_when_the_agent_stops(rig):
    log = await rig.opened(TRIP_LOG)

    async with caller(log) as app:
        watch = aiter(app.registry.WatchOffers(pb.WatchOffersRequest(), **app.with_token))
        await anext(watch)
        stopping = asyncio.create_task(rig.doors.stop())
        with pytest.raises(grpc.RpcError) as caught:
            await anext(watch)
        await stopping

    assert refusal(caught.value)[0] == "UNAVAILABLE"
