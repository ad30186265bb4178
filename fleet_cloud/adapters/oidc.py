"""Reads tokens (RFC 7519, RFC 8725): whose they are, whether that one signed them, and what they then mean.

    token --unverified iss--> issuer --kid--> its key --signature--> claims --access/tokens.py--> principal

Rule 1: what a token says of itself chooses among what the operator named, and nothing else: no address in a
token is ever asked, and its `alg` must be the one that its key is for.
Rule 2: only signatures by keys with a public half count: no `none`, no HMAC.
Rule 3: whatever is wrong, the token is refused with one sentence that repeats nothing of it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fairway.clock import Clock
from fairway.errors import BadInput, Denied
from fleet_cloud.access.grants import Principal
from fleet_cloud.access.tokens import TOKEN_MAX_CHARS, Trust, principal_of
from fleet_cloud.access.users import UserReader

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
# What NIST allows since 2014; PyJWT itself takes less.
_RSA_MIN_BITS = 2048
# An access token (RFC 9068), a token without more words, or none: never a logout or a security event.
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")

_FITS = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("EdDSA",)}

_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS))


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """The public half of a key, and what it may have signed with: its type says it, and its own `alg`."""

    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    algorithms: tuple[str, ...]


class IssuerKeys(Protocol):
    """The keys of one issuer.  Contract: tests/contracts/test_tokens.py."""

    def key(self, kid: str) -> IssuerKey:
        """Return the key of that id.  Raises Denied when there is none, Unavailable when it cannot be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Believed:
    """An issuer whose tokens are believed."""

    trust: Trust
    keys: IssuerKeys
    users: UserReader | None = (
        None  # our own issuer's: they must still be there, and have their role from here
    )


class OidcTokens:
    """Believes the tokens of the issuers it is given."""

    def __init__(self, issuers: Iterable[Believed], clock: Clock) -> None:
        self._issuers = {one.trust.issuer: one for one in issuers}
        self._clock = clock

    def principal(self, token: str) -> Principal:
        issuer, claims = self._verified(token)
        found = principal_of(claims, issuer.trust, self._clock.now_ns())
        if issuer.users is None:
            return found
        user = issuer.users.user(claims["sub"])
        if user is None:
            raise Denied("the token is of a user who was removed")
        return replace(found, grants=(user.grant,))

    def _verified(self, token: str) -> tuple[Believed, Mapping[str, Any]]:
        if len(token) > TOKEN_MAX_CHARS or not token.isascii():
            raise Denied("the credential is no API key and no token")
        try:
            unverified = _JWS.decode_complete(token, options={"verify_signature": False})
            header, said = unverified["header"], _object(unverified["payload"])
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Denied("the credential is no API key and no token") from error
        issuer = said.get("iss")
        known = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if known is None:
            raise Denied("the token is of another issuer")
        algorithm, kid = _checked(header)
        key = known.keys.key(kid)
        if algorithm not in key.algorithms:
            raise Denied("the token is not signed as its key is for")
        try:
            verified = _JWS.decode_complete(token, key.public, algorithms=[algorithm])
            return known, _object(verified["payload"])
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Denied("the token's signature does not hold") from error


def _checked(header: Mapping[str, Any]) -> tuple[str, str]:
    """Return the algorithm and the key's id of a token's header.  Raises Denied."""
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if algorithm not in ALGORITHMS:
        raise Denied(f"the token is not signed by any of {', '.join(ALGORITHMS)}")
    if "crit" in header or "b64" in header:
        raise Denied("the token wants something of its reader that is not done here (crit)")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise Denied("the token is not made to let somebody in (typ)")
    if not isinstance(kid, str) or not 0 < len(kid) <= 256:
        raise Denied("the token does not say which key signed it (kid)")
    return str(algorithm), kid


def key_set(document: Any) -> dict[str, IssuerKey]:
    """Read a JWK set (RFC 7517): the keys that may sign tokens, by id, without others.  Raises BadInput."""
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise BadInput("it is no set of keys (RFC 7517)")
    found = {}
    for entry in listed[:100]:
        if not isinstance(entry, Mapping) or entry.get("use", "sig") != "sig":
            continue
        kid = entry.get("kid")
        key = _key(entry)
        if isinstance(kid, str) and key is not None:
            found[kid] = key
    return found


def _key(entry: Mapping[str, Any]) -> IssuerKey | None:
    kind = entry.get("kty")
    if kind not in _FITS or "d" in entry:
        return None  # a secret is no way to know who signed, and a private key belongs nowhere
    try:
        public = jwt.PyJWK(dict(entry), algorithm=_FITS[kind][0]).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    said = entry.get("alg")
    fits = _FITS[kind] if said is None else tuple(one for one in _FITS[kind] if one == said)
    match public:
        case rsa.RSAPublicKey(key_size=bits) if bits >= _RSA_MIN_BITS:
            return IssuerKey(public, fits)
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()) | ed25519.Ed25519PublicKey():
            return IssuerKey(public, fits)
        case _:
            return None


def _object(payload: bytes) -> Mapping[str, Any]:
    found = json.loads(payload)
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - as json.loads says it of what is no JSON
    return found
