"""Logs of can-utils: `candump -L` text, one frame a line.

    (1533226488.228954) can0 260#08FFFB0000001884        11-bit id
    (1533226488.228954) can0 18FEF100#08FF R             29-bit id; R or T may follow: received, sent
    (1533226488.228954) can0 260##3112233                CAN FD: flags (1 bit rate switch, 2 error state), data
    (1533226488.228954) can0 260#R8                      remote frame

Rule 1: a whole chunk of lines is read with NumPy; a line of another shape is read on its own.
Rule 2: the stamp is taken digit by digit, to the nanosecond where the file has nine of them.
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_agent.adapters.blocks import Rows, concatenated, offsets, taken
from edge_agent.adapters.log_model import (
    CHANNEL_NAME_MAX_CHARS,
    LINE_MAX_BYTES,
    TIME_MAX_S,
    Channels,
    LogReport,
    LogStream,
    whole_lines,
)
from edge_agent.canbus.frames import (
    BIT_RATE_SWITCH,
    ERROR,
    ERROR_STATE,
    EXTENDED,
    FD,
    ID_MASK,
    REMOTE,
    SENT_HERE,
    FrameBlock,
)

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A log of more channels than this in one chunk is read line by line from there on.
NAMES_PER_CHUNK_MAX = 32

FD_LENGTHS = frozenset((*range(9), 12, 16, 20, 24, 32, 48, 64))
_IS_FD_LENGTH = np.array([length in FD_LENGTHS for length in range(256)])
_NIBBLE = np.full(256, 255, np.uint8)
for _digit, _characters in enumerate(zip(b"0123456789ABCDEF", b"0123456789abcdef", strict=True)):
    _NIBBLE[list(_characters)] = _digit

_LINE = re.compile(
    rb"\((\d{1,10})\.(\d{1,9})\)\s+(\S{1,64})\s+([0-9A-Fa-f]{1,8})#"
    rb"(?:([Rr])([0-8]?)|(?:#([0-9A-Fa-f]))?((?:[0-9A-Fa-f]{2}){0,64}))(?:_[9A-Fa-f])?(?:\s+([RTrt]))?\s*"
)


def blocks(stream: LogStream, channels: Channels, report: LogReport) -> Iterator[FrameBlock]:
    """Yield the frames of a candump log, a chunk at a time."""
    for line, text in whole_lines(stream, report):
        yield parse(text, line, channels, report)


def parse(text: bytes, line: int, channels: Channels, report: LogReport) -> FrameBlock:
    """Return the frames of `text`: whole lines, the first of which is number `line`."""
    chunk = _Chunk(text)
    fast = chunk.read_fast(channels)
    slow_rows, slow = _read_slowly(chunk, line, channels, report)
    if not slow_rows:
        return fast
    block = concatenated([fast, slow])
    rows = np.concatenate([np.flatnonzero(chunk.is_fast), np.array(slow_rows, np.int64)])
    return taken(block, np.argsort(rows, kind="stable"))


class _Chunk:
    """Some lines, and where their parts stand."""

    def __init__(self, text: bytes) -> None:
        self.text = np.frombuffer(text, np.uint8)
        self.end = np.flatnonzero(self.text == ord("\n"))
        self.start = np.concatenate([np.zeros(1, np.int64), self.end[:-1] + 1])
        # A line written under Windows ends in \r\n.  At position 0 this looks at the last byte, a \n.
        self.end -= self.text[self.end - 1] == ord("\r")
        self.is_blank = self.end <= self.start
        self.is_skipped = np.zeros(len(self.end), np.bool_)  # well formed, of no listed channel
        self.is_fast = ~self.is_blank & (self.end - self.start <= LINE_MAX_BYTES)

    def line(self, row: int) -> bytes:
        """Return line `row` without its end."""
        return self.text[self.start[row] : self.end[row]].tobytes()

    def read_fast(self, channels: Channels) -> FrameBlock:
        """Return the frames of all lines of the usual shape, and leave those in `is_fast`."""
        name, name_end, hash_at, data, data_end = self._parts()
        flags = self._tail_flags(data_end)
        time_ns = self._stamps(name)
        can_id = self._ids(name_end + 1, hash_at)
        is_fd = (self.text[np.minimum(hash_at + 1, len(self.text) - 1)] == ord("#")) & self.is_fast
        if is_fd.any():
            flags |= self._fd_flags(is_fd, hash_at)
            data = np.where(is_fd, hash_at + 3, data)
        length = self._lengths(data, data_end, is_fd)
        bus = self._buses(name, name_end, channels)
        payload = self._payload(data, length)
        rows = np.flatnonzero(self.is_fast)
        return FrameBlock(
            bus[rows].astype(np.uint8),
            can_id[rows].astype(np.uint32),
            time_ns[rows],
            flags[rows],
            offsets(length[rows]),
            payload,
        )

    def _parts(self) -> tuple[Positions, Positions, Positions, Positions, Positions]:
        """Where the name begins and ends, where the # stands, where the data begins and ends."""
        spaces = np.flatnonzero(self.text == ord(" "))
        first = np.searchsorted(spaces, self.start)
        count = np.searchsorted(spaces, self.end) - first
        self.is_fast &= (count == 2) | (count == 3)
        spaces = np.append(spaces, [0, 0, 0])  # so that the last line may look ahead
        name = spaces[first] + 1
        name_end = spaces[first + 1]
        data_end = np.where(count == 3, spaces[first + 2], self.end)
        hashes = np.flatnonzero(self.text == ord("#"))
        hash_first = np.searchsorted(hashes, name_end)
        hash_at = np.append(hashes, [0])[hash_first]
        self.is_fast &= (hash_at > name_end) & (hash_at < data_end)
        return name, name_end, hash_at, hash_at + 1, data_end

    def _tail_flags(self, data_end: Positions) -> Bytes:
        """SENT_HERE where ` T` follows the data."""
        flags = np.zeros(len(self.end), np.uint8)
        tailed = np.flatnonzero(self.is_fast & (data_end < self.end))
        if len(tailed):
            mark = self.text[data_end[tailed] + 1] & 0xDF  # upper case
            is_right = (self.end[tailed] - data_end[tailed] == 2) & (
                (mark == ord("T")) | (mark == ord("R"))
            )
            self.is_fast[tailed[~is_right]] = False
            flags[tailed[mark == ord("T")]] = SENT_HERE
        return flags

    def _stamps(self, name: Positions) -> NDArray[np.int64]:
        """The stamp between the parentheses, in nanoseconds."""
        time_ns = np.zeros(len(self.end), np.int64)
        length = name - 3 - self.start  # of "1533226488.228954"
        self.is_fast &= (length >= 3) & (length <= 20)
        for size in np.unique(length[self.is_fast]).tolist():
            rows = np.flatnonzero(self.is_fast & (length == size))
            begin = self.start[rows]
            first = self.text[begin[0] + 1 : begin[0] + 1 + size].tobytes()
            dot = first.find(b".")
            fraction = size - dot - 1
            if not 1 <= dot <= 10 or not 1 <= fraction <= 9:
                self.is_fast[rows] = False
                continue
            is_right = (self.text[begin] == ord("(")) & (self.text[begin + size + 1] == ord(")"))
            is_right &= self.text[begin + 1 + dot] == ord(".")
            seconds, is_number = self._decimal(begin + 1, dot)
            is_right &= is_number & (seconds < TIME_MAX_S)
            nanoseconds, is_number = self._decimal(begin + 2 + dot, fraction)
            is_right &= is_number
            self.is_fast[rows[~is_right]] = False
            time_ns[rows] = np.minimum(seconds, TIME_MAX_S - 1) * 1_000_000_000
            time_ns[rows] += nanoseconds * 10 ** (9 - fraction)
        return time_ns

    def _decimal(self, at: Positions, digits: int) -> tuple[NDArray[np.int64], Mask]:
        value = np.zeros(len(at), np.int64)
        is_right = np.ones(len(at), np.bool_)
        for k in range(digits):
            digit = self.text[at + k] - np.uint8(ord("0"))  # below "0" it wraps to a large one
            is_right &= digit <= 9
            value = value * 10 + digit
        return value, is_right

    def _ids(self, begin: Positions, end: Positions) -> NDArray[np.int64]:
        """The identifier, with the bits of a frame block."""
        can_id = np.zeros(len(begin), np.int64)
        length = end - begin
        for size in (3, 8):
            rows = np.flatnonzero(self.is_fast & (length == size))
            value = np.zeros(len(rows), np.int64)
            is_right = np.ones(len(rows), np.bool_)
            for k in range(size):
                nibble = _NIBBLE[self.text[begin[rows] + k]]
                is_right &= nibble < 16
                value = value << 4 | nibble
            if size == 3:
                is_right &= value <= 0x7FF
            else:
                is_right &= value & (EXTENDED | REMOTE) == 0
                value = np.where(value & ERROR, value, value | EXTENDED)
            can_id[rows] = value
            self.is_fast[rows[~is_right]] = False
        self.is_fast &= (length == 3) | (length == 8)
        return can_id

    def _fd_flags(self, is_fd: Mask, hash_at: Positions) -> Bytes:
        """The flags of the CAN FD lines: one hex digit after the ##."""
        at = np.minimum(hash_at + 2, len(self.text) - 1)
        nibble = _NIBBLE[self.text[at]]
        self.is_fast &= ~(is_fd & (nibble > 15))
        flags = FD | np.where(nibble & 1, BIT_RATE_SWITCH, 0) | np.where(nibble & 2, ERROR_STATE, 0)
        return np.where(is_fd, flags, 0).astype(np.uint8)

    def _lengths(self, data: Positions, data_end: Positions, is_fd: Mask) -> NDArray[np.int64]:
        """Bytes of data in each line."""
        characters = data_end - data
        length = characters >> 1
        self.is_fast &= (characters >= 0) & (characters & 1 == 0) & (length <= 64)
        self.is_fast &= np.where(is_fd, _IS_FD_LENGTH[np.clip(length, 0, 255)], length <= 8)
        return length

    def _buses(self, name: Positions, name_end: Positions, channels: Channels) -> NDArray[np.int64]:
        """The bus of each line; lines of unlisted channels become `is_skipped`."""
        bus = np.full(len(name), -1, np.int64)
        length = name_end - name
        self.is_fast &= (length > 0) & (length <= CHANNEL_NAME_MAX_CHARS)
        left = np.flatnonzero(self.is_fast)
        for _ in range(NAMES_PER_CHUNK_MAX):
            if not len(left):
                return bus
            first = self.text[name[left[0]] : name_end[left[0]]]
            is_same = length[left] == len(first)
            for k in range(len(first)):
                # A shorter name near the end of the chunk would look past it.
                at = np.minimum(name[left] + k, len(self.text) - 1)
                is_same &= self.text[at] == first[k]
            text = first.tobytes().decode("ascii", "replace")
            number = channels.number(text)
            bus[left[is_same]] = number
            if number < 0:
                self.is_fast[left[is_same]] = False
                skipped = left[is_same & self._is_hex(left, name_end)]
                self.is_skipped[skipped] = True
                channels.skip(text, len(skipped))
            left = left[~is_same]
        self.is_fast[left] = False
        return bus

    def _is_hex(self, rows: Positions, name_end: Positions) -> Mask:
        """Whether what a skipped line carries is data: garbage is to be counted as such."""
        bad = np.cumsum(_NIBBLE[self.text] > 15)
        hashes = np.cumsum(self.text == ord("#"))
        first, last = name_end[rows], self.end[rows] - 1
        is_hex: Mask = (bad[last] - bad[first]) == (hashes[last] - hashes[first])
        return is_hex

    def _payload(self, data: Positions, length: NDArray[np.int64]) -> Bytes:
        """The data of all lines end to end; lines with something else than hex digits leave `is_fast`."""
        rows = np.flatnonzero(self.is_fast)
        nibble = self._nibbles(data[rows], length[rows] * 2)
        if len(nibble) and nibble.max() > 15:
            end = np.cumsum(length[rows] * 2)
            bad = np.searchsorted(end, np.flatnonzero(nibble > 15), side="right")
            self.is_fast[rows[bad]] = False
            rows = np.flatnonzero(self.is_fast)
            nibble = self._nibbles(data[rows], length[rows] * 2)
        payload: Bytes = (nibble[0::2] << np.uint8(4)) | nibble[1::2]
        return payload

    def _nibbles(self, data: Positions, characters: NDArray[np.int64]) -> Bytes:
        offset = np.cumsum(characters) - characters
        total = int(characters.sum())
        at = np.arange(total) + np.repeat(data - offset, characters)
        nibble: Bytes = _NIBBLE[self.text[at]]
        return nibble


def _read_slowly(
    chunk: _Chunk, line: int, channels: Channels, report: LogReport
) -> tuple[list[int], FrameBlock]:
    """Read the lines that are not fast; returns their rows and frames."""
    rows: list[int] = []
    frames = Rows()
    for row in np.flatnonzero(~(chunk.is_fast | chunk.is_blank | chunk.is_skipped)).tolist():
        text = chunk.line(row)
        if not text.strip():
            continue
        if not _add_line(text, channels, frames):
            report.add_malformed(line + row, text[:80].decode("ascii", "replace"))
        elif len(frames) > len(rows):
            rows.append(row)
    return rows, frames.take()


def _add_line(text: bytes, channels: Channels, frames: Rows) -> bool:
    """Add the frame of one line, if its channel is listed; False when the line cannot be read."""
    match = _LINE.fullmatch(text)
    if match is None:
        return False
    seconds, fraction, channel, id_text, remote, _dlc, fd_flags, data_text, mark = match.groups()
    data = b"" if remote else bytes.fromhex(data_text.decode())
    can_id = _id_of(id_text)
    length_max = 8 if fd_flags is None else 64
    if can_id is None or len(data) > length_max or len(data) not in FD_LENGTHS:
        return False
    flags = SENT_HERE if mark in (b"T", b"t") else 0
    if fd_flags is not None:
        bits = int(fd_flags, 16)
        flags |= FD | (BIT_RATE_SWITCH if bits & 1 else 0) | (ERROR_STATE if bits & 2 else 0)
    time_s = int(seconds)
    if time_s >= TIME_MAX_S:
        return False
    name = channel.decode("ascii", "replace")
    bus = channels.number(name)
    if bus < 0:
        channels.skip(name)
        return True
    time_ns = time_s * 1_000_000_000 + int(fraction) * 10 ** (9 - len(fraction))
    frames.add(can_id | (REMOTE if remote else 0), data, time_ns, bus, flags)
    return True


def _id_of(text: bytes) -> int | None:
    """Read an identifier of 1 to 8 digits; up to three of them are an 11-bit id, as in can-utils."""
    value = int(text, 16)
    if len(text) <= 3:
        return value if value <= 0x7FF else None
    if len(text) == 8 and value & ERROR and not value & (EXTENDED | REMOTE):
        return value
    return value | EXTENDED if value <= ID_MASK else None


def line_of(can_id: int, data: bytes, time_ns: int, channel: str, flags: int) -> str:
    """Return one frame as a line of `candump -L`, with nanoseconds where there are any."""
    fraction_ns = time_ns % 1_000_000_000
    stamp = f"{fraction_ns:09d}" if fraction_ns % 1000 else f"{fraction_ns // 1000:06d}"
    if can_id & ERROR:
        id_text = f"{can_id & (ERROR | ID_MASK):08X}"
    else:
        id_text = f"{can_id & ID_MASK:08X}" if can_id & EXTENDED else f"{can_id & 0x7FF:03X}"
    if can_id & REMOTE:
        body = "#R"
    elif flags & FD:
        bits = (1 if flags & BIT_RATE_SWITCH else 0) | (2 if flags & ERROR_STATE else 0)
        body = f"##{bits:X}{data.hex().upper()}"
    else:
        body = f"#{data.hex().upper()}"
    mark = " T" if flags & SENT_HERE else ""
    return f"({time_ns // 1_000_000_000}.{stamp}) {channel} {id_text}{body}{mark}\n"
