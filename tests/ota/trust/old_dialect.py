"""Uptane metadata as aktualizr's first servers wrote it, read for the trust core.

`_type` is capitalised, there is no spec_version, keys have no scheme, signatures are base64 with a method,
nothing is consistent_snapshot, and the id of a key is the SHA-256 of its public half as canonical JSON.
Hashes of metadata are over its canonical form, and lengths over another, so those are left out.
The Director has root and targets alone: so it is looked at as a partial verifier does.
"""

import base64
import hashlib
import json
from typing import Any

from ota.canonical import canonical
from ota.trust.kept import refused
from ota.trust.metadata import Dialect, File, read
from ota.trust.model import Attack


def read_old(content: bytes, kind: Any, where: str) -> Any:
    """Return what a file says, with signatures over its own spelling."""
    try:
        said = json.loads(content)
        payload = canonical(said["signed"])
        modern = _modern(said)
    except (ValueError, KeyError, TypeError) as error:
        raise refused(Attack.MALFORMED, where, f"no metadata: {error}") from error
    _check_key_ids(said["signed"], where)
    file = read(json.dumps(modern).encode(), kind, where)
    return File(file.signed, payload, file.signatures)


OLD = Dialect(read_old, keeps_first_of_equal=False)


def hashed_form(content: bytes) -> bytes:
    """Return a file as its hash in other metadata is over: canonical, however it was printed."""
    return canonical(json.loads(content))


def _modern(said: dict[str, Any]) -> dict[str, Any]:
    signed = json.loads(json.dumps(said["signed"]))
    signed["_type"] = signed["_type"].lower()
    signed["spec_version"] = "1.0"
    tables = [signed.get("keys"), (signed.get("delegations") or {}).get("keys")]
    for table in tables:
        for key in (table or {}).values():
            key["keytype"] = key["keytype"].lower()
            key.setdefault("scheme", "ed25519")
    if "delegations" in signed and not signed["delegations"]:
        del signed["delegations"]
    if signed["_type"] == "root":  # a Director without timestamp and snapshot: nobody can sign them
        nobody = {"keyids": [], "threshold": 1}
        signed["roles"] = {"timestamp": nobody, "snapshot": nobody} | signed["roles"]
    if signed["_type"] in {"snapshot", "timestamp"}:
        signed["meta"] = {
            name: {key: value for key, value in meta.items() if key != "length"}
            for name, meta in signed["meta"].items()
            if name != "root.json"
        }
    signatures = [
        {"keyid": one["keyid"], "sig": base64.b64decode(one["sig"]).hex()}
        for one in said["signatures"]
    ]
    return {"signed": signed, "signatures": signatures}


def _check_key_ids(signed: dict[str, Any], where: str) -> None:
    for table in (signed.get("keys"), (signed.get("delegations") or {}).get("keys")):
        for key_id, key in (table or {}).items():
            if hashlib.sha256(canonical(key["keyval"]["public"])).hexdigest() != key_id:
                what = f"the key {key_id:.12} has another id"
                raise refused(Attack.ARBITRARY_SOFTWARE, where, what)
