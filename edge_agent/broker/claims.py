"""Whether the claims of a token whose signature holds let an app in, and until when.

    {"sub": "climate-app", "aud": ["kuksa.val"], "exp": 1861919999, "scope": "read:Vehicle.Cabin"}

Rule 1: `sub`, `aud`, `exp` and `scope` must be there; `iss`, `nbf`, `iat` and `jti` count when they are.
Rule 2: a token is over when it says so; only its beginning may lie a little in the future, for clocks differ.
Rule 3: where tokens can be revoked, one that has no `jti` to revoke it by is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.broker.access import Rights, rights_of
from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Denied

# How far the issuer's clock may be ahead of the vehicle's; libraries for tokens use this figure.
AHEAD_MAX_S = 60
# The end of the year 9999: what is said of a later time is no time.
_TIME_MAX_S = 253_402_300_799
_NAME_MAX_CHARS = 256


@dataclass(frozen=True, slots=True)
class Expected:
    """What the agent wants to see in a token."""

    audiences: frozenset[str]
    issuer: str = ""  # any, without
    revoked: frozenset[str] | None = None  # token ids; None: nothing can be revoked


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may do what, until when."""

    subject: str
    rights: Rights
    expires_ns: int | None = None  # since the Unix epoch; None: never
    issuer: str = ""
    token_id: str = ""
    instance: str = ""  # of a service, which may run in two versions at a time

    @property
    def publisher(self) -> str:
        """As whom it says values."""
        return self.instance or self.subject


def grant_of(claims: Mapping[str, Any], expected: Expected, now_ns: int) -> Grant:
    """Read and judge claims.  Raises BadInput for what no token has, Denied for what is not let in (now)."""
    subject = _text(claims, "sub", is_needed=True)
    issuer = _text(claims, "iss")
    grant = Grant(
        subject=subject,
        rights=rights_of(_text(claims, "scope", is_needed=True, most_chars=1 << 20)),
        expires_ns=_time_ns(claims, "exp"),
        issuer=issuer,
        token_id=_text(claims, "jti"),
    )
    named = _audiences(claims)
    if not named & expected.audiences:
        raise Denied(
            f"the token is for {', '.join(sorted(named))[:200]}, not for "
            f"{' or '.join(sorted(expected.audiences))}"
        )
    if expected.issuer and issuer != expected.issuer:
        raise Denied(f"the token is of the issuer {issuer!r}, not of {expected.issuer!r}")
    if expected.revoked is not None and not grant.token_id:
        raise Denied(
            "the token has no id (jti), and tokens can be revoked here: issue one with an id"
        )
    for name in ("nbf", "iat"):
        if name in claims and _time_ns(claims, name) > now_ns + AHEAD_MAX_S * NS_PER_S:
            raise Denied(f"the token begins in the future ({name} is {claims[name]})")
    check(grant, expected.revoked or frozenset(), now_ns)
    return grant


def check(grant: Grant, revoked: frozenset[str], now_ns: int) -> None:
    """Raise Denied when a grant that was given no longer holds."""
    if grant.expires_ns is not None and now_ns >= grant.expires_ns:
        raise Denied(f"the token has expired (exp is {grant.expires_ns // NS_PER_S})")
    if grant.token_id in revoked:
        raise Denied(f"the token {grant.token_id} has been revoked")


def revoked_ids(text: str) -> frozenset[str]:
    """Read a list of revoked tokens: an id a line; empty lines and what follows # do not count."""
    ids = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(one for one in ids if one)


def _text(
    claims: Mapping[str, Any],
    name: str,
    *,
    is_needed: bool = False,
    most_chars: int = _NAME_MAX_CHARS,
) -> str:
    value = claims.get(name, None if is_needed else "")
    if not isinstance(value, str) or len(value) > most_chars or not value.isprintable():
        raise BadInput(f"the token has no {name}, or one that is no text")
    return value


def _audiences(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("aud")
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise BadInput("the token has no aud, or one that is neither a text nor a list of texts")
    return frozenset(named)


def _time_ns(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_time(value):
        raise BadInput(f"the token has no {name}, or one that is no time in seconds since 1970")
    return int(value * NS_PER_S)


def _is_time(value: float) -> bool:
    return math.isfinite(value) and 0 <= value <= _TIME_MAX_S
