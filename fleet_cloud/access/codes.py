"""Signing in with a code (RFC 6749 4.1 with PKCE, RFC 7636): what may be asked, and when a code is good.

    client --Wish--> person signs in --code--> client --code, verifier--> token

Rule 1: a code is good once, for CODE_S, for the client and the address it was made for, and for who knows the
verifier behind the challenge.
Rule 2: a person is sent back to an address on this machine, and to no other (RFC 8252): this is a demo's.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from fairway.clock import NS_PER_S
from fairway.errors import BadInput, Denied

CLIENT = "fairway-console"  # public: a console or a command line, which can keep no secret
CODE_S = 60
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
_TEXT_MAX_CHARS = 512


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for on behalf of whoever signs in."""

    redirect_uri: str
    challenge: str
    state: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was given out: for whom, and what it takes to use it."""

    user: str
    wish: Wish
    until_ns: int


def wish_of(parameters: Mapping[str, str]) -> Wish:
    """Read the parameters of an authorization request.  Raises BadInput."""
    asked = {
        "response_type": "code",
        "client_id": CLIENT,
        "code_challenge_method": "S256",
    }
    for name, only in asked.items():
        if parameters.get(name) != only:
            raise BadInput(f"{name} must be {only}")
    wish = Wish(
        loopback_address(parameters.get("redirect_uri", "")),
        parameters.get("code_challenge", ""),
        parameters.get("state", ""),
        parameters.get("nonce", ""),
    )
    if not _CHALLENGE.fullmatch(wish.challenge):
        raise BadInput("code_challenge must be a SHA-256 in base64url")
    if max(len(wish.state), len(wish.nonce)) > _TEXT_MAX_CHARS:
        raise BadInput(f"state and nonce have at most {_TEXT_MAX_CHARS} characters")
    return wish


def loopback_address(text: str) -> str:
    """Return `text` when it is a web address on this machine.  Raises BadInput."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
        is_plain = parts.username is None and not parts.fragment and parts.port != 0
    except ValueError:
        is_here = is_plain = False
        parts = urlsplit("")
    if not (is_here and is_plain and parts.scheme in ("http", "https")):
        raise BadInput("redirect_uri must be http://127.0.0.1:PORT/..., an address on this machine")
    if len(text) > _TEXT_MAX_CHARS or not text.isascii() or not text.isprintable() or " " in text:
        raise BadInput("redirect_uri is too long, or has characters that no address has")
    return text


def code_of(user: str, wish: Wish, now_ns: int) -> Code:
    """Return what is kept of a code that `user` gets."""
    return Code(user, wish, now_ns + CODE_S * NS_PER_S)


def check_code(code: Code | None, parameters: Mapping[str, str], now_ns: int) -> Code:
    """Return `code` when whoever sends `parameters` may use it.  Raises Denied."""
    verifier = parameters.get("code_verifier", "")
    is_verifier = _VERIFIER.fullmatch(verifier) is not None
    if code is None or not is_verifier or now_ns >= code.until_ns:
        raise Denied("the code is unknown, used or too old, or its verifier is wrong")
    derived = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    is_same_client = (
        parameters.get("client_id") == CLIENT
        and parameters.get("redirect_uri") == code.wish.redirect_uri
    )
    if not hmac.compare_digest(derived, code.wish.challenge.encode()) or not is_same_client:
        raise Denied("the code is unknown, used or too old, or its verifier is wrong")
    return code
