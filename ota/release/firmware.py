"""Firmware of an ECU as tools write it: a binary as it is, or Intel HEX made into one.

    :LLAAAATT<data>CC   00 data  01 end  02 segment  03 start of segment  04 upper address  05 start address

Rule 1: every line's checksum is verified, and no two lines say what lies at one address.
Rule 2: gaps are filled with 0xFF, as erased flash reads; what would be larger than any flash is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fairway.errors import BadInput

# Of the binary that comes out; the flash of an ECU has less.
FIRMWARE_MAX_BYTES = 256 << 20
_ERASED = b"\xff"
_DATA, _END, _SEGMENT, _SEGMENT_START, _UPPER, _START = range(6)


@dataclass(frozen=True, slots=True)
class Firmware:
    """Bytes, and where in the ECU's memory the first of them lies."""

    data: bytes
    address: int


@dataclass(frozen=True, slots=True)
class _Record:
    where: str
    kind: int
    address: int
    data: bytes


def from_hex(text: bytes, file: str) -> Firmware:
    """Return what an Intel HEX file says.  Raises BadInput with the line that is wrong."""
    pieces: list[tuple[int, bytes]] = []
    upper, ended = 0, False
    for record in _records(text, file):
        if ended:
            raise BadInput(f"{record.where}: there is more after the end record")
        if record.kind == _DATA:
            pieces.append((upper + record.address, record.data))
        elif record.kind == _END:
            ended = True
        elif record.kind in {_SEGMENT, _UPPER}:
            if len(record.data) != 2:
                raise BadInput(f"{record.where}: an address has 2 bytes, not {len(record.data)}")
            upper = int.from_bytes(record.data, "big") << (4 if record.kind == _SEGMENT else 16)
        elif record.kind not in {_SEGMENT_START, _START}:  # where it starts is the ECU's affair
            raise BadInput(f"{record.where}: there is no record of type {record.kind:02X}")
    if not ended:
        raise BadInput(f"{file} has no end record: it was cut")
    return _joined(sorted(one for one in pieces if one[1]), file)


def _records(text: bytes, file: str) -> Iterator[_Record]:
    for number, line in enumerate(text.splitlines(), 1):
        said = line.strip()
        if not said:
            continue
        where = f"{file}, line {number}"
        try:
            raw = bytes.fromhex(said[1:].decode("ascii"))
        except (ValueError, UnicodeDecodeError) as error:
            raise BadInput(f"{where}: these are no hexadecimal digits") from error
        if said[:1] != b":" or len(raw) < 5 or len(raw) != raw[0] + 5:
            raise BadInput(f"{where}: this is no record of Intel HEX")
        if sum(raw) & 0xFF:
            raise BadInput(f"{where}: the checksum does not hold")
        yield _Record(where, raw[3], int.from_bytes(raw[1:3], "big"), raw[4:-1])


def _joined(pieces: list[tuple[int, bytes]], file: str) -> Firmware:
    if not pieces:
        raise BadInput(f"{file} has no data")
    start, last = pieces[0][0], pieces[-1]
    length = last[0] + len(last[1]) - start
    if length > FIRMWARE_MAX_BYTES:
        raise BadInput(
            f"{file} spans {length} bytes from 0x{start:x} on; {FIRMWARE_MAX_BYTES} at most:"
            " give each memory its own component"
        )
    made = bytearray()
    for address, data in pieces:
        at = address - start
        if at < len(made):
            raise BadInput(f"{file} says twice what lies at 0x{address:x}")
        made += _ERASED * (at - len(made)) + data
    return Firmware(bytes(made), start)
