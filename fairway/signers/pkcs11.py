"""A key in a PKCS#11 token, from which it cannot be taken out.

    pkcs11:token=LABEL;object=LABEL?module-path=FILE&pin-source=FILE

Rule 1: the PIN is in a file, never in a name: names stand in configurations and logs.
Rule 2: one session for as long as a key is used; one that broke is opened anew, once, for a signature.
"""

import hashlib
import threading
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import (
    NoSuchKey,
    NoSuchToken,
    PKCS11Error,
    UserAlreadyLoggedIn,
)
from pkcs11.util.ec import encode_ecdsa_signature, encode_named_curve_parameters

from fairway.crypto import p256
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.signers.uri import KeyUri, key_uri, secret_of

_PATH = frozenset({"token", "object", "type"})
_QUERY = frozenset({"module-path", "pin-source"})
_POINT_BYTES = 65


class TokenSigner:
    """A key in a token."""

    def __init__(self, uri: KeyUri, *, make: bool) -> None:
        self._uri = uri
        self._pin = secret_of(uri, "pin-source")
        self._lock = threading.Lock()
        self._private: Any = None
        if make:
            self._make()
        self._public = self._public_half()

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        digest = hashlib.sha256(message).digest()
        with self._lock:
            try:
                return self._signed(digest)
            except Unavailable:
                self._private = None  # the token was pulled, or its daemon restarted
                return self._signed(digest)

    def _signed(self, digest: bytes) -> bytes:
        if self._private is None:
            self._private = self._found(ObjectClass.PRIVATE_KEY)
        try:
            raw = self._private.sign(digest, mechanism=Mechanism.ECDSA)
        except PKCS11Error as error:
            raise Unavailable(f"{self._uri.text} does not sign: {_why(error)}") from error
        return bytes(encode_ecdsa_signature(raw))

    def _session(self) -> Any:
        module = self._uri.need("module-path")
        try:
            library = pkcs11.lib(module)
        except (PKCS11Error, RuntimeError, OSError) as error:
            raise BadInput(f"{module} is no PKCS#11 module that can be used: {error}") from error
        label = self._uri.need("token")
        try:
            token = library.get_token(token_label=label)
            try:
                return token.open(rw=True, user_pin=self._pin)
            except UserAlreadyLoggedIn:  # one login is good for all sessions of a program
                return token.open(rw=True)
        except NoSuchToken as error:
            raise Unavailable(f"no token called {label!r} is in {module}") from error
        except PKCS11Error as error:
            raise Unavailable(f"the token {label!r} does not let us in: {_why(error)}") from error

    def _found(self, kind: ObjectClass) -> Any:
        label = self._uri.need("object")
        try:
            return self._session().get_key(object_class=kind, key_type=KeyType.EC, label=label)
        except NoSuchKey as error:
            raise Unavailable(f"{self._uri.text}: the token has no key called {label!r}") from error
        except PKCS11Error as error:
            raise Unavailable(f"{self._uri.text}: {_why(error)}") from error

    def _public_half(self) -> ec.EllipticCurvePublicKey:
        point = bytes(self._found(ObjectClass.PUBLIC_KEY)[Attribute.EC_POINT])
        # An OCTET STRING around the point; some modules leave it out.
        if len(point) == _POINT_BYTES + 2 and point[:2] == b"\x04\x41":
            point = point[2:]
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise BadInput(f"{self._uri.text} is no P-256 key: {error}") from error
        return p256(key, whose=self._uri.text)

    def _make(self) -> None:
        label = self._uri.need("object")
        session = self._session()
        try:
            if list(session.get_objects({Attribute.LABEL: label})):
                raise Conflict(f"{self._uri.text}: the token has a key called {label!r} already")
            parameters = session.create_domain_parameters(
                KeyType.EC,
                {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
                local=True,
            )
            parameters.generate_keypair(store=True, label=label)
        except PKCS11Error as error:
            raise Unavailable(f"{self._uri.text}: no key could be made: {_why(error)}") from error


def load(name: str) -> TokenSigner:
    """Open the key called `name`.  Raises BadInput, Unavailable."""
    return TokenSigner(key_uri(name, "pkcs11", path=_PATH, query=_QUERY), make=False)


def make(name: str) -> TokenSigner:
    """Make the key called `name`.  Raises Conflict when there is one, BadInput, Unavailable."""
    return TokenSigner(key_uri(name, "pkcs11", path=_PATH, query=_QUERY), make=True)


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
