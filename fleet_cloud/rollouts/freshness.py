"""Snapshot and timestamp of an Image repository, signed anew before they expire, with a key that is online.

    half of its life is gone > the next version of it, saying what the one before said > published as any other

Rule 1: root and targets are never signed here: their keys are people's.
Rule 2: the key signs what root lets it sign: a role of which it is none, or one that needs two keys, is not.
Rule 3: nothing that the snapshot lists changes, and no version in it falls.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fairway.clock import NS_PER_S
from fairway.crypto import Signer
from ota.canonical import canonical

Lookup = Callable[[str], bytes | None]

_DAY_S = 86_400
# How long each is good where it does not say itself (the release tool's `x-fairway-days`).
DAYS = {"snapshot": 7, "timestamp": 1}
_DAYS_FIELD = "x-fairway-days"
_SHARE_LEFT = 0.5


@dataclass(frozen=True, slots=True)
class Due:
    """What has to be signed anew, and what cannot be."""

    files: dict[str, bytes]
    # Roles that will expire although this cloud is there: its key is none of theirs.
    helpless: tuple[str, ...] = ()


def renewed(lookup: Lookup, signer: Signer, now_ns: int) -> Due:
    """Return the files to publish.  Raises Unavailable when the key cannot be used."""
    root, stamp = _signed(lookup("root.json")), _signed(lookup("timestamp.json"))
    if root is None or stamp is None:
        return Due({})
    snapshot_version = stamp["meta"]["snapshot.json"]["version"]
    snapshot = _signed(lookup(f"{snapshot_version}.snapshot.json"))
    if snapshot is None:
        return Due({})
    is_due = {
        "snapshot": _is_due(snapshot, "snapshot", now_ns),
        "timestamp": _is_due(stamp, "timestamp", now_ns),
    }
    keys = {role: _keyid(root, role, signer) for role in is_due}
    helpless = tuple(role for role, due in is_due.items() if due and keys[role] is None)
    stamp_key, snapshot_key = keys["timestamp"], keys["snapshot"]
    if stamp_key is None or not any(is_due.values()):
        return Due({}, helpless)
    files: dict[str, bytes] = {}
    described = stamp["meta"]["snapshot.json"]
    if is_due["snapshot"] and snapshot_key is not None:
        snapshot |= _next(snapshot, "snapshot", now_ns)
        data = _written(snapshot, snapshot_key, signer)
        files[f"{snapshot['version']}.snapshot.json"] = data
        hashes = {"sha256": hashlib.sha256(data).hexdigest()}
        described = {"version": snapshot["version"], "length": len(data), "hashes": hashes}
    elif not is_due["timestamp"]:
        return Due({}, helpless)
    stamp |= _next(stamp, "timestamp", now_ns) | {"meta": {"snapshot.json": described}}
    files["timestamp.json"] = _written(stamp, stamp_key, signer)
    return Due(files, helpless)


def _next(signed: dict[str, Any], role: str, now_ns: int) -> dict[str, Any]:
    """Return what is different in the next version."""
    expires_s = now_ns // NS_PER_S + int(_days(signed, role) * _DAY_S)
    expires = dt.datetime.fromtimestamp(expires_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"version": signed["version"] + 1, "expires": expires}


def _is_due(signed: dict[str, Any], role: str, now_ns: int) -> bool:
    expires = dt.datetime.strptime(signed["expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    left_s = expires.timestamp() - now_ns / NS_PER_S
    return left_s < _days(signed, role) * _DAY_S * _SHARE_LEFT


def _days(signed: dict[str, Any], role: str) -> float:
    said = signed.get(_DAYS_FIELD)
    is_good = isinstance(said, int) and not isinstance(said, bool) and 0 < said <= 3650
    return said if is_good and said is not None else DAYS[role]


def _keyid(root: dict[str, Any], role: str, signer: Signer) -> str | None:
    """Return what the root calls our key when it may sign a role alone."""
    said = root["roles"][role]
    if said["threshold"] != 1:
        return None
    ours = signer.public_key()
    return next((one for one in said["keyids"] if _is(root["keys"].get(one), ours)), None)


def _is(key: dict[str, Any] | None, ours: ec.EllipticCurvePublicKey) -> bool:
    try:
        public = (key or {})["keyval"]["public"]
        return serialization.load_pem_public_key(public.encode()) == ours
    except (ValueError, KeyError, TypeError, AttributeError):
        return False  # of another kind


def _written(signed: dict[str, Any], keyid: str, signer: Signer) -> bytes:
    signature = {"keyid": keyid, "sig": signer.sign(canonical(signed)).hex()}
    return canonical({"signatures": [signature], "signed": signed})


def _signed(data: bytes | None) -> dict[str, Any] | None:
    if data is None:
        return None
    found: dict[str, Any] = json.loads(data)["signed"]
    return found
