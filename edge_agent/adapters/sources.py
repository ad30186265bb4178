"""One line of text names a source of frames.

replay:FILE                      a log file; the bus's own name says which channel
socketcan:can0                   a SocketCAN interface, through the thin reader
python-can:INTERFACE:CHANNEL     anything python-can can open: python-can:pcan:PCAN_USBBUS1
socketcand:HOST:PORT:CHANNEL     a socketcand server
unix:PATH  or  unix:PATH#2       a simulated bus on a Unix socket; # chooses one of several
"""

from collections.abc import Callable
from pathlib import Path

from edge_agent.adapters import socketcand, unix_bus
from edge_agent.adapters.log_replay import LogReplay
from edge_agent.adapters.socketcan import SocketCan
from edge_agent.canbus.source import FrameSource
from fairway.clock import Clock
from fairway.errors import BadInput

KINDS = "replay:FILE, socketcan:NAME, python-can:INTERFACE:CHANNEL, socketcand:HOST:PORT:CHANNEL, unix:PATH"


def open_source(
    text: str, *, name: str, bus: int = 0, speed: float | None = 1.0, clock: Clock | None = None
) -> FrameSource:
    """Open the source that `text` names as bus number `bus`, called `name`.

    `speed` is for logs: a factor, or None for as fast as possible.
    Raises BadInput when the text names no source or the source can never be opened.  A live source that is
    merely absent opens: its `receive` raises Unavailable until the bus is there.
    """
    kind, colon, rest = text.partition(":")
    if not colon or not rest:
        raise BadInput(f"{text!r} is not a source; write one of {KINDS}")
    if kind == "replay":
        return LogReplay(Path(rest), {name: bus}, speed=speed, clock=clock)
    opener = _LIVE.get(kind)
    if opener is None:
        raise BadInput(f"{text!r} is not a source: {kind!r} is none of {KINDS}")
    return opener(rest, bus)


def _python_can(text: str, bus: int) -> FrameSource:
    from edge_agent.adapters import can_bus  # noqa: PLC0415 - python-can takes seconds to import

    return can_bus.parse(text, bus=bus)


_LIVE: dict[str, Callable[[str, int], FrameSource]] = {
    "socketcan": lambda text, bus: SocketCan(text, bus=bus),
    "python-can": _python_can,
    "socketcand": lambda text, bus: socketcand.parse(text, bus=bus),
    "unix": lambda text, bus: unix_bus.parse(text, bus=bus),
}
