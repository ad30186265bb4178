"""The chain: every entry holds the hash of the one before, and the newest is signed.

    entry 1 <--hash-- entry 2 <--hash-- ... <--hash-- entry n <--signature-- head

Rule 1: a chain belongs to one tenant of one region, and its entries are numbered from 1 without a gap.
Rule 2: an entry's hash covers all of it, in one spelling: JSON with sorted keys, no spaces, as UTF-8.
Rule 3: the head says how long the chain is, so what was cut off at its end is missed as well.
Rule 4: who holds the key and the whole database can write another chain; against that helps a head that was
kept elsewhere: `verify` takes it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairway.crypto import Signer
from fairway.errors import BadInput, Tampered
from fairway.identity import Scope
from fleet_cloud.audit.acts import Act, Outcome

# What the first entry has in the place of the hash of the one before.
NOTHING = "0" * 64

# A detail that somebody else wrote, a reason for instance, is cut: an entry is a line, not a document.
DETAIL_MAX_CHARACTERS = 500
DETAILS_MAX = 20

_ENTRY = "entry"
_HEAD = "head"


@dataclass(frozen=True, slots=True)
class Entry:
    """An act in its chain."""

    scope: Scope
    number: int
    time_ns: int  # the cloud's wall clock
    act: Act
    previous: str  # the hash of the entry before, hexadecimal
    hash: str = ""

    def hashed(self) -> "Entry":
        """Return the entry with its hash."""
        return replace(self, hash=hashlib.sha256(_spelled(self._content())).hexdigest())

    def as_json(self) -> dict[str, Any]:
        """Return the entry as a line of an export says it."""
        return {"is": _ENTRY, **self._content(), "hash": self.hash}

    def _content(self) -> dict[str, Any]:
        return {
            "region": self.scope.region,
            "tenant": self.scope.tenant,
            "number": self.number,
            "time_ns": self.time_ns,
            "actor": self.act.actor,
            "action": self.act.action,
            "object": self.act.object,
            "outcome": self.act.outcome.value,
            "details": dict(self.act.details),
            "previous": self.previous,
        }


@dataclass(frozen=True, slots=True)
class Head:
    """How long a chain is and what it ends with, signed."""

    scope: Scope
    number: int  # 0: nothing happened yet
    hash: str
    time_ns: int
    key: str = ""  # the SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal
    signature: str = ""  # ECDSA with SHA-256 in DER, hexadecimal

    @property
    def signed_part(self) -> bytes:
        """The bytes that the signature is over."""
        return _spelled(self._content())

    def as_json(self) -> dict[str, Any]:
        """Return the head as the last line of an export says it."""
        return {"is": _HEAD, **self._content(), "key": self.key, "signature": self.signature}

    def _content(self) -> dict[str, Any]:
        return {
            "region": self.scope.region,
            "tenant": self.scope.tenant,
            "number": self.number,
            "hash": self.hash,
            "time_ns": self.time_ns,
        }


def next_entry(head: Head | None, scope: Scope, act: Act, now_ns: int) -> Entry:
    """Return the entry that continues the chain which ends at `head` (None: there is none yet)."""
    number, previous = (head.number, head.hash) if head else (0, NOTHING)
    return Entry(scope, number + 1, now_ns, _bounded(act), previous).hashed()


def head_of(entry: Entry) -> Head:
    """Return the head, not signed yet, of a chain that ends at `entry`."""
    return Head(entry.scope, entry.number, entry.hash, entry.time_ns)


def signed(head: Head, signer: Signer) -> Head:
    """Return `head` with a signature.  Raises Unavailable when the key cannot be used now."""
    key = key_name(signer.public_key())
    return replace(head, key=key, signature=signer.sign(head.signed_part).hex())


def key_name(key: ec.EllipticCurvePublicKey) -> str:
    """Return by what a head says which key signed it: the SHA-256 of its SubjectPublicKeyInfo."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def checked(entries: Iterable[Entry], head: Head, after: Head | None = None) -> Iterator[Entry]:
    """Pass on the entries from one head (the beginning) to the next.  Raises Tampered at what is wrong."""
    number, previous = (after.number, after.hash) if after else (0, NOTHING)
    for entry in entries:
        number += 1
        where = f"entry {number} of {head.scope}"
        if entry.scope != head.scope:
            raise Tampered(f"in the place of {where} stands one of {entry.scope}")
        if entry.number != number:
            raise Tampered(
                f"in the place of {where} stands number {entry.number}: some are missing, or out of order"
            )
        if entry.hashed().hash != entry.hash:
            raise Tampered(f"{where} was changed after it was written")
        if entry.previous != previous:
            raise Tampered(
                f"{where} does not follow from the one before: one of the two was exchanged"
            )
        previous = entry.hash
        yield entry
    if number < head.number:
        raise Tampered(
            f"the chain of {head.scope} ends at {number} of {head.number} entries: its end was cut off"
        )
    if (head.number, head.hash) != (number, previous):
        raise Tampered(f"the head of {head.scope} is not that of its last entry, number {number}")


def written(one: Entry | Head) -> bytes:
    """Return a line of an export."""
    return json.dumps(one.as_json(), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def read_line(line: bytes) -> Entry | Head:
    """Read one line of an export.  Raises BadInput for what is none, Tampered for one that was changed."""
    try:
        content = json.loads(line)
        found = _head(content) if content["is"] == _HEAD else _entry(content)
        is_as_written = written(found) == line.rstrip(b"\r\n") + b"\n"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        shown = line[:60].decode("utf-8", "replace")
        raise BadInput(f"{shown!r} is no line of an audit export") from error
    if not is_as_written:
        raise Tampered(
            f"the line of {found.scope}, number {found.number}, is not as it was written"
        )
    return found


def _head(content: Mapping[str, Any]) -> Head:
    return Head(
        Scope(content["region"], content["tenant"]),
        _whole(content["number"]),
        content["hash"],
        _whole(content["time_ns"]),
        content["key"],
        content["signature"],
    )


def _entry(content: Mapping[str, Any]) -> Entry:
    act = Act(
        action=content["action"],
        actor=content["actor"],
        object=content["object"],
        tenant=content["tenant"],
        outcome=Outcome(content["outcome"]),
        details=dict(content["details"]),
    )
    scope = Scope(content["region"], content["tenant"])
    number, time_ns = _whole(content["number"]), _whole(content["time_ns"])
    return Entry(scope, number, time_ns, act, content["previous"], content["hash"])


def _whole(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{number!r} is not a whole number")
    return number


def _bounded(act: Act) -> Act:
    def cut(text: str) -> str:
        # PostgreSQL keeps no NUL in a text, and JSON no lone surrogate.
        clean = text.replace("\0", "\\0").encode("utf-8", "replace").decode()
        return clean[:DETAIL_MAX_CHARACTERS]

    details = dict(sorted(act.details.items())[:DETAILS_MAX])
    return replace(
        act,
        action=cut(act.action),
        actor=cut(act.actor),
        object=cut(act.object),
        details={cut(name): cut(text) for name, text in details.items()},
    )


def _spelled(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
