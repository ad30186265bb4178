"""The Director's metadata (TUF 1.0, Uptane 2.1): which ECU of which vehicle is to hold which image.

    root (one per tenant, keys offline)   targets > snapshot > timestamp (one of each per vehicle, keys online)

Rule 1: the vehicle's id stands in every targets file, also in one that lists nothing: none can be played to
another vehicle.
Rule 2: all three files of a vehicle have the same version, which only grows.
Rule 3: what is signed is canonical JSON; where that is JSON, as in all files of vehicles, the file has it.
Rule 4: no I/O and no clock here: keys are opened elsewhere, times are arguments.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from fairway.clock import NS_PER_S
from fairway.crypto import Signer
from fleet_cloud.rollouts.solver import Given
from ota.canonical import canonical
from ota.report_json import key_of

SPEC_VERSION = "1.0.34"
_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
ROLES = ("targets", "snapshot", "timestamp")
# Uptane's deployment practice: hours to a day; a vehicle that is cut off for longer installs nothing.
LIFE_NS = 24 * 3600 * NS_PER_S
# Signed anew when less than this is left, so that a vehicle that has just fetched it has time to install.
FRESH_NS = 12 * 3600 * NS_PER_S
ROOT_LIFE_NS = 365 * 24 * 3600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class RoleKey:
    """A key that signs, and by what metadata names it."""

    signer: Signer
    keyid: str


@dataclass(frozen=True, slots=True)
class OnlineKeys:
    """What signs a vehicle's files; three roles, one key each."""

    targets: RoleKey
    snapshot: RoleKey
    timestamp: RoleKey


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a vehicle is told."""

    vehicle: str
    action: str = ""  # "": nothing is to be installed
    given: tuple[Given, ...] = ()
    is_downgrade: bool = False

    @property
    def digest(self) -> str:
        """The name of its content: while that stays, nothing has to be signed but for time."""
        return hashlib.sha256(_encoded(_targets_said(self)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Files:
    """A vehicle's files."""

    version: int
    digest: str  # of the instruction
    expires_time_ns: int
    targets: bytes
    snapshot: bytes
    timestamp: bytes

    def named(self, name: str) -> bytes | None:
        """Return the file that a vehicle asks for, None when there is none (any more)."""
        whole = {"targets": self.targets, "snapshot": self.snapshot, "timestamp": self.timestamp}
        number, _, rest = name.rpartition(".json")[0].rpartition(".")
        if not name.endswith(".json") or rest not in whole:
            return None
        is_right = not number or (rest != "timestamp" and number == str(self.version))
        return whole[rest] if is_right else None


def role_key(signer: Signer) -> RoleKey:
    """Return a signer with the name that metadata has for its key."""
    return RoleKey(signer, key_of(signer.public_key()).keyid)


def signed_files(order: Instruction, keys: OnlineKeys, version: int, now_ns: int) -> Files:
    """Return a vehicle's files of a version.  Raises Unavailable when a key cannot be used."""
    expires_ns = now_ns + LIFE_NS
    head = {"spec_version": SPEC_VERSION, "version": version, "expires": _time(expires_ns)}
    said = {"_type": "targets", **head, **_targets_said(order)}
    targets = _signed(said, [keys.targets])
    meta = {"targets.json": _described(targets, version)}
    snapshot = _signed({"_type": "snapshot", **head, "meta": meta}, [keys.snapshot])
    meta = {"snapshot.json": _described(snapshot, version)}
    timestamp = _signed({"_type": "timestamp", **head, "meta": meta}, [keys.timestamp])
    return Files(version, order.digest, expires_ns, targets, snapshot, timestamp)


def is_fresh(files: Files, order: Instruction, now_ns: int) -> bool:
    """Whether a vehicle can be given these files still."""
    return files.digest == order.digest and files.expires_time_ns - now_ns >= FRESH_NS


def signed_root(
    version: int,
    keys: Sequence[Signer],
    threshold: int,
    online: Mapping[str, ec.EllipticCurvePublicKey],
    now_ns: int,
    signers: Sequence[Signer] | None = None,
) -> bytes:
    """Return a root: `keys` sign it, and every one after it, `threshold` of them at least.

    `online` has the public key of each of ROLES; `signers` are others than `keys` when keys are exchanged.
    """
    public = {"root": [key.public_key() for key in keys], **{r: [online[r]] for r in ROLES}}
    made = {role: [key_of(key) for key in some] for role, some in public.items()}
    said = {
        "_type": "root",
        "spec_version": SPEC_VERSION,
        "version": version,
        "expires": _time(now_ns + ROOT_LIFE_NS),
        "consistent_snapshot": True,
        "keys": {key.keyid: key.to_dict() for some in made.values() for key in some},
        "roles": {
            role: {
                "keyids": [key.keyid for key in some],
                "threshold": threshold if role == "root" else 1,
            }
            for role, some in made.items()
        },
    }
    return _signed(said, [role_key(signer) for signer in signers or keys])


def _targets_said(order: Instruction) -> dict[str, Any]:
    targets: dict[str, dict[str, Any]] = {}
    for one in order.given:
        image = one.image
        target = targets.setdefault(image.path, _target(order, one))
        target["custom"]["ecuIdentifiers"][one.ecu.serial] = {"hardwareId": one.ecu.hardware_id}
    custom = {"vehicle": order.vehicle}
    if order.action:
        custom["correlationId"] = order.action
    return {"targets": targets, "custom": custom}


def _target(order: Instruction, one: Given) -> dict[str, Any]:
    custom: dict[str, Any] = {"ecuIdentifiers": {}, "release_counter": one.image.release_counter}
    if order.is_downgrade:
        custom["downgrade"] = True
    return {
        "length": one.image.length,
        "hashes": {"sha256": one.image.sha256},
        "custom": custom,
    }


def _described(file: bytes, version: int) -> dict[str, Any]:
    hashes = {"sha256": hashlib.sha256(file).hexdigest()}
    return {"version": version, "length": len(file), "hashes": hashes}


def _signed(said: dict[str, Any], keys: Sequence[RoleKey]) -> bytes:
    written = _encoded(said).encode()
    text = canonical_of(said, written)
    signatures = [{"keyid": key.keyid, "sig": key.signer.sign(text).hex()} for key in keys]
    return b'{"signatures":' + _encoded(signatures).encode() + b',"signed":' + written + b"}"


def canonical_of(said: object, written: bytes) -> bytes:
    """Return the canonical JSON of what was written as JSON with sorted keys and no spaces.

    The two differ where JSON writes something with a backslash alone, a line end for instance: keys in PEM
    have some, a vehicle's files have none, and a million of these are signed.
    """
    return canonical(said) if b"\\" in written else written


def _time(time_ns: int) -> str:
    moment = dt.datetime.fromtimestamp(time_ns // NS_PER_S, tz=dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
