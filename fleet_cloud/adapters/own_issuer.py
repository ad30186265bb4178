"""An issuer of our own, for a demo on one machine: it signs tokens with a P-256 key, and shows its public half.

Rule 1: its tokens are read by the code that reads everybody's (oidc.py), and so are no easier to forge.
Rule 2: a token says who somebody is; what they may do is looked up when it is used.
"""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

import jwt
from jwt.algorithms import ECAlgorithm

from fairway.clock import NS_PER_S
from fairway.crypto import Signer, SignerKey
from fairway.errors import Denied
from fairway.signers import file
from fleet_cloud.access.codes import CLIENT
from fleet_cloud.access.tokens import Trust
from fleet_cloud.access.users import User, UserReader
from fleet_cloud.adapters.oidc import Believed, IssuerKey

AUDIENCE = "fairway-api"
# A working hour; whoever is removed is refused at once all the same.
LIFE_S = 3600


class OwnIssuer:
    """Signs tokens under the URL `issuer`."""

    def __init__(self, issuer: str, signer: Signer) -> None:
        self.issuer = issuer
        self._key = SignerKey(signer)
        public: dict[str, Any] = ECAlgorithm.to_jwk(signer.public_key(), as_dict=True)
        self._kid = _thumbprint(public)
        self._public = {**public, "kid": self._kid, "use": "sig", "alg": "ES256"}

    def believed(self, users: UserReader) -> Believed:
        """Return this issuer as one whose tokens are believed."""
        return Believed(Trust(self.issuer, AUDIENCE), self, users)

    def key(self, kid: str) -> IssuerKey:
        if kid != self._kid:
            raise Denied("the token is signed by a key that its issuer does not publish")
        return IssuerKey(self._key.public_key(), ("ES256",))

    def made(self, user: User, now_ns: int, *, nonce: str) -> tuple[str, str, int]:
        return self.access_token(user, now_ns), self._id_token(user, now_ns, nonce=nonce), LIFE_S

    def access_token(self, user: User, now_ns: int, *, life_s: int = LIFE_S) -> str:
        """Return a token (RFC 9068) that lets `user` in.  Raises Unavailable when the key cannot be used."""
        claims = {
            "aud": AUDIENCE,
            "client_id": CLIENT,
            "jti": secrets.token_hex(16),
            "roles": [str(user.grant)],
            **_times(now_ns, life_s),
        }
        return self._signed(claims, user, "at+jwt")

    def _id_token(self, user: User, now_ns: int, *, nonce: str) -> str:
        claims = {"aud": CLIENT, **_times(now_ns, LIFE_S), **({"nonce": nonce} if nonce else {})}
        return self._signed(claims, user, "JWT")

    def keys(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517)."""
        return {"keys": [self._public]}

    def _signed(self, claims: dict[str, Any], user: User, kind: str) -> str:
        whole = {"iss": self.issuer, "sub": user.name, **claims}
        return jwt.encode(whole, self._key, "ES256", headers={"kid": self._kid, "typ": kind})


def _times(now_ns: int, life_s: int) -> dict[str, int]:
    now_s = now_ns // NS_PER_S
    return {"iat": now_s, "nbf": now_s, "exp": now_s + life_s}


def _thumbprint(key: dict[str, Any]) -> str:
    """Return the name of a public key (RFC 7638)."""
    told = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def own_signer(folder: Path) -> Signer:
    """Return the issuer's key in a data directory, made when it is missing.  Raises Unavailable, BadInput."""
    path = folder / "sign-in-key.pem"
    return file.load(path) if path.exists() else file.make(path)
