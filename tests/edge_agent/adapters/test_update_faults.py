"""The fault table of downloads, row by row, with real HTTPS faults; what they may cost: test_update_room.py.

Each test is a row: what the other side does, and what becomes of the vehicle's file, its bytes and its time.
"""

import asyncio
import random
import threading
import time
from dataclasses import replace

import pytest

from edge_agent.updates.fetching import Attacked, Patience
from fairway.errors import BadInput, Tampered, Unavailable
from ota.manifest import Blob
from ota.trust.model import Attack, Repository, Wanted
from tests.edge_agent.adapters.update_rig import (
    CHUNK,
    CHUNKED,
    HASHES,
    IMAGE,
    LIST,
    WHOLE,
    Rig,
    blob,
    rig,
)
from tests.fault_server import Call
from tests.update_place import QUICK

__all__ = ["blob", "rig"]  # fixtures

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


# Truncated download: resume from the verified offset; never installed; fewer than 1.05x the image fetched.


@pytest.mark.parametrize("seed", range(6))
async def test_cut_at_random_bytes_it_goes_on_and_costs_less_than_a_twentieth_more(
    rig: Rig, blob: Blob, seed: int
):
    chance = random.Random(seed)
    cuts = [chance.randrange(1, len(IMAGE) // 7) for _ in range(6)]

    def act(call: Call) -> None:
        call.part(IMAGE, most=cuts[call.number] if call.number < len(cuts) else None)

    server = await rig.fetch(act, blob, patience=replace(QUICK, tries_max=8))

    asked = [call for call in server.calls if call.path != LIST]
    assert len(asked) == len(cuts) + 1
    assert server.sent_bytes < 1.05 * len(IMAGE)
    assert [call.first for call in asked][1:] == sorted(call.first for call in asked)[1:]
    assert all(call.headers["if-range"] == f'"{WHOLE.sha256}"' for call in asked[1:])


async def test_cut_off_for_ever_what_came_stays_for_another_time(rig: Rig, blob: Blob):
    server = rig.serve(lambda call: call.part(IMAGE, most=0 if call.number else 1_000_000))
    vehicle = rig.reach(server)

    with pytest.raises(Unavailable, match=r"cut off at byte 1000000 .*: that was try 4"):
        await vehicle.content.fetch(blob, rig.image, most_bytes=None)

    assert not rig.image.exists()
    assert rig.image.with_name("image.part").stat().st_size == 1_000_000
    server.act = lambda call: call.send(200, HASHES) if call.path == LIST else call.part(IMAGE)
    took = await vehicle.content.fetch(blob, rig.image, most_bytes=None)
    assert took == len(IMAGE) - 1_000_000
    assert rig.image.read_bytes() == IMAGE


async def test_only_verified_chunks_count(rig: Rig):
    await rig.fetch(lambda call: call.part(IMAGE))

    assert rig.durable == [*range(CHUNK, len(IMAGE), CHUNK), len(IMAGE), len(IMAGE)]


async def test_a_server_that_gets_us_on_a_little_each_time_is_asked_on(rig: Rig):
    """Far more tries than in a row are put up with."""
    server = await rig.fetch(lambda call: call.part(IMAGE, most=QUICK.progress_min_bytes))

    assert len(server.calls) > 10 * QUICK.tries_max
    assert server.sent_bytes < 1.05 * len(IMAGE)


# The server ignores Range, or the file changed: that object is begun anew once, or it fails; no corrupt join.


async def test_200_for_a_range_begins_anew_once(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        if call.number == 0:
            call.part(IMAGE, most=500_000)
        else:
            call.send(200, IMAGE)

    server = await rig.fetch(act, blob)

    assert len(server.calls) - (blob is CHUNKED) == 2
    assert server.sent_bytes <= 500_000 + len(IMAGE) + len(HASHES)


async def test_200_for_every_range_gives_up_and_keeps_what_came(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        call.head(200, Content_Length=str(len(IMAGE)))
        call.write(IMAGE[:500_000])
        call.hang_up()

    server = rig.serve(act)
    with pytest.raises(Unavailable, match="200 for"):
        await rig.reach(server).content.fetch(blob, rig.image, most_bytes=None)

    # Whole, then anew, then no more.
    assert server.sent_bytes - (blob is CHUNKED) * len(HASHES) <= 3 * 500_000 + 200_000
    assert not rig.image.exists()


async def test_a_file_that_changed_on_the_way_is_not_joined(rig: Rig, blob: Blob):
    """Another file of the same length: its chunks are not what was signed."""
    other = bytes(byte ^ 1 for byte in IMAGE)

    def act(call: Call) -> None:
        if call.number == 0:
            call.part(IMAGE, most=500_000)
        else:
            call.send(200, other)  # If-Range did not hold

    with pytest.raises(Tampered) as caught:
        await rig.fetch(act, blob)

    assert isinstance(caught.value, Attacked)
    assert caught.value.attack is Attack.ARBITRARY_SOFTWARE
    assert not rig.image.exists()


async def test_a_file_that_changed_its_length_is_begun_anew_once_and_then_refused(
    rig: Rig, blob: Blob
):
    def act(call: Call) -> None:
        if call.number == 0:
            call.part(IMAGE, most=500_000)
        else:
            call.part(IMAGE + b"more")

    with pytest.raises(Attacked, match="and 3145745 were signed"):
        await rig.fetch(act, blob)
    assert not rig.image.exists()


async def test_416_begins_anew_once(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        match call.number:
            case 0:
                call.part(IMAGE, most=500_000)
            case 1:
                call.send(416, Content_Range="bytes */100")
            case _:
                call.part(IMAGE)

    server = await rig.fetch(act, blob)

    assert [call.first for call in server.calls if call.path != LIST] == [0, 500_000, 0]


async def test_416_for_ever_is_another_file(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        if call.number == 0:
            call.part(IMAGE, most=500_000)
        else:
            call.send(416, Content_Range="bytes */100")

    with pytest.raises(Tampered, match="100 bytes there"):
        await rig.fetch(act, blob)


async def test_a_part_that_begins_elsewhere_is_not_joined(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        match call.number:
            case 0:
                call.part(IMAGE, most=500_000)
            case 1:
                rest = IMAGE[499_999:]
                span = f"bytes 499999-{len(IMAGE) - 1}/{len(IMAGE)}"
                call.send(206, rest, Content_Range=span)
            case _:
                call.part(IMAGE)

    await rig.fetch(act, blob)


async def test_a_flipped_bit_costs_its_chunk_once(rig: Rig):
    flipped = bytearray(IMAGE)
    flipped[5 * CHUNK + 3] ^= 4

    def act(call: Call) -> None:
        call.part(bytes(flipped) if call.number == 0 else IMAGE)

    server = await rig.fetch(act)

    assert [call.first for call in server.calls if call.path != LIST] == [0, 5 * CHUNK]


async def test_a_bit_that_is_flipped_for_ever_is_an_attack(rig: Rig):
    flipped = bytearray(IMAGE)
    flipped[5 * CHUNK + 3] ^= 4

    with pytest.raises(Attacked, match=f"at byte {5 * CHUNK} is not what was signed, twice"):
        await rig.fetch(lambda call: call.part(bytes(flipped)))
    assert not rig.image.exists()


async def test_what_somebody_on_the_way_has_packed_is_not_taken(rig: Rig, blob: Blob):
    with pytest.raises(Unavailable, match="200 for"):
        await rig.fetch(lambda call: call.send(200, IMAGE[:100], Content_Encoding="gzip"), blob)


# 404 or 503 for ever: bounded tries, report, cancellable.


async def test_404_for_ever_is_asked_for_a_few_times(rig: Rig, blob: Blob):
    server = rig.serve(lambda call: call.send(404))

    with pytest.raises(BadInput, match=r"404 for .*, 3 times"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)
    assert len(server.calls) == 3


async def test_a_file_that_is_just_being_published_is_waited_for(rig: Rig, blob: Blob):
    await rig.fetch(lambda call: call.send(404) if call.number < 2 else call.part(IMAGE), blob)


async def test_410_is_never_asked_for_again(rig: Rig):
    server = rig.serve(lambda call: call.send(410))

    with pytest.raises(BadInput, match="410 for"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_server_that_is_busy_for_ever_is_asked_a_few_times(rig: Rig, status: int):
    server = rig.serve(lambda call: call.send(status))

    with pytest.raises(Unavailable, match=f"{status} for .*: that was try 4"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)
    assert len(server.calls) == QUICK.tries_max


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_for(rig: Rig, status: int):
    times: list[float] = []

    def act(call: Call) -> None:
        times.append(time.monotonic())
        if call.number == 0:
            call.send(status, Retry_After="1")
        else:
            call.part(IMAGE)

    await rig.fetch(act, WHOLE)

    assert times[1] - times[0] >= 1.0


async def test_who_says_much_later_is_left_alone_until_then(rig: Rig):
    server = rig.serve(lambda call: call.send(503, Retry_After="86400"))

    with pytest.raises(Unavailable, match="come again in 86400 s"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)
    assert len(server.calls) == 1


async def test_who_is_not_let_in_does_not_knock_again(rig: Rig):
    server = rig.serve(lambda call: call.send(403))

    with pytest.raises(Unavailable, match="403 for"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)
    assert len(server.calls) == 1


@pytest.mark.parametrize("where", ["head", "body", "wait"])
async def test_a_fetch_can_be_given_up_at_any_time(rig: Rig, where: str):
    reached = threading.Event()

    def act(call: Call) -> None:
        if where == "body":
            call.head(200, Content_Length=str(len(IMAGE)))
            call.write(IMAGE[:100_000])
        reached.set()
        if where == "wait":
            call.send(503, Retry_After="200")
        else:
            call.server.over.wait(60)

    server = rig.serve(act)
    patience = Patience(silence_max_s=60)
    vehicle = rig.reach(server, patience)
    fetching = asyncio.create_task(vehicle.content.fetch(WHOLE, rig.image, most_bytes=None))
    await asyncio.to_thread(reached.wait, 30)
    began_s = time.monotonic()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching

    assert time.monotonic() - began_s < 5
    assert not rig.image.exists()


# Slow retrieval: abort in bounded time, and the next report carries the attack.


async def test_a_byte_at_a_time_is_an_attack_in_bounded_time(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        call.head(200, Content_Length=str(len(IMAGE)))
        call.dribble(IMAGE, 0.02, call.server.over)

    began_s = time.monotonic()
    with pytest.raises(Attacked, match="1000 a second are the least") as caught:
        await rig.fetch(act, blob)

    assert caught.value.attack is Attack.SLOW_RETRIEVAL
    assert time.monotonic() - began_s < 4 * QUICK.speed_window_s


async def test_metadata_a_byte_at_a_time_is_an_attack_too(rig: Rig):
    def act(call: Call) -> None:
        call.head(200, Content_Length="5000")
        call.dribble(bytes(5000), 0.02, call.server.over)

    server = rig.serve(act)
    with pytest.raises(Attacked) as caught:
        await rig.reach(server).metadata.get(Wanted(Repository.IMAGE, "root.json", 9000))
    assert caught.value.attack is Attack.SLOW_RETRIEVAL


async def test_silence_is_a_tunnel_and_it_goes_on_after_it(rig: Rig, blob: Blob):
    def act(call: Call) -> None:
        if call.number == 0:
            call.head(200, Content_Length=str(len(IMAGE)))
            call.write(IMAGE[:500_000])
            call.server.over.wait(30)
        else:
            call.part(IMAGE)

    patience = Patience(silence_max_s=0.5, wait_first_s=0.01)
    server = await rig.fetch(act, blob, patience=patience)

    assert [call.first for call in server.calls if call.path != LIST] == [0, 500_000]
