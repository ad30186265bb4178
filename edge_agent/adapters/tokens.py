"""Tokens of on-board apps (JWT, RFC 9068): signatures checked by pinned keys, and tokens signed by one of ours.

Rule 1: a key serves one algorithm, the one of its kind: RSA RS256, P-256 ES256, Ed25519 EdDSA; nothing else is
taken, so a public key is never mistaken for a secret and `none` is no algorithm.
Rule 2: a token that names a key (kid) is checked by that one; a key from a PEM file has no name and serves any.
Rule 3: what is said of a token never holds the token.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm

from edge_agent.broker.access import parse
from edge_agent.broker.claims import Expected, Grant, check, grant_of, revoked_ids
from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.crypto import Signer, SignerKey
from fairway.errors import BadInput, Unavailable

log = logs.get("edge_agent.tokens")

# What one gRPC header can carry beside others: some 200 scopes with paths.
TOKEN_MAX_CHARS = 12_288
KEYS_MAX = 16
# Who issues our tokens unless another name is given.
ISSUER = "fairway"
FILE_MAX_BYTES = 1_048_576
# NIST SP 800-131A: shorter RSA keys are no longer to be used.
RSA_MIN_BITS = 2048
# Apps of one head unit; each entry is a verified token.
_KEPT_MAX = 256
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that tokens may be signed with."""

    algorithm: str
    public: PublicKey
    kid: str = ""


class Verifier:
    """Lets in whoever shows a token that a pinned key has signed."""

    def __init__(
        self, keys: Sequence[Key], expected: Expected, clock: Clock, *, revoked: Path | None = None
    ) -> None:
        self._keys = tuple(keys)
        self._expected = expected
        self._clock = clock
        self._revoked_file = revoked
        self._seen: tuple[int, int] | None = None
        self._kept: dict[bytes, Grant] = {}
        if revoked is not None:
            self._read_revoked(revoked)

    def grant(self, token: str) -> Grant:
        """Return what `token` grants.  Raises BadInput for what is none of ours, Denied for one not let in."""
        if len(token) > TOKEN_MAX_CHARS:
            raise BadInput(
                f"the token has {len(token)} characters: at most {TOKEN_MAX_CHARS} are read"
            )
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        grant = self._kept.get(name)
        if grant is not None:
            self.check(grant)
            return grant
        grant = grant_of(claims_of(token, self._keys), self._expected, self._clock.now_ns())
        if len(self._kept) >= _KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = grant
        return grant

    def check(self, grant: Grant) -> None:
        """Raise Denied when a grant that was given no longer holds."""
        check(grant, self._expected.revoked or frozenset(), self._clock.now_ns())

    def review(self) -> None:
        """Read the list of revoked tokens again if it has changed; what was last known stays in force."""
        if self._revoked_file is None:
            return
        try:
            self._read_revoked(self._revoked_file)
        except (BadInput, Unavailable) as error:
            if self._seen is not None:
                log.warning("revoked_tokens_unreadable", reason=str(error))
            self._seen = None

    def _read_revoked(self, path: Path) -> None:
        try:
            state = path.stat()
        except OSError as error:
            raise Unavailable(f"cannot read the revoked tokens {path}: {error.strerror}") from error
        seen = (state.st_mtime_ns, state.st_size)
        if seen != self._seen:
            ids = revoked_ids(_text_of(path, "the revoked tokens"))
            self._expected = replace(self._expected, revoked=ids)
            self._seen = seen
            log.info("revoked_tokens_read", tokens=len(ids))


def claims_of(token: str, keys: Sequence[Key]) -> Mapping[str, Any]:
    """Return the claims of `token` once a key of `keys` has checked its signature.  Raises BadInput."""
    header = header_of(token)
    algorithm, kid = header["alg"], header.get("kid", "")
    if "crit" in header or str(header.get("typ", "jwt")).lower() not in _TYPES:
        raise BadInput(
            "the token is of a kind that is not read here: typ is JWT or at+jwt, without crit"
        )
    named = [key for key in keys if key.kid and key.kid == kid]
    candidates = named or [key for key in keys if not (kid and key.kid)]
    fitting = [key for key in candidates if key.algorithm == algorithm]
    if not fitting:
        raise BadInput(
            f"no key that is known here checks tokens of alg {str(algorithm)[:20]!r} and kid {str(kid)[:80]!r}"
        )
    for key in fitting:
        try:
            payload = jwt.PyJWS().decode(token, key.public, algorithms=[key.algorithm])
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            raise BadInput(f"the token cannot be read: {error}") from error
        return _object(payload, "the claims")
    raise BadInput("the token was signed by no key that is known here, or changed since")


def header_of(token: str) -> Mapping[str, Any]:
    """Return a token's header, unchecked.  Raises BadInput."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.DecodeError, UnicodeError) as error:
        raise BadInput(
            "this is no token: three parts of base64url with dots between them"
        ) from error
    except jwt.PyJWTError as error:
        raise BadInput(f"the token's header is not read here: {error}") from error
    if not isinstance(header.get("alg"), str) or not isinstance(header.get("kid", ""), str):
        raise BadInput("the token's header has no alg, or a kid that is no text")
    return header


def unchecked_claims(token: str) -> Mapping[str, Any]:
    """Return what a token says without knowing whether it is true: to show it, never to grant it."""
    header_of(token)
    try:
        payload = jwt.PyJWS().decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise BadInput(f"the token cannot be read: {error}") from error
    return _object(payload, "the claims")


def load_keys(paths: Iterable[Path]) -> tuple[Key, ...]:
    """Read public keys from PEM files and JWKS documents.  Raises BadInput or Unavailable."""
    keys: list[Key] = []
    for path in paths:
        text = _text_of(path, "the keys for tokens")
        keys += _from_jwks(text, path) if text.lstrip().startswith("{") else [_from_pem(text, path)]
    names = [key.kid for key in keys if key.kid]
    if len(keys) > KEYS_MAX or len(set(names)) != len(names):
        raise BadInput(
            f"there may be {KEYS_MAX} keys for tokens, each kid once: here are {len(keys)}"
        )
    return tuple(keys)


def public_key_of(signer: Signer, kid: str = "") -> Key:
    """Return the public half of one of our own keys."""
    return Key("ES256", signer.public_key(), kid)


def issue(  # noqa: PLR0913 - each of them becomes a claim
    signer: Signer,
    *,
    subject: str,
    scope: str,
    audiences: Sequence[str],
    hours: float,
    now_ns: int,
    issuer: str = "",
    kid: str = "",
) -> str:
    """Return a token of `signer`, with every claim that KUKSA's Databroker wants too.

    Raises BadInput for scopes that cannot be read, Unavailable for a key that cannot be used now.
    """
    parse(scope)
    now_s = now_ns // NS_PER_S
    claims: dict[str, Any] = {
        "sub": subject,
        "iss": issuer or ISSUER,
        "aud": list(audiences),
        "iat": now_s,
        "exp": now_s + round(hours * 3600),
        "jti": uuid.uuid4().hex,
        "scope": scope,
    }
    token = signed(signer, claims, kid=kid)
    if len(token) > TOKEN_MAX_CHARS:
        raise BadInput(
            f"the token would have {len(token)} characters, {TOKEN_MAX_CHARS} fit into a call: name branches"
        )
    return token


def signed(signer: Signer, claims: Mapping[str, Any], *, kid: str = "") -> str:
    """Return claims as a token of `signer`.  Raises Unavailable for a key that cannot be used now."""
    headers = {"typ": "at+jwt"} | ({"kid": kid} if kid else {})
    return jwt.encode(dict(claims), SignerKey(signer), algorithm="ES256", headers=headers)


def jwks_of(key: Key) -> str:
    """Return a public key of ours, P-256, as a JWKS document (RFC 7517)."""
    assert isinstance(key.public, EllipticCurvePublicKey)
    jwk = ECAlgorithm.to_jwk(key.public, as_dict=True)
    entry = jwk | {"use": "sig", "alg": key.algorithm, "kid": key.kid}
    return json.dumps({"keys": [entry]}, sort_keys=True)


def _from_pem(text: str, path: Path) -> Key:
    try:
        public = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path} is no public key in PEM form: {error}") from error
    return _key(public, "", str(path))


def _from_jwks(text: str, path: Path) -> list[Key]:
    entries = _object(text.encode(), str(path)).get("keys")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadInput(f"{path} is no JWKS document: it has no list called keys")
    return [_from_jwk(entry, path) for entry in entries if entry.get("use", "sig") == "sig"]


def _from_jwk(entry: dict[str, Any], path: Path) -> Key:
    kid = entry.get("kid", "")
    if "d" in entry or "k" in entry or not isinstance(kid, str):
        raise BadInput(f"{path} holds a secret, or a kid that is no text: give public keys alone")
    try:
        public = jwt.PyJWK(entry).key
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise BadInput(f"{path}: the key {kid[:80]!r} cannot be read") from error
    key = _key(public, kid, f"{path}: {kid[:80]!r}")
    if entry.get("alg", key.algorithm) != key.algorithm:
        raise BadInput(
            f"{path}: the key {kid[:80]!r} is for {entry['alg']!r}, not for {key.algorithm}"
        )
    return key


def _key(public: object, kid: str, where: str) -> Key:
    if isinstance(public, RSAPublicKey) and public.key_size >= RSA_MIN_BITS:
        return Key("RS256", public, kid)
    if isinstance(public, EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        return Key("ES256", public, kid)
    if isinstance(public, Ed25519PublicKey):
        return Key("EdDSA", public, kid)
    raise BadInput(f"{where}: keys are RSA of {RSA_MIN_BITS} bits or more, P-256 or Ed25519")


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what} cannot be read as JSON") from error
    if not isinstance(value, dict):
        raise BadInput(f"{what} is no JSON object")
    return value


def _text_of(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise BadInput(f"{path} is larger than {FILE_MAX_BYTES} bytes: {what} never are")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"cannot read {what} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no text: {error.reason}") from error
