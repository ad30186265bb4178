"""Issuers of tokens for tests: with keys of every kind, and with a forger's freedom in what they sign."""

import base64
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.example/realms/fleet"
AUDIENCE = "fairway"
NOW_S = 1_780_000_000

# Made once: an RSA key takes a second.
_RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "RS256": _RSA,
    "PS256": _RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_TO_JWK: dict[str, Any] = {
    "RS256": RSAAlgorithm.to_jwk,
    "PS256": RSAAlgorithm.to_jwk,
    "ES256": ECAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}


def public_jwk(algorithm: str, key: Any = None, **more: Any) -> dict[str, Any]:
    """The public half of a key as an issuer publishes it, called after its algorithm."""
    public = (key or KEYS[algorithm]).public_key()
    return {**json.loads(_TO_JWK[algorithm](public)), "kid": algorithm, "use": "sig", **more}


def published(*algorithms: str) -> dict[str, Any]:
    """A key set."""
    return {"keys": [public_jwk(algorithm) for algorithm in algorithms or KEYS]}


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says; None leaves a claim out."""
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "iat": NOW_S,
        "nbf": NOW_S,
        "exp": NOW_S + 600,
        "roles": ["viewer@acme"],
        **changed,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(algorithm: str = "ES256", *, key: Any = None, header: Any = None, **changed: Any) -> str:
    """A token signed with the issuer's key of that kind."""
    headers = {"kid": algorithm, "typ": "JWT", **(header or {})}
    said = json.dumps(claims(**changed)).encode()
    return jwt.PyJWS().encode(said, key or KEYS[algorithm], algorithm, headers=headers)


def pasted(header: object, said: object, signature: bytes = b"") -> str:
    """A token as nobody's library makes it."""
    parts = (json.dumps(header).encode(), json.dumps(said).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
