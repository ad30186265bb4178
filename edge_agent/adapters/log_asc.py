"""Logs of Vector's tools as text: ASC.

    date Thu Aug 2 04:14:48.228 pm 2018
    base hex  timestamps absolute
       0.000954 1  260             Rx   d 8 08 FF FB 00 00 00 18 84
       0.001954 1  18FEF100x       Tx   d 2 08 FF
       0.002954 1  260             Rx   r 8
       0.003954 2  ErrorFrame
       0.004954 CANFD   1 Rx   300  Name  1 0 9 12 00 01 ... 0B  100000 130 3000 ...

Rule 1: absolute stamps count from the date, relative ones from the line before, frame or not.
Rule 2: the date says no time zone; it is read, and written, as UTC.
Rule 3: channels count from 1 in the file; channel 1 is can0, as in python-can.
Rule 4: a line about something else than a frame (statistics, comments, events) is passed over.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from edge_agent.adapters.blocks import Rows
from edge_agent.adapters.log_model import (
    TIME_MAX_S,
    Channels,
    LogReport,
    LogStream,
    fraction_ns,
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
    Frame,
    FrameBlock,
)

FD_LENGTH = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)  # by DLC
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_GERMAN = {"mär": 3, "mrz": 3, "mai": 5, "okt": 10, "dez": 12}
_DATE = re.compile(
    r"\w+\.?\s+(\S{3})\S*\s+(\d{1,2})\s+(\d{1,2}):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s*(am|pm)?\s+(\d{4})",
    re.IGNORECASE,
)
_STAMP = re.compile(r"(\d{1,10})\.(\d{1,12})")
_HEADERS = (
    "//",
    "internal",
    "no internal",
    "end",
    "previous",
    "measurement",
    "start of measurement",
)
_EDL = 0x1000  # in the flags of a CANFD line
_DIRECTIONS = {"rx": 0, "tx": SENT_HERE}


class _NotAFrame(ValueError):
    """The line says it is a frame, and is none."""


def blocks(stream: LogStream, channels: Channels, report: LogReport) -> Iterator[FrameBlock]:
    """Yield the frames of an ASC log, a chunk at a time."""
    reader = _Reader(channels)
    for first, text in whole_lines(stream, report):
        for number, line in enumerate(text.decode("latin-1").split("\n")[:-1], first):
            try:
                is_known = reader.read(line)
            except ValueError:  # _NotAFrame, or a number that is none
                is_known = False
            if not is_known:
                report.add_malformed(number, line[:80])
        yield reader.rows.take()


class _Reader:
    """What the lines so far have said."""

    def __init__(self, channels: Channels) -> None:
        self.rows = Rows()
        self._channels = channels
        self._base = 16
        self._start_ns = 0
        self._is_relative = False
        self._last_ns = 0

    def read(self, line: str) -> bool:
        """Take one line in; False when it cannot be understood.  Raises ValueError likewise."""
        fields = line.split()
        if not fields:
            return True
        stamp = _STAMP.fullmatch(fields[0])
        if stamp is None:
            return self._read_header(line.strip())
        offset_ns = int(stamp[1]) * 1_000_000_000 + fraction_ns(stamp[2])
        self._last_ns = self._last_ns + offset_ns if self._is_relative else offset_ns
        time_ns = self._start_ns + self._last_ns
        if time_ns >= TIME_MAX_S * 1_000_000_000:
            raise _NotAFrame
        if len(fields) >= 3 and fields[1].isdecimal():
            self._read_classic(fields, time_ns)
        elif len(fields) >= 5 and fields[1].upper() == "CANFD":
            self._read_fd(fields, time_ns)
        return True

    def _read_header(self, line: str) -> bool:
        word, _, rest = line.partition(" ")
        word = word.lower()
        if word == "date":
            self._start_ns = _date_ns(rest)
        elif word == "begin":
            _, _, date = rest.strip().partition(" ")
            self._start_ns = _date_ns(date) if _DATE.fullmatch(date.strip()) else self._start_ns
        elif word == "base":
            words = rest.lower().split()
            self._base = 10 if words[:1] == ["dec"] else 16
            self._is_relative = "relative" in words
        else:
            return line.lower().startswith(_HEADERS)
        return True

    def _read_classic(self, fields: list[str], time_ns: int) -> None:
        if fields[2].lower() == "errorframe":
            self._add(fields[1], ERROR, b"", time_ns, 0)
            return
        flags = _DIRECTIONS.get(fields[3].lower()) if len(fields) >= 5 else None
        if flags is None:
            return  # statistics, a request to transmit, or another event of that channel
        can_id = self._id(fields[2])
        kind = fields[4].lower()
        if kind == "r":
            self._add(fields[1], can_id | REMOTE, b"", time_ns, flags)
        elif kind == "d" and len(fields) >= 6:
            length = min(int(fields[5], self._base), 8)
            self._add(fields[1], can_id, self._data(fields[6:], length), time_ns, flags)
        else:
            raise _NotAFrame

    def _read_fd(self, fields: list[str], time_ns: int) -> None:
        channel, direction = fields[2], _DIRECTIONS.get(fields[3].lower())
        if fields[4].lower() == "errorframe":
            self._add(channel, ERROR, b"", time_ns, 0)
            return
        if direction is None:
            return
        can_id = self._id(fields[4])
        # A symbolic name may stand before the bit rate switch, which is a 0 or a 1.
        at = 5 if len(fields) > 8 and fields[5] in ("0", "1") and fields[6] in ("0", "1") else 6
        if len(fields) < at + 4:
            raise _NotAFrame
        switch, state, dlc, length_text = fields[at : at + 4]
        length = int(length_text)
        if FD_LENGTH[int(dlc, 16) & 15] < length or length > 64:
            raise _NotAFrame
        data = self._data(fields[at + 4 :], length)
        tail = fields[at + 4 + length :]
        is_fd = len(tail) < 3 or bool(int(tail[2], 16) & _EDL)
        flags = direction
        if is_fd:
            flags |= FD | (BIT_RATE_SWITCH if switch == "1" else 0)
            flags |= ERROR_STATE if state == "1" else 0
        elif length == 0 and dlc != "0":
            can_id |= REMOTE
        self._add(channel, can_id, data, time_ns, flags)

    def _add(self, channel: str, can_id: int, data: bytes, time_ns: int, flags: int) -> None:
        number = int(channel)
        if not 1 <= number <= 255:
            raise _NotAFrame
        name = f"can{number - 1}"
        bus = self._channels.number(name)
        if bus < 0:
            self._channels.skip(name)
        else:
            self.rows.add(can_id, data, time_ns, bus, flags)

    def _id(self, text: str) -> int:
        if text[-1] in "xX":
            can_id = int(text[:-1], self._base)
            if 0 <= can_id <= ID_MASK:
                return can_id | EXTENDED
        elif 0 <= (can_id := int(text, self._base)) <= 0x7FF:
            return can_id
        raise _NotAFrame

    def _data(self, fields: list[str], length: int) -> bytes:
        data = bytes([int(field, self._base) for field in fields[:length]])
        if len(data) != length:
            raise _NotAFrame
        return data


def _date_ns(text: str) -> int:
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise _NotAFrame
    month_text, day, hour_text, minute, second, fraction, half, year = match.groups()
    name = month_text.lower()
    month = _MONTHS.index(name) + 1 if name in _MONTHS else _GERMAN.get(name, 0)
    hour = int(hour_text)
    if half is not None:
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    date = datetime(int(year), month, int(day), hour, int(minute), int(second), tzinfo=UTC)
    seconds = (date - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + fraction_ns(fraction or "0")


def head(start_ns: int) -> str:
    """Return the beginning of a log that starts at `start_ns`, a whole millisecond."""
    date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start_ns // 1_000_000)
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[date.weekday()]
    clock = f"{date.hour % 12 or 12:02d}:{date:%M:%S}.{date.microsecond // 1000:03d}"
    half = "am" if date.hour < 12 else "pm"
    said = f"{weekday} {_MONTHS[date.month - 1].title()} {date.day} {clock} {half} {date.year}"
    return (
        f"date {said}\nbase hex  timestamps absolute\ninternal events logged\n// version 9.0.0\n"
        f"Begin Triggerblock {said}\n   0.000000 Start of measurement\n"
    )


TAIL = "End TriggerBlock\n"


def line_of(frame: Frame, start_ns: int, _names: Sequence[str], _number: int) -> str:
    """Return one frame as a line."""
    offset_ns = frame.time_ns - start_ns
    seconds, rest_ns = divmod(offset_ns, 1_000_000_000)
    fraction = f"{rest_ns:09d}" if rest_ns % 1000 else f"{rest_ns // 1000:06d}"
    stamp = f"{seconds:4d}.{fraction}"
    channel = frame.bus + 1
    if frame.can_id & ERROR:
        return f"{stamp} {channel}  ErrorFrame\n"
    direction = "Tx" if frame.flags & SENT_HERE else "Rx"
    is_extended = bool(frame.can_id & EXTENDED)
    name = f"{frame.can_id & ID_MASK:X}x" if is_extended else f"{frame.can_id & 0x7FF:X}"
    if frame.can_id & REMOTE:
        return f"{stamp} {channel}  {name:<15} {direction:<4} r\n"
    data = frame.data.hex(" ").upper()
    if not frame.flags & FD:
        return f"{stamp} {channel}  {name:<15} {direction:<4} d {len(frame.data):x} {data}\n"
    switch = 1 if frame.flags & BIT_RATE_SWITCH else 0
    state = 1 if frame.flags & ERROR_STATE else 0
    bits = _EDL | switch << 13 | state << 14
    dlc = FD_LENGTH.index(len(frame.data))
    return (
        f"{stamp} CANFD {channel:3d} {direction:<4} {name:>8}  {'':>32} {switch} {state} {dlc:x} "
        f"{len(frame.data):2d} {data}        0    0 {bits:8X} 0 0 0 0 0\n"
    )
