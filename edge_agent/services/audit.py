"""The vehicle's audit: what was denied, and what changed, each line with the hash of the one before.

    line 1 <--hash-- line 2 <--hash-- ... <--hash-- line n      head: n and its hash, to be kept elsewhere

Rule 1: a line's hash covers all of it, in one spelling: JSON with sorted keys, no spaces, as UTF-8.
Rule 2: old lines are dropped as whole files, the oldest first; what is left is still one chain without a gap.
Rule 3: who owns the vehicle can write another chain; against that helps a head that the cloud was told before.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairway.errors import Tampered

NOTHING = "0" * 64
# What somebody else wrote is cut: an entry is a line, not a document.
TEXT_MAX_CHARS = 300
DETAILS_MAX = 8


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that was done or denied, `count` times since the last line about it."""

    action: str  # as signal.read, offer.call, service.started
    actor: str  # as service:battery
    object: str  # a VSS path, an offer, a version
    outcome: str = "done"  # or denied, failed
    count: int = 1
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends."""

    number: int = 0
    hash: str = NOTHING


def next_line(head: Head, act: Act, now_ns: int) -> tuple[bytes, Head]:
    """Return the line that continues a chain, and where it ends then; `now_ns` is the wall's time."""
    content: dict[str, Any] = {
        "number": head.number + 1,
        "time_ns": now_ns,
        "action": _cut(act.action),
        "actor": _cut(act.actor),
        "object": _cut(act.object),
        "outcome": _cut(act.outcome),
        "count": act.count,
        "details": {_cut(k): _cut(v) for k, v in sorted(act.details.items())[:DETAILS_MAX]},
        "previous": head.hash,
    }
    digest = hashlib.sha256(_spelled(content)).hexdigest()
    return _spelled(content | {"hash": digest}) + b"\n", Head(head.number + 1, digest)


def read_line(line: bytes) -> tuple[dict[str, Any], Head]:
    """Return what a line says, and where the chain ends with it.  Raises Tampered."""
    try:
        content = json.loads(line)
        digest = content.pop("hash")
        number = content["number"]
        is_whole = isinstance(number, int) and isinstance(content["previous"], str)
        is_hashed = hashlib.sha256(_spelled(content)).hexdigest() == digest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Tampered(f"{line[:60]!r} is no line of an audit") from error
    if not is_whole or not is_hashed:
        raise Tampered(f"line {str(number)[:20]} of the audit was changed after it was written")
    return content, Head(number, digest)


def checked(
    lines: Iterable[bytes], kept: Iterable[Head] = ()
) -> Iterator[tuple[dict[str, Any], Head]]:
    """Pass on lines, the oldest first, that are one chain.  Raises Tampered at what is wrong.

    `kept` are heads that were noted elsewhere: each must be in the chain, or older than all that is left of it.
    """
    before: Head | None = None
    wanted = {head.number: head.hash for head in kept if head.number}
    for line in lines:
        content, head = read_line(line)
        if before is None and head.number == 1:
            before = Head()
        if before is not None and (head.number, content["previous"]) != (
            before.number + 1,
            before.hash,
        ):
            raise Tampered(f"line {head.number} of the audit does not follow from the one before")
        if wanted.pop(head.number, head.hash) != head.hash:
            raise Tampered(
                f"line {head.number} of the audit is not the one that was noted elsewhere"
            )
        if before is None:
            wanted = {number: hashed for number, hashed in wanted.items() if number > head.number}
        before = head
        yield content, head
    if wanted:
        raise Tampered(f"the audit ends before line {max(wanted)}, which was noted elsewhere")


def _cut(text: str) -> str:
    return str(text).encode("utf-8", "replace").decode()[:TEXT_MAX_CHARS]


def _spelled(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
