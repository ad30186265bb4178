"""Seals secrets that have to be shown again: AES-256-GCM, under a key that only this cloud has.

Rule 1: what is sealed is worth nothing to whoever has the database and not the data directory.
"""

import base64
import binascii
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PURPOSE = b"fairway sealed tokens 1"
_NONCE_BYTES = 12


class RootSealer:
    """Seals under a key made of a root."""

    def __init__(self, root: bytes) -> None:
        self._key = AESGCM(hmac.digest(root, _PURPOSE, "sha256"))

    def seal(self, text: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._key.encrypt(nonce, text.encode(), _PURPOSE)
        return base64.b64encode(nonce + sealed).decode()

    def opened(self, sealed: str) -> str | None:
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._key.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _PURPOSE).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None
