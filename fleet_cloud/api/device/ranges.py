"""Which bytes of a blob are asked for (RFC 9110, 14): one range, or all of it.

Rule 1: what is not understood, or several ranges, is answered with the whole: every client takes that.
Rule 2: If-Range holds for the very same bytes only: a strong ETag, which is the blob's own hash.
"""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `first` on, `length` of them."""

    first: int
    length: int
    is_part: bool = False  # answered with 206


def etag(sha256: str) -> str:
    """Return the ETag of a blob."""
    return f'"{sha256}"'


def asked(range_header: str | None, if_range: str | None, tag: str, size: int) -> Span | None:
    """Return the bytes that a request wants of `size`, None when there are none such (416)."""
    whole = Span(0, size)
    if range_header is None or (if_range is not None and if_range.strip() != tag):
        return whole
    found = _RANGE.fullmatch(range_header.strip().replace(" ", ""))
    if found is None or found.group(0) == "bytes=-":
        return whole
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return Span(size - length, length, is_part=True) if length else None
    begin = int(first)
    if last and int(last) < begin:
        return whole  # no range at all, says the RFC
    if begin >= size:
        return None
    end = min(int(last), size - 1) if last else size - 1
    return Span(begin, end - begin + 1, is_part=True)


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Return whether the client has these bytes already (304)."""
    if if_none_match is None:
        return False
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in known or "*" in known
