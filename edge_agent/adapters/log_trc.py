"""Logs of PEAK's tools: TRC, versions 1.0 to 2.1.

    ;$FILEVERSION=2.1
    ;$STARTTIME=43314.676252649376          days since 30 December 1899
    ;$COLUMNS=N,O,T,B,I,d,R,L,D
          1         0.954 DT  1      0260 Rx -  8    08 FF FB 00 00 00 18 84

Rule 1: every version is the same table with other columns; version 2 says which in its head.
Rule 2: the start is read, and written, as UTC; stamps count from it in milliseconds.
Rule 3: buses count from 1 in the file; bus 1 is can0.
Rule 4: a line about something else than a frame (warnings, bus status, events) is passed over.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from edge_agent.adapters.blocks import Rows
from edge_agent.adapters.log_asc import FD_LENGTH
from edge_agent.adapters.log_model import (
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
    Frame,
    FrameBlock,
)

# N number, O offset in ms, T type, B bus, I id, d direction, R reserved, l length, L DLC, D data.
_COLUMNS = {
    "1.0": "N,O,I,l,D",
    "1.1": "N,O,d,I,l,D",
    "1.2": "N,O,B,d,I,l,D",
    "1.3": "N,O,B,d,I,R,l,D",
    "2.0": "",
    "2.1": "",
}
_FD_TYPES = {
    "FD": FD,
    "FB": FD | BIT_RATE_SWITCH,
    "FE": FD | ERROR_STATE,
    "BI": FD | BIT_RATE_SWITCH | ERROR_STATE,
}
_KINDS = {"DT": 0, "RR": 0, **_FD_TYPES}
_OFFSET = re.compile(r"(\d{1,13})(?:\.(\d{1,9}))?")
_DAYS_TO_1970 = 25_569
_NS_PER_DAY = 86_400 * 1_000_000_000


def blocks(stream: LogStream, channels: Channels, report: LogReport) -> Iterator[FrameBlock]:
    """Yield the frames of a TRC log, a chunk at a time."""
    reader = _Reader(channels)
    for first, text in whole_lines(stream, report):
        for number, line in enumerate(text.decode("latin-1").split("\n")[:-1], first):
            try:
                reader.read(line.strip())
            except (ValueError, IndexError, InvalidOperation):
                report.add_malformed(number, line[:80])
        yield reader.rows.take()


class _Reader:
    """What the head and the lines so far have said."""

    def __init__(self, channels: Channels) -> None:
        self.rows = Rows()
        self._channels = channels
        self._start_ns = 0
        self._at: dict[str, int] = {}  # column letter -> position
        self._set_columns(_COLUMNS["1.0"])

    def read(self, line: str) -> None:
        """Take one line in.  Raises ValueError, IndexError or InvalidOperation for one that is wrong."""
        if line.startswith(";$"):
            self._read_head(line)
        elif line and not line.startswith(";"):
            self._read_row(line.split(None, len(self._at) - 1))

    def _read_head(self, line: str) -> None:
        key, _, value = line[2:].partition("=")
        if key == "FILEVERSION":
            columns = _COLUMNS[value] if value in _COLUMNS else _COLUMNS["1.0"]
            if columns:
                self._set_columns(columns)
        elif key == "STARTTIME":
            days = Decimal(value)
            if not 0 <= days < 130_000:
                raise ValueError(value)
            # The number of days is a float64 of whole microseconds: finer digits are noise.
            microseconds = round((days - _DAYS_TO_1970) * (_NS_PER_DAY // 1000))
            self._start_ns = microseconds * 1000
        elif key == "COLUMNS":
            self._set_columns(value)

    def _set_columns(self, text: str) -> None:
        letters = text.split(",")
        if (
            len(letters) > 16
            or not {"O", "I", "D"} <= set(letters)
            or not {"l", "L"} & set(letters)
        ):
            raise ValueError(text)
        self._at = {letter: position for position, letter in enumerate(letters)}

    def _read_row(self, fields: list[str]) -> None:
        at = self._at
        kind = fields[at["T"]] if "T" in at else "DT"
        direction = fields[at["d"]] if "d" in at else "Rx"
        is_error = kind == "ER"
        if not is_error and (kind not in _KINDS or direction not in ("Rx", "Tx")):
            return
        offset = _OFFSET.fullmatch(fields[at["O"]])
        if offset is None:
            raise ValueError(fields)
        time_ns = self._start_ns + int(offset[1]) * 1_000_000
        time_ns += int((offset[2] or "")[:6].ljust(6, "0"))
        if not 0 <= time_ns < TIME_MAX_S * 1_000_000_000:
            raise ValueError(fields)
        bus_number = int(fields[at["B"]]) if "B" in at else 1
        if is_error:
            self._add(bus_number, ERROR, b"", time_ns, 0)
            return
        flags = _KINDS[kind] | (SENT_HERE if direction == "Tx" else 0)
        can_id = _id_of(fields[at["I"]])
        if can_id is None:
            return  # version 1.0 writes bus status as id FFFFFFFF
        data_text = fields[at["D"]] if len(fields) > at["D"] else ""
        if kind == "RR" or data_text.startswith("RTR"):
            self._add(bus_number, can_id | REMOTE, b"", time_ns, flags)
            return
        length = self._length(fields)
        data = bytes.fromhex("".join(data_text.split()[:length]))
        if len(data) != length or (length > 8 and not flags & FD):
            raise ValueError(fields)
        self._add(bus_number, can_id, data, time_ns, flags)

    def _length(self, fields: list[str]) -> int:
        if "l" in self._at:
            return int(fields[self._at["l"]])
        return FD_LENGTH[int(fields[self._at["L"]]) & 15]

    def _add(self, number: int, can_id: int, data: bytes, time_ns: int, flags: int) -> None:
        if not 1 <= number <= 255:
            raise ValueError(number)
        name = f"can{number - 1}"
        bus = self._channels.number(name)
        if bus < 0:
            self._channels.skip(name)
        else:
            self.rows.add(can_id, data, time_ns, bus, flags)


def _id_of(text: str) -> int | None:
    can_id = int(text, 16)
    if can_id == 0xFFFF_FFFF:
        return None
    if not 0 <= can_id <= (ID_MASK if len(text) > 4 else 0x7FF):
        raise ValueError(text)
    return can_id | (EXTENDED if len(text) > 4 else 0)


def head(start_ns: int) -> str:
    """Return the beginning of a log that starts at `start_ns`."""
    days = Decimal(start_ns) / _NS_PER_DAY + _DAYS_TO_1970
    return (
        f";$FILEVERSION=2.1\n;$STARTTIME={days:.15f}\n;$COLUMNS=N,O,T,B,I,d,R,L,D\n;\n"
        ";   Message   Time    Type    ID     Rx/Tx\n"
        ";   Number    Offset  |  Bus  [hex]  |  Reserved\n"
        ";   |         [ms]    |  |    |      |  |  Data Length Code\n"
        ";   |         |       |  |    |      |  |  |    Data [hex] ...\n"
        ";---+-- ------+------ +- +- --+----- +- +- +--- +- -- -- -- -- -- -- --\n"
    )


TAIL = ""


def line_of(frame: Frame, start_ns: int, _names: Sequence[str], number: int) -> str:
    """Return one frame as line `number`."""
    milliseconds, rest_ns = divmod(frame.time_ns - start_ns, 1_000_000)
    fraction = f"{rest_ns:06d}" if rest_ns % 1000 else f"{rest_ns // 1000:03d}"
    stamp = f"{number:7d} {milliseconds:9d}.{fraction}"
    bus = frame.bus + 1
    if frame.can_id & ERROR:
        return f"{stamp} ER {bus:2d}         - Rx -  5    00 00 00 00 00\n"
    direction = "Tx" if frame.flags & SENT_HERE else "Rx"
    is_extended = bool(frame.can_id & EXTENDED)
    name = f"{frame.can_id & ID_MASK:08X}" if is_extended else f"{frame.can_id & 0x7FF:04X}"
    kind = "DT"
    if frame.can_id & REMOTE:
        kind = "RR"
    elif frame.flags & FD:
        bits = frame.flags & (FD | BIT_RATE_SWITCH | ERROR_STATE)
        kind = next(text for text, value in _FD_TYPES.items() if value == bits)
    dlc = FD_LENGTH.index(len(frame.data))
    data = frame.data.hex(" ").upper()
    return f"{stamp} {kind} {bus:2d} {name:>8} {direction} -  {dlc:<4d} {data}\n"
