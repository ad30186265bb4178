"""What a download may cost: bytes of a metered link, and room on a disk that is really full."""

import pytest

from edge_agent.adapters.update_parts import ROOM_KEPT_BYTES
from edge_agent.updates.fetching import NoRoom
from fairway.errors import Denied
from ota.manifest import Blob
from tests.edge_agent.adapters.update_rig import (
    HASHES,
    IMAGE,
    LIST,
    WHOLE,
    Rig,
    blob,
    rig,
)
from tests.fault_server import Call
from tests.small_disk import small_disk

__all__ = ["blob", "rig"]  # fixtures

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("socket_enabled")]


# A metered link: not a byte more than is allowed, whatever goes wrong on the way.


async def test_the_budget_is_kept_over_cuts(rig: Rig):
    def act(call: Call) -> None:
        call.part(IMAGE, most=500_000)

    server = await rig.fetch(act, WHOLE, most_bytes=len(IMAGE))
    assert server.sent_bytes == len(IMAGE)


async def test_beginning_anew_is_denied_where_it_costs_too_much(rig: Rig):
    def act(call: Call) -> None:
        if call.number == 0:
            call.part(IMAGE, most=500_000)
        else:
            call.head(200, Content_Length=str(len(IMAGE)))
            call.write(IMAGE)

    server = rig.serve(act)
    with pytest.raises(Denied, match="may be taken"):
        await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=len(IMAGE) + 1000)
    assert not rig.image.exists()


# Disk full: refused before it starts; ENOSPC at each write; nothing is left.


async def test_a_disk_without_room_is_seen_before_a_byte_is_taken(rig: Rig):
    with small_disk(rig.image.parent, len(IMAGE) + ROOM_KEPT_BYTES // 2):
        server = rig.serve(lambda call: call.part(IMAGE))
        with pytest.raises(NoRoom, match="needs 3145745 more bytes"):
            await rig.reach(server).content.fetch(WHOLE, rig.image, most_bytes=None)

        assert server.calls == []
        assert rig.left() == []


async def test_a_disk_that_fills_up_on_the_way_is_left_as_it_was(rig: Rig, blob: Blob):
    with small_disk(rig.image.parent, len(IMAGE) + 2 * ROOM_KEPT_BYTES) as disk:

        def act(call: Call) -> None:
            call.head(200, Content_Length=str(len(IMAGE)))
            call.write(IMAGE[:1_000_000])
            disk.fill(leaving_bytes=300_000)
            call.write(IMAGE[1_000_000:])

        server = rig.serve(act)
        vehicle = rig.reach(server)
        with pytest.raises(NoRoom, match="is full: No space left"):
            await vehicle.content.fetch(blob, rig.image, most_bytes=None)
        assert [name for name in rig.left() if name not in ("filler", "image.chunks")] == []

        disk.clear()
        server.act = lambda call: call.send(200, HASHES) if call.path == LIST else call.part(IMAGE)
        await vehicle.content.fetch(blob, rig.image, most_bytes=None)
        assert rig.image.read_bytes() == IMAGE
