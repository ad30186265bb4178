"""Services reach each other where both manifests agree, and nowhere else."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.service_folder import ServiceFolder
from edge_agent.adapters.tokens import claims_of, load_keys, unchecked_claims
from fairway.clock import NS_PER_S, ManualClock
from fairway.errors import BadInput, Unavailable
from fairway.services.model import Use
from tests.edge_agent.adapters import service_rig as rigs
from tests.edge_agent.adapters.service_rig import BATTERY, NOSY, TRIP_LOG, needs_root

USED = Path("uses/battery.health")


@pytest.fixture
async def rig():
    async with rigs.served() as made:
        yield made


async def asked(path, uid=None):
    return await asyncio.to_thread(rigs.asked, path, uid)


async def test_a_service_calls_another_over_the_socket_in_its_own_folder(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    with rigs.offering(battery):
        await rig.in_force(battery, log)

        assert await asked(log.sockets / USED / "sock", log.uid) == "good"


@needs_root
async def test_no_third_one_gets_there(rig):
    battery, log, nosy = [await rig.opened(one) for one in (BATTERY, TRIP_LOG, NOSY)]
    with rigs.offering(battery) as socket:
        await rig.in_force(battery, log)

        assert await asked(socket, nosy.uid) == "PermissionError"
        assert await asked(log.sockets / USED / "sock", nosy.uid) == "PermissionError"
        assert await asked(socket, log.uid) == "PermissionError"  # but by its own folder
        assert list((nosy.sockets / "uses").iterdir()) == []


async def test_the_token_beside_it_names_both_and_the_offer_and_is_checked_with_the_keys_there(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    with rigs.offering(battery):
        await rig.in_force(battery)
        token = (log.sockets / USED / "token").read_text()

    said = claims_of(token, load_keys([battery.sockets / "keys.jwks"]))

    assert (said["sub"], said["aud"], said["offer"]) == ("trip-log", ["battery"], "battery.health")
    assert said["exp"] - said["iat"] <= 600


async def test_a_manifest_that_does_not_agree_is_denied_and_the_denial_is_seen_once(rig):
    shy = replace(BATTERY, offers=(replace(BATTERY.offers[0], to=()),))
    battery, log = await rig.opened(shy), await rig.opened(TRIP_LOG)
    with rigs.offering(battery):
        for _ in range(3):
            await rig.in_force(battery)
            await rig.doors.look()

        (denial,) = rig.doors.denials("trip-log")

    assert list((log.sockets / "uses").iterdir()) == []
    assert (denial.action, denial.what, denial.count) == ("call", "battery.health", 1)
    assert (
        denial.why
        == "battery offers battery.health, and not to trip-log: its manifest does not name it under to"
    )
    assert len(rig.audit.lines) == 1


async def test_what_may_be_called_is_swapped_with_the_version_and_taken_away_with_it(rig):
    newer = replace(BATTERY, version="4.0")
    old, new, log = (
        await rig.opened(BATTERY),
        await rig.opened(newer, "b"),
        await rig.opened(TRIP_LOG),
    )
    link = log.sockets / USED / "sock"
    with rigs.offering(old, said="old"), rigs.offering(new, said="new"):
        await rig.in_force(old)
        before = await asked(link)
        await rig.in_force(new)
        after = await asked(link)
        await rig.in_force()

    assert (before, after) == ("old", "new")
    assert not link.parent.exists()


async def test_when_the_new_manifest_no_longer_agrees_the_socket_is_gone(rig):
    shy = replace(BATTERY, version="4.0", offers=(replace(BATTERY.offers[0], to=()),))
    old, new, log = (
        await rig.opened(BATTERY),
        await rig.opened(shy, "b"),
        await rig.opened(TRIP_LOG),
    )
    with rigs.offering(old), rigs.offering(new):
        await rig.in_force(old)
        assert (log.sockets / USED).exists()
        await rig.in_force(new)

        assert not (log.sockets / USED).exists()


async def test_a_socket_that_comes_late_or_is_made_anew_is_linked_at_the_next_look(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    link = log.sockets / USED / "sock"
    await rig.in_force(battery)
    assert not link.exists()
    (sight,) = rig.doors.sights_of(log.id)
    assert sight.why == "battery has no socket health.sock there yet"

    with rigs.offering(battery, said="first"):
        await rig.doors.look()
        assert await asked(link) == "first"
    with rigs.offering(battery, said="second"):
        await rig.doors.look()
        assert await asked(link) == "second"
    await rig.doors.look()
    assert not link.exists()


async def test_tokens_for_offers_are_renewed_in_place():
    clock = ManualClock()
    async with rigs.served(clock=clock) as rig:
        battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
        with rigs.offering(battery):
            await rig.in_force(battery)
            first = (log.sockets / USED / "token").read_text()
            clock.advance(300 * NS_PER_S)
            await rig.doors.look()
            second = (log.sockets / USED / "token").read_text()

    assert unchecked_claims(second)["exp"] == unchecked_claims(first)["exp"] + 300


async def test_links_outlive_the_agent_and_the_next_one_takes_them_over(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    link = log.sockets / USED / "sock"
    with rigs.offering(battery, said="same"):
        await rig.in_force(battery)
        await rig.doors.stop()
        assert await asked(link) == "same"  # while there is no agent

        again = rig.again()
        await again.open(battery)
        await again.open(log)
        await again.serve({"battery": battery})
        assert await asked(link) == "same"
        await again.serve({})
        assert not link.exists()


async def test_what_nobody_knows_in_uses_is_taken_away(rig):
    log = await rig.opened(TRIP_LOG)
    (log.sockets / "uses" / "left.over").mkdir()

    await rig.in_force()

    assert list((log.sockets / "uses").iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["link to agent", "link to folder", "file", "folder", "fifo", "of another"]
)
async def test_what_is_no_socket_of_the_service_is_never_linked(rig, kind):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    offered = battery.sockets / "health.sock"
    match kind:
        case "link to agent":
            offered.symlink_to(log.sockets / "agent.sock")
        case "link to folder":
            offered.symlink_to(log.sockets)
        case "file":
            offered.write_text("x")
        case "folder":
            offered.mkdir()
        case "fifo":
            os.mkfifo(offered)
        case "of another":
            if not rigs.IS_ROOT:
                pytest.skip("without root all sockets are of one user")
            os.link(log.sockets / "agent.sock", offered)  # a hard link, as the service could make

    await rig.in_force(battery)
    await rig.doors.look()

    (sight,) = rig.doors.sights_of(log.id)
    assert not sight.is_open
    assert list((log.sockets / "uses").iterdir()) == []
    if kind != "folder":
        assert any(one.action == "offer" for one in rig.doors.denials("battery"))


async def test_an_offer_on_a_link_to_a_good_socket_is_not_taken_either(rig):
    battery, log = await rig.opened(BATTERY), await rig.opened(TRIP_LOG)
    with rigs.offering(battery, "real.sock"):
        (battery.sockets / "health.sock").symlink_to("real.sock")
        await rig.in_force(battery)

        assert not (log.sockets / USED).exists()


async def test_a_link_that_the_service_made_in_its_folder_leads_the_agent_nowhere(rig):
    """Names of the agent's files are there before the service is: what it prepares is never opened."""
    outside = rig.folder / "outside"
    outside.mkdir()
    instance = rig.instance(TRIP_LOG)
    instance.sockets.parent.mkdir(exist_ok=True)
    instance.sockets.symlink_to(outside)

    with pytest.raises((BadInput, Unavailable)):
        await rig.doors.open(instance)
    assert list(outside.iterdir()) == []


@needs_root
async def test_a_folder_that_somebody_else_made_is_refused(rig):
    instance = rig.instance(TRIP_LOG)
    instance.sockets.mkdir(parents=True)
    os.chown(instance.sockets, rigs.UIDS["nosy"], -1)

    with pytest.raises(BadInput, match="no folder of the agent's"):
        await rig.doors.open(instance)


async def test_folders_where_others_may_write_are_refused(rig):
    shared = rig.folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)

    with pytest.raises(BadInput, match="others may write"):
        ServiceFolder(shared / "battery.aaaaaaaaaaaa", os.geteuid())
    assert list(shared.iterdir()) == []


async def test_one_that_uses_itself_gets_nothing(rig):
    selfish = replace(
        BATTERY,
        uses=(Use("battery.health"),),
        offers=(replace(BATTERY.offers[0], to=("battery",)),),
    )
    battery = await rig.opened(selfish)
    with rigs.offering(battery):
        await rig.in_force(battery)

        assert list((battery.sockets / "uses").iterdir()) == []
