"""Who is let in: every route says what it needs, and this asks whoever comes whether they have it.

    Authorization --> key or token --> principal --> permission of the route --> Caller

Rule 1: a route declares `needs(...)`, `by_operation(...)` or `public()`; tests/fleet_cloud/api/test_matrix.py
fails for any other.
Rule 2: 401 says that nobody knows who asks, 403 which permission is missing, and neither says anything else.
Rule 3: whoever may change something and asks for it is in the audit log (api.post, api.delete) before it is
done; what it comes to is an act of its own.  What was denied is there too, folded to one entry a minute for
each actor and route.
Rule 4: whoever fails too often waits; whoever was let in before is not held up by neighbours who guess.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from fairway import log as logs
from fairway.clock import NS_PER_S, Clock
from fairway.errors import Denied, Unavailable
from fleet_cloud.access.grants import Principal, may_somewhere
from fleet_cloud.access.keys import (
    PREFIX,
    USED_STEP_NS,
    ApiKey,
    KeyReader,
    holder,
    key_parts,
)
from fleet_cloud.access.limits import Limit
from fleet_cloud.access.roles import Permission
from fleet_cloud.access.tokens import TOKEN_MAX_CHARS, Tokens
from fleet_cloud.api.limiter import Limiter, Recent, address_of
from fleet_cloud.api.ports import FleetsOf, NotAllowed, NotSignedIn, TooOften
from fleet_cloud.api.visible import Caller
from fleet_cloud.audit.acts import Act, Audit, Outcome

log = logs.get("fleet_cloud.access")

# A console draws a dozen charts at once, and a script asks as fast as it gets answers.
REQUESTS = Limit(per_s=100.0, burst=400)
# A person mistypes, a script retries; a guesser gets nowhere.
FAILURES = Limit(per_s=0.2, burst=20)
# How long a credential counts as good when its neighbours fail.
_GOOD_NS = 3600 * NS_PER_S
_DENIED_STEP_NS = 60 * NS_PER_S

_Proof = TypeVar("_Proof")

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_bearer = HTTPBearer(
    scheme_name="bearer",
    bearerFormat="API key, or JWT of a configured issuer",
    description="An API key (`fwk_...`), or a token of an OIDC issuer that the operator named.",
    auto_error=False,
)
_Shown = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


class Shown(Protocol):
    """What the gate looks up what is shown in."""

    @property
    def clock(self) -> Clock: ...

    @property
    def keys(self) -> KeyReader: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def audit(self) -> Audit: ...

    @property
    def fleets_of(self) -> FleetsOf: ...


class Gate:
    """Lets callers in, or not."""

    def __init__(
        self, ports: Shown, *, requests: Limit = REQUESTS, failures: Limit = FAILURES
    ) -> None:
        self._ports = ports
        self._clock = ports.clock
        self._requests = Limiter(requests, ports.clock)
        self._failures = Limiter(failures, ports.clock)
        self._good = Recent(_GOOD_NS, ports.clock)
        self._used = Recent(USED_STEP_NS, ports.clock)
        self._denials = Denials(ports.audit, ports.clock)

    def principal(self, credential: str) -> Principal:
        """Return who shows `credential`.  Raises Denied with the reason, Unavailable."""
        if not credential.startswith(PREFIX):
            if len(credential) > TOKEN_MAX_CHARS:
                raise Denied(f"the token is longer than {TOKEN_MAX_CHARS} characters")
            return self._ports.tokens.principal(credential)
        identifier, secret = key_parts(credential)
        now_ns = self._clock.now_ns()
        kept: ApiKey | None = self._ports.keys.key(identifier)
        found = holder(kept, secret, now_ns)
        self.note_use(identifier)
        return found

    def is_good(self, credential: str) -> bool:
        """Whether `credential` still lets in; a registry that does not answer changes nothing."""
        try:
            self.principal(credential)
        except Unavailable:
            return True
        except Denied:
            return False
        return True

    def admitted(self, request: Request, permission: Permission) -> Caller:
        """Return who asks.  Raises NotSignedIn, NotAllowed, TooOften, Unavailable."""
        route = _route(request)
        principal, credential = self._identified(request, route)
        self.let_in(principal, permission, route)
        if request.method in _CHANGING:
            changed = Act(
                f"api.{request.method.lower()}", principal.actor, f"route:{_path(request)}"
            )
            self._ports.audit.write(changed)
        return Caller(principal, permission, self._ports.fleets_of, credential)

    def let_in(self, principal: Principal, permission: Permission, route: str) -> None:
        """Raise TooOften or NotAllowed unless `principal` may come by this route now."""
        wait_s = self._requests.take(principal.actor)
        if wait_s:
            raise TooOften(
                f"{principal.actor} asks too often: come again in {wait_s:.0f} s", wait_s=wait_s
            )
        if not may_somewhere(principal, permission):
            self._denials.note(principal.actor, route, f"403 {permission}")
            raise NotAllowed(permission)

    def proved(
        self,
        client: str,
        route: str,
        shown: str,
        prove: Callable[[], _Proof],
        *,
        is_whole: bool = True,
    ) -> _Proof:
        """Return what `prove` finds by what is `shown` from the address `client`.

        When that is not the whole proof, whoever passes does not count as good yet.
        Raises NotSignedIn for whom `prove` denies, TooOften, Unavailable.
        """
        address = address_of(client)
        digest = hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()
        wait_s = self._failures.wait_s(address)
        if wait_s and not self._good.knows(digest):
            raise TooOften(
                f"too many attempts from this address: come again in {wait_s:.0f} s", wait_s=wait_s
            )
        try:
            found = prove()
        except (
            Unavailable
        ) as error:  # whoever asks is nobody yet, and is told nothing about our parts
            log.error("nobody_can_be_let_in", reason=str(error))  # noqa: TRY400 - the reason says it
            raise Unavailable("who asks cannot be looked up now: come again later") from error
        except Denied as error:
            self._failures.take(address)
            self._denials.note("anonymous", route, "401", address=address)
            raise NotSignedIn(str(error), is_wrong=True) from error
        if is_whole:
            self._good.note(digest)
        return found

    def note_anonymous(self, route: str) -> None:
        """Note that somebody came who showed nothing."""
        self._denials.note("anonymous", route, "401")

    def note_use(self, key: str) -> None:
        """Note that a key is used, once a minute: it is good although nobody can note it."""
        if self._used.is_new(key):
            with suppress(Unavailable):
                self._ports.keys.used(key, self._clock.now_ns())

    def _identified(self, request: Request, route: str) -> tuple[Principal, str]:
        try:
            credential = _shown(request)
        except NotSignedIn:
            self.note_anonymous(route)
            raise
        return self.proved(
            client_of(request), route, credential, lambda: self.principal(credential)
        ), credential


class Denials:
    """Puts what was denied into the audit log, once a minute for each actor and route."""

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._told = Recent(_DENIED_STEP_NS, clock)

    def note(self, actor: str, route: str, why: str, **details: str) -> None:
        """Note a denial.  It stands whether or not it can be noted."""
        if not self._told.is_new(f"{actor} {route} {why}"):
            return
        denied = Act(
            "api.deny",
            actor,
            f"route:{route}",
            outcome=Outcome.DENIED,
            details={"why": why, **details},
        )
        try:
            self._audit.write(denied)
        except Unavailable as error:
            log.error("denial_not_audited", reason=str(error))  # noqa: TRY400 - the reason says it


def needs(permission: Permission) -> Any:
    """Return the dependency of a route that lets in whoever holds `permission` somewhere, as a Caller."""

    def admitted(request: Request, _documented: _Shown) -> Caller:
        gate: Gate = request.app.state.gate
        return gate.admitted(request, permission)

    return Depends(_declared(admitted, permission))


def public() -> Any:
    """Return the dependency of a route that everybody may use."""

    async def nothing() -> None:
        """Let everybody in."""

    return Depends(_declared(nothing, None))


def by_operation(permissions: frozenset[Permission]) -> Any:
    """Return the dependency of a route with many operations, each of which needs one of `permissions`.

    The route asks `Gate.proved` and `Gate.let_in` itself, for the operation that is meant.
    """

    async def later() -> None:
        """Let the route ask."""

    return Depends(_declared(later, permissions))


def client_of(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else ""


def _declared(
    check: Callable[..., Any], permission: Permission | frozenset[Permission] | None
) -> Callable[..., Any]:
    check.declares = permission  # type: ignore[attr-defined] # read by the test that walks the routes
    return check


def _shown(request: Request) -> str:
    """Return the credential in the request.  Raises NotSignedIn when there is not exactly one."""
    shown = request.headers.getlist("authorization")
    if not shown:
        raise NotSignedIn(
            "nobody is signed in: send an API key or a token, as in `Authorization: Bearer fwk_...`",
            is_wrong=False,
        )
    scheme, _, credential = shown[0].strip().partition(" ")
    credential = credential.strip()
    if len(shown) > 1 or scheme.lower() != "bearer" or not credential:
        raise NotSignedIn(
            "the header Authorization must be `Bearer` and one credential", is_wrong=True
        )
    return credential


def _route(request: Request) -> str:
    template = getattr(request.scope.get("route"), "path", "")
    return f"{request.method} {template or request.url.path[:200]}"


def _path(request: Request) -> str:
    return f"{request.method} {request.url.path[:200]}"
