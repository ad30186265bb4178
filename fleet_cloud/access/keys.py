"""API keys: for machines that have no one to sign in.

    fwk_<id>_<secret>       id: 16 hexadecimal digits, for people; secret: 48 of them, 192 random bits

Rule 1: the secret is shown once, when the key is made; what is kept is its SHA-256 (of 192 random bits there is
nothing to guess, so nothing slower is needed), and it is compared in constant time.
Rule 2: a key holds one grant; whoever needs two makes two keys.
Rule 3: an unknown, a wrong, an expired and a revoked key are refused with the same sentence.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Protocol

from fairway.errors import BadInput, Denied
from fleet_cloud.access.grants import Grant, Principal

PREFIX = "fwk_"
_KEY = re.compile(r"fwk_([0-9a-f]{16})_([0-9a-f]{48})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}", re.ASCII)

# "Last used" is for people who tidy up: one write a minute for a busy key is enough.
USED_STEP_NS = 60 * 1_000_000_000

_REFUSED = "the API key is unknown, expired or revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key."""

    id: str
    name: str  # what it is for, in the words of who made it
    grant: Grant
    sha256: str  # of the secret, hexadecimal
    created_time_ns: int
    expires_time_ns: int | None = None  # None: never by itself
    revoked_time_ns: int | None = None
    used_time_ns: int | None = None

    @property
    def actor(self) -> str:
        """How the audit log calls whoever uses it."""
        return f"key:{self.id}"


class KeyReader(Protocol):
    """Looks keys up.  Contract: tests/contracts/test_access.py."""

    def key(self, key: str) -> ApiKey | None:
        """Return the key of that id, whatever became of it; None when it never was.  Raises Unavailable."""
        ...

    def used(self, key: str, now_ns: int) -> None:
        """Note when a key was used; the latest wins, unknown ones are ignored.  Raises Unavailable."""
        ...


class Keys(KeyReader, Protocol):
    """Keeps keys.  Contract: tests/contracts/test_access.py."""

    def add(self, key: ApiKey) -> None:
        """Keep a new key.  Raises Conflict when there is one of that id, Unavailable."""
        ...

    def listed(self) -> list[ApiKey]:
        """Return every key there ever was, the newest first.  Raises Unavailable."""
        ...

    def revoke(self, key: str, now_ns: int) -> bool:
        """Refuse a key from now on; False when it is refused already, or unknown.  Raises Unavailable."""
        ...


def fresh_key(
    name: str, grant: Grant, now_ns: int, *, expires_time_ns: int | None = None
) -> tuple[ApiKey, str]:
    """Make a key, and return what is kept of it and the key itself.  Raises BadInput for an odd name."""
    identifier, secret = secrets.token_hex(8), secrets.token_hex(24)
    kept = kept_key(identifier, secret, name, grant, now_ns, expires_time_ns)
    return kept, f"{PREFIX}{identifier}_{secret}"


def kept_key(
    identifier: str,
    secret: str,
    name: str,
    grant: Grant,
    now_ns: int,
    expires_time_ns: int | None,
) -> ApiKey:
    """Return what is kept of a new key with this secret.  Raises BadInput for an odd name."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} is no name of a key: 1 to 64 of A-Z a-z 0-9 . _ - and spaces"
        )
    return ApiKey(identifier, name, grant, _hash(secret), now_ns, expires_time_ns)


def key_parts(text: str) -> tuple[str, str]:
    """Return the id and the secret of a key as it is sent.  Raises Denied when it is none."""
    found = _KEY.fullmatch(text)
    if found is None:
        raise Denied(_REFUSED)
    return found[1], found[2]


def holder(kept: ApiKey | None, secret: str, now_ns: int) -> Principal:
    """Return who shows a key with this secret.  Raises Denied unless it is right and in force."""
    is_right = hmac.compare_digest(kept.sha256 if kept else "0" * 64, _hash(secret))
    if kept is None or not is_right or kept.revoked_time_ns is not None:
        raise Denied(_REFUSED)
    if kept.expires_time_ns is not None and kept.expires_time_ns <= now_ns:
        raise Denied(_REFUSED)
    return Principal(kept.actor, (kept.grant,), kept.expires_time_ns)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
