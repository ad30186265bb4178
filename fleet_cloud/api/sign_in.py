"""Signing in to the issuer of our own, for a demo on one machine: OpenID Connect, authorization code with PKCE.

    GET /authorize --page--> POST /authorize --code--> client --POST /token--> tokens

Rule 1: guessing is slow: a few failures for each name and each address, and two passwords are tried at a time.
Rule 2: the page loads nothing, is in no frame, and sends its form here and nowhere else.
Rule 3: what a client did wrong is told to it in RFC 6749's words; what a person did wrong, on the page.
"""

import html
import secrets
import threading
from collections import OrderedDict
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from fairway.clock import Clock
from fairway.errors import BadInput, Denied
from fleet_cloud.access.codes import Code, Wish, check_code, code_of, wish_of
from fleet_cloud.access.limits import Limit
from fleet_cloud.access.users import User, check_password, user_name
from fleet_cloud.api.gate import public
from fleet_cloud.api.limiter import Limiter, address_of
from fleet_cloud.api.ports import ApiPorts, SignIn, TooOften
from fleet_cloud.audit.acts import Act, Outcome

# A person mistypes five times; after that a guesser gets 17,000 guesses a day, of names and of addresses.
FAILURES = Limit(per_s=0.2, burst=5)
# Each costs 64 MB and a third of a second.
_AT_A_TIME = 2
_WAIT_S = 2.0
# Codes that were given out and not used yet: people are few, and a code lives for a minute.
_CODES_MAX = 1000

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Browsers ask form-action about the redirect too: clients are on this machine.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'self' http://127.0.0.1:* http://localhost:* http://[::1]:*",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in to Fairway</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 22rem; margin: 4rem auto; padding: 0 1rem }}
label {{ display: block; margin-top: 1rem }} input {{ font: inherit; width: 100%; box-sizing: border-box }}
button {{ font: inherit; margin-top: 1.5rem; width: 100% }} p {{ min-height: 1.5em }}
</style></head><body>
<h1>Sign in</h1>
<p role="alert">{said}</p>
<form method="post" action="/authorize">
{hidden}
<label>Name <input name="username" autocomplete="username" maxlength="64" required autofocus></label>
<label>Password
<input name="password" type="password" autocomplete="current-password" maxlength="256" required></label>
<button>Sign in</button>
</form></body></html>
"""
_ASKED = (
    "response_type",
    "client_id",
    "redirect_uri",
    "code_challenge",
    "code_challenge_method",
    "state",
    "nonce",
    "scope",
)


class Codes:
    """Codes that were given out, each good once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._codes: OrderedDict[str, Code] = OrderedDict()

    def give(self, code: Code) -> str:
        """Keep a code, and return what it is called."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._codes[name] = code
            if len(self._codes) > _CODES_MAX:
                self._codes.popitem(last=False)
        return name

    def take(self, name: str) -> Code | None:
        """Return the code of that name, and forget it."""
        with self._lock:
            return self._codes.pop(name, None)


class Desk:
    """Where passwords are tried."""

    def __init__(self, ports: ApiPorts, people: SignIn) -> None:
        self._people = people
        self._audit = ports.audit
        self._names = Limiter(FAILURES, ports.clock)
        self._addresses = Limiter(FAILURES, ports.clock)
        self._trying = threading.BoundedSemaphore(_AT_A_TIME)

    def signed_in(self, name: str, password: str, address: str) -> User:
        """Return who signs in.  Raises Denied, TooOften, Unavailable."""
        wait_s = max(self._names.wait_s(name[:64]), self._addresses.wait_s(address))
        if wait_s:
            raise TooOften(f"too many attempts: come again in {wait_s:.0f} s", wait_s=wait_s)
        known = self._known(name)
        # Whoever waits here holds a thread that others need.
        if not self._trying.acquire(timeout=_WAIT_S):
            raise TooOften("too many people sign in at once: come again", wait_s=_WAIT_S)
        try:
            check_password(known, password)
        except Denied:
            self._names.take(name[:64])
            self._addresses.take(address)
            self._audit.write(_act(known, Outcome.DENIED, address))
            raise
        finally:
            self._trying.release()
        assert known is not None  # nobody has no password
        self._audit.write(_act(known, Outcome.DONE, address))
        return known

    def _known(self, name: str) -> User | None:
        try:
            return self._people.users.user(user_name(name))
        except BadInput:  # nobody can be called so
            return None


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, each the last time it was sent."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return dict(parse_qsl(body, max_num_fields=50))
    except ValueError as error:
        raise BadInput("the form has too many fields") from error


_Form = Annotated[dict[str, str], Depends(_form)]


def router(ports: ApiPorts, people: SignIn) -> APIRouter:
    """Return the routes of signing in."""
    routes = APIRouter(include_in_schema=False, dependencies=[public()])
    desk, codes, clock = Desk(ports, people), Codes(), ports.clock

    @routes.get("/.well-known/openid-configuration")
    async def describe() -> JSONResponse:
        return JSONResponse(_about(people.maker.issuer))

    @routes.get("/jwks")
    async def show_keys() -> JSONResponse:
        return JSONResponse(people.maker.keys())

    @routes.get("/authorize")
    async def ask(request: Request) -> Response:
        wish_of(request.query_params)
        return _page(request.query_params, "")

    @routes.post("/authorize")
    def sign_in(request: Request, form: _Form) -> Response:
        wish = wish_of(form)
        _check_origin(request)
        address = address_of(request.client.host if request.client else "")
        try:
            user = desk.signed_in(form.get("username", ""), form.get("password", ""), address)
        except Denied as error:
            return _page(form, f"{error}.", status=401)
        return _back(wish, codes.give(code_of(user.name, wish, clock.now_ns())))

    @routes.post("/token")
    def give_tokens(form: _Form) -> Response:
        return _tokens(form, codes, people, clock)

    return routes


def _tokens(form: dict[str, str], codes: Codes, people: SignIn, clock: Clock) -> Response:
    if form.get("grant_type") != "authorization_code":
        return _refused("unsupported_grant_type", "grant_type must be authorization_code")
    now_ns = clock.now_ns()
    try:
        code = check_code(codes.take(form.get("code", "")), form, now_ns)
    except Denied as error:
        return _refused("invalid_grant", str(error))
    user = people.users.user(code.user)
    if user is None:
        return _refused("invalid_grant", "the user was removed meanwhile")
    access, identity, life_s = people.maker.made(user, now_ns, nonce=code.wish.nonce)
    told = {"access_token": access, "id_token": identity, "token_type": "Bearer"}
    return JSONResponse({**told, "expires_in": life_s}, headers={"Cache-Control": "no-store"})


def _back(wish: Wish, code: str) -> Response:
    told = {"code": code, **({"state": wish.state} if wish.state else {})}
    joint = "&" if urlsplit(wish.redirect_uri).query else "?"
    return RedirectResponse(f"{wish.redirect_uri}{joint}{urlencode(told)}", 303, headers=_HEADERS)


def _page(parameters: Any, said: str, *, status: int = 200) -> Response:
    hidden = "\n".join(
        f'<input type="hidden" name="{name}" value="{html.escape(parameters[name])}">'
        for name in _ASKED
        if name in parameters
    )
    return HTMLResponse(_PAGE.format(said=html.escape(said), hidden=hidden), status, _HEADERS)


def _check_origin(request: Request) -> None:
    """Raise Denied for a form that another site sent."""
    origin = request.headers.get("origin")
    if origin not in (None, "null") and urlsplit(str(origin)).netloc != request.headers.get("host"):
        raise Denied("the form comes from another site")


def _refused(error: str, said: str) -> Response:
    told = {"error": error, "error_description": said}
    return JSONResponse(told, 400, headers={"Cache-Control": "no-store"})


def _act(user: User | None, outcome: Outcome, address: str) -> Act:
    # A name that nobody has may be a password that was typed into the wrong field.
    actor = f"user:{user.name}" if user else "anonymous"
    return Act("user.sign_in", actor, actor, outcome=outcome, details={"address": address})


def _about(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat"],
    }
