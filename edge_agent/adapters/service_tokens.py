"""Tokens of services, minted in the vehicle by a key of its own that never leaves it and signs nothing else.

    for the agent     sub battery   aud kuksa.val   instance battery.3f9c...   scope read:Vehicle.Speed ...
    for each other    sub trip-log  aud battery     offer battery.health

Rule 1: a token is good in one place: at its own instance's socket, or at the one service that it names.
Rule 2: it is short-lived and renewed in place at half its life; who keeps a copy has it for minutes.
Rule 3: at a service's socket rights are those of its manifest, whatever a token says: it only shows who asks.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from edge_agent.adapters.tokens import Key, claims_of, jwks_of, public_key_of, signed
from edge_agent.broker.claims import Expected, Grant, grant_of
from edge_agent.services.instance import Instance
from edge_agent.services.registry import Offered
from fairway.clock import NS_PER_S, Clock
from fairway.crypto import Signer
from fairway.errors import BadInput, Denied
from fairway.signers import file

ISSUER = "fairway-vehicle"
# The audience of every token that is shown to the agent, as KUKSA's clients and servers know it.
AGENT = "kuksa.val"
TOKEN_LIFE_S = 600
# At half its life, so that a service which reads its token before each call never shows an old one.
RENEW_AFTER_S = TOKEN_LIFE_S // 2
KEY_NAME = "services.pem"
# A token fits into a header with room to spare; what a longer scope grants is in the manifest anyway.
_SCOPE_MAX_CHARS = 4096
# Of one instance: the token now, the one before, and mistakes.
_KEPT_MAX = 8


class Mint:
    """Mints tokens, and knows its own."""

    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer, self._clock = signer, clock
        named = public_key_of(signer)
        jwk = jwks_of(named)
        self._key = Key(
            named.algorithm, named.public, hashlib.sha256(jwk.encode()).hexdigest()[:16]
        )
        self.jwks = jwks_of(self._key)

    @staticmethod
    def of(folder: Path, clock: Clock) -> "Mint":
        """Return the mint whose key lies in `folder`, or is made there.  Raises BadInput, Unavailable."""
        path = folder / KEY_NAME
        signer = file.load(path) if path.exists() else file.make(path)
        return Mint(signer, clock)

    def own(self, instance: Instance) -> str:
        """Return a token with which an instance shows the agent who it is."""
        scope = instance.service.signals.scope
        return self._minted(
            instance.service.name,
            AGENT,
            instance=instance.id,
            scope=scope if len(scope) <= _SCOPE_MAX_CHARS else "",
        )

    def use(self, user: Instance, offered: Offered) -> str:
        """Return a token with which `user` shows a service that it may call this offer."""
        return self._minted(
            user.service.name,
            offered.service,
            instance=user.id,
            offer=offered.offer.name,
            version=offered.offer.version,
        )

    def claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token of ours.  Raises BadInput."""
        return claims_of(token, [self._key])

    def _minted(self, subject: str, audience: str, **more: str) -> str:
        now_s = self._clock.now_ns() // NS_PER_S
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": [audience],
            "iat": now_s,
            "exp": now_s + TOKEN_LIFE_S,
            "jti": uuid4().hex,
        }
        return signed(self._signer, claims | more, kid=self._key.kid)


class OwnToken:
    """Lets in who shows the token of one instance, with the rights of its manifest, while its door is open."""

    def __init__(self, mint: Mint, instance: Instance, grant: Grant, clock: Clock) -> None:
        self._mint, self._instance, self._grant, self._clock = mint, instance, grant, clock
        self._expected = Expected(frozenset({AGENT}), ISSUER)
        self._kept: dict[str, Grant] = {}  # by the token, never told

    def grant(self, token: str) -> Grant:
        now_ns = self._clock.now_ns()
        known = self._kept.get(token)
        if known is not None and known.expires_ns is not None and now_ns < known.expires_ns:
            return self._grant
        try:
            claims = self._mint.claims(token)
        except BadInput as error:
            raise BadInput(
                f"that is no token of this vehicle's agent for {self._instance.service.name}: show the one "
                f"in FAIRWAY_TOKEN_FILE ({error})"
            ) from error
        shown = grant_of({"scope": ""} | dict(claims), self._expected, now_ns)
        if claims.get("instance") != self._instance.id:
            raise Denied(
                f"the token is one of {shown.subject[:80]}: this socket is for {self._instance.id} alone"
            )
        if len(self._kept) >= _KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[token] = shown
        return self._grant

    def check(self, grant: Grant) -> None:
        """A call that was let in goes on: its rights are those of the manifest, until the door closes."""

    def review(self) -> None:
        """Nothing is revoked but with the door."""
