"""People of the embedded issuer: for a demo or a machine of one's own, where no company signs people in.

Rule 1: a password is kept as scrypt of it under a salt of its own (RFC 7914; parameters as OWASP asks for).
Rule 2: an unknown name costs the same work as a wrong password, and is refused with the same sentence.
"""

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fairway.errors import BadInput, Denied, Tampered
from fleet_cloud.access.grants import Grant

# 64 MB and some 0.3 s for each guess.
_N, _R, _P = 2**16, 8, 2
# More of it in a record is no stronger password, but an attempt to keep us busy.
_MOST = (2**20, 32, 16)
_SALT_BYTES, _HASH_BYTES = 16, 32
PASSWORD_MIN_CHARS, PASSWORD_MAX_CHARS = 12, 256

# Without @: behind one stands whose issuer's somebody else is.
_NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}", re.ASCII)
_KEPT = re.compile(r"scrypt\$(\d{1,9})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class User:
    """One person, with one role."""

    name: str
    grant: Grant
    password: str  # scrypt$N$r$p$salt$hash
    created_time_ns: int


class UserReader(Protocol):
    """Looks people up.  Contract: tests/contracts/test_access.py."""

    def user(self, name: str) -> User | None:
        """Return the user of that name.  Raises Unavailable."""
        ...


class Users(UserReader, Protocol):
    """Keeps people.  Contract: tests/contracts/test_access.py."""

    def add(self, user: User) -> None:
        """Keep a new user.  Raises Conflict when there is one of that name, Unavailable."""
        ...

    def users(self) -> list[User]:
        """Return all users in order of name.  Raises Unavailable."""
        ...

    def remove(self, name: str) -> bool:
        """Forget a user; False when there is none.  Raises Unavailable."""
        ...


def user_name(text: str) -> str:
    """Return `text` when a user may be called so.  Raises BadInput."""
    if not _NAME.fullmatch(text):
        raise BadInput(f"{text[:80]!r} is no name of a user: 1 to 64 of a-z 0-9 . _ + -")
    return text


def kept_password(password: str) -> str:
    """Return what is kept of a password.  Raises BadInput for one that is easily guessed, or endless."""
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        raise BadInput(
            f"the password has {len(password)} characters: choose {PASSWORD_MIN_CHARS} to {PASSWORD_MAX_CHARS}"
        )
    salt = secrets.token_bytes(_SALT_BYTES)
    derived = _derived(password, salt, _N, _R, _P)
    parts = (base64.b64encode(part).decode() for part in (salt, derived))
    return "$".join(("scrypt", str(_N), str(_R), str(_P), *parts))


def check_password(user: User | None, password: str) -> None:
    """Raise Denied unless `password` is that of `user`; None (nobody of that name) costs the same."""
    found = _KEPT.fullmatch(user.password) if user else None
    if user is not None and found is None:
        raise Tampered(f"what is kept of the password of {user.name} cannot be read")
    if found is None:
        _derived(password[:PASSWORD_MAX_CHARS], bytes(_SALT_BYTES), _N, _R, _P)
        raise Denied("the name or the password is wrong")
    work = [int(number) for number in found.groups()[:3]]
    if any(number > most for number, most in zip(work, _MOST, strict=True)):
        raise Tampered("what is kept of a password asks for more work than any password is given")
    try:
        salt, wanted = (base64.b64decode(part, validate=True) for part in found.groups()[3:])
        derived = _derived(password[:PASSWORD_MAX_CHARS], salt, *work)
    except (binascii.Error, ValueError) as error:
        raise Tampered("what is kept of a password cannot be read") from error
    if not hmac.compare_digest(derived, wanted):
        raise Denied("the name or the password is wrong")


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    kdf = Scrypt(salt=salt, length=_HASH_BYTES, n=n, r=r, p=p)
    return kdf.derive(password.encode("utf-8", "surrogatepass"))
