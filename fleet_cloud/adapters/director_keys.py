"""The keys of Directors: root keys, which sign once a year and lie elsewhere, and one online key for each role.

    <data>/director/<tenant>/{targets,snapshot,timestamp}.pem     unless rollouts.director_key names others

Rule 1: a tenant has a Director when somebody made its keys and its root (`fleet-cloud rollout init`).
Rule 2: keys are opened once; a token or a key service that does not answer is Unavailable, and asked again.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from fairway.crypto import Signer
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.signers.opening import is_file, make_signer, open_signer
from fleet_cloud.adapters.registry_director import SqlDirector
from fleet_cloud.rollouts.director import ROLES, OnlineKeys, role_key, signed_root


class DirectorKeys:
    """Opens the online keys of tenants."""

    def __init__(self, folder: Path, template: str = "") -> None:
        """`template` has {tenant} and {role}; "": files in `folder`."""
        self._folder, self._template = folder, template
        self._lock = threading.Lock()
        self._known: dict[str, OnlineKeys] = {}

    def __call__(self, tenant: str) -> OnlineKeys | None:
        """Return the online keys of a tenant, None when it has none.  Raises Unavailable, BadInput."""
        with self._lock:
            known = self._known.get(tenant)
            if known is not None:
                return known
            names = [self.name(tenant, role) for role in ROLES]
            if any(is_file(name) and not Path(name).exists() for name in names):
                return None
            keys = OnlineKeys(*(role_key(open_signer(name)) for name in names))
            self._known[tenant] = keys
            return keys

    def name(self, tenant: str, role: str) -> str:
        """Return where the key of a role lies."""
        if self._template:
            return self._template.format(tenant=tenant, role=role)
        return str(self._folder / tenant / f"{role}.pem")

    def make(self, tenant: str) -> None:
        """Make the online keys that are not there yet.  Raises BadInput, Unavailable."""
        for role in ROLES:
            _opened(self.name(tenant, role))


def make_director(
    director: SqlDirector,
    keys: DirectorKeys,
    tenant: str,
    roots: Sequence[str],
    *,
    threshold: int,
    now_ns: int,
) -> int:
    """Make the Director of a tenant, or (a root is there) the next root by the same keys; return its version.

    Raises BadInput, Unavailable, Conflict when somebody else was quicker.
    """
    if not 1 <= threshold <= len(roots):
        raise BadInput(
            f"a threshold of {threshold} with {len(roots)} root keys: choose from 1 to that"
        )
    if len(set(roots)) != len(roots):
        raise BadInput("a root key is named twice")
    version = 1
    while director.file(tenant, "", f"{version}.root.json", now_ns) is not None:
        version += 1
    keys.make(tenant)
    online = keys(tenant)
    assert online is not None
    public = {role: getattr(online, role).signer.public_key() for role in ROLES}
    # The next root is signed by the keys of the one before: they have to be there still.
    signers = [open_signer(name) if version > 1 else _opened(name) for name in roots]
    content = signed_root(version, signers, threshold, public, now_ns)
    if version > 1:
        _check_same(director, tenant, version - 1, content, now_ns)
    director.put_root(tenant, version, content, now_ns)
    return version


def _check_same(
    director: SqlDirector, tenant: str, before: int, content: bytes, now_ns: int
) -> None:
    from tuf.api.exceptions import RepositoryError  # noqa: PLC0415 - for this alone
    from tuf.api.metadata import Metadata, Root  # noqa: PLC0415

    old = director.file(tenant, "", f"{before}.root.json", now_ns)
    assert old is not None
    try:
        Metadata[Root].from_bytes(old).verify_delegate("root", Metadata[Root].from_bytes(content))
    except RepositoryError as error:
        raise BadInput(
            f"root {before} of {tenant} was signed by other keys: name those, as many as its threshold"
        ) from error


def _opened(name: str) -> Signer:
    try:
        return open_signer(name)
    except Unavailable:
        try:
            return make_signer(name)
        except Conflict:  # another command was quicker
            return open_signer(name)
