"""A key in AWS KMS (ECC_NIST_P256, SIGN_VERIFY).

    awskms:key=alias/fairway-acme?region=eu-central-1      key= an id, an ARN or an alias

Rule 1: a message of up to 4 KiB is sent as it is (RAW), a longer one as its digest (DIGEST): KMS's own limit.
Rule 2: credentials are AWS's usual ones (environment, instance role); none stand in a name.
"""

import hashlib
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fairway.crypto import p256
from fairway.errors import BadInput, Conflict, Unavailable
from fairway.signers.uri import KeyUri, key_uri

RAW_MAX_BYTES = 4096
_ALGORITHM = "ECDSA_SHA_256"
_ALIAS = "alias/"
_CONFIG = Config(
    connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"}
)


class KmsSigner:
    """A key that KMS keeps."""

    def __init__(self, uri: KeyUri, client: Any) -> None:
        self._uri = uri
        self._client = client
        self._key = uri.need("key")
        answer = _asked(uri, lambda: client.get_public_key(KeyId=self._key))
        try:
            key = load_der_public_key(answer["PublicKey"])
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadInput(f"{uri.text} is no key that can be read: {error}") from error
        self._public = p256(key, whose=uri.text)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        is_short = len(message) <= RAW_MAX_BYTES
        sent = message if is_short else hashlib.sha256(message).digest()
        answer = _asked(
            self._uri,
            lambda: self._client.sign(
                KeyId=self._key,
                Message=sent,
                MessageType="RAW" if is_short else "DIGEST",
                SigningAlgorithm=_ALGORITHM,
            ),
        )
        signature: bytes = answer["Signature"]
        return signature


def load(name: str, *, client: Any = None) -> KmsSigner:
    """Open the key called `name`.  Raises BadInput, Unavailable."""
    uri = _uri(name)
    return KmsSigner(uri, client or _client(uri))


def make(name: str, *, client: Any = None) -> KmsSigner:
    """Make a key under the alias in `name`.  Raises Conflict when it is taken, BadInput, Unavailable."""
    uri = _uri(name)
    alias = uri.need("key")
    if not alias.startswith(_ALIAS):
        raise BadInput(f"{uri.text}: a key is made under an alias: write key={_ALIAS}NAME")
    used = client or _client(uri)
    made = _asked(uri, lambda: used.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY"))
    key = made["KeyMetadata"]["KeyId"]
    try:
        used.create_alias(AliasName=alias, TargetKeyId=key)
    except ClientError as error:
        used.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        if error.response["Error"]["Code"] == "AlreadyExistsException":
            raise Conflict(f"{uri.text}: there is a key of that alias already") from error
        raise _unavailable(uri, error) from error
    return KmsSigner(uri, used)


def _uri(name: str) -> KeyUri:
    return key_uri(name, "awskms", path=frozenset({"key"}), query=frozenset({"region", "endpoint"}))


def _client(uri: KeyUri) -> Any:
    try:
        return boto3.client(
            "kms",
            region_name=uri.query.get("region"),
            endpoint_url=uri.query.get("endpoint"),
            config=_CONFIG,
        )
    except (BotoCoreError, ValueError) as error:
        raise BadInput(f"{uri.text}: {error}") from error


def _asked(uri: KeyUri, ask: Any) -> Any:
    try:
        return ask()
    except (BotoCoreError, ClientError) as error:
        raise _unavailable(uri, error) from error


def _unavailable(uri: KeyUri, error: Exception) -> Unavailable:
    return Unavailable(f"{uri.text}: KMS does not do it: {error}")
