"""Tar as layers use it: ustar, PAX and GNU's long names, read strictly and written reproducibly.

    512 bytes of header, the content padded to 512, ..., two blocks of zeros

Rule 1: nothing is held in memory but one header and what a limit allows; contents are the caller's to read.
Rule 2: what is not understood is refused: two readers that see different files in one layer are an attack.
Rule 3: names are bytes, as the kernel has them; whether they are safe is said by entries.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from fairway.errors import BadInput

BLOCK = 512
# Headers of one entry beside its own: a path is 4096 bytes at most, extended attributes 64 KiB each.
EXTENDED_MAX_BYTES = 1 << 20

TIME_MAX_S = (1 << 33) - 1  # what the digits of ustar can say: the year 2242

_XATTR = b"SCHILY.xattr."
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"

Read = Callable[[int], bytes]  # returns fewer bytes than asked for only at the end


class Kind(Enum):
    """What an entry is; the values are those of the header."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    FOLDER = b"5"
    FIFO = b"6"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry without its content."""

    name: bytes
    kind: Kind = Kind.FILE
    size_bytes: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_s: int = 0
    target: bytes = b""  # of links
    attributes: tuple[bytes, ...] = field(default=())  # names of extended attributes


class Reader:
    """Reads entries one after the other."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._left = 0  # of the content of the entry that was read last
        self._padding = 0
        self.offset = 0  # of the next byte

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries; what the caller did not read of a content is passed over.  Raises BadInput."""
        while (entry := self.following()) is not None:
            yield entry

    def content(self, size: int) -> bytes:
        """Return up to `size` bytes of the content of the entry read last, b"" at its end."""
        data = self._take(min(size, self._left))
        self._left -= len(data)
        return data

    def passed_over(self) -> int:
        """Say that the caller goes on after the content by itself; return the offset where it must."""
        self.offset += self._left + self._padding
        self._left = self._padding = 0
        return self.offset

    def following(self) -> Entry | None:
        """Return the next entry, None after the last.  Raises BadInput."""
        self._pass_over()
        extended: dict[bytes, bytes] = {}
        spent = 0
        while True:
            block = self._take(BLOCK, may_end=not extended)
            if not block or not any(block):
                if extended:
                    raise BadInput("a tar ends after an extended header")
                return None
            kind, size = _checked(block), _number(block[124:136], "size")
            if kind not in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
                break
            spent += size + BLOCK
            if spent > EXTENDED_MAX_BYTES:
                raise BadInput(
                    f"an entry of a tar has more than {EXTENDED_MAX_BYTES} bytes of names"
                )
            data = self._take(size)
            self._take(-size % BLOCK)
            _extend(extended, kind, data)
        entry = _entry(block, kind, extended)
        self._left, self._padding = entry.size_bytes, -entry.size_bytes % BLOCK
        return entry

    def _pass_over(self) -> None:
        while self._left:
            self.content(1 << 16)
        self._take(self._padding)
        self._padding = 0

    def _take(self, size: int, *, may_end: bool = False) -> bytes:
        data = self._read(size) if size else b""
        self.offset += len(data)
        if len(data) < size and not (may_end and not data):
            raise BadInput(f"a tar ends at byte {self.offset}, in the middle of an entry")
        return data


def header(entry: Entry) -> bytes:
    """Write the header of an entry: ustar, with a PAX header before it where ustar has no room."""
    pax: dict[bytes, bytes] = {}
    name, target = entry.name, entry.target
    if len(name) > 100 or not name.isascii():
        pax[b"path"], name = name, name[:100]
    if len(target) > 100 or not target.isascii():
        pax[b"linkpath"], target = target, target[:100]
    numbers = {b"size": entry.size_bytes, b"uid": entry.uid, b"gid": entry.gid}
    limits = {b"size": 8**11, b"uid": 8**7, b"gid": 8**7}
    for key, value in numbers.items():
        if value >= limits[key]:
            pax[key], numbers[key] = b"%d" % value, 0
    front = b""
    if pax:
        records = b"".join(_record(key, pax[key]) for key in sorted(pax))
        front = _ustar(b"PaxHeaders/entry", _PAX, 0o644, {b"size": len(records)}, 0, b"") + padded(
            records
        )
    return front + _ustar(name, entry.kind.value, entry.mode, numbers, entry.mtime_s, target)


def padded(content: bytes) -> bytes:
    """Return `content` and what a tar puts after it."""
    return content + bytes(-len(content) % BLOCK)


END = bytes(2 * BLOCK)


def _ustar(
    name: bytes, kind: bytes, mode: int, numbers: dict[bytes, int], mtime_s: int, target: bytes
) -> bytes:
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % (mode & 0o7777),
            b"%07o\0" % numbers.get(b"uid", 0),
            b"%07o\0" % numbers.get(b"gid", 0),
            b"%011o\0" % numbers[b"size"],
            b"%011o\0" % mtime_s,
            b" " * 8,
            kind,
            target.ljust(100, b"\0"),
            b"ustar\x0000",
        )
    ).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while length != len(b"%d" % length) + len(body):
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def _checked(block: bytes) -> bytes:
    """Return the kind of a header whose sum holds."""
    said = _number(block[148:156], "checksum")
    if said != sum(block) - sum(block[148:156]) + 8 * 32:
        raise BadInput("a header of a tar has a wrong checksum: this is no tar, or it is damaged")
    return block[156:157]


def _number(field_: bytes, what: str) -> int:
    if field_[0] == 0x80:  # GNU's binary numbers
        return int.from_bytes(field_[1:], "big")
    digits = field_.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise BadInput(f"the {what} in a header of a tar is {field_!r}, no octal number")
    return int(digits, 8)


def _extend(extended: dict[bytes, bytes], kind: bytes, data: bytes) -> None:
    if kind == _PAX:
        extended.update(_records(data))
    elif kind == _PAX_GLOBAL:
        # Only comments are harmless for all that follows; git and others write them.
        if set(_records(data)) - {b"comment"}:
            raise BadInput("a tar has a global header that changes entries: it is not read")
    else:
        key = b"path" if kind == _LONG_NAME else b"linkpath"
        extended[key] = data.split(b"\0")[0]


def _records(data: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    while data:
        length_text, space, _ = data.partition(b" ")
        length = int(length_text) if length_text.isdigit() and len(length_text) < 8 else 0
        record = data[len(length_text) + 1 : length - 1]
        key, equals, value = record.partition(b"=")
        whole = space and equals and key and data[length - 1 : length] == b"\n"
        if not whole or length > len(data) or length <= len(length_text) + 1:
            raise BadInput(f"a PAX header of a tar is broken at {data[:40]!r}")
        if key in found:
            raise BadInput(f"a PAX header of a tar has {key[:80]!r} twice")
        found[key] = value
        data = data[length:]
    return found


def _entry(block: bytes, kind: bytes, extended: dict[bytes, bytes]) -> Entry:
    if any(key.startswith(b"GNU.sparse") for key in extended):
        raise BadInput("a tar has a sparse file: write it as a plain one")
    if kind in (b"\0", b"7"):
        kind = b"0"
    try:
        known = Kind(kind)
    except ValueError:
        raise BadInput(f"a tar has an entry of kind {kind!r}, which is not known here") from None
    name = extended.get(b"path", _name(block))
    if known is Kind.FILE and name.endswith(b"/"):  # as tars older than POSIX say folder
        known = Kind.FOLDER
    size = _pax_number(extended, b"size", _number(block[124:136], "size"))
    if known is not Kind.FILE and size:
        raise BadInput(f"{name[:80]!r} in a tar is no file but has {size} bytes of content")
    return Entry(
        name=name,
        kind=known,
        size_bytes=size,
        mode=_number(block[100:108], "mode") & 0o7777,
        uid=_pax_number(extended, b"uid", _number(block[108:116], "owner")),
        gid=_pax_number(extended, b"gid", _number(block[116:124], "group")),
        mtime_s=_seconds(extended.get(b"mtime"), _number(block[136:148], "time")),
        target=extended.get(b"linkpath", block[157:257].split(b"\0")[0]),
        attributes=tuple(key.removeprefix(_XATTR) for key in extended if key.startswith(_XATTR)),
    )


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0]
    # GNU's own format keeps times where POSIX keeps the front of a long name.
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def _pax_number(extended: dict[bytes, bytes], key: bytes, otherwise: int) -> int:
    text = extended.get(key)
    if text is None:
        return otherwise
    if not text.isdigit() or len(text) > 20:
        raise BadInput(f"{key.decode()} in a PAX header of a tar is {text[:40]!r}, no number")
    return int(text)


def _seconds(text: bytes | None, otherwise: int) -> int:
    if text is None:
        return min(otherwise, TIME_MAX_S)
    whole = text.split(b".")[0]
    if not whole.removeprefix(b"-").isdigit() or len(whole) > 12:
        raise BadInput(f"a time in a PAX header of a tar is {text[:40]!r}")
    return min(max(0, int(whole)), TIME_MAX_S)
