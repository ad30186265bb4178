"""Where frames come from: the one port that logs, CAN sockets, simulated buses and python-can answer.

Rule 1: a frame carries the time of arrival its source gave it; a source never makes it anew.
Rule 2: nothing is lost in silence: what a source had to let go is in `dropped`.
"""

from typing import Protocol

from edge_agent.canbus.frames import FrameBlock

# A live bus is drained in blocks of at most this many frames: more would only add delay.
LIVE_BLOCK_MAX_FRAMES = 256

# A log played as fast as possible comes in blocks of at most this many: the decoder's cost per call is spread
# thin from a few hundred on, and a block (about 100 KB) still fits the cache.
REPLAY_BLOCK_MAX_FRAMES = 4096


class FrameSource(Protocol):
    """A bus, or several, to be read from.  Contract: tests/contracts/test_frame_source.py."""

    @property
    def dropped(self) -> int:
        """Frames that arrived and were lost since the source was opened; it only grows."""
        ...

    async def receive(self) -> FrameBlock | None:
        """Wait for frames and return them: at least 1, at most REPLAY_BLOCK_MAX_FRAMES, or None at the end.

        None means that a finite source has ended or that the source was closed and everything it had received
        has been handed out.  A call that is cancelled loses no frame.

        Raises Unavailable when the bus is gone (call again later: a live source tries to come back),
        BadInput when the source can never be read (the caller gives it up).
        """
        ...

    def close(self) -> None:
        """Stop receiving; frames received so far can still be fetched with `receive`."""
        ...


class ResumableSource(FrameSource, Protocol):
    """A finite source that can be taken up again where it was left."""

    @property
    def position(self) -> int:
        """Frames handed out since the beginning of the log, those of earlier runs included."""
        ...
