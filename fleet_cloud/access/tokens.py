"""What a token says about who shows it, once its signature holds: claims become a principal.

Rule 1: an issuer that the operator did not name says nothing; one that is named speaks for its audience only.
Rule 2: a token is good from `nbf` to `exp`, and was not issued in the future; clocks may differ by LEEWAY_S.
Rule 3: what an issuer calls people's groups is looked up in `grants`; without that table the words themselves
are grants (`operator@acme`).  Words that mean nothing here give nothing.
Rule 4: an issuer of one `tenant` never says anything about another.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Denied
from fleet_cloud.access.grants import Grant, Principal, grant_of
from fleet_cloud.access.users import User

# Machines keep time to a second; more would let a token live on that somebody meant to end.
LEEWAY_S = 30

# A person in hundreds of groups has a token of some kilobytes; headers have 16 KiB together.
TOKEN_MAX_CHARS = 8 * 1024
GRANTS_MAX = 64
_SUBJECT_MAX_CHARS = 200
# The end of the year 9999: a later time is none, but an attempt.
_END_S = 253_402_300_800


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose tokens are believed, and what their words mean here."""

    issuer: str
    audience: str
    roles_claim: str = "roles"  # a.b: `b` in the object `a`
    tenant: str = ""  # the only one this issuer speaks for; empty: what it says
    grants: Mapping[str, str] = field(default_factory=dict)  # its word -> ROLE[@TENANT[/FLEET]]
    suffix: str = (
        ""  # behind a subject in the audit log, so that two issuers' people are told apart
    )

    def __post_init__(self) -> None:
        for text in self.grants.values():
            grant = grant_of(text, tenant=self.tenant)
            if self.tenant and grant.tenant != self.tenant:
                raise BadInput(
                    f"{self.issuer} is for tenant {self.tenant}, and {text!r} is of another"
                )


class Tokens(Protocol):
    """Reads tokens.  Contract: tests/contracts/test_tokens.py."""

    def principal(self, token: str) -> Principal:
        """Return who shows `token`.

        Raises Denied with the reason when it is not believed, Unavailable when its issuer cannot be asked.
        """
        ...


class TokenMaker(Protocol):
    """An issuer of our own: makes tokens, and publishes the keys that they are signed with."""

    @property
    def issuer(self) -> str:
        """Its URL."""
        ...

    def made(self, user: User, now_ns: int, *, nonce: str) -> tuple[str, str, int]:
        """Return an access token, an ID token, and for how many seconds they are good.  Raises Unavailable."""
        ...

    def keys(self) -> Mapping[str, Any]:
        """Return its public keys (RFC 7517)."""
        ...


class NoTokens:
    """Believes no token: where no issuer is configured."""

    def principal(self, token: str) -> Principal:  # noqa: ARG002 - it is a port's
        raise Denied("tokens are not accepted here: no issuer is configured; use an API key")


def principal_of(claims: Mapping[str, Any], trust: Trust, now_ns: int) -> Principal:
    """Return who a token with these claims is shown by.  Raises Denied with the reason."""
    now_s = now_ns / NS_PER_S
    if claims.get("iss") != trust.issuer:
        raise Denied("the token is of another issuer")
    audiences = claims.get("aud")
    if trust.audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise Denied("the token is for another audience")
    expires_s = _time(claims, "exp")
    if now_s >= expires_s + LEEWAY_S:
        raise Denied("the token has expired")
    begins_s = max(_time(claims, "iat"), _time(claims, "nbf") if "nbf" in claims else 0.0)
    if begins_s > now_s + LEEWAY_S:
        raise Denied("the token is of the future")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_MAX_CHARS:
        raise Denied("the token names nobody: its sub is missing or too long")
    if not subject.isprintable():
        raise Denied("the token names nobody: its sub has characters that cannot be printed")
    until_ns = math.floor(expires_s * NS_PER_S) + LEEWAY_S * NS_PER_S
    return Principal(f"user:{subject}{trust.suffix}", _grants(claims, trust), until_ns)


def _time(claims: Mapping[str, Any], name: str) -> float:
    found = claims.get(name)
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= _END_S:
        return float(found)
    raise Denied(f"the token's {name} is missing, or no time")


def _grants(claims: Mapping[str, Any], trust: Trust) -> tuple[Grant, ...]:
    found: set[Grant] = set()
    for word in _words(claims, trust.roles_claim):
        text = trust.grants.get(word) if trust.grants else word
        if text is None:
            continue
        try:
            grant = grant_of(text, tenant=trust.tenant)
        except BadInput:  # a word of theirs that is none of ours
            continue
        if trust.tenant in ("", grant.tenant):
            found.add(grant)
    return tuple(sorted(found)[:GRANTS_MAX])


def _words(claims: Mapping[str, Any], path: str) -> Iterator[str]:
    # A claim may be called by a URL, dots and all: the whole name first.
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        yield from value.split()
    elif isinstance(value, list):
        yield from (word for word in value if isinstance(word, str))
