"""Who a service is at its door: its own token, its socket, and nobody else's."""

from dataclasses import replace
from typing import Any

import grpc
import pytest

from edge_agent.adapters.service_tokens import RENEW_AFTER_S, TOKEN_LIFE_S
from edge_agent.adapters.tokens import unchecked_claims
from fairway.clock import NS_PER_S, ManualClock
from fairway.services.model import Access
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, TRIP_LOG, caller
from tests.onboard_apps import Issuer, refusal

SPEED_PATH = "Vehicle.Speed"


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


async def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return refusal(caught.value)


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


async def test_the_token_says_who_it_is_and_what_it_may_do(rig):
    instance = await rig.opened(BATTERY)

    said = unchecked_claims(rigs.token(instance))

    assert (said["sub"], said["aud"], said["instance"]) == ("battery", ["kuksa.val"], instance.id)
    assert said["exp"] - said["iat"] == TOKEN_LIFE_S
    assert said["scope"] == BATTERY.signals.scope
