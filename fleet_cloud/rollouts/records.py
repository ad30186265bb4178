"""The records of updates (UN R156, 7.1.2): what was done to which vehicle, and the proof.

    a vehicle's records    1 <--hash-- 2 <--hash-- 3          each has the hash of the one before
    a rollout's seals      1 <--hash-- 2                      each has the hashes of some records, and is signed

Rule 1: every transition of a rollout, a wave and a vehicle is a record, written in the transaction that does
it.
Rule 2: a seal has all records of one transaction: so one signature serves ten thousand vehicles, and each
record of theirs is proved all the same.
Rule 3: seals of a rollout are numbered without a gap, and an export ends with a signed line that says how many
there are: what was changed, dropped, exchanged or cut off is missed.
Rule 4: hashes cover everything, in one spelling: JSON with sorted keys, no spaces, as UTF-8.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from fairway.crypto import Signer
from fairway.errors import BadInput, Tampered
from fairway.identity import Scope
from fleet_cloud.audit.chain import NOTHING, key_name
from fleet_cloud.audit.verify import Keys

# The series of what vehicles report of themselves, outside of any rollout.
REPORTS = "reports"
LINE_MAX_BYTES = 4 << 20
# One encoder for millions of records: `json.dumps` makes a new one each time.
_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was done, before it has its place."""

    subject: str  # a vehicle's id, or rollout:<id> for what is about a rollout as a whole
    what: str  # offered, committed, approve ...
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a subject's chain goes."""

    number: int = 0
    hash: str = NOTHING


@dataclass(frozen=True, slots=True)
class Record:
    """A fact in its chain."""

    scope: Scope
    series: str  # the rollout whose seal proves it, or REPORTS
    subject: str
    number: int
    time_ns: int
    what: str
    details: Mapping[str, Any]
    previous: str
    hash: str = ""

    def content(self) -> dict[str, Any]:
        """Return what the hash covers."""
        return {
            "region": self.scope.region,
            "tenant": self.scope.tenant,
            "series": self.series,
            "subject": self.subject,
            "number": self.number,
            "time_ns": self.time_ns,
            "what": self.what,
            "details": self.details,
            "previous": self.previous,
        }


@dataclass(frozen=True, slots=True)
class Seal:
    """The proof of some records."""

    scope: Scope
    series: str
    number: int
    time_ns: int
    hashes: tuple[str, ...]
    previous: str
    hash: str = ""
    key: str = ""  # the SHA-256 of the public key
    signature: str = ""

    def content(self) -> dict[str, Any]:
        """Return what the hash covers."""
        return {
            "region": self.scope.region,
            "tenant": self.scope.tenant,
            "series": self.series,
            "number": self.number,
            "time_ns": self.time_ns,
            "hashes": list(self.hashes),
            "previous": self.previous,
        }


def chained(
    scope: Scope, series: str, facts: Iterable[Fact], places: Mapping[str, Place], now_ns: int
) -> list[Record]:
    """Return facts as records that continue the chains of their subjects."""
    ends = dict(places)
    made = []
    whose = {"region": scope.region, "tenant": scope.tenant, "series": series, "time_ns": now_ns}
    for fact in facts:
        at = ends.get(fact.subject) or Place()
        content = {
            **whose,
            "subject": fact.subject,
            "number": at.number + 1,
            "what": fact.what,
            "details": fact.details,
            "previous": at.hash,
        }
        found = _hash(content)
        ends[fact.subject] = Place(at.number + 1, found)
        made.append(
            Record(
                scope,
                series,
                fact.subject,
                at.number + 1,
                now_ns,
                fact.what,
                fact.details,
                at.hash,
                found,
            )
        )
    return made


def sealed(
    scope: Scope, series: str, records: Iterable[Record], last: Place, now_ns: int, signer: Signer
) -> Seal:
    """Return the seal of some records, behind the last one of the series.  Raises Unavailable."""
    some = tuple(record.hash for record in records)
    seal = Seal(scope, series, last.number + 1, now_ns, some, last.hash)
    text = _spelled(seal.content())
    return replace(
        seal,
        hash=hashlib.sha256(text).hexdigest(),
        key=key_name(signer.public_key()),
        signature=signer.sign(text).hex(),
    )


def record_line(record: Record) -> bytes:
    """Return a record as a line of an export."""
    return _line({"is": "record", **record.content(), "hash": record.hash})


def seal_line(seal: Seal) -> bytes:
    """Return a seal as a line of an export."""
    proof = {"hash": seal.hash, "key": seal.key, "signature": seal.signature}
    return _line({"is": "seal", **seal.content(), **proof})


def end_line(
    scope: Scope, series: str, last: Place, records: int, now_ns: int, signer: Signer
) -> bytes:
    """Return the last line of an export: how many there are, signed."""
    content = {
        "region": scope.region,
        "tenant": scope.tenant,
        "series": series,
        "seals": last.number,
        "hash": last.hash,
        "records": records,
        "time_ns": now_ns,
    }
    text = _spelled({"is": "end", **content})
    proof = {"key": key_name(signer.public_key()), "signature": signer.sign(text).hex()}
    return _line({"is": "end", **content, **proof})


@dataclass(frozen=True, slots=True)
class Proof:
    """What an export was found to prove."""

    scope: Scope
    series: str
    records: int
    subjects: int
    seals: int
    time_ns: int  # of the export


def verify_export(lines: Iterable[bytes], keys: Keys) -> Iterator[Proof]:
    """Check an export of rollouts line by line.

    Raises Tampered at the first thing that is wrong, BadInput for what is no export.
    """
    check: _Series | None = None
    is_any = False
    for line in lines:
        said = _read(line)
        check = check or _Series(keys, said)
        proof = check.take(said)
        if proof is not None:
            check, is_any = None, True
            yield proof
    if check is not None:
        raise Tampered(f"the records of {check.series} have no end: the export was cut off")
    if not is_any:
        raise BadInput("there is nothing in this export")


class _Series:
    """The check of one rollout's records: its seals in order, each before the records that it proves."""

    def __init__(self, keys: Keys, first: Mapping[str, Any]) -> None:
        self._keys = keys
        self._scope = Scope(str(first.get("region")), str(first.get("tenant")))
        self.series = str(first.get("series"))
        self._last = Place()
        self._open: list[str] = []  # hashes that the last seal promised
        self._ends: dict[str, tuple[int, str]] = {}
        self._records = 0

    def take(self, said: dict[str, Any]) -> Proof | None:
        """Check the next line; return what is proved when it was the last."""
        where = (said.get("region"), said.get("tenant"), said.get("series"))
        if where != (self._scope.region, self._scope.tenant, self.series):
            raise Tampered(f"among the records of {self.series} stand some of {where[2]}")
        kind = said.pop("is")
        if kind == "record":
            self._record(said)
            return None
        if self._open:
            raise Tampered(
                f"{len(self._open)} records of {self.series} are missing that seal {self._last.number} has"
            )
        if kind == "seal":
            self._seal(said)
            return None
        return self._end(said)

    def _seal(self, said: dict[str, Any]) -> None:
        found, key, signature = said.pop("hash"), said.pop("key"), said.pop("signature")
        name = f"seal {said['number']} of {self.series}"
        if said["number"] != self._last.number + 1 or said["previous"] != self._last.hash:
            raise Tampered(f"{name} does not follow the one before: some are missing or exchanged")
        text = _spelled(said)
        if hashlib.sha256(text).hexdigest() != found:
            raise Tampered(f"{name} was changed after it was written")
        _check(self._keys, key, signature, text, name)
        self._last = Place(said["number"], found)
        self._open = list(reversed(said["hashes"]))

    def _record(self, said: dict[str, Any]) -> None:
        found = said.pop("hash")
        name = f"record {said['number']} of {said['subject']}"
        if _hash(said) != found:
            raise Tampered(f"{name} was changed after it was written")
        if not self._open or self._open.pop() != found:
            raise Tampered(f"{name} is not the one that seal {self._last.number} has")
        number, before = self._ends.get(said["subject"], (None, ""))
        # Another rollout's records of a vehicle may stand between two of this one's.
        if number is not None and said["number"] <= number:
            raise Tampered(f"{name} stands behind number {number}")
        if number is not None and said["number"] == number + 1 and said["previous"] != before:
            raise Tampered(f"{name} does not follow from the one before")
        self._ends[said["subject"]] = (said["number"], found)
        self._records += 1

    def _end(self, said: dict[str, Any]) -> Proof:
        key, signature = said.pop("key"), said.pop("signature")
        _check(
            self._keys, key, signature, _spelled({"is": "end", **said}), f"the end of {self.series}"
        )
        if (said["seals"], said["hash"], said["records"]) != (
            self._last.number,
            self._last.hash,
            self._records,
        ):
            raise Tampered(
                f"{self.series} has {said['seals']} seals and {said['records']} records, and here are"
                f" {self._last.number} and {self._records}: some were cut off"
            )
        return Proof(
            self._scope,
            self.series,
            self._records,
            len(self._ends),
            self._last.number,
            said["time_ns"],
        )


def _check(keys: Keys, name: str, signature: str, text: bytes, what: str) -> None:
    key = keys.get(name)
    if key is None:
        raise Tampered(
            f"{what} is signed with the key {name[:16]}..., which is none of those given"
        )
    try:
        key.verify(bytes.fromhex(signature), text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise Tampered(f"the signature of {what} is wrong: it was changed") from error


_PROOF = {"hash": str, "key": str, "signature": str}
_FIELDS: dict[str, dict[str, type]] = {
    "record": {
        "subject": str,
        "number": int,
        "time_ns": int,
        "what": str,
        "details": dict,
        "previous": str,
        "hash": str,
    },
    "seal": {"number": int, "time_ns": int, "hashes": list, "previous": str, **_PROOF},
    "end": {"seals": int, "records": int, "time_ns": int, **_PROOF},
}


def _read(line: bytes) -> dict[str, Any]:
    if len(line) > LINE_MAX_BYTES:
        raise BadInput(f"a line of more than {LINE_MAX_BYTES} bytes is none of an export")
    try:
        said = json.loads(line)
        fields = _FIELDS[said["is"]]
        whole = {"is", "region", "tenant", "series", *fields}
        is_one = said.keys() == whole and all(type(said[name]) is of for name, of in fields.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        said, is_one = {}, False
    if not is_one:
        raise BadInput(f"{line[:60].decode('utf-8', 'replace')!r} is no line of an export")
    return dict(said)


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_spelled(content)).hexdigest()


def _spelled(content: Mapping[str, Any]) -> bytes:
    return _encoded(content).encode("utf-8", "replace")


def _line(content: Mapping[str, Any]) -> bytes:
    return _spelled(content) + b"\n"
