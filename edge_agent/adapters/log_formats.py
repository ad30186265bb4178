"""Log files of every known format behind one door: `open_log(path)`, then `for block in log`.

    candump  .log .candump .txt     can-utils
    ASC      .asc                   Vector, text
    BLF      .blf                   Vector, binary
    TRC      .trc                   PEAK
    MF4      .mf4 .mdf              ASAM MDF 4 bus logging (extra edge-mf4)

Text and BLF may be packed: .log.xz, .asc.gz.  Its first bytes say what a file is; where
they do not, its name.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from edge_agent.adapters import log_asc, log_blf, log_candump, log_mf4, log_trc
from edge_agent.adapters.blocks import pieces
from edge_agent.adapters.log_model import Channels, LogReport, LogStream
from edge_agent.canbus.frames import FrameBlock
from edge_agent.canbus.source import REPLAY_BLOCK_MAX_FRAMES
from fairway.errors import BadInput

Reader = Callable[[LogStream, Channels, LogReport], Iterator[FrameBlock]]

READERS: dict[str, Reader] = {
    "asc": log_asc.blocks,
    "blf": log_blf.blocks,
    "candump": log_candump.blocks,
    "mf4": log_mf4.blocks,
    "trc": log_trc.blocks,
}
MAGIC = {
    b"LOGG": "blf",
    b"MDF ": "mf4",
    b"UnFinMF": "mf4",
    b"(": "candump",
    b";$FILEVERSION": "trc",
    b"date ": "asc",
}
SUFFIXES = {
    ".asc": "asc",
    ".blf": "blf",
    ".candump": "candump",
    ".log": "candump",
    ".mdf": "mf4",
    ".mf4": "mf4",
    ".trc": "trc",
    ".txt": "candump",
}


class LogReader:
    """An open log: iterate over it once for blocks of at most REPLAY_BLOCK_MAX_FRAMES frames."""

    def __init__(self, path: Path, channels: Mapping[str, int] | None) -> None:
        self.path = path
        self.channels = Channels(channels)
        self.report = LogReport()
        self._stream = LogStream(path)

    def __iter__(self) -> Iterator[FrameBlock]:
        """Yield the frames.  Raises BadInput for a file that holds none of what was asked for."""
        try:
            read = READERS[_format_of(self._stream)]
            for block in read(self._stream, self.channels, self.report):
                self.report.frames += len(block)
                yield from pieces(block, REPLAY_BLOCK_MAX_FRAMES)
            if self._stream.damage:
                self.report.add_malformed(0, self._stream.damage)
            if not self.report.frames:
                raise BadInput(self._nothing())
        finally:
            self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _nothing(self) -> str:
        if self.channels.unlisted_frames:
            listed = ", ".join(self.channels.names())
            there = ", ".join(self.channels.unlisted)
            return f"the log {self.path} has no frame of {listed}; its channels are {there}"
        where = ""
        if self.report.first_malformed:
            line, what = self.report.first_malformed[0]
            where = f" (line {line}: {what!r})" if line else f" ({what})"
        return f"the log {self.path} has no CAN frame that can be read{where}"


def open_log(path: Path, channels: Mapping[str, int] | None = None) -> LogReader:
    """Open a log.

    `channels` says which channel is which bus; frames of others are skipped and counted.  Without it every
    channel is taken, numbered as they appear.  Channels that a format only numbers are called can0, can1, ...
    Raises BadInput when the file cannot be opened.
    """
    return LogReader(path, channels)


def _format_of(stream: LogStream) -> str:
    head = stream.peek(16)
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    suffixes = [suffix.lower() for suffix in stream.path.suffixes]
    for suffix in reversed(suffixes):
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
    raise BadInput(
        f"what kind of log {stream.path} is cannot be told: name it {', '.join(sorted(SUFFIXES))}"
    )
