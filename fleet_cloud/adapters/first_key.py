"""The first key: a cloud that starts without any makes one, so that somebody can be let in at all.

Rule 1: it is made once, while the registry has never had a key; a lost file is replaced by hand
(`fleet-cloud key create`).
Rule 2: it is written before it counts, and only its owner can read it; the log says where, never what.
"""

from pathlib import Path

from fairway import log as logs
from fairway.errors import Unavailable
from fleet_cloud.access.grants import ALL, Grant
from fleet_cloud.access.keys import ApiKey, Keys, fresh_key
from fleet_cloud.access.roles import Role
from fleet_cloud.adapters.whole_files import write_whole
from fleet_cloud.audit.acts import Act, Audit, chain_of

log = logs.get("fleet_cloud.access")

FILE = "admin-key"


def ensure_first_key(keys: Keys, folder: Path, audit: Audit, now_ns: int) -> None:
    """Make the key of the first administrator unless there is, or was, a key.  Raises Unavailable."""
    if keys.listed():
        return
    path = folder / FILE
    kept, text = fresh_key("first administrator", Grant(Role.ADMIN, ALL), now_ns)
    write_key(path, text)
    audit.write(key_act("key.create", "system", kept))
    keys.add(kept)
    log.info("admin_key_written", path=str(path))


def write_key(path: Path, text: str) -> None:
    """Write a key to a file that only its owner can read.  Raises Unavailable."""
    try:
        write_whole(path, f"{text}\n".encode(), secret=True)
    except OSError as error:
        raise Unavailable(f"cannot write a key to {path}: {error.strerror}") from error


def key_act(action: str, actor: str, key: ApiKey) -> Act:
    """Return what the audit log keeps of something done with a key."""
    details = {"name": key.name, "grant": str(key.grant)}
    return Act(action, actor, f"key:{key.id}", chain_of(key.grant.tenant), details=details)
