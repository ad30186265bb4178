"""One line of text names a source."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.can_bus import CanBus
from edge_agent.adapters.log_replay import LogReplay
from edge_agent.adapters.socketcan import SocketCan
from edge_agent.adapters.socketcand import SocketcandBus
from edge_agent.adapters.sources import open_source
from edge_agent.adapters.unix_bus import UnixBus
from fairway.errors import BadInput, Unavailable


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("socketcan:can0", SocketCan),
        ("python-can:virtual:x", CanBus),
        ("python-can:pcan:PCAN_USBBUS1", CanBus),
        ("socketcand:127.0.0.1:29536:can0", SocketcandBus),
        ("unix:/run/bus.sock", UnixBus),
        ("unix:/run/bus.sock#3", UnixBus),
        ("unix:/run/bus.sock#*", UnixBus),
    ],
)
async def test_a_source_of_each_kind(text: str, kind: type):
    source = open_source(text, name="can0", bus=1)

    assert isinstance(source, kind)
    source.close()


async def test_a_replayed_bus_is_the_channel_of_its_name(tmp_path: Path):
    (tmp_path / "drive.log").write_text("(1.0) can0 123#00\n(2.0) can1 124#00\n")
    source = open_source(f"replay:{tmp_path / 'drive.log'}", name="can1", bus=4, speed=None)

    block = await source.receive()

    assert isinstance(source, LogReplay)
    assert block is not None
    assert (block.can_id.tolist(), block.bus.tolist()) == ([0x124], [4])
    source.close()


@pytest.mark.parametrize(
    "text",
    [
        *("", "can0", "socketcan:", "serial:/dev/ttyS0", "python-can:virtual", "python-can::x"),
        *(
            "socketcand:host:can0",
            "socketcand:host:99999:can0",
            "unix:/run/bus.sock#x",
            "unix:/a#255",
        ),
        *("replay:/does/not/exist.log", "unix:" + "x" * 200),
    ],
)
def test_what_is_no_source_is_refused_with_the_ways_to_write_one(text: str):
    with pytest.raises(BadInput) as refused:
        open_source(text, name="can0")

    assert "\n" not in str(refused.value)


@given(text=st.text(max_size=40))
def test_any_text_is_a_source_or_bad_input(text: str):
    with contextlib.suppress(BadInput):
        open_source(text, name="can0").close()


@pytest.mark.parametrize(
    "text", ["unix:/does/not/exist.sock", "python-can:virtual:x", "python-can:nosuchthing:x"]
)
async def test_a_bus_that_is_not_there_is_told_when_it_is_read(text: str):
    source = open_source(text, name="can0")

    if "virtual" not in text:
        with pytest.raises((Unavailable, BadInput)) as refused:
            await source.receive()
        assert "\n" not in str(refused.value)
    source.close()
    assert await source.receive() is None
